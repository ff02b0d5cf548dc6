"""Why a solver doesn't get n times faster on n threads: each number of threads in a process of its own, watched.

Start-up (workers started and ended), load imbalance (the busiest thread against the mean), more threads than cores
(counted by what the kernel ran, and by what threadpoolctl sees of BLAS in every worker), memory bandwidth and cores
that are slower when others work are told apart by figures; `FINDINGS` has the thresholds.
"""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from harness.machine.counted_work import Shape
from harness.machine.pinning import pools
from harness.machine.probes import cores
from harness.profiling.stages import STAGES, TABLE
from harness.profiling.stopwatch import in_workers
from implementations.contract import Problem, Solver
from implementations.solver_spec import parse

REPEATS = 3
BUSY = 0.1
"""A thread counts as busy if it ran for this share of the busiest one's time."""
LOOK_S = 0.01
FINDINGS = {"start": 0.2, "imbalance": 0.15, "slower": 1.15, "bandwidth": 0.5, "wait": 0.2}
"""Share of the time in start and end; busiest thread over the mean, less 1; a thread's work beside others against
alone; share of the machine's copy rate; share of the threads' time without a core though there are enough. Beyond these
a figure is named as a cause."""


def spec_for(spec: str, known: dict[str, Any], threads: int) -> tuple[str, int]:
    """The solver with that many workers or threads, and the threads that its libraries are given."""
    name, given = parse(spec)
    if "executor" in known:
        executor = given.get("executor", "process-pool")
        changed = given | ({"executor": executor, "workers": threads} if threads > 1 or "executor" in given else {})
        if executor == "serial":
            changed = given
        return _written(name, changed), 1
    return _written(name, given | ({"threads": threads} if "threads" in known else {})), threads


def _written(name: str, given: dict[str, Any]) -> str:
    return name + (f"[{','.join(f'{k}={v}' for k, v in given.items())}]" if given else "")


def tasks() -> dict[tuple[int, int], tuple[float, float]]:
    """(process, thread) -> seconds run and seconds waited for a core, of this process and all below it.

    From the kernel's scheduler statistics; without them (not Linux) run times only, of whole processes.
    """
    found = {}
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                ran, waited, _ = (task / "schedstat").read_text().split()
                found[process.pid, int(task.name)] = (int(ran) / 1e9, int(waited) / 1e9)
        except (OSError, ValueError):
            try:
                times = process.cpu_times()
                found[process.pid, 0] = (times.user + times.system, 0.0)
            except psutil.Error:
                continue
    return found


