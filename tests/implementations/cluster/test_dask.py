"""The Dask solvers on this machine and by messages: what is planned, what comes out, what is left behind."""

import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest
import solvers
from folders import TROUBLE
from hypothesis import given
from hypothesis import strategies as st
from problems import assert_identical, mixed, problem

pytest.importorskip("distributed")

from implementations.blas import ThreadpoolController, threadpool_limits
from implementations.cluster.session import MOST_PIXELS, BlockError, Threads
from implementations.contract import Options, Problem
from implementations.registry import Inner, Registry

MARK = 123456.789


def run(spec: str, given: Problem, table: Registry = solvers.REGISTRY):
    """The solution and the facts."""
    solver = table.create(spec)
    state = solver.prepare(given)
    return solver.collect(state, solver.solve(state)), solver.facts(state)


def weighted(pixels: int) -> Problem:
    """With user weights, and options that aren't the defaults."""
    weights = np.random.default_rng(3).uniform(0.5, 2, (pixels, 20))
    return replace(mixed(pixels), dem_norm0=weights, options=Options(reg_tweak=1.2, max_iter=4))


@pytest.mark.parametrize("given", [mixed(1500), weighted(700), mixed(1)])
@pytest.mark.parametrize("spec", ["dask[inner=numba]", "dask[inner=numba,threads=2]", "dask[threads=2,workers=1]"])
def test_threads_of_this_process_give_the_inner_solvers_solution(spec, given):
    got, facts = run(spec, given)
    assert_identical(got, solvers.create("numba").run(given))
    assert facts["slots"] == (1 if "2" not in spec or "workers" in spec else 2)
    assert facts["blocks"] == min(len(given.dn), 8 * facts["slots"])
    assert facts["bytes_sent"] == 0


def test_an_inner_solver_that_holds_the_lock_has_processes_that_end():
    given = weighted(90)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    got, facts = run("dask[inner=vectorized,threads=2]", given)
    assert_identical(got, solvers.create("vectorized").run(given))
    assert facts["slots"] == 2
    assert facts["blocks"] == 15
    assert facts["bytes_sent"] == 90 * 8 * (2 * 6 + 20 + 3 * 20 + 1 + 6) + 90 * (4 + 1)
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before and "spawn_main" in p.cmdline()]
    assert left == []


@pytest.mark.parametrize("given", [mixed(1500), weighted(700)])
def test_a_cluster_is_sent_blocks_and_sends_the_same_solution(given):
    got, facts = run(f"dask[inner=numba,scheduler={solvers.cluster()}]", given)
    assert_identical(got, solvers.create("numba").run(given))
    assert facts["bytes_sent"] > given.dn.nbytes + got.dem.nbytes
    assert facts["shutdown_s"] < 5


def test_dask_delayed_in_processes():
    given = mixed(300)
    got = solvers.REGISTRY.create("dask-delayed[inner=numba,threads=2]").run(given)
    assert_identical(got, solvers.REGISTRY.create("numba").run(given))


RELEASING = [name for name in solvers.REGISTRY.names() if solvers.REGISTRY.load(name).releases_lock]


@pytest.mark.parametrize("name", RELEASING)
def test_a_solver_that_says_it_releases_the_lock_can_be_run_by_threads_at_a_time(name):
    problems = [mixed(400), mixed(300, 34), problem(350, gloci=1), problem(200, bins=24, l_emd=True)] * 2
    solver = solvers.create(name)
    expected = [solver.run(one) for one in problems]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(solver.run, problems), expected, strict=True):
            assert_identical(got, wanted)


@pytest.mark.parametrize(("inner", "accuracy"), [("auto", "exact"), ("l2", "approximate")])
def test_it_is_as_accurate_as_its_inner_solver(inner, accuracy):
    solver = solvers.REGISTRY.create(f"dask[inner={inner}]")
    assert solver.accuracy == accuracy
    assert (solver.bounds is None) == (accuracy == "exact")


def test_auto_is_the_first_that_the_machine_can_run(monkeypatch):
    assert Inner("auto").here() == "numba"
    monkeypatch.setattr("implementations.cpu.fused.NumbaFused.available", lambda: (False, "Numba is not installed"))
    assert Inner("auto").here() == "batched"
    with pytest.raises(RuntimeError, match="solver 'numba' can't run here: Numba is not installed"):
        Inner("numba")()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("dask[inner=nunba]", "unknown inner solver 'nunba'; nearest known: numba"),
        ("dask[inner=dask]", "inner solver 'dask' starts workers of its own"),
        ("dask[workers=0]", "workers must be a whole number of at least 1"),
        ("dask[threads=100000]", "exceed this machine's"),
        ("dask[memory=0]", "memory must be > 0 bytes"),
        ("dask[scheduler=tcp://here:1,memory=1GiB]", "memory=1GiB is for blocks on this machine"),
        ("dask-delayed[block=0]", "block must be a whole number"),
        ("dask-delayed[scheduler=fork]", "scheduler must be one of processes, threads, synchronous"),
    ],
)
def test_tunables_that_cannot_be_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        solvers.REGISTRY.create(spec)


