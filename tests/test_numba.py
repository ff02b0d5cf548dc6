"""The compiled solvers: no allocation per pixel, threads that change nothing, a cache that holds."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys

from harness import quality, workload
from implementations import numba_tiles
from implementations.baseline import regularisation
from implementations.contract import OUTPUTS
from implementations.numba_fused import NumbaFloat32, NumbaFused
from implementations.numba_search import search, search_parallel


def problem_of(name, pixels, bins, **options):
    problem, _ = workload.generate(workload.load(name), pixels, bins)
    return replace(problem, options=replace(problem.options, **options))


@pytest.fixture
def allocations():
    """How many allocations compiled code has made, by Numba's own count."""
    _nrt_python.memsys_enable_stats()
    yield lambda: rtsys.get_allocation_stats().alloc
    _nrt_python.memsys_disable_stats()


@pytest.mark.parametrize("gloci", [0, 1])
def test_no_allocation_per_pixel(gloci, allocations):
    """A call of the kernel unpacks its arguments, which Numba counts; 8 pixels or 500 in it make no difference."""

    def of_one_call(pixels):
        problem = problem_of("solar-mix", pixels, 34, gloci=gloci)
        state = replace(NumbaFused().prepare(problem), tile=pixels)
        numba_tiles.solve(state)
        before = allocations()
        numba_tiles.solve(state)
        return allocations() - before

    assert of_one_call(500) == of_one_call(8) < 100
    before = allocations()
    search(np.ones(2) * 0.6, np.ones(2) * 0.8, np.eye(2), np.ones(2), 1.0, 42)
    assert allocations() > before


def test_memory_beyond_inputs_and_outputs_is_small():
    code = """
import resource, sys
from harness import workload
from implementations.numba_fused import NumbaFused
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


@pytest.mark.parametrize("solver", [NumbaFused, NumbaFloat32])
def test_threads_and_tiles_change_nothing(solver, monkeypatch):
    problem = problem_of("solar-mix", 333, 34)
    one, two = solver(threads=1).run(problem), solver(threads=2).run(problem)
    monkeypatch.setattr(numba_tiles, "TILE", 8)
    small = solver(threads=3).run(problem)
    for name in (*OUTPUTS, "iterations", "status"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(small, name))


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

from implementations.numba_search import search
import numpy as np
u = np.eye(3)
search(np.ones(3) * 0.5, np.ones(3) * 0.8, u, np.ones(3), 1.0, 42)
print(sum(search.stats.cache_hits.values()), sum(search.stats.cache_misses.values()))
"""
    counts = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True,
        ).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
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
