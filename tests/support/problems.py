"""Small problems for tests, and what they must agree in."""

import numpy as np

from harness.judge.contract_checks import assert_close
from harness.workloads import problem as workload
from harness.workloads.awkward import problem, with_invalid
from implementations.contract import Solution

__all__ = ["assert_close", "assert_identical", "mixed", "problem", "with_invalid"]
NAMES = tuple(vars(Solution.empty(problem(1))))


def mixed(pixels: int, bins: int = 20):
    """A piece of a map, whose pixels differ in cost."""
    return workload.generate(workload.load("solar-mix"), pixels, bins)[0]


def assert_identical(got: Solution, expected: Solution) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
