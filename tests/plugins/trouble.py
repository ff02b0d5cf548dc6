"""Inner solvers for the tests of faults: slow ones, and some that do something else at a marked pixel."""

import time
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_info

from implementations.contract import Problem, Solution
from implementations.cpu.fused import NumbaFused

MARK = 123456.789
SECONDS_PER_PIXEL = 1e-3


class Slow(NumbaFused):
    """A millisecond a pixel, so that a block lasts long enough to be interrupted; in processes."""

    name = "slow"
    releases_lock = False

    def solve(self, state: object) -> Solution:
        solution = super().solve(state)
        time.sleep(SECONDS_PER_PIXEL * len(solution.chisq))
        return solution


class SlowInThreads(Slow):
    """The same in threads."""

    name = "slow-in-threads"
    releases_lock = True


class Bloats(NumbaFused):
    """Holds more and more memory once it meets the mark; in processes."""

    name = "bloats-at-the-mark"
    releases_lock = False

    def prepare(self, problem: Problem) -> object:
        held = []
        while (problem.dn == MARK).any():
            held.append(np.ones(2**21))
            time.sleep(0.001)
        return super().prepare(problem)


class Fails(NumbaFused):
    """Raises at the mark."""

    name = "fails-at-the-mark"

    def prepare(self, problem: Problem) -> object:
        if (problem.dn == MARK).any():
            raise RuntimeError("not that\nagain")
        return super().prepare(problem)


class AsksTooMuch(NumbaFused):
    """Asks at the mark for memory that no machine has."""

    name = "asks-at-the-mark"

    def prepare(self, problem: Problem) -> object:
        if (problem.dn == MARK).any():
            np.empty(2**55)
        return super().prepare(problem)


class CountsBlas(NumbaFused):
    """Returns as chi-squared how many threads BLAS has meanwhile."""

    name = "counts-blas"

    def collect(self, state: object, solution: Solution) -> Solution:
        time.sleep(0.01)  # so that blocks overlap
        threads = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return replace(super().collect(state, solution), chisq=np.full_like(solution.chisq, max(threads)))
