"""Solvers that go wrong when they run, each as its docstring says; docs/plugins.md has what is said of them."""

from dataclasses import replace

from implementations.baseline import Baseline


class Raises(Baseline):
    """`solve` raises KeyError"""

    name = "raises"

    def solve(self, state):
        return {}["x"]


class ATuple(Baseline):
    """`collect` returns a tuple"""

    name = "a-tuple"

    def collect(self, state, solution):
        return tuple(vars(super().collect(state, solution)).values())


class Nothing(Baseline):
    """`collect` returns nothing"""

    name = "nothing"

    def collect(self, state, solution):
        super().collect(state, solution)


class Lists(Baseline):
    """an output is a list"""

    name = "lists"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, chisq=good.chisq.tolist())


class Complex(Baseline):
    """an output is of another type"""

    name = "complex"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, dem=good.dem + 0j)


class Turned(Baseline):
    """an output is of another shape"""

    name = "turned"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, dem=good.dem.T)


class ConstructorRaises(Baseline):
    """the constructor raises"""

    name = "constructor-raises"

    def __init__(self):
        super().__init__()
        self.share = 1 / 0
