"""Blocks of pixels by Dask, each inverted by another solver: on this machine or a cluster, by the same name.

What makes it fast: where the inner solver releases the interpreter lock, blocks are computed by Dask's own threads,
which share memory, each writing its rows of the solution. For one that holds the lock, worker processes are started; on
a running cluster the workers that are there are sent blocks, a few at a time, and send the solutions back.

Wins: where one machine is not enough, or a map is larger than memory (`large_maps.inversion`); docs/cluster.md has what
was measured. Cost per pixel: the inner solver's, and a copy of its solution where that is sent, or where the inner
solver can't write into the whole one (`Solver.run_into`). Starting and ending workers belong to `prepare` and
`collect`. Memory: the arrays of each block in work; workers' imports.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: the inversion is the inner solver's. Where processes are started, a script needs `if __name__ == "__main__":`,
as every program whose worker processes import it.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.contract import Problem, Solution, Solver

if TYPE_CHECKING:
    from implementations.cluster.session import Block, Threads
    from implementations.cluster.workers import Workers


@dataclass(eq=False)
class State:
    """A problem in blocks of `size` pixels, what computes them, and the solution as far as it is there."""

    problem: Problem
    session: "Threads | Workers"
    size: int
    facts: dict[str, float]
    solution: Solution = field(init=False)

    def blocks(self) -> Iterator["Block"]:
        """The pixels, `size` at a time."""
        from implementations.cluster.session import Block

        pixels = self.problem.sizes[0]
        for number, first in enumerate(range(0, pixels, self.size)):
            rows = slice(first, min(first + self.size, pixels))
            name = f"block {number} (pixels {rows.start} to {rows.stop - 1})"
            if self.session.sends:
                yield Block(name, methodcaller("run", self.problem.take(rows)), partial(self.solution.put, rows))
            else:
                yield Block(name, methodcaller("run_into", self.problem, rows, self.solution))


class DaskTiled(Solver):
    """Blocks by Dask.

    `inner`: the solver of a block, or `auto` for the best that the hardware can run; `scheduler`: address or JSON file
    of a running cluster, else blocks are computed on this machine; `workers`: how many are computed at a time;
    `threads`: of all of them here together; `memory`: for each of them here, as "2GiB".
    """

    name = "dask"
    device = "cluster"
    accuracy = "exact"

    def __init__(
        self,
        inner: Any = "auto",
        scheduler: str = "",
        workers: int | None = None,
        threads: int = 1,
        memory: str | int | None = None,
    ):
        for name, value in (("workers", workers), ("threads", threads)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value}")
        self.inner, self.scheduler, self.workers, self.memory = inner, scheduler, workers, memory
        self.count = workers or threads
        each, cores = max(1, threads // self.count), os.cpu_count() or 1
        if not scheduler and self.count * each > cores:
            raise ValueError(f"{self.count} workers x {each} threads exceed this machine's {cores} cores")
        if memory is not None and scheduler:
            raise ValueError(f"memory={memory} is for blocks on this machine; the workers of a cluster have their own")
        if memory is not None and self.available()[0]:
            from dask.utils import parse_bytes

            if parse_bytes(memory) <= 0:
                raise ValueError(f"memory must be > 0 bytes, got {memory}")
        self.make = partial(inner, 1 if scheduler else each)
        self.promise_as(inner.kind())

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether dask.distributed is installed."""
        if find_spec("distributed"):
            return True, ""
        return False, "dask.distributed is not installed: pip install distributed"

    def session(self, problem: Problem) -> "Threads | Workers":
        """What will compute the blocks; workers have tried it on two of the problem's pixels."""
        from implementations.cluster import session

        if not self.scheduler:
            solver, memory = self.make(), session.memory_for_each(self.count, self.memory)
            if solver.releases_lock:
                return session.Threads(slots=self.count, memory=memory, solver=solver)
        from implementations.cluster import workers

        few = problem.take(np.flatnonzero(problem.valid())[:2])
        if self.scheduler:
            return workers.joined(self.make, self.scheduler, self.workers).warmed(few)
        return workers.started(self.make, self.count, memory).warmed(few)

    def prepare(self, problem: Problem) -> State:
        """Start the workers or connect to them, where there are any, and plan the blocks."""
        began = time.perf_counter()
        session = self.session(problem)
        size = session.pixels_per_block(problem, problem.sizes[0])
        facts = {"slots": session.slots, "startup_s": session.sends * (time.perf_counter() - began), "shutdown_s": 0.0}
        return State(problem, session, size, facts)

    def solve(self, state: State) -> Solution:
        """Compute every block."""
        began, session = time.perf_counter(), state.session
        state.solution = Solution.empty(state.problem)
        try:
            session.run(state.blocks())
        except BaseException:
            session.close()
            raise
        wall_s, p = time.perf_counter() - began, state.problem
        moved = [a.nbytes for a in (p.dn, p.edn, p.dem_norm0, *vars(state.solution).values()) if a is not None]
        state.facts |= {"wall_s": wall_s, "blocks": len(session.seconds), "task_s": sum(session.seconds)}
        state.facts["bytes_sent"] = sum(moved) * session.sends
        return state.solution

    def collect(self, state: State, solution: Solution) -> Solution:
        """End the workers that were started here; the solution is on the host already."""
        began = time.perf_counter()
        state.session.close()
        state.facts["shutdown_s"] = state.session.sends * (time.perf_counter() - began)
        return solution

    def facts(self, state: State) -> dict[str, float]:
        """Of the blocks: how many, how many at a time, what they took; start and end of workers, bytes sent to them."""
        return state.facts
