"""Processes that share the pixels: what comes out, what is said of each, what happens when one fails, what is left."""

import os
import signal
from dataclasses import replace
from multiprocessing import active_children

import numpy as np
import pandas as pd
import pytest
import records
import solvers
from problems import assert_close, problem, with_invalid
from rich.console import Console
from sweeps import sweep

from harness.records.run import Run
from harness.records.schema import Cell
from harness.reports import contention
from implementations.cluster import processes
from implementations.contract import OUTPUTS, Solution


def assert_same(got: Solution, expected: Solution) -> None:
    assert got.dem.shape == expected.dem.shape
    for name in OUTPUTS if len(got.dem) else ():
        assert_close(getattr(got, name), getattr(expected, name))
    np.testing.assert_array_equal(got.status, expected.status)
    np.testing.assert_array_equal(got.iterations, expected.iterations)


@pytest.mark.parametrize(("workers", "pixels"), [(2, 31), (3, 2), (2, 0)])
def test_shares_make_the_inner_solvers_solution(workers, pixels):
    given = problem(pixels) if pixels < 31 else with_invalid(problem(pixels))[0]
    given = replace(given, dem_norm0=np.linspace(0.5, 2, pixels * 14).reshape(pixels, 14)) if pixels == 31 else given
    solver = solvers.REGISTRY.create(f"processes[inner=batched,workers={workers}]")
    state = solver.prepare(given)
    blocks = [block.name for block in state.memory.values()]
    got = solver.collect(state, solver.solve(state))
    assert_same(got, solvers.REGISTRY.create("batched").run(given))
    facts = solver.facts(state)
    assert facts["processes"] == workers
    assert facts["process_rss_mb"] > 10
    assert "peak_device_mb" not in facts
    assert blocks
    assert not any(os.path.exists(f"/dev/shm/{name}") for name in blocks)


def test_the_same_processes_serve_the_next_problem_and_end_with_another_solver():
    first = processes.team(solvers.REGISTRY.create("processes[inner=batched,workers=2]").inner, 2)
    pids = {process.pid for process, _ in first.members}
    solvers.REGISTRY.create("processes[inner=batched,workers=2]").run(problem(5))
    assert {p.pid for p in active_children()} >= pids
    solvers.REGISTRY.create("processes[inner=l2,workers=1]").run(problem(5))
    assert not {p.pid for p in active_children()} & pids


def test_a_process_that_dies_is_said_and_the_next_problem_has_new_ones():
    solver = solvers.REGISTRY.create("processes[inner=batched,workers=2]")
    state = solver.prepare(problem(5))
    process = state.team.members[1][0]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with pytest.raises(RuntimeError, match="a process ended with exit code -9"):
        solver.solve(state)
    assert not state.memory
    solver.run(problem(5)).check(problem(5))


class Fails:
    """A recipe for a solver that never solves."""

    def __init__(self, error, device=()):
        self.error, self.device = error, device

    def kind(self):
        return solvers.REGISTRY.load("baseline")

    def __call__(self):
        solver = solvers.REGISTRY.create("baseline")
        if self.error is None:
            solver.facts = lambda state: dict(self.device)  # as a solver on a device says
        else:
            solver.solve = self.fail
        return solver

    def fail(self, state):
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [(ValueError("seven"), RuntimeError, "ValueError: seven"), (MemoryError("full"), MemoryError, "MemoryError: full")],
)
def test_what_a_process_raises_is_raised_here(error, kind, text):
    with pytest.raises(kind, match=text):
        processes.Processes(Fails(error), 2).run(problem(4))


