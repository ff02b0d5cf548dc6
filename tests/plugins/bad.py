"""Solvers that are bad, each in one way: the harness must contain the first four and the gates catch the rest."""

import os
import time
from dataclasses import replace

import numpy as np

from implementations.baseline import Baseline
from implementations.contract import Problem, Solution


class Hangs(Baseline):
    name = "hangs"

    def solve(self, state):
        while True:
            time.sleep(0.1)


class Raises(Baseline):
    name = "raises"

    def solve(self, state):
        raise RuntimeError("no convergence\nin the second line either")


class Aborts(Baseline):
    name = "aborts"

    def solve(self, state):
        os.abort()


class Bloats(Baseline):
    name = "bloats"

    def solve(self, state):
        held = []
        while True:
            held.append(np.ones(2**22))


class AsksTooMuch(Baseline):
    name = "asks-too-much"

    def solve(self, state):
        return np.empty(2**55)


class WrongShape(Baseline):
    name = "wrong-shape"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, dem=good.dem.T)


class NotANumber(Baseline):
    name = "not-a-number"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        edem = good.edem.copy()
        edem[len(edem) // 2] = np.nan
        return replace(good, edem=edem)


class FivePercentOff(Baseline):
    name = "five-percent-off"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, dem=good.dem * 1.05)


class InventsErrors(Baseline):
    name = "invents-errors"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, edem=0.2 * good.dem)


class OtherProblem(Baseline):
    """Fits the counts of EM loci weights where self-normalised ones were asked for: a good chi-squared, another DEM."""

    name = "other-problem"

    def prepare(self, problem: Problem):
        return super().prepare(replace(problem, options=replace(problem.options, gloci=1)))


class Unavailable(Baseline):
    name = "unavailable"

    @classmethod
    def available(cls) -> tuple[bool, str]:
        return False, "no such device"

    def collect(self, state, solution) -> Solution:
        raise AssertionError("never run")
