"""The compiled solvers: no allocation per pixel, threads that change nothing, a cache that holds."""

import os
import subprocess
import sys
from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba.core.errors import NumbaError
from numba.core.runtime import _nrt_python, rtsys
from structure import Tree

from harness.judge import quality
from harness.workloads import problem as workload
from implementations.baseline import regularisation
from implementations.compiled import jit, staging, tiles
from implementations.compiled.discrepancy import excess_at, grid, morozov
from implementations.compiled.kernel import invert
from implementations.compiled.simd import LANES, splat, store
from implementations.contract import OUTPUTS
from implementations.cpu.fused import NumbaFloat32, NumbaFused
from implementations.cpu.regmap_search import search, search_parallel
from implementations.places import ROOT


def problem_of(name, pixels, bins, **options):
    problem, _ = workload.generate(workload.load(name), pixels, bins)
    return replace(problem, options=replace(problem.options, **options))


@pytest.fixture
def allocations():
    """How many allocations compiled code has made, by Numba's own count."""
    _nrt_python.memsys_enable_stats()
    yield lambda: rtsys.get_allocation_stats().alloc
    _nrt_python.memsys_disable_stats()


@pytest.mark.slow  # compiles the kernel once more, with counters
@pytest.mark.parametrize("gloci", [0, 1])
def test_no_allocation_per_pixel(gloci, allocations):
    """A call of the kernel unpacks its arguments, which Numba counts; 8 pixels or 500 in it make no difference."""

    def of_one_call(pixels):
        problem = problem_of("solar-mix", pixels, 34, gloci=gloci)
        state = replace(NumbaFused().prepare(problem), tile=pixels)
        tiles.solve(state)
        before = allocations()
        tiles.solve(state)
        return allocations() - before

    assert of_one_call(500) == of_one_call(8) < 100
    before = allocations()
    search(np.ones(2) * 0.6, np.ones(2) * 0.8, np.eye(2), np.ones(2), 1.0, 42)
    assert allocations() > before


def test_memory_beyond_inputs_and_outputs_is_small():
    code = """
import resource, sys
from harness.workloads import problem as workload
from implementations.cpu.fused import NumbaFused
few, _ = workload.generate(workload.load("gaussian-response"), 100, 34)
NumbaFused(threads=2).run(few)
problem, _ = workload.generate(workload.load("gaussian-response"), 200_000, 34)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
solution = NumbaFused(threads=2).run(problem)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
outputs = sum(getattr(solution, name).nbytes for name in vars(solution))
print(after - before - outputs / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 64 * 1024


@pytest.mark.parametrize("solver", [NumbaFused, pytest.param(NumbaFloat32, marks=pytest.mark.slow)])
def test_threads_and_tiles_change_nothing(solver, monkeypatch):
    problem = problem_of("solar-mix", 333, 34)
    one, two = solver(threads=1).run(problem), solver(threads=2).run(problem)
    monkeypatch.setattr(tiles, "TILE", 8)
    small = solver(threads=3).run(problem)
    for name in (*OUTPUTS, "iterations", "status"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(small, name))


@pytest.mark.parametrize(
    ("pixels", "others", "tile"), [(50, 0, tiles.TILE), (200, 1, 50), (400, 1, 100), (3200, 1, 240)]
)
def test_threads_are_woken_and_tiles_cut_only_where_that_is_less_than_the_work(pixels, others, tile):
    """34 bins on two threads: 100 pixels take less time than waking one, and 10 less than a call of the kernel."""
    state = NumbaFused(threads=2).prepare(problem_of("solar-mix", pixels, 34))
    assert (state.others, state.tile) == (others, staging.round_up(tile, tiles.LANES))
    tiles.finish(state)


@pytest.mark.parametrize("bins", [34, 200])
def test_single_precision_loses_only_resolution(bins):
    problem = problem_of("gaussian-response", 300, bins)
    double, single = NumbaFused().run(problem), NumbaFloat32().run(problem)
    for name in ("dem", "edem", "chisq", "dn_reg", "iterations", "status"):
        np.testing.assert_array_equal(getattr(double, name), getattr(single, name))
    off = np.abs(single.elogt - double.elogt)
    assert (off > 1e-5).mean() < 1e-3, "elsewhere than at ties with the half maximum"
    assert off.max() <= (problem.logt[-1] - problem.logt[0]) / 51 * 1.01


def test_the_cache_is_used_by_the_next_process(tmp_path):
    code = """

