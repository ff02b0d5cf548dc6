"""Medians, bootstrap intervals and paired ratios."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, linregress
from scipy.stats import t as student

LEVEL = 0.99
"""Confidence of every interval. Percentile bootstrap intervals of a median of few values are narrower than they claim;
`python -m harness.selfcheck` shows what this level attains."""
FEWEST = 3
"""Fewest samples that an interval is given for."""
Array = NDArray[np.float64]
RESAMPLES = 1999
BETWEEN_PROCESSES = 0.01
"""Two processes that run the same code differ by about this (memory layout, mostly), however often each is timed: what
rounds can't average out is added to a ratio's interval. `python -m harness.selfcheck` is where the figure is from."""


class Estimate(NamedTuple):
    """A median with its interval; the interval is NaN where there are too few samples for one."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width relative to the value; infinite where there is no interval."""
        width = (self.high - self.low) / (2 * self.value) if self.value else np.nan
        return float(width) if np.isfinite(width) else np.inf


def median(samples: Sequence[float] | Array, seed: int = 0) -> Estimate:
    """The median of `samples` and its bootstrap interval."""
    values = np.asarray(samples, dtype=float)
    middle = float(np.median(values))
    if values.size < FEWEST or np.ptp(values) == 0:
        low = high = middle if values.size >= FEWEST else np.nan
        return Estimate(middle, low, high)
    interval = bootstrap(
        (values,),
        np.median,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
        vectorized=True,
    ).confidence_interval
    # Interpolation between equal resamples may round outwards.
    low, high = np.clip([interval.low, interval.high], values.min(), values.max())
    return Estimate(middle, float(low), float(high))


def paired_ratio(numerator: Sequence[float] | Array, denominator: Sequence[float] | Array) -> Estimate:
    """Median of numerator/denominator, paired by round, with its bootstrap interval.

    Pairing cancels what slows a whole round down; the logarithm makes "twice as fast" and "half as fast" symmetric.
    """
    return widened(median(np.log(np.asarray(numerator) / np.asarray(denominator))), BETWEEN_PROCESSES)


def widened(logs: Estimate, share: float) -> Estimate:
    """A ratio, given its logarithm, when what the samples don't show may shift it by that share: the two are apart."""
    value, low, high = logs
    down, up = np.hypot(value - low, np.log1p(share)), np.hypot(high - value, np.log1p(share))
    return Estimate(*(float(np.exp(x)) for x in (value, value - down, value + up)))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> Estimate:
    """The k of values ~ sizes^k, by least squares of the logarithms, with its 95% interval from three sizes on.

    ValueError when there are fewer than two sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError("an exponent needs two sizes or more")
    fit = linregress(np.log(sizes), np.log(values))
    half = student.ppf(0.975, len(sizes) - 2) * fit.stderr if len(sizes) >= FEWEST else np.nan
    return Estimate(float(fit.slope), float(fit.slope - half), float(fit.slope + half))
