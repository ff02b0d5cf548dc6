"""The Dask solvers with workers of their own: what is planned, what comes out, what is left behind."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import solvers
from problems import assert_identical, mixed, problem

pytest.importorskip("distributed")

from implementations.cluster import blocks as cluster_blocks
from implementations.cluster import memory as cluster_memory
from implementations.registry import Inner


def test_workers_of_its_own_give_the_inner_solvers_solution_and_end():
    given = mixed(1500)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    solver = solvers.REGISTRY.create("dask[inner=numba,threads=2]")
    state = solver.prepare(given)
    got = solver.collect(state, solver.solve(state))
    assert_identical(got, solvers.REGISTRY.create("numba").run(given))
    assert state.session.slots == 2
    assert len(state.blocks) >= 2
    assert state.tally.blocks == len(state.blocks)
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before and "spawn_main" in p.cmdline()]
    assert left == []


def test_dask_delayed_in_processes():
    given = mixed(300)
    got = solvers.REGISTRY.create("dask-delayed[inner=numba,threads=2]").run(given)
    assert_identical(got, solvers.REGISTRY.create("numba").run(given))


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
        ("dask-delayed[block=0]", "block must be a whole number"),
        ("dask-delayed[scheduler=fork]", "scheduler must be one of processes, threads, synchronous"),
    ],
)
def test_tunables_that_cannot_be_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        solvers.REGISTRY.create(spec)


def blocks(pixels, seconds, slots=2, memory=2**31, bins=34):
    size = cluster_blocks.pixels_per_block(pixels, seconds, 6, bins, slots, memory)
    return size, -(-pixels // size)


@pytest.mark.parametrize("seconds", [1e-5, 1e-4, 1e-2, 0.4])
def test_a_block_of_a_large_map_is_half_a_second_to_two(seconds):
    size, count = blocks(10**7, seconds)
    assert 0.5 <= size * seconds <= 2
    assert count % 2 == 0


def test_a_block_fits_the_workers_memory_and_slow_pixels_go_one_by_one():
    size, _ = blocks(10**8, 1e-6, memory=2**28)
    assert size * 34 * 8 * 3 < 2**28 / 2
    assert blocks(100, 5.0)[0] == 1


def test_a_small_map_is_cut_so_that_it_balances_but_not_into_crumbs():
    assert blocks(10**5, 1e-5)[1] == 16
    assert blocks(1000, 1e-5)[1] == 2
    assert blocks(1, 1e-5) == (1, 1)


def test_a_missing_scheduler_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("implementations.cluster.session.ANSWER_S", 0.5)
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


def test_user_weights_go_with_their_pixels():
    given = mixed(700)
    weights = np.random.default_rng(3).uniform(0.5, 2, (700, 20))
    given = replace(given, dem_norm0=weights)
    assert_identical(solvers.create("dask").run(given), solvers.create("numba").run(given))


def test_a_machine_that_does_not_let_memory_be_read_is_sent_messages(monkeypatch):
    given = mixed(900)
    monkeypatch.setattr("implementations.cluster.memory.readable", lambda beacons: False)
    solver = solvers.REGISTRY.create("dask[inner=numba]")
    state = solver.prepare(given)
    assert_identical(solver.collect(state, solver.solve(state)), solvers.create("numba").run(given))
    facts = solver.facts(state)
    assert facts["bytes_shared"] == 0
    assert facts["bytes_sent"] == 900 * 8 * (2 * 6 + 3 * 20 + 1 + 6) + 900 * (4 + 1)


def test_the_memory_of_a_process_that_ended_is_gone():
    code = "from implementations.cluster.memory import Address, BEACON as b;print(Address.of(b)); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        address = eval(process.stdout.readline(), {"Address": cluster_memory.Address})
        assert cluster_memory.readable([address])
        process.kill()
        process.wait()
        assert not cluster_memory.readable([address])
        with pytest.raises(cluster_memory.GoneError, match=f"worker process {process.pid} is gone"):
            address.read_into(np.empty_like(cluster_memory.BEACON))


def test_a_moment_in_which_the_machine_is_busy_does_not_count():
    stalls = iter([0.0, 0.3])  # the warm-up, then the first pixel timed
    pixels = (np.ones((400, 6)), np.ones((400, 6)), None)
    seconds = cluster_blocks.seconds_per_pixel(lambda p: time.sleep(1e-3 * len(p[0]) + next(stalls, 0.0)), pixels)
    assert 1e-3 <= seconds < 1e-2