from implementations.cpu.regmap_search import search
import numpy as np
u = np.eye(3)
search(np.ones(3) * 0.5, np.ones(3) * 0.8, u, np.ones(3), 1.0, 42)
print(sum(search.stats.cache_hits.values()), sum(search.stats.cache_misses.values()))
"""
    counts = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert counts == [["0", "1"], ["1", "0"]]


@pytest.mark.parametrize("compiled", [search, search_parallel], ids=["plain", "parallel"])
@settings(max_examples=60, deadline=None)
@given(
    s=st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=8),
    nmu=st.integers(2, 200),
    target=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**31),
)
def test_the_compiled_search_finds_the_baselines_grid_point(compiled, s, nmu, target, seed):
    """Or, where two points are equally near the target within rounding, the other one."""
    s = np.array(s)
    rng = np.random.default_rng(seed)
    u, data = np.linalg.qr(rng.standard_normal((len(s), len(s))))[0], 10 * rng.standard_normal(len(s))
    beta = 1 / np.sqrt(1 + s**2)
    got = compiled(s * beta, beta, u, data, target, nmu)
    expected = regularisation(s * beta, beta, u, data, target, nmu)

    def distance(mu):
        return abs(np.sum((mu / (s**2 + mu) * (u.T @ data)) ** 2) - len(s) * target)

    scale = data @ data + len(s) * target
    assert got == pytest.approx(expected, rel=1e-9) or distance(got) == pytest.approx(
        distance(expected), abs=1e-9 * scale
    )


def test_dead_pixels_among_good_ones_do_not_touch_them():
    problem = problem_of("random-response", 64, 20)
    dn = problem.dn.copy()
    dn[::3, 2] = np.nan
    good, mixed = NumbaFused().run(problem), NumbaFused().run(replace(problem, dn=dn))
    rows = np.arange(64) % 3 != 0
    for name in OUTPUTS:
        ours, theirs = (getattr(s, name)[rows].reshape(rows.sum(), -1) for s in (mixed, good))
        assert quality.deviation(ours, theirs).max() <= 1e-12


def sized(setup, channels):
    """A setup for as many channels, and as many singular values."""
    return setup._replace(sizes=setup.sizes._replace(channels=channels, rank=channels))


@numba.njit(_nrt=False)
def chosen_point(factors, search, rank, nmu, target, guess):
    grid(factors, search, nmu)
    store(search.seen, 0, morozov(factors, search, rank, nmu, splat(target), splat(guess)))


@numba.njit(_nrt=False)
def scanned_point(factors, search, rank, nmu, target, lane):
    grid(factors, search, nmu)
    best, least = 0, np.inf
    for index in range(nmu):
        store(search.seen, 0, excess_at(factors, search, rank, nmu, splat(target), splat(float(index))))
        distance = abs(search.seen[lane])
        if distance < least:
            best, least = index, distance
    return best


@settings(max_examples=400, deadline=None)
@given(
    exponents=st.lists(st.floats(-8, 8), min_size=1, max_size=12),
    level=st.sampled_from([1.0, 1e-9, 1e5, 1e9]),
    projection=st.lists(st.sampled_from([0.0, 1.0]) | st.floats(-1e7, 1e7), min_size=12, max_size=12),
    unfitted=st.sampled_from([0.0, 3.0, 1e8]),
    nmu=st.integers(2, 500),
    target=st.floats(-12, 25).map(lambda e: 10**e),
    start=st.floats(0, 1),
    lane=st.integers(0, LANES - 1),
)
def test_bisection_ends_where_a_scan_of_the_grid_does(exponents, level, projection, unfitted, nmu, target, start, lane):
    """Rising, falling (all singular values beyond 1e4) and flat misfits, from any first guess."""
    s, rank = level * 10 ** np.array(exponents), len(exponents)
    span = abs(np.log(s.max() / (s.min() ** 2 * 1e-4)))
    assume(span / (nmu - 1) > 1e-9)  # else the points are one, and their misfits differ by rounding alone
    problem = problem_of("random-response", 1, 20)
    problem = replace(problem, options=replace(problem.options, nmu=nmu))
    scratch = staging.working_memory(sized(NumbaFused().prepare(problem).setup, rank), float)
    factors, search = scratch.factors, scratch.search
    for array, values in (
        (factors.diagonal, s**2),
        (factors.projection, projection[:rank]),
        (factors.unfitted, unfitted),
        (factors.ends, [s.min() ** 2, s.max() ** 2]),
    ):
        array[:] = 1.0  # other lanes: a problem of their own
        array[lane : np.size(values) * LANES : LANES] = values
    chosen_point(factors, search, rank, nmu, target, float(round(start * (nmu - 1))))
    assert search.seen[lane] == scanned_point(factors, search, rank, nmu, target, lane)


def test_an_allocation_in_the_kernel_would_not_compile():
    with pytest.raises(NumbaError):
        numba.njit(_nrt=False)(lambda n: np.zeros(n)[0])(3)
    assert invert.targetoptions["_nrt"] is False


def test_the_kernel_holds_on_to_nothing():
    problem = problem_of("random-response", 8, 20)
    state = NumbaFused().prepare(problem)
    tiles.solve(state)
    before = sys.getrefcount(problem.dn), sys.getrefcount(state.setup.response)
    for _ in range(20):
        tiles.solve(state)
    assert (sys.getrefcount(problem.dn), sys.getrefcount(state.setup.response)) == before


def test_the_kernel_is_compiled_once_for_all_processes():
    NumbaFused().run(problem_of("random-response", 8, 20))
    code = """
