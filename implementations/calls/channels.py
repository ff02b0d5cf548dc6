"""What a pixel's counts are taken for before they are inverted, and pixels sorted by the channels they have.

P pixels, F channels, T temperature bins. A measurement is missing where its count or its error is NaN or infinite.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implementations.calls.arguments import COUNTS, NO_UNIT, REMEMBERED, as_array
from implementations.contract import Array, Problem, Solution, Status, marked, whole_number

FINEST = 1e12
"""Counts of more standard errors than this are no measurements: the solvers' rounding decides on their DEM."""
SCALES = (1e-40, 1e6)
"""The largest rmatrix/edn of a channel, within which solvers agree with one another; real ones are near 1e-5."""
SPREAD = 1e6
"""The largest ratio of these between two channels of a pixel."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Handling:
    """What a user said of the channels.

    Parameters
    ----------
    systematic
        Relative error (F,), added to the counts' own in quadrature.
    saturated
        Counts (F,) from which on they are no measurements.
    fewest
        Channels that a pixel must have to be inverted.
    """

    systematic: Array
    saturated: Array
    fewest: int

    @functools.cached_property
    def plain(self) -> bool:
        """Whether counts and errors are taken as they are, in all channels or in none."""
        whole = self.fewest == len(self.systematic)
        return whole and not self.systematic.any() and not np.isfinite(self.saturated).any()

    def of(self, dn: Array, edn: Array) -> tuple[Array, Array]:
        """Counts and errors (P, F) as they are taken: NaN where saturated, errors with the systematic one."""
        if self.plain:
            return dn, edn
        if self.systematic.any():
            edn = np.where(edn > 0, np.hypot(edn, self.systematic * dn), edn)
        if np.isfinite(self.saturated).any():
            dn = np.where(dn >= self.saturated, np.nan, dn)
        return dn, edn


@functools.lru_cache(maxsize=REMEMBERED)
def _nothing_said(channels: int) -> Handling:
    return Handling(np.zeros(channels), np.full(channels, np.inf), channels)


def handling(systematic: ArrayLike, saturated: ArrayLike | None, fewest: int | None, channels: int) -> Handling:
    """The three arguments, checked. ValueError naming the one that is wrong."""
    if type(systematic) is float and systematic == 0 and saturated is None and fewest is None:
        return _nothing_said(channels)
    relative = _per_channel("systematic", systematic, channels)
    if not ((relative >= 0) & (relative <= 1)).all():
        raise ValueError(f"systematic must be relative errors from 0 to 1, 0.2 for 20%, got {systematic!r}")
    limits = np.full(channels, np.inf) if saturated is None else _per_channel("saturated", saturated, channels, COUNTS)
    if not (limits > 0).all():
        raise ValueError(f"saturated must be counts > 0, got {saturated!r}")
    if fewest is not None:
        whole_number("fewest_channels", fewest, 1, channels)
    return Handling(relative, limits, channels if fewest is None else fewest)


def _per_channel(name: str, values: ArrayLike, channels: int, units: tuple[str, ...] = NO_UNIT) -> Array:
    array = as_array(values, name, units)
    if array.shape not in ((), (channels,)):
        raise ValueError(f"{name} has shape {array.shape}, expected one number or ({channels},)")
    return np.broadcast_to(array, (channels,))


class Strongest(NamedTuple):
    """The greatest of each channel's response (F,), and the least and the greatest of these."""

    each: Array
    least: float
    most: float


@functools.lru_cache(maxsize=REMEMBERED)
def strongest(constants: Problem) -> Strongest:
    """Of the calls that share a problem without pixels."""
    each = np.abs(constants.rmatrix).max(axis=0)
    return Strongest(each, float(each.min()), float(each.max()))


def within_scales(constants: Problem, dn: Array, edn: Array, norm: Array | None) -> Problem:
    """The problem of pixels; ones whose scales are beyond what solvers agree on are invalid, and warned of."""
    top = strongest(constants)
    if edn.size and _surely_within(dn, edn, top):  # no error is <= 0, then
        return constants.with_pixels(dn, edn, norm)
    problem = constants.with_pixels(dn, marked(edn), norm)
    if not len(problem.dn) or _all_within(problem, top.each):
        return problem
    beyond = beyond_scales(np, problem.dn, problem.edn, top.each)
    if not beyond.any():
        return problem
    warn_beyond(int(np.count_nonzero(beyond)), len(beyond), stacklevel=7)
    return replace(problem, edn=np.where(beyond[:, None], np.nan, problem.edn))


