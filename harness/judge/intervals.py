"""Medians with intervals; times and paired ratios over turns and processes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv
from scipy.stats import bootstrap, linregress
from scipy.stats import t as student

LEVEL = 0.99
"""Confidence of every interval; `python -m harness.selfcheck` shows what it attains."""
FEWEST = 3
"""Fewest samples that an interval is given for."""
Array = NDArray[np.float64]
RESAMPLES = 1999
BETWEEN, WORTH = 0.007, 8
"""Processes of the same code usually differ by this (a standard deviation; layout in memory, mostly), however often
each is timed; and how many processes' word that is worth beside those that were measured (docs/clocks.md)."""
OF_MIDDLE_HALF = 1.25
"""Of normal samples, the variance of the mean of their middle half over that of the mean of all."""

TURN, OF_A_MEDIAN = 0.02, np.pi / 2
"""By how much turns of a process differ before anything is known of them (docs/clocks.md); and of normal samples, the
variance of the median over that of the mean."""
MOST, IN_DEVIATIONS, SEVERAL = 0.8, 2 * 1.2816, 4
"""The share of such medians whose range tells by how much they differ, in standard deviations of a normal distribution,
where processes are so many that those farther off are none of their middle half."""


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
    """Mean of the middle half of processes' median turns; these scatter as turns do and, by so much, as processes do.

    Some processes are far from all others for as long as they live, and decide on nothing here. The interval is
    Student's t of a trimmed mean (Tukey and McLaughlin 1963). The variance is taken to be known beforehand as well as
    from `WORTH` processes (an empirical Bayes estimate: Smyth 2004, doi 10.2202/1544-6115.1027), so that it holds for
    a few, and for one. Of three or fewer none is left out. No interval for fewer than `FEWEST` turns.
    """
    parts = _by_process(values, processes)
    if len(values) < 2 * len(parts):  # by how much turns of a process differ isn't known: as if all were one's
        parts = [values]
    medians = np.sort([np.median(part) for part in parts])
    count = len(medians)
    cut = (count + 1) // 4 if count >= SEVERAL else 0
    kept = medians[cut : count - cut]
    if len(values) < FEWEST:
        return Estimate(float(np.median(values)), np.nan, np.nan)
    of_turns = OF_A_MEDIAN * _apart(parts) ** 2 * float(np.mean([1 / len(part) for part in parts]))
    known = (OF_MIDDLE_HALF if cut else 1) * (between**2 + of_turns) / count
    degrees, scatter = len(kept) - 1, 0.0
    if degrees:
        winsorised = np.clip(medians, kept[0], kept[-1])
        scatter = float(np.sum((winsorised - winsorised.mean()) ** 2)) / (len(kept) * degrees)
    variance = (WORTH * known + degrees * scatter) / (WORTH + degrees)
    middle, half = float(kept.mean()), float(student.ppf((1 + LEVEL) / 2, WORTH + degrees) * np.sqrt(variance))
    return Estimate(middle, middle - half, middle + half)


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
    """By how much turns of one process differ: the standard deviation of normal turns whose medians differ as theirs.

    The median of so many turns drawn from all, relative to their process's, is known without drawing (Maritz and
    Jarrett 1978, Journal of the American Statistical Association 73, 194). So a second kind of turns counts, as an
    allocator or another guest of the host makes them, and what is on both sides of a middle that most turns share
    counts for little.
    """
    apart = np.sort(np.concatenate([part - np.median(part) for part in parts]))
    drawn = max(round(float(np.median([len(part) for part in parts]))), 1)
    half = (drawn + 1) / 2
    if len(parts) < SEVERAL:
        shares = np.diff(betainc(half, half, np.linspace(0, 1, len(apart) + 1)))
        deviation = np.sqrt(shares @ (apart - shares @ apart) ** 2)
    else:
        ends = betaincinv(half, half, [(1 - MOST) / 2, (1 + MOST) / 2])
        deviation = np.ptp(np.quantile(apart, ends)) / IN_DEVIATIONS
    free = len(apart) / max(len(apart) - len(parts), 1)
    return float(deviation * np.sqrt(drawn / OF_A_MEDIAN * free))


def together(one: Estimate, other: Estimate) -> Estimate:
    """What two measurements of a ratio that shared nothing say; an interval that both of their middles are in.

    Errors add in quadrature. Where the two are further apart than these explain, something differed that neither saw.
    """
    (a, a_low, a_high), (b, b_low, b_high) = np.log(one), np.log(other)
    middle, apart = (a + b) / 2, abs(a - b) / 2
    down, up = np.hypot(a - a_low, b - b_low) / 2, np.hypot(a_high - a, b_high - b) / 2
    return _exp(Estimate(middle, middle - max(down, apart), middle + max(up, apart)))


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
