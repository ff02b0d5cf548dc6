"""A process pool replaced by `dask.delayed`: the plain first attempt at Dask, kept to show what it costs.

Every task takes its 128 pixels together with a copy of the response and the options, and the process scheduler starts
its workers, which import everything anew, for each map. That start-up, the graph of tiny tasks and the copies are what
the `dask` solver does away with.

Wins: on two cores 1.3 times the baseline at 2000 pixels x 34 bins, half of it at 200, where start-up is most of the
time (results/reference-workers); it is here to be compared with. Cost per pixel: the inner solver's, and for every
`block` pixels one task, in which the constants are pickled; start-up of the workers is inside the solve, as it is for
every caller.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: the inversion is the inner solver's.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from implementations.contract import Problem, Solution, Solver

SCHEDULERS = ("processes", "threads", "synchronous")


class DaskDelayed(Solver):
    """One delayed call per `block` pixels.

    `inner`: the solver that inverts them; `threads`: workers, of one thread each; `scheduler`: Dask's own name of where
    they run, one of `SCHEDULERS`.
    """

    name = "dask-delayed"
    device = "cpu"
    accuracy = "exact"

    def __init__(self, inner: Any = "baseline", threads: int = 1, block: int = 128, scheduler: str = "processes"):
        for name, value in (("threads", threads), ("block", block)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value}")
        if scheduler not in SCHEDULERS:
            raise ValueError(f"scheduler must be one of {', '.join(SCHEDULERS)}, got '{scheduler}'")
        self.inner, self.threads, self.block, self.scheduler = inner, threads, block, scheduler
        self.promise_as(inner.kind())

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether Dask is installed."""
        return (True, "") if find_spec("dask") else (False, "Dask is not installed: pip install 'dask[array]'")

    def prepare(self, problem: Problem) -> tuple[Problem, list[Any]]:
        """Build the graph: a task for every block of pixels."""
        import dask

        task = dask.delayed(invert, pure=False, traverse=False)
        starts = range(0, problem.sizes[0], self.block)
        return problem, [task(self.inner, problem.take(slice(s, s + self.block))) for s in starts]

    def solve(self, state: tuple[Problem, list[Any]]) -> tuple[Solution, ...]:
        """Start the workers, compute, end the workers: Dask does all of it in one call."""
        import dask

        return dask.compute(*state[1], scheduler=self.scheduler, num_workers=self.threads)

    def collect(self, state: tuple[Problem, list[Any]], solution: tuple[Solution, ...]) -> Solution:
        """Put the blocks together."""
        if not solution:
            return Solution.empty(state[0])
        return Solution(*(np.concatenate([getattr(part, name) for part in solution]) for name in vars(solution[0])))


def invert(inner: Callable[[int], Solver], problem: Problem) -> Solution:
    """In a worker: invert one block."""
    return inner(1).run(problem)