def beyond_scales(xp: Any, dn: Any, edn: Any, top: Any) -> Any:
    """Which pixels (P,) are; `xp`: the library of the arrays, `top`: the greatest of a channel's response (F,)."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        measured = xp.isfinite(dn) & xp.isfinite(edn) & (edn > 0)
        strength = top / edn
        lowest = xp.min(xp.where(measured, strength, xp.inf), axis=1)
        highest = xp.max(xp.where(measured, strength, -xp.inf), axis=1)
        beyond = (lowest < SCALES[0]) | (highest > SCALES[1]) | (highest > SPREAD * lowest)
        return beyond | xp.any(measured & (dn / edn > FINEST), axis=1)


def warn_beyond(count: int, pixels: int, stacklevel: int) -> None:
    """Say of how many pixels."""
    warnings.warn(
        f"{count} of {pixels} pixels have counts or errors that rounding would decide on, and "
        f"are invalid: expected errors > {1 / FINEST:g} of the counts, and response times bin width over error, "
        f"{SCALES[0]:g} to {SCALES[1]:g} and within a factor {SPREAD:g} in all channels of a pixel; are units right? "
        "NaN leaves a channel out",
        stacklevel=stacklevel,
    )


def _measured(problem: Problem) -> Flags:
    """Which channels each pixel has (P, F)."""
    return np.isfinite(problem.dn) & np.isfinite(problem.edn)


def _surely_within(dn: Array, edn: Array, top: Strongest) -> bool:
    """Whether no pixel can be beyond the scales, by the extremes of all channels. Python's numbers are quick to divide.

    False where an error is NaN or <= 0.
    """
    finest, coarsest, brightest = float(edn.min()), float(edn.max()), float(dn.max())
    return finest > 0 and _within(top.least / coarsest, top.most / finest, brightest / finest)


def _all_within(problem: Problem, top: Array) -> bool:
    """Whether no pixel can be, by the extremes of each channel."""
    with np.errstate(invalid="ignore", over="ignore"):
        least, most, brightest = (
            extreme.reduce(values, axis=0)
            for extreme, values in ((np.fmin, problem.edn), (np.fmax, problem.edn), (np.fmax, problem.dn))
        )
        return _within(np.min(top / most), np.max(top / least), np.max(brightest / least))


def _within(lowest: float, highest: float, finest: float) -> bool:
    """Whether scales from lowest to highest, and counts of at most so many errors, are fine; NaN isn't."""
    return bool(lowest >= SCALES[0] and highest <= min(SCALES[1], SPREAD * lowest) and finest <= FINEST)


def by_channels(problem: Problem, fewest: int, solve: Callable[[Problem], Solution]) -> tuple[Solution, Flags]:
    """The solution, and which channels each pixel was inverted with (P, F): one ordinary call for each set of channels.

    `dn_reg` of a channel left out is what the pixel's DEM would give. Pixels with fewer than `fewest` are invalid.
    """
    total, used = Solution.empty(problem), np.zeros(problem.dn.shape, bool)
    for pixels, channels in _groups(problem, fewest):
        part = solve(_with_channels(problem.take(pixels), channels))
        for name in (name for name in vars(total) if name != "dn_reg"):
            getattr(total, name)[pixels] = getattr(part, name)
        total.dn_reg[pixels] = part.dem @ problem.rmatrix
        total.dn_reg[np.ix_(pixels, channels)] = part.dn_reg
        used[pixels] = channels & (part.status != Status.INVALID)[:, None]
    return total, used


def _groups(problem: Problem, fewest: int) -> Iterator[tuple[NDArray[np.intp], Flags]]:
    """Numbers of the pixels that have the same channels, and the channels (F,); sets of at least `fewest`."""
    have = _measured(problem)
    sets, which = np.unique(np.packbits(have, axis=1), axis=0, return_inverse=True)
    for number, packed in enumerate(sets):
        channels = np.unpackbits(packed, count=have.shape[1]).astype(bool)
        if channels.sum() >= fewest:
            yield np.flatnonzero(which.reshape(-1) == number), channels


def _with_channels(problem: Problem, channels: Flags) -> Problem:
    """The problem of some of its channels."""
    dn, edn, rmatrix = (values[:, channels] for values in (problem.dn, problem.edn, problem.rmatrix))
    options = problem.options
    if not isinstance(options.gloci, int):
        options = replace(options, gloci=tuple(np.asarray(options.gloci)[channels].tolist()))
    return Problem(dn, edn, rmatrix, problem.logt, problem.dlogt, options, problem.dem_norm0)
