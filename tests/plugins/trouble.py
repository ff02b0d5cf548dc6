"""Inner solvers for the tests of faults: a slow one, and one that takes all memory at a marked pixel."""

import time

import numpy as np

from implementations.contract import Problem, Solution
from implementations.cpu.fused import NumbaFused

MARK = 123456.789
SECONDS_PER_PIXEL = 1e-3


class Slow(NumbaFused):
    """A millisecond a pixel, so that a block lasts long enough to be interrupted."""

    name = "slow"

    def solve(self, state: object) -> Solution:
        solution = super().solve(state)
        time.sleep(SECONDS_PER_PIXEL * len(solution.chisq))
        return solution


class Bloats(NumbaFused):
    """Holds more and more memory once it meets the mark."""

    name = "bloats-at-the-mark"

    def prepare(self, problem: Problem) -> object:
        held = []
        while (problem.dn == MARK).any():
            held.append(np.ones(2**21))
            time.sleep(0.001)
        return super().prepare(problem)