def blocks(pixels, slots=2, memory=2**31, bins=34):
    size = Threads(slots=slots, memory=memory, solver=None).pixels_per_block(problem(1, bins), pixels)
    return size, -(-pixels // size)


def test_a_block_of_a_large_map_has_as_many_pixels_as_a_cache_and_a_task_like():
    assert blocks(10**7) == (32_680, 306)
    assert 0.9 * MOST_PIXELS < blocks(10**8, slots=64, bins=100)[0] <= MOST_PIXELS


@given(st.integers(0, 10**7), st.integers(1, 64))
def test_all_that_compute_have_as_many_blocks_about_as_large(pixels, slots):
    size, count = blocks(pixels, slots)
    assert 1 <= size <= MOST_PIXELS
    assert count % slots == 0 or size < 600, "of small ones, rounding may leave some without"


def test_a_block_fits_the_memory_for_it():
    size, _ = blocks(10**8, memory=2**24)
    assert 1000 < size < MOST_PIXELS
    assert size * 34 * 8 * 3 < 2**24 / 2
    assert blocks(10**8, memory=1)[0] == 1


def test_a_small_map_is_cut_so_that_it_balances():
    assert blocks(10**5) == (6250, 16)
    assert blocks(1) == (1, 1)


def test_a_missing_scheduler_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("implementations.cluster.workers.ANSWER_S", 0.5)
    for where, message in (("tcp://127.0.0.1:9", "no scheduler answers at"), (tmp_path / "s.json", "is not there")):
        solver = solvers.REGISTRY.create(f"dask[scheduler={where}]")
        with pytest.raises(RuntimeError, match=message) as error:
            solver.prepare(problem(3))
        assert "\n" not in str(error.value)


def test_without_distributed_it_is_unavailable_with_the_reason():
    code = (
        "import sys; sys.modules['distributed'] = sys.modules['dask'] = None;"
        "from implementations.registry import Registry;"
        "[print(Registry().describe(n)['reason']) for n in ('dask', 'dask-delayed')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "dask.distributed is not installed: pip install distributed",
        "Dask is not installed: pip install 'dask[array]'",
    ]


def trouble(spec: str, mark: int = 700):
    """A problem of 1000 pixels with a marked one, and the solver, which is bad at it."""
    given = mixed(1000)
    dn = given.dn.copy()
    dn[mark] = MARK
    return replace(given, dn=dn), Registry([TROUBLE]).create(spec)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_block_is_one_line_and_leaves_no_thread(threads):
    given, solver = trouble(f"dask[inner=fails-at-the-mark,threads={threads}]")
    before = threading.active_count()
    with pytest.raises(BlockError, match=r"block \d+ \(pixels (\d+) to (\d+)\): RuntimeError: not that") as error:
        solver.run(given)
    first, last = map(int, re.findall(r"\d+", str(error.value))[1:])
    assert first <= 700 <= last
    assert "\n" not in str(error.value)
    assert threading.active_count() == before


def test_memory_that_is_not_there_stays_a_memory_error():
    given, solver = trouble("dask[inner=asks-at-the-mark,threads=2]")
    with pytest.raises(MemoryError, match=r"block \d+ \(pixels \d+ to \d+\): Unable to allocate"):
        solver.run(given)


def test_blas_has_one_thread_in_each_of_dasks_and_what_it_had_afterwards():
    def counts():
        return [pool["num_threads"] for pool in ThreadpoolController().info() if pool["user_api"] == "blas"]

    given, solver = trouble("dask[inner=counts-blas,threads=2]")
    with threadpool_limits(limits=2, user_api="blas"):
        before = counts()
        got = solver.run(given)
        assert counts() == before
    assert 2 in before
    assert set(np.unique(got.chisq)) == {1.0}


def test_threads_of_the_inner_solver_are_its_share():
    for spec, each in (("workers=1,threads=2", 2), ("workers=2,threads=2", 1), ("threads=2", 1)):
        session = solvers.REGISTRY.create(f"dask[inner=numba,{spec}]").session(problem(1))
        assert session.solver.threads == each
