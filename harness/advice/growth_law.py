"""How a solver's time and memory grow with pixels and temperature bins, fitted to what was measured.

value = sum of c[i,j] · pixels^i · bins^j over a few powers, every c >= 0: at any number of bins an overhead and a cost
per pixel, and at any number of pixels a polynomial in the bins. Fitted by non-negative least squares of the relative
residuals, those far out weighing less (Huber). Intervals add up three things: how far measured sizes were from a fit
made without them, how much the prediction moves when a row is left out (jackknife), and, beyond the largest measured
map, how far the growth with pixels might differ from the law's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from scipy.stats import t as student

Array = NDArray[np.float64]
LEVEL = 0.95
"""Confidence of a prediction's interval."""
NOISE = 0.03
"""Relative residual that any timing may have; smaller ones don't count as agreement."""
SELDOM_TIMED = 0.15
"""Relative noise allowed a time that was measured too seldom for an interval."""
HUBER = 1.5
FURTHEST_BINS = 2.0
"""Outside the measured numbers of bins a law goes this factor further, and no more."""
TIME: tuple[tuple[int, int], ...] = tuple((i, j) for i in (0, 1) for j in range(4))
MEMORY: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (1, 1))
"""Powers of pixels and bins. A solver's steps cost up to bins^3 a pixel; inputs and outputs are linear in both."""


class Prediction(NamedTuple):
    """Values with the ends of their intervals, all of one shape."""

    value: Any
    low: Any
    high: Any

    @property
    def spread(self) -> Any:
        """Half the interval's width in log units."""
        return np.log(self.high / self.low) / 2


@dataclass(frozen=True)
class Sizes:
    """What a law was fitted to: (n,) pixels, bins, values, and each value's relative noise."""

    pixels: Array
    bins: Array
    values: Array
    noise: Array

    def without(self, row: int) -> "Sizes":
        """All rows but one."""
        pixels, bins, values, noise = (np.delete(a, row) for a in (self.pixels, self.bins, self.values, self.noise))
        return Sizes(pixels, bins, values, noise)


def sizes(
    pixels: ArrayLike, bins: ArrayLike, values: ArrayLike, low: ArrayLike | None = None, high: ArrayLike | None = None
) -> Sizes:
    """Measured values with the intervals they came with, if any (NaN: measured too seldom for one)."""
    p, b, v = (np.asarray(a, dtype=float) for a in (pixels, bins, values))
    if low is None or high is None:
        noise = np.full(v.shape, NOISE)
    else:
        half = (np.asarray(high, dtype=float) - np.asarray(low, dtype=float)) / (2 * v)
        noise = np.where(np.isfinite(half), np.maximum(half, NOISE), SELDOM_TIMED)
    return Sizes(p, b, v, noise)


class Law:
    """A fitted law. ValueError, in one line, when the sizes can't carry one."""

    def __init__(self, measured: Sizes, powers: Sequence[tuple[int, int]]):
        if len(np.unique(measured.pixels)) < 2:
            raise ValueError("measured at a single map size, which can't tell overhead from cost per pixel")
        self.measured = measured
        single = len(np.unique(measured.bins)) == 1
        self.powers = [(i, j) for i, j in powers if not (single and j)]
        self.coefficients = self._fit(measured)
        rows = range(len(measured.values))
        kept = [r for r in rows if len(np.unique(measured.without(r).pixels)) > 1]
        self._replicates = [self._fit(measured.without(r)) for r in kept]
        errors = [
            np.log(self._at(c, *self._size(r)) / measured.values[r])
            for r, c in zip(kept, self._replicates, strict=True)
        ]
        self.scatter = max(_robust_scale(np.array(errors)), NOISE) if errors else SELDOM_TIMED
        self._drift = self._growth_error()

    def _size(self, row: int) -> tuple[float, float]:
        return self.measured.pixels[row], self.measured.bins[row]

    def _design(self, pixels: ArrayLike, bins: ArrayLike) -> Array:
        p, b = np.broadcast_arrays(np.asarray(pixels, dtype=float), np.asarray(bins, dtype=float))
        return np.stack([p**i * b**j for i, j in self.powers], axis=-1)

    def _at(self, coefficients: Array, pixels: ArrayLike, bins: ArrayLike) -> Array:
        return np.maximum(self._design(pixels, bins) @ coefficients, 1e-12)

    def _fit(self, rows: Sizes) -> Array:
        design = self._design(rows.pixels, rows.bins) / rows.values[:, None]
        scale = design.max(axis=0)
        weight = NOISE / rows.noise
        robust = np.ones_like(weight)
        for _ in range(12):
            w = weight * robust
            found = nnls(design / scale * w[:, None], w)[0]
            residual = np.abs(design / scale @ found - 1)
            limit = HUBER * np.maximum(_robust_scale(residual), rows.noise)
            robust = np.sqrt(limit / np.maximum(residual, limit))
        return found / scale

    def _growth_error(self) -> float:
        """How far the exponent of pixels may be from the law's: the residuals' slope, and that slope's error."""
        rows = self.measured
        x = np.log(rows.pixels) - np.log(rows.pixels).mean()
        residual = np.log(rows.values / self._at(self.coefficients, rows.pixels, rows.bins))
        slope = float(x @ residual / (x @ x))
        return float(np.hypot(slope, self.scatter / np.sqrt(x @ x)))

    def reach(self, pixels: float, bins: float) -> tuple[float, float]:
        """How many times beyond the measured pixels (at the nearest numbers of bins) and bins a size is; 1: within."""
        known = np.unique(self.measured.bins)
        around = [*known[known <= bins][-1:], *known[known >= bins][:1]]
        at = [self.measured.pixels[self.measured.bins == b] for b in around]
        most, fewest = min(p.max() for p in at), max(p.min() for p in at)
        far_bins = max(bins / known[-1], known[0] / bins, 1.0)
        return max(pixels / most, fewest / pixels, 1.0), float(far_bins)

    def refusal(self, bins: float) -> str:
        """Why the law says nothing of a number of bins; "" where it does."""
        known = np.unique(self.measured.bins)
        if len(known) == 1 and known[0] != bins:
            return f"measured at {known[0]:.0f} bins only"
        if bins > known[-1] * FURTHEST_BINS or bins < known[0] / FURTHEST_BINS:
            return f"measured from {known[0]:.0f} to {known[-1]:.0f} bins only"
        return ""

    def predict(self, pixels: ArrayLike, bins: ArrayLike) -> Prediction:
        """Values with intervals at sizes of any shape."""
        value = self._at(self.coefficients, pixels, bins)
        moved = np.array([np.log(self._at(c, pixels, bins)) for c in self._replicates] or [np.log(value)])
        count = len(moved)
        variance = (count - 1) / count * ((moved - moved.mean(axis=0)) ** 2).sum(axis=0)
        beyond = np.log(np.maximum(np.asarray(pixels, dtype=float) / self.measured.pixels.max(), 1.0))
        error = np.sqrt(self.scatter**2 + variance + (self._drift * beyond) ** 2)
        freedom = max(len(self.measured.values) - 1, 1)
        factor = np.exp(np.minimum(student.ppf((1 + LEVEL) / 2, freedom) * error, 50.0))
        return Prediction(value, value / factor, value * factor)


def _robust_scale(residuals: Array) -> float:
    """Standard deviation of the bulk: 1.48 times the median size."""
    return float(1.4826 * np.median(np.abs(residuals))) if residuals.size else 0.0