def watch(solver: Solver, problem: Problem) -> dict[str, Any]:
    """Phases, threads' times and views of BLAS over some runs."""
    solution = solver.run(problem)
    runs = [_run(solver, problem) for _ in range(REPEATS)]
    middle = sorted(runs, key=lambda run: run["total_s"])[REPEATS // 2]
    with tempfile.TemporaryDirectory() as name, _views(Path(name)) as views:
        undo = in_workers(Path(name), STAGES, TABLE)
        try:
            solver.run(problem)
        finally:
            undo()
    shape, valid = Shape.of(problem, solution.iterations), int((solution.iterations > 0).sum())
    return {**middle, "cores": cores(), "blas": views, "shape": shape._asdict(), "valid": valid}


def _run(solver: Solver, problem: Problem) -> dict[str, Any]:
    """One run; threads are looked at while they still exist, before `collect` ends them."""
    start = time.perf_counter()
    state = solver.prepare(problem)
    staged, before = time.perf_counter(), tasks()
    begin = time.perf_counter()
    solution = solver.solve(state)
    end = time.perf_counter()
    after = tasks()
    home = time.perf_counter()
    solver.collect(state, solution)
    done = time.perf_counter()
    spent = {
        key: (ran - before.get(key, (0, 0))[0], wait - before.get(key, (0, 0))[1]) for key, (ran, wait) in after.items()
    }
    most = max((ran for ran, _ in spent.values()), default=0.0)
    busy = {key: each for key, each in spent.items() if each[0] >= BUSY * most}
    return {
        "prepare_s": staged - start,
        "solve_s": end - begin,
        "collect_s": done - home,
        "total_s": staged - start + end - begin + done - home,
        "busy_s": sorted((ran for ran, _ in busy.values()), reverse=True),
        "waited_s": sum(wait for _, wait in busy.values()),
        "processes": len({pid for pid, _ in busy}),
    }


@contextmanager
def _views(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """What threadpoolctl sees while a run lasts: the most threads of every BLAS here, and in every worker process."""
    views: list[dict[str, Any]] = []
    over = threading.Event()
    here: list[dict[str, Any]] = []

    def look() -> None:
        while not over.wait(LOOK_S):
            seen = pools()
            if not here or _blas_threads(seen) > _blas_threads(here):
                here[:] = seen

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield views
    finally:
        over.set()
        thread.join()
        views.append({"process": "main", "pools": here or pools()})
        for number, file in enumerate(sorted(folder.glob("blas-*.json")), start=1):
            views.append({"process": f"worker {number}", "pools": json.loads(file.read_text())})


def _blas_threads(seen: list[dict[str, Any]]) -> int:
    return max((pool["num_threads"] for pool in seen if pool["user_api"] == "blas"), default=1)


def diagnose(runs: dict[int, dict[str, Any]], scaling: float, copy_rate: float, run_bytes: float | None) -> None:
    """Add speedup, efficiency and findings to the figures of each number of threads.

    `scaling`: how this machine's multiply-adds scale to all its cores; `copy_rate`: bytes/s of all of them;
    `run_bytes`: counted traffic of a run, None if nobody has counted it.
    """
    fewest = min(runs)
    alone = runs[fewest]
    for threads, run in runs.items():
        run["speedup"] = alone["total_s"] / run["total_s"]
        run["efficiency"] = run["speedup"] / (threads / fewest)
        busy = run["busy_s"]
        run["start_share"] = (run["prepare_s"] + run["collect_s"]) / run["total_s"]
        run["imbalance"] = max(busy) / (sum(busy) / len(busy)) - 1 if sum(busy) else 0.0
        run["slower"] = sum(busy) / max(sum(alone["busy_s"]), 1e-9)
        run["wait_share"] = run["waited_s"] / max(run["waited_s"] + sum(busy), 1e-9)
        run["bandwidth_share"] = None if run_bytes is None else run_bytes / run["solve_s"] / copy_rate
        run["findings"] = _findings(run, threads, scaling)


def _findings(run: dict[str, Any], threads: int, scaling: float) -> list[str]:
    """What keeps a run from being faster, in words."""
    found, busy = [], len(run["busy_s"])
    blas = [_blas_threads(view["pools"]) for view in run["blas"]]
    if busy > run["cores"]:
        workers = [n for view, n in zip(run["blas"], blas, strict=True) if view["process"] != "main"] or blas
        found.append(
            f"oversubscribed: {busy} busy threads in {run['processes']} process(es) on {run['cores']} core(s), BLAS "
            f"set to {max(workers)} thread(s) each; {run['wait_share']:.0%} of their time was spent waiting for a core"
        )
    elif run["wait_share"] > FINDINGS["wait"]:
        found.append(
            f"the machine is busy with other work: {run['wait_share']:.0%} of the time the solver's threads waited for "
            "a core, though they are no more than there are cores; these times are not the solver's"
        )
    if run["start_share"] > FINDINGS["start"]:
        found.append(f"start-up: {run['start_share']:.0%} of the time goes to starting and ending workers and staging")
    if busy > 1 and run["imbalance"] > FINDINGS["imbalance"]:
        found.append(f"load imbalance: the busiest thread has {run['imbalance']:.0%} more to do than the mean")
    if (run["bandwidth_share"] or 0.0) > FINDINGS["bandwidth"]:
        found.append(f"memory: {run['bandwidth_share']:.0%} of the machine's copy rate")
    if threads > 1 and busy <= run["cores"] and run["slower"] > FINDINGS["slower"]:
        found.append(
            f"cores are slower together: the same work takes {run['slower']:.2f} times the processor time it takes one "
            f"thread; plain multiply-adds scale {scaling:.2f}x to all {run['cores']} cores here"
        )
    if threads > 1 and busy < min(threads, run["cores"]):
        found.append(f"idle: {busy} of {threads} threads had work")
    return found
