"""What breaks under a job on Dask's workers, and that the result is the undisturbed one or a clear error."""

import os
import signal
import subprocess
import sys
import threading
import time

import dask
import numpy as np
import psutil
import pytest
import solvers
from folders import BAD, SUPPORT, TROUBLE
from problems import assert_identical, mixed

pytest.importorskip("distributed")

from implementations.cluster.session import BlockError
from implementations.contract import Problem
from implementations.registry import Registry

SLOW = Registry([TROUBLE])


def spoil(state, after: int, action) -> threading.Thread:
    """Do `action` once so many blocks are done."""

    def wait():
        while len(state.session.seconds) < after:
            time.sleep(0.002)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def kill_a_worker(state, rng) -> None:
    """SIGKILL, as the kernel's out-of-memory killer would."""
    nannies = list(state.session.cluster.workers.values())
    os.kill(nannies[rng.integers(len(nannies))].pid, signal.SIGKILL)


def solve_with_a_worker_killed(given: Problem, expected, seed: int) -> None:
    rng = np.random.default_rng(seed)
    solver = SLOW.create("dask[inner=slow,threads=2]")
    state = solver.prepare(given)
    killer = spoil(state, int(rng.integers(1, -(-len(given.dn) // state.size) - 2)), lambda: kill_a_worker(state, rng))
    got = solver.collect(state, solver.solve(state))
    killer.join()
    assert_identical(got, expected)


def test_a_worker_killed_mid_map_changes_nothing():
    given = mixed(1200)
    solve_with_a_worker_killed(given, solvers.create("numba").run(given), 0)


@pytest.mark.slow
def test_twenty_workers_killed_at_random_moments_give_twenty_identical_results():
    given = mixed(3000)
    expected = solvers.create("numba").run(given)
    for seed in range(1, 21):
        solve_with_a_worker_killed(given, expected, seed)


def test_a_worker_out_of_memory_is_named_with_its_block():
    given = mixed(9000)
    dn = given.dn.copy()
    valid = np.flatnonzero(given.valid())
    dn[valid[2]] = 123456.789  # beside those that the workers are warmed up on
    given = Problem(dn, given.edn, given.rmatrix, given.logt, given.dlogt, given.options)
    solver = SLOW.create("dask[inner=bloats-at-the-mark,memory=500MiB]")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        state = solver.prepare(given)
        with pytest.raises(BlockError, match=r"block 0 \(pixels 0 to \d+\): 1 workers died of it") as error:
            solver.solve(state)
    assert "give workers more memory" in str(error.value)
    assert state.session.client.status == "closed"


def test_a_scheduler_that_goes_away_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("implementations.cluster.workers.ANSWER_S", 3.0)
    command = [sys.executable, str(SUPPORT / "cluster.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        address = cluster.stdout.readline().strip()
        solver = SLOW.create(f"dask[inner=slow,scheduler={address}]")
        state = solver.prepare(mixed(1500))
        spoil(state, 2, cluster.kill)
        with pytest.raises(BlockError, match=r"block \d+ \(pixels .*\): the scheduler went away"):
            solver.solve(state)


def test_an_inner_solver_that_raises_is_named_with_its_block():
    bad = Registry([BAD])
    solver = bad.create("dask[inner=raises]")
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(BlockError, match="warming up the workers: RuntimeError: no convergence in the sec"):
        solver.prepare(mixed(50))
    assert [
        p for p in psutil.Process().children(recursive=True) if p not in before and "spawn_main" in p.cmdline()
    ] == []
