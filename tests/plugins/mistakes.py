"""Classes that are no solvers, each for the reason in its docstring; docs/plugins.md has what is said of them."""

from implementations.baseline import Baseline
from implementations.contract import Bounds, Solver

SANE = Bounds((0.5, 2), (0.5, 2), (0.5, 2), truth_dem_error=1.1, negative_pixels=0.0)


class NoDevice(Solver):
    """`device` is missing"""

    name = "no-device"
    accuracy = "exact"

    def prepare(self, problem):
        return problem

    def solve(self, state):
        return state

    def collect(self, state, solution):
        return solution


class NoName(Baseline):
    """`name` is missing, and another solver's is inherited"""


class Blank(Baseline):
    """`name` can't be addressed"""

    name = "cut off[1,2]"


class Capital(Baseline):
    """`accuracy` is misspelt"""

    name = "capital"
    accuracy = "Exact"


class Graphics(Baseline):
    """`device` is none of the three"""

    name = "graphics"
    device = "cuda"


class NoBounds(Baseline):
    """approximate, without bounds"""

    name = "no-bounds"
    accuracy = "approximate"


class OtherBounds(Baseline):
    """approximate, with bounds that are no `Bounds`"""

    name = "other-bounds"
    accuracy = "approximate"
    bounds = (0.5, 2.0)


class ExactBounds(Baseline):
    """exact, with bounds"""

    name = "exact-bounds"
    bounds = SANE


class OneText(Baseline):
    """`leaves_out` is a text"""

    name = "one-text"
    accuracy, bounds = "approximate", SANE
    leaves_out = "edem"


class Misspelt(Solver):
    """a method is misspelt"""

    name, device, accuracy = "misspelt", "cpu", "exact"

    def prepair(self, problem):
        return problem

    def solve(self, state):
        return state

    def collect(self, state, solution):
        return solution


class NoCollect(Solver):
    """a method is missing"""

    name, device, accuracy = "no-collect", "cpu", "exact"

    def prepare(self, problem):
        return problem

    def solve(self, state):
        return state


class OtherArguments(Baseline):
    """a method takes other arguments"""

    name = "other-arguments"

    def collect(self, solution):
        return solution


class NoDefault(Baseline):
    """an argument of the constructor has no default"""

    name = "no-default"

    def __init__(self, order):
        super().__init__()


class BareBool(Baseline):
    """`available()` returns a bare bool"""

    name = "bare-bool"

    @classmethod
    def available(cls):
        return True


class WithoutReason(Baseline):
    """`available()` says no, but not why"""

    name = "without-reason"

    @classmethod
    def available(cls):
        return False, ""


class AvailableRaises(Baseline):
    """`available()` raises"""

    name = "available-raises"

    @classmethod
    def available(cls):
        return {}["x"], ""


class NoSolver:
    """the class is no `Solver`"""

    name, device, accuracy = "no-solver", "cpu", "exact"

    def prepare(self, problem):
        return problem

    def solve(self, state):
        return state

    def collect(self, state, solution):
        return solution


class Nameless(Baseline):
    """of another method, without its name"""

    name = "nameless"
    accuracy, bounds = "other", SANE
