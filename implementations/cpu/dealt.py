"""What strategies whose compiled kernel inverts tiles of pixels share: `compiled.tiles` deals the tiles to threads."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from implementations.contract import Problem, Solution, Solver


class Dealt(Solver):
    """`prepare` gives a `compiled.tiles.State`; `threads`: how many pixels at a time, None for Numba's number."""

    device = "cpu"
    releases_lock = True

    def __init__(self, threads: int | None = 1):
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise ValueError(f"threads must be a whole number of at least 1, or None, got {threads}")
        self.threads = threads

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether Numba is installed."""
        return (True, "") if find_spec("numba") else (False, "Numba is not installed")

    def solve(self, state: Any) -> Solution:
        """Deal tiles of pixels to the threads."""
        from implementations.compiled import tiles

        return tiles.solve(state)

    def collect(self, state: Any, solution: Solution) -> Solution:
        """End the threads; the solution is on the host already."""
        from implementations.compiled import tiles

        tiles.finish(state)
        return solution

    def run_into(self, problem: Problem, rows: slice, whole: Solution) -> None:
        """Have the kernel write a block's rows of the whole solution."""
        state = replace(self.prepare(problem.take(rows)), into=whole.rows(rows))
        whole.put(rows, self.collect(state, self.solve(state)))