def test_memory_on_the_device_is_summed_and_that_of_a_process_kept():
    said = {"upload_s": 0.5, "kernel_s": 1.0, "download_s": 0.25, "peak_device_mb": 100.0}
    solver = processes.Processes(Fails(None, tuple(said.items())), 2)
    state = solver.prepare(problem(4))
    solver.collect(state, solver.solve(state))
    facts = solver.facts(state)
    assert facts["peak_device_mb"] == 200
    assert facts["process_device_mb"] == 100
    assert facts["kernel_s"] == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("processes[workers=0]", "workers must be a whole number"),
        ("processes[inner=processes]", "starts workers of its own"),
        ("processes[inner=nunba]", "nearest known: numba"),
    ],
)
def test_tunables_that_cannot_be_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        solvers.REGISTRY.create(spec)


def test_contention_preset_here(tmp_path):
    """On the cores it runs; what wants a device that isn't here is skipped, with the reason."""
    asked = "processes[inner=batched,workers=1],processes[inner=batched,workers=2],processes[inner=gpu-fused,workers=2]"
    done = sweep(
        "--preset",
        "contention",
        "--pixels",
        "400",
        "--bins",
        "12",
        "--repeats",
        "2",
        "--solvers",
        asked,
        "--out",
        tmp_path / "run",
        check=0,
    )
    table = pd.read_csv(tmp_path / "run" / contention.FILE)
    ran = table[table.inner == "batched"]
    assert list(ran.processes) == [1, 2]
    assert ran.gain.iloc[0] == 1
    assert (ran.process_rss_mb > 10).all()
    assert "MB/process" in done.stdout
    rows = pd.read_csv(tmp_path / "run" / "table.csv").set_index("solver")
    reason = solvers.REGISTRY.unavailable("gpu-fused")
    assert (rows.status["processes[inner=gpu-fused,workers=2]"] == "skipped") == bool(reason)
    assert list(rows.gate.iloc[:2]) == ["pass", "pass"]


def made_up(tmp_path, speeds) -> Run:
    """Records of (inner, processes) -> pixels per second and device memory, by nobody measured."""
    run = Run.create(tmp_path / "run", {"grid": {"solvers": []}})
    for (inner, count), (speed, device) in speeds.items():
        spec = f"processes[inner={inner},workers={count}]"
        law, rng = (lambda pixels, bins, speed=speed: pixels / speed), np.random.default_rng(1)
        row = records.row(spec, law, 1000, 34, rng, 0.0, {})
        facts = {"processes": count, "process_rss_mb": 100.0} | ({"process_device_mb": device} if device else {})
        run.add(Cell("random-response", 1000, 34, 1), spec, row, {"turns": {"1": [[0, 1, 0]]}, "facts": {"1": [facts]}})
    return run


def test_where_the_device_turns_slower_than_the_cores(tmp_path):
    run = made_up(
        tmp_path,
        {
            ("numba", 1): (100, 0),
            ("numba", 4): (400, 0),
            ("numba", 8): (700, 0),
            ("gpu-fused", 1): (500, 50),
            ("gpu-fused", 4): (450, 50),
            ("gpu-fused", 8): (300, 50),
        },
    )
    table = contention.of_run(run)
    assert list(table[table.inner == "numba"].gain) == pytest.approx([1, 4, 7])
    assert list(table[table.inner == "gpu-fused"].process_device_mb) == [50, 50, 50]
    (said,) = contention.turns(table)
    assert said == "gpu-fused, 1,000 pixels x 34 bins: slower than the cores with 8 (of 1, 4, 8 processes)"


def test_a_run_without_processes_has_no_such_table(tmp_path):
    assert contention.of_run(Run.create(tmp_path / "run", {"grid": {"solvers": []}})).empty


@pytest.mark.parametrize("counts", [(2,), (1, 2)])
def test_the_table_is_shown_where_numbers_of_processes_can_be_compared(tmp_path, counts):
    run = made_up(tmp_path, {("numba", count): (100 * count, 0) for count in counts})
    with open(tmp_path / "said", "w+") as said:
        contention.conclude(run, Console(file=said))
        said.seek(0)
        assert ("Processes: random-response" in said.read()) == (run.folder / contention.FILE).exists() == (1 in counts)
