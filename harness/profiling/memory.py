"""Memory of a solver's process and its workers over time, and what a worker costs when forked or spawned."""

import importlib
import multiprocessing
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from implementations.contract import Problem, Solver

LOOK_S = 0.02
MOST_LOOKS = 400
"""Beyond these, every second look is dropped and the pause doubled."""
WORKER_S = 60.0


@contextmanager
def sampled(pid: int) -> Iterator[list[dict[str, float]]]:
    """Looks at a process and its children from outside while the block runs.

    Each look: `s` since the start, private MB of the process (`own`) and of all its children (`workers`), MB that they
    share with others (`shared`: counted once for each), and `processes`.
    """
    looks: list[dict[str, float]] = []
    over = threading.Event()

    def look() -> None:
        start, pause = time.perf_counter(), LOOK_S
        while True:
            seen = _look(pid)
            if seen is not None:
                looks.append({"s": time.perf_counter() - start, **seen})
            if len(looks) > MOST_LOOKS:
                del looks[1::2]
                pause *= 2
            if over.wait(pause):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


def _look(pid: int) -> dict[str, float] | None:
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return None
    held = [each for each in map(_held, family) if each is not None]
    if not held:
        return None
    return {
        "own": held[0][0],
        "workers": sum(private for private, _ in held[1:]),
        "shared": sum(shared for _, shared in held),
        "processes": float(len(held)),
    }


def _held(process: psutil.Process) -> tuple[float, float] | None:
    """Private and shared MB of a process."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return None
    return found.uss / 2**20, max(found.rss - found.uss, 0) / 2**20


def summary(looks: list[dict[str, float]]) -> dict[str, Any]:
    """Peaks in MB, and the looks themselves; without any look, because this system doesn't let us, a reason."""
    if not looks:
        return {"reason": "this system doesn't say what a process holds", "looks": []}
    peak = {f"peak_{name}_mb": max(look[name] for look in looks) for name in ("own", "workers", "shared")}
    return {**peak, "most_processes": int(max(look["processes"] for look in looks)), "looks": looks}


def sentences(record: dict[str, Any]) -> list[str]:
    """What a profile's record says of memory."""
    held = record["memory"]
    if "reason" in held:
        return [f"memory: {held['reason']}"]
    workers = held["most_processes"] - 1
    text = f"memory: at most {held['peak_own_mb']:.0f} MB of its own"
    if workers:
        text += f", {held['peak_workers_mb']:.0f} MB in {workers} process(es) below it"
    said = [f"{text}; {held['peak_shared_mb']:.0f} MB shared with others ({len(held['looks'])} looks in one run)"]
    for method, cost in record.get("worker_memory", {}).items():
        figures = "{private_mb:.0f} MB of its own, {shared_mb:.0f} MB shared, there after {start_s:.2f} s"
        said.append(f"memory of one worker by {method}: {cost.get('reason') or figures.format(**cost)}")
    return said


def watch(solver: Solver, problem: Problem) -> dict[str, Any]:
    """What one worker process costs that imports the solver and is given the problem: forked, and spawned.

    For each method `private_mb`, `shared_mb` (with its parent and others) and `start_s`, or the `reason` there is none.
    """
    able = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]
    return {method: _worker(method, solver, problem) for method in able}


def _worker(method: str, solver: Solver, problem: Problem) -> dict[str, Any]:
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    start = time.perf_counter()
    arrays = (problem.dn, problem.edn, problem.rmatrix, problem.logt, problem.dlogt, problem.options)
    target, module = _report, type(solver).__module__
    worker = context.Process(target=target, args=(theirs, module, [*sys.path], arrays))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is to be seen here
        worker.start()
    theirs.close()
    try:
        if not ours.poll(WORKER_S):
            return {"reason": f"no answer within {WORKER_S:.0f} s"}
        held = ours.recv()
        if held is None:
            return {"reason": "this system doesn't say what a process holds"}
        private, shared = held
        return {"private_mb": private, "shared_mb": shared, "start_s": time.perf_counter() - start}
    except EOFError:
        return {"reason": "the worker died while it imported the solver"}
    finally:
        worker.kill()
        worker.join()


def _report(pipe: Any, module: str, path: list[str], arrays: tuple[Any, ...]) -> None:
    """In the worker: import what the solver needs, hold the problem, and say how much memory that takes."""
    sys.path[:] = path
    if not module.startswith("demreg_bench_plugin"):
        importlib.import_module(module)
    Problem(*arrays)  # checks, and so reads, the counts and errors
    pipe.send(_held(psutil.Process()))
