"""Medians with intervals; times and paired ratios over turns and processes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, linregress
from scipy.stats import t as student

LEVEL = 0.99
"""Confidence of every interval; `python -m harness.selfcheck` shows what it attains."""
FEWEST = 3
"""Fewest samples that an interval is given for."""
Array = NDArray[np.float64]
RESAMPLES = 1999
BETWEEN, WORTH = 0.009, 8
"""Processes of the same code differ by this (a standard deviation; memory layout, mostly), however often each is timed;
and how many processes' word that prior knowledge is worth beside those that were measured. The first lies
between the middle of what docs/clocks.md measured of solvers, half a per cent, and their root mean square, 1.4%: a cell
with several processes of one that differs more says so itself, one with a single process does not."""

TURN, OF_A_MEDIAN = 0.02, np.pi / 2
"""By how much turns of a process differ before anything is known of them (docs/clocks.md); and of normal samples, the
variance of the median over that of the mean."""


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


def paired_ratio(
    numerator: Sequence[float] | Array, denominator: Sequence[float] | Array, processes: Sequence[Any] = ()
) -> Estimate:
    """Middle of numerator/denominator, paired by round, with its interval; `processes`: whose each round's turns are.

    Pairing cancels what slows a whole round down; the logarithm makes "twice as fast" and "half as fast" symmetric.
    """
    logs = np.log(np.asarray(numerator) / np.asarray(denominator))
    return _exp(over_processes(logs, processes, np.sqrt(2) * BETWEEN))


def time(seconds: Sequence[float] | Array, processes: Sequence[Any] = ()) -> Estimate:
    """Middle of turns' times, and its interval; `processes`: whose each turn is."""
    return _exp(over_processes(np.log(np.asarray(seconds)), processes, BETWEEN))


def over_processes(values: Array, processes: Sequence[Any], between: float) -> Estimate:
    """Mean over processes of their median turns, whose scatter is that of turns and, by so much, that of processes.

    Student's t interval of the processes' medians. Their variance is taken to be known beforehand as well as from
    `WORTH` processes (an empirical Bayes estimate: Smyth 2004, doi 10.2202/1544-6115.1027), so that it holds for a few,
    and for one. No interval for fewer than `FEWEST` turns.
    """
    parts = _by_process(values, processes)
    medians = np.array([np.median(part) for part in parts])
    middle, count = float(medians.mean()), len(parts)
    if len(values) < FEWEST:
        return Estimate(float(np.median(values)), np.nan, np.nan)
    of_turns = OF_A_MEDIAN * _apart(parts) ** 2 * float(np.mean([1 / len(part) for part in parts]))
    scatter = float(medians.var(ddof=1)) if count > 1 else 0.0
    variance = (WORTH * (between**2 + of_turns) + (count - 1) * scatter) / (WORTH + count - 1)
    half = student.ppf((1 + LEVEL) / 2, WORTH + count - 1) * np.sqrt(variance / count)
    return Estimate(middle, middle - float(half), middle + float(half))


def turns_of_a_process(
    seconds: Sequence[float] | Array, processes: Sequence[Any], start_s: float, turn_s: float
) -> float:
    """Turns after which another process tells more than further turns, when starting one and a turn take so long.

    The best size of the subsamples of a sample in two stages (Cochran 1977, Sampling Techniques, section 10.6).
    """
    parts = _by_process(np.log(np.asarray(seconds)), processes)
    turn = _apart(parts) if len(seconds) >= FEWEST + len(parts) else TURN
    return float(np.sqrt(start_s / turn_s * OF_A_MEDIAN) * turn / BETWEEN)


def _by_process(values: Array, processes: Sequence[Any]) -> list[Array]:
    labels = list(processes) or [0] * len(values)
    return [values[[label == other for other in labels]] for label in dict.fromkeys(labels)]


def _apart(parts: Sequence[Array]) -> float:
    """By how much turns of one process differ: a standard deviation, from their middle deviation from its median."""
    apart = np.concatenate([part - np.median(part) for part in parts])
    return float(1.4826 * np.median(np.abs(apart)) * np.sqrt(len(apart) / max(len(apart) - len(parts), 1)))


def widened(logs: Estimate, share: float) -> Estimate:
    """A ratio, given its logarithm, when what the samples don't show may shift it by that share: the two are apart."""
    value, low, high = logs
    down, up = np.hypot(value - low, np.log1p(share)), np.hypot(high - value, np.log1p(share))
    return _exp(Estimate(value, value - down, value + up))


def _exp(logs: Estimate) -> Estimate:
    return Estimate(*(float(np.exp(each)) for each in logs))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> Estimate:
    """The k of values ~ sizes^k, by least squares of the logarithms, with its 95% interval from three sizes on.

    ValueError when there are fewer than two sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError("an exponent needs two sizes or more")
    fit = linregress(np.log(sizes), np.log(values))
    half = student.ppf(0.975, len(sizes) - 2) * fit.stderr if len(sizes) >= FEWEST else np.nan
    return Estimate(float(fit.slope), float(fit.slope - half), float(fit.slope + half))