from harness.workloads import problem as workload
from implementations.cpu.fused import NumbaFused
from implementations.compiled.kernel import invert
NumbaFused().run(workload.generate(workload.load("random-response"), 8, 20)[0])
print(sum(invert.stats.cache_hits.values()), sum(invert.stats.cache_misses.values()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]


def test_the_fingerprint_is_of_every_file_that_the_kernel_is_made_of(tmp_path):
    tree = Tree(ROOT)
    reached, left = set(), {"implementations.compiled.kernel", "implementations.compiled.timed_kernel"}
    while left:
        name = left.pop()
        reached.add(name)
        left |= {n for n in tree.imports(name) if n.startswith("implementations.compiled.")} - reached
    assert len(reached) > 8
    assert {tree.files[name] for name in reached} <= set(jit.sources())
    with pytest.raises(RuntimeError, match="no sources of kernels in"):
        jit.fingerprint(tmp_path)


def test_a_change_of_any_step_makes_the_cache_stale(tmp_path):
    """Numba itself looks at the file of the entry only, and at what the entry closes over."""
    step = tmp_path / "step.py"
    step.write_text("x = 1\n")
    before = jit.fingerprint(tmp_path)
    assert jit.fingerprint(tmp_path) == before
    step.write_text("x = 2\n")
    assert jit.fingerprint(tmp_path) != before
    assert [type(cell.cell_contents) for cell in invert.py_func.__closure__] == [int]


def test_without_a_place_for_the_cache_the_kernel_still_compiles(monkeypatch):
    real = numba.njit

    def refusing(cache=False, **flags):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**flags)

    monkeypatch.setattr(jit.numba, "njit", refusing)
    assert jit.entry(lambda x: x + 1)(1) == 2


@pytest.mark.parametrize("solver", [NumbaFused, NumbaFloat32])
@pytest.mark.parametrize("gloci", [0, 1])
@pytest.mark.parametrize("name", ["random-response", "solar-mix"])
def test_rows_left_out_change_nothing(solver, gloci, name, monkeypatch):
    """Sorted rows and an early end of the search for a profile's peak give the very same resolution."""
    problem = problem_of(name, 40, 150, gloci=gloci)
    sorted_rows = solver().run(problem)
    monkeypatch.setattr(staging, "SORT_FROM", 10**9)
    np.testing.assert_array_equal(sorted_rows.elogt, solver().run(problem).elogt)
