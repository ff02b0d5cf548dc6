"""Small problems for tests, and what they must agree in."""

import numpy as np

from harness.workloads import problem as workload
from implementations.contract import Options, Problem, Solution


def problem(pixels: int, bins: int = 14, channels: int = 6, seed: int = 5, **options) -> Problem:
    """Noisy counts of one-component DEMs; well-conditioned."""
    rng = np.random.default_rng(seed)
    logt = 5.7 + 1.4 / bins * (np.arange(bins) + 0.5)
    centres = np.linspace(5.8, 7.0, channels)
    rmatrix = 0.05 * np.exp(-((logt[:, None] - centres) ** 2) / (2 * 0.12**2)) + 1e-4
    peak = rng.uniform(5.9, 6.9, (pixels, 1))
    dn = (10 ** rng.uniform(2, 4, (pixels, 1)) * np.exp(-((logt - peak) ** 2) / 0.1)) @ rmatrix
    edn = 0.07 * dn + 0.05
    dn = np.maximum(dn + edn * rng.standard_normal(dn.shape), 0.01)
    return Problem(dn, edn, rmatrix, logt, np.full(bins, 1.4 / bins), Options(**options))


def assert_close(got: np.ndarray, expected: np.ndarray) -> None:
    """Equal within 1e-9 of each pixel's peak."""
    peak = np.abs(expected.reshape(len(expected), -1)).max(axis=1, initial=0)
    assert (np.abs(got - expected).reshape(len(expected), -1).max(axis=1, initial=0) <= 1e-9 * peak).all()


def with_invalid(of: Problem) -> tuple[Problem, list[int]]:
    """The problem with every kind of invalid pixel, at both ends and in a row, and their numbers."""
    dn, edn = of.dn.copy(), of.edn.copy()
    dn[0, 0], dn[1, -1], dn[2], dn[5, 2], dn[-1, 1] = np.nan, 0, -1, np.inf, -np.inf
    dn[6, :2] *= -1  # their product is positive
    edn[9, 3], edn[10] = np.nan, np.inf
    return Problem(dn, edn, of.rmatrix, of.logt, of.dlogt, of.options), [0, 1, 2, 5, 6, 9, 10, len(dn) - 1]


NAMES = tuple(vars(Solution.empty(problem(1))))


def mixed(pixels: int, bins: int = 20):
    """A piece of a map, whose pixels differ in cost."""
    return workload.generate(workload.load("solar-mix"), pixels, bins)[0]


def assert_identical(got: Solution, expected: Solution) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
