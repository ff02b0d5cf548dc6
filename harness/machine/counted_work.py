"""Counted work of one pixel: flops (an addition or a multiplication is one), divisions and square roots, and bytes.

`algorithm` counts what no exact solver can leave out, by the formulation with the least work known to this project (a
thin SVD of K L^-1; see `implementations.maths.factorise`). Where bounds can spare work that depends on the data, only
what is left in the best case counts. So the time that a machine needs for it is a lower limit: nothing can be faster,
and a solver at 100% of it is not to be expected. `strategy` counts what a solver does in fact do.

F channels, T bins; `passes`: solves of the positivity loop, on average; `first`: whether the weights come from a first
solution (self-normalised), which doubles the factorisation.
"""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Problem
from implementations.solver_spec import parse

DOUBLE = 8
SAMPLES = 51


class Shape(NamedTuple):
    """What the counts depend on."""

    channels: int
    bins: int
    nmu: int
    passes: float
    first: bool

    @classmethod
    def of(cls, problem: Problem, iterations: NDArray[np.integer]) -> Self:
        """What a problem has, and the `iterations` (P,) that a solver took for it; 0 where a pixel is invalid."""
        _, channels, bins = problem.sizes
        options, solved = problem.options, iterations[iterations > 0]
        first = problem.dem_norm0 is None and options.loci_mask(channels) is None
        return cls(channels, bins, options.nmu, float(solved.mean()) if solved.size else 0.0, first)


class Work(NamedTuple):
    """Of one pixel."""

    flops: float
    divisions: float
    """Divisions and square roots, which the multiply-add units don't do."""
    bytes: float
    """To and from memory: counts and errors in, the five outputs, passes and status out, each once."""


def algorithm(s: Shape) -> Work:
    """What can't be left out."""
    f, t, solves = s.channels, s.bins, 1 + s.first
    svd = 8 / 3 * f**3  # a reduction to bidiagonal form, before any iteration
    search = 4 * f * 2  # F terms of the misfit at the two points of the grid between which the target lies
    flops = (
        f * (f + 1) * t  # products of K L^-1's rows; under uniform weights those of all pixels are the same
        + solves * (svd + search)
        + (2 * f * t + 7 * t) * s.first  # the first solution, smoothed to weights
        + s.passes * (2 * f * t + t)  # the DEM of each pass
        + 2 * f * t  # recovered counts
        + 2 * f * f * t
        + 2 * f * t
        + t  # rows U^T K and the error of the DEM
        + 3 * 2 * f * t  # of each bin's profile: the peak and its two half maxima
    )
    divisions = f + t + solves * f * 2  # errors, the DEM's error, the misfit's terms
    return Work(flops, divisions, traffic(s))


def traffic(s: Shape) -> float:
    """Bytes in and out: what a pixel brings and takes away."""
    return DOUBLE * (2 * s.channels + 3 * s.bins + s.channels + 1) + 5


def _full_svd(s: Shape) -> Work:
    """Baseline: every step T x T, the factorisation anew on each pass.

    LAPACK's SVD with both factors is counted as 21 n^3 (Golub & Van Loan 2013, section 8.6), an inverse as 2 n^3.
    """
    n, f, t = max(s.channels, s.bins), s.channels, s.bins
    gsvd = 2 * 21 * n**3 + 2 * 2 * n**3 + 3 * 2 * n**3 + 2 * f * t * t
    search = 7 * f * s.nmu
    times = s.passes + s.first
    flops = times * (gsvd + search + 4 * f * f * t) + 2 * t * t * f + SAMPLES * 4 * t
    return Work(flops, times * (f * s.nmu + 2 * n), times * 12 * DOUBLE * n * n + traffic(s))


def _one_svd(s: Shape) -> Work:
    """Vectorized: one full SVD and one solve a factorisation."""
    n, f, t, times = max(s.channels, s.bins), s.channels, s.bins, 1 + s.first
    gsvd = 21 * n**3 + 2 / 3 * n**3 + 2 * n * n * f
    flops = times * (gsvd + 7 * f * s.nmu) + s.passes * 2 * f * t + 2 * t * t * f + SAMPLES * t * (2 * f + 4)
    return Work(flops, times * f * s.nmu, times * 6 * DOUBLE * n * n + traffic(s))


def _thin(s: Shape) -> Work:
    """Batched: a thin SVD, whole profiles, arrays of a chunk between the steps."""
    f, t, times = s.channels, s.bins, 1 + s.first
    flops = (
        2 * f * f * t
        + times * (22 * f**3 + 7 * f * s.nmu)
        + (s.passes + s.first) * 2 * f * t
        + 4 * f * f * t
        + 2 * f * t
        + 2 * t * t * f
        + SAMPLES * t * (2 * f + 4)
    )
    arrays = 6 * f * t + times * 4 * s.nmu + 8 * t + 2 * t * t
    return Work(flops, times * f * s.nmu + 2 * t, DOUBLE * arrays + traffic(s))


def _shared(s: Shape) -> Work:
    """L2: one SVD and one table of inverses for all pixels, which are not counted."""
    f, t = s.channels, s.bins
    return Work(2 * f * f + 2 * f * s.nmu + 4 * f * t + 2 * f * t, t, traffic(s))


PRODUCTS_NEEDED = 0.25
"""numba: the share of profile rows that its bounds don't exclude, at 64 bins or more; it depends on the data, and this
round figure only places the solver on a roofline."""


def _fused(s: Shape) -> Work:
    """Numba: a bidiagonal form, the grid's two ends, pairs of its points, the rows that bounds don't exclude."""
    f, t, times = s.channels, s.bins, 1 + s.first
    many = t >= 64
    needed, points = PRODUCTS_NEEDED if many else 1.0, 2 * (times + s.passes)
    flops = (
        2 * f * f * t
        + times * (4 * f**3 + STEPS * 26 * f)
        + points * 12 * f
        + (s.passes + s.first) * (2 * f * t + 2 * t)
        + 2 * f * t
        + 2 * f * f * t
        + 14 * f * t
        + needed * 2 * f * t * t
        + (SAMPLES * f * (3 + 2 * t * needed) if many else 12 * t)
    )
    divisions = times * (4 * f + STEPS * (f + 5)) + points * f + 2 * t
    return Work(flops, divisions, traffic(s))


STEPS = 4
"""Laguerre's iteration: steps until every lane of a block of pixels is done, about."""
STRATEGIES: dict[str, Callable[[Shape], Work]] = {
    "baseline": _full_svd,
    "numpy-regmap": _full_svd,
    "numba-regmap": _full_svd,
    "numba-regmap-parallel": _full_svd,
    "vectorized": _one_svd,
    "batched": _thin,
    "l2": _shared,
    "numba": _fused,
    "numba-float32": _fused,
}


def strategy(spec: str, s: Shape) -> Work | None:
    """What the solver that `name[key=value,...]` addresses does per pixel; None where nobody has counted it."""
    counted = STRATEGIES.get(parse(spec)[0])
    return counted(s) if counted else None
