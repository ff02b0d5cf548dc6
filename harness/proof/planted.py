"""Solvers with a known amount of work, and with a share of it `more`: a plugin for the harness's measurement of itself.

The share is work and not time, so that a busy machine takes as much longer for it as for the rest. `work` does units of
one kind, and solves nothing; `repeats` lets a real solver invert a share of the pixels again.
"""

import itertools
from dataclasses import replace

import numpy as np

from implementations import registry
from implementations.contract import Problem, Solution, Solver

FLOATS, BLOCK, BLOCKS = 1024, 1 << 16, 100
"""Numbers in a unit of `arrays`, which a first-level cache holds; in one of `memory`, and how many such there are. A
run of `memory` goes on where the one before ended, so that every unit finds as much of them in a cache as any other."""


class Work(Solver):
    """Units of about 1 to 3 microseconds, for `interpreted`, `calls` and `arrays`, or 60, for `memory`."""

    name = "work"
    device = "cpu"
    accuracy = "exact"

    def __init__(self, kind: str = "arrays", units: int = 1000, more: float = 0.0):
        super().__init__()
        count = round(units * (1 + more))
        if abs(count - units * (1 + more)) > 1e-6:
            raise ValueError(
                f"units * (1 + more) must be a whole number, got {units} * {1 + more:g}: not that share more"
            )
        self.kind, self.count = kind, count
        self.home: Solution | None = None

    def prepare(self, problem: Problem) -> Problem:
        """The problem. What is handed over is made once: making it is not of the work that is counted."""
        if self.home is None or len(self.home.chisq) != problem.sizes[0]:
            self.home = Solution.empty(problem)
        return problem

    def solve(self, state: Problem) -> Solution:
        """All units, one after another; the solution says nothing of the problem."""
        getattr(self, f"_{self.kind}")(self.count)
        assert self.home is not None
        return self.home

    def collect(self, state: Problem, solution: Solution) -> Solution:
        """The solution as it is."""
        return solution

    def _interpreted(self, count: int) -> None:
        numbers = [0.5 + i for i in range(32)]
        for _ in itertools.repeat(None, count):
            total = 0.0
            for number in numbers:
                total += number * number

    def _calls(self, count: int) -> None:
        matrix, counts = np.full((6, 34), 0.5), np.full(6, 0.5)
        for _ in itertools.repeat(None, count):
            dem = np.maximum(counts @ matrix, 0.0)
            float(dem @ dem)

    def _arrays(self, count: int) -> None:
        a, b = np.ones(FLOATS), np.full(FLOATS, 0.5)
        for _ in itertools.repeat(None, count):
            np.sqrt(a, out=b)

    def _memory(self, count: int) -> None:
        if not hasattr(self, "blocks"):
            self.blocks, self.place = np.ones((BLOCKS, BLOCK)), 0
        for number in range(self.place, self.place + count):
            np.copyto(self.blocks[number % BLOCKS], self.blocks[(number + BLOCKS // 2) % BLOCKS])
        self.place += count


class Off(Solver):
    """A solver of the registry with one of its outputs off by a millionth, or a status or count of passes by one."""

    name = "off"
    device = "cpu"
    accuracy = "exact"

    def __init__(self, solver: str = "batched", output: str = ""):
        super().__init__()
        self.inner, self.output = registry.Registry(()).create(solver, 1), output

    def prepare(self, problem: Problem) -> object:
        """The inner solver's."""
        self.valid = np.flatnonzero(problem.valid())
        return self.inner.prepare(problem)

    def solve(self, state: object) -> object:
        """The inner solver's."""
        return self.inner.solve(state)

    def collect(self, state: object, solution: object) -> Solution:
        """Its solution with the fault."""
        home = self.inner.collect(state, solution)
        if not self.output:
            return home
        values = getattr(home, self.output).copy()
        one = self.output in ("status", "iterations")
        values[self.valid] = values[self.valid] + 1 if one else values[self.valid] * (1 + 1e-6)
        return replace(home, **{self.output: values})


class Repeats(Solver):
    """A solver of the registry on the problem's pixels and, once more, on the first ones of them."""

    name = "repeats"
    device = "cpu"
    accuracy = "exact"

    def __init__(self, solver: str = "numba", more: float = 0.0, threads: int = 1):
        super().__init__()
        self.inner = registry.Registry(()).create(solver, threads)
        self.more, self.threads = more, threads

    def prepare(self, problem: Problem) -> object:
        """The inner solver's staging of all pixels."""
        self.pixels = problem.sizes[0]
        every = np.arange(self.pixels + round(self.pixels * self.more)) % self.pixels
        return self.inner.prepare(problem.take(every))

    def solve(self, state: object) -> object:
        """The inner solver's."""
        return self.inner.solve(state)

    def collect(self, state: object, solution: object) -> Solution:
        """Its solution of each pixel once."""
        home = self.inner.collect(state, solution)
        return Solution(**{name: values[: self.pixels] for name, values in vars(home).items()})
