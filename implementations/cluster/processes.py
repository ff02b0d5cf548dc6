"""Several processes at once, each with an equal share of the pixels and a solver of its own: how they contend.

Kept to show what processes cost each other on one device and on the cores: a device does the work of several processes
in turns, each with its context and chunks in the device's memory; the cores share caches and the path to memory.

Wins: nothing is expected over one process with as many threads; not yet measured. Where on a device the turns begin to
cost more than they fill: not yet measured either; `python -m harness.sweep --preset contention` does.
Cost per pixel: the inner solver's. Processes are spawned, never forked, once, and serve all further problems; starting
them is part of the one-off time. Pixels and solutions are in memory that all map; each process takes every n-th pixel,
so that a scene's costly regions fall to all alike. Memory: the inner solver's imports, context and buffers, once a
process.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: the inversion is the inner solver's. A script that uses it needs `if __name__ == "__main__":`, as every program
whose worker processes import it.
"""

import multiprocessing
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from implementations.blas import one_thread
from implementations.contract import Problem, Solution, Solver

Places = dict[str, tuple[str, tuple[int, ...], str]]
"""An array's name -> the shared memory's name, shape, type."""


NAME = "demreg-bench-process"


@dataclass(eq=False)
class State:
    """A problem, the processes that wait for it, and what they share with this one."""

    problem: Problem
    team: "Team"
    memory: dict[str, SharedMemory] = field(default_factory=dict)
    places: Places = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    def place(self, name: str, like: NDArray[Any]) -> NDArray[Any]:
        """Shared memory for an array of that shape and type."""
        self.memory[name] = SharedMemory(create=True, size=max(like.nbytes, 1))
        self.places[name] = (self.memory[name].name, like.shape, like.dtype.str)
        return self.array(name)

    def array(self, name: str) -> NDArray[Any]:
        """The shared array; no view of it may outlive `release`."""
        _, shape, kind = self.places[name]
        return np.ndarray(shape, kind, self.memory[name].buf)

    def release(self) -> None:
        """Give the shared memory back."""
        for block in self.memory.values():
            block.close()
            block.unlink()
        self.memory.clear()


class Processes(Solver):
    """`inner`: the solver in each process, with one thread; `workers`: how many processes."""

    name = "processes"
    device = "cluster"
    accuracy = "exact"

    def __init__(self, inner: Any = "numba", workers: int = 2):
        if not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers must be a whole number of at least 1, got {workers}")
        self.inner, self.workers = inner, workers
        self.promise_as(inner.kind())

    def prepare(self, problem: Problem) -> State:
        """Put the pixels where all processes map them; the first time, start these. RuntimeError when one can't."""
        ready = team(self.inner, self.workers)
        given = {"dn": problem.dn, "edn": problem.edn, "dem_norm0": problem.dem_norm0}
        inputs = {name: array for name, array in given.items() if array is not None}
        state = State(problem, ready)
        for name, array in inputs.items():
            state.place(name, array)[...] = array
        for name, like in vars(Solution.empty(problem)).items():
            state.place(name, like)
        return state

    def solve(self, state: State) -> State:
        """Every process inverts its share, all at once."""
        try:
            state.facts.update(state.team.run(state.problem.take(slice(0, 0)), state.places))
        except BaseException:
            state.release()
            raise
        return state

    def collect(self, state: State, solution: State) -> Solution:
        """Copy the solution out of the shared memory and give that back."""
        names = vars(Solution.empty(state.problem.take(slice(0, 0))))
        home = Solution(**{name: state.array(name).copy() for name in names})
        state.release()
        return home

    def facts(self, state: State) -> dict[str, float]:
        """Of the processes: how many, each one's memory, and what their solvers say, summed where it adds up."""
        return state.facts


class Team:
    """Processes that are ready; daemons, so that they end with this one."""

    def __init__(self, inner: Any, workers: int):
        context = multiprocessing.get_context("spawn")
        self.members = []
        for number in range(workers):
            ours, theirs = context.Pipe()
            name = f"{NAME}-{number}"
            process = context.Process(target=serve, args=(theirs, inner, number, workers), name=name, daemon=True)
            process.start()
            theirs.close()
            self.members.append((process, ours))
        self.answers()

    def run(self, constants: Problem, places: Places) -> dict[str, float]:
        """Have all of them invert their pixels; what they measured."""
        said = self.answers((constants, places))
        device = [facts for facts in said if "peak_device_mb" in facts]
        summed = {f"{phase}_s": sum(f[f"{phase}_s"] for f in device) for phase in ("upload", "kernel", "download")}
        memory = {
            "peak_device_mb": sum(f["peak_device_mb"] for f in device),
            "process_device_mb": max((f["peak_device_mb"] for f in device), default=0.0),
        }
        alone = {"processes": float(len(said)), "process_rss_mb": max(f["rss_mb"] for f in said)}
        return {**alone, **(summed | memory if device else {})}

    def answers(self, task: Any = None) -> list[dict[str, float]]:
        """What each says to a task, or when it is ready. RuntimeError or MemoryError, as it said, where one fails."""
        said = []
        try:
            for _, pipe in self.members if task else ():
                pipe.send(task)
            for _, pipe in self.members:
                kind, answer = pipe.recv()
                if kind:
                    raise (MemoryError if "Memory" in kind else RuntimeError)(f"{kind}: {answer}")
                said.append(answer)
        except (EOFError, OSError):
            for process, _ in self.members:
                process.join(0.5)
            codes = ", ".join(str(p.exitcode) for p, _ in self.members if p.exitcode is not None)
            self.end()
            raise RuntimeError(f"a process ended with exit code {codes}") from None
        except BaseException:
            self.end()
            raise
        return said

    def end(self) -> None:
        """End the processes; the next problem starts new ones."""
        team.cache_clear()
        for process, _ in self.members:
            process.kill()
            process.join()


@lru_cache(maxsize=1)
def team(inner: Any, workers: int) -> Team:
    """The processes that run that solver; those of another one end first."""
    for process in multiprocessing.active_children():
        if process.name.startswith(NAME):
            process.kill()
            process.join()
    return Team(inner, workers)


def serve(pipe: Connection, inner: Any, number: int, workers: int) -> None:
    """In a process: make the solver, then invert every `workers`-th pixel from `number` of each problem that comes."""
    try:
        solver = inner()
        pipe.send(("", {}))
        with one_thread():
            while True:
                constants, places = pipe.recv()
                pipe.send(("", invert(solver, constants, places, slice(number, None, workers))))
    except EOFError:
        return
    except Exception as error:  # whatever it is, the other side raises it
        pipe.send((type(error).__name__, str(error)))


def invert(solver: Solver, constants: Problem, places: Places, share: slice) -> dict[str, float]:
    """Invert a share of the pixels that lie in shared memory; memory held with its solution, and the solver's facts."""
    memory = {name: SharedMemory(place[0]) for name, place in places.items()}
    views = {n: np.ndarray(shape, kind, memory[n].buf)[share] for n, (_, shape, kind) in places.items()}
    try:
        problem = Problem(
            views["dn"].copy(),
            views["edn"].copy(),
            constants.rmatrix,
            constants.logt,
            constants.dlogt,
            constants.options,
            views["dem_norm0"].copy() if "dem_norm0" in views else None,
        )
        state = solver.prepare(problem)
        solution = solver.collect(state, solver.solve(state))
        facts = {**solver.facts(state), "rss_mb": psutil.Process().memory_info().rss / 2**20}
        for name, value in vars(solution).items():
            views[name][...] = value
        return facts
    finally:
        views.clear()
        for block in memory.values():
            block.close()
