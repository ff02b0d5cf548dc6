"""What people map of a DEM: emission measure in bands of temperature, mean temperature, where it is constrained.

A bin is constrained where the DEM is at least `SIGNIFICANT` times its propagated standard error, that times the root of
chi-squared where the fit is worse than the errors, and gives some channel at least `SHARE` of the recovered counts for
each dex of its width. Products are of these bins only: beside a quiet Sun AIA hardly sees plasma above log T 7, so that
a fifth to a half of the emission measure may be put there for the sake of one channel, and a mean over all bins reads
several MK.

T temperature bins, F channels, B bands, P pixels. Units: dem, edem cm-5 K-1, response DN cm5 s-1 px-1, dn_reg
DN s-1 px-1, emission measure cm-5, temperature K.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Status

SIGNIFICANT = 3.0
"""Standard errors above zero from which on a bin's DEM is constrained."""
SHARE = 2.0
"""Of a channel's counts, per dex, from which on a bin is: what a bin has of counts that come evenly from half a dex,
about the width of a channel's response. At half of it the bins above log T 7 are constrained by what 131 alone has too
much, as much as its calibration may be off: docs/solar.md."""
BANDS = 3
"""Bands of equal width in log T where none are given."""

Bands = tuple[tuple[float, float], ...]
Planes = NDArray[Any]


def bands_of(edges: Sequence[float] | None, logt: Array, dlogt: Array) -> Bands:
    """Neighbouring bands (low, high), log10 K, between edges, or `BANDS` equal ones over all bins.

    ValueError when edges don't rise, or lie outside of the bins.
    """
    low, high = float(logt[0] - dlogt[0] / 2), float(logt[-1] + dlogt[-1] / 2)
    given = np.linspace(low, high, BANDS + 1).tolist() if edges is None else list(edges)
    rising = len(given) >= 2 and all(a < b for a, b in itertools.pairwise(given))
    if not (rising and given[0] >= low - 1e-6 and given[-1] <= high + 1e-6):
        said = " ".join(f"{edge:g}" for edge in given)
        raise ValueError(f"bands must be rising edges within the bins, log T {low:g} to {high:g}, got {said}")
    return tuple(itertools.pairwise(given))


def width_k(logt: Array, dlogt: Array) -> Array:
    """Bin widths (T,), K."""
    return 10.0**logt * np.log(10.0**dlogt)


def shares(bands: Bands, logt: Array, dlogt: Array) -> Array:
    """What share of each bin lies in each band (B, T), by width in log T."""
    low, high = logt - dlogt / 2, logt + dlogt / 2
    inside = [np.minimum(high, last) - np.maximum(low, first) for first, last in bands]
    return np.clip(np.stack(inside) / dlogt, 0.0, 1.0)


def constrained(
    dem: Planes, edem: Planes, dn_reg: Planes, chisq: Planes, response: Array, logt: Array, dlogt: Array
) -> NDArray[np.bool_]:
    """Which bins (T, ...) the counts constrain; dem, edem (T, ...), dn_reg (F, ...), chisq (...), response (T, F)."""
    lists = _lists(dem, edem, dn_reg, np.asarray(chisq)[None])
    kept, weights = np.empty(lists[0].shape, bool), np.zeros((2, len(logt)))
    _weigh(lists, _per_dex(response, logt, dlogt), weights, kept)
    return kept.reshape(dem.shape)


def _per_dex(response: Array, logt: Array, dlogt: Array) -> Array:
    return response * (width_k(logt, dlogt) / (SHARE * dlogt))[:, None]


def _lists(*planes: Planes) -> list[Planes]:
    """Planes as lists of pixels (T, P), in the processor's order of bytes."""
    return [plane.reshape(len(plane), -1).astype(plane.dtype.newbyteorder("="), copy=False) for plane in planes]


def _weigh(lists: list[Planes], per_dex: Array, weights: Array, kept: NDArray[np.bool_]) -> Planes:
    """The sums (W + 1, P) of `weighing.weigh`."""
    from implementations.aia import weighing

    dem, edem, dn_reg, chisq = lists
    kind = dem.dtype
    sums = np.zeros((len(weights) + 1, dem.shape[1]), kind)
    scratch = weighing.scratch(len(dn_reg), kind)
    constants = per_dex.astype(kind), weights.astype(kind), kind.type(SIGNIFICANT)
    weighing.weigh(dem, edem, dn_reg, chisq[0], *constants, kept, sums, *scratch)
    return sums


def in_bands(dem: Planes, bands: Bands, logt: Array, dlogt: Array) -> Planes:
    """Emission measure (B, ...) of each band, of the bins as they are."""
    weights = (shares(bands, logt, dlogt) * width_k(logt, dlogt)).astype(dem.dtype)
    return (weights @ dem.reshape(len(dem), -1)).reshape(len(bands), *dem.shape[1:])


class Products:
    """What makes planes of a solution's rows, with the products `em_bands`, `temperature` and `constrained` after them.

    `temperature` is weighted by emission measure, NaN where no bin is constrained; `constrained` the share of all
    emission measure, negative bins as zero, that is in constrained bins. All are NaN where nothing was inverted.
    """

    def __init__(self, response: Array, logt: Array, dlogt: Array, bands: Bands):
        from implementations.aia import weighing

        width, kind = width_k(logt, dlogt), np.dtype(np.float32)
        weights = np.stack([*shares(bands, logt, dlogt) * width, width, width * 10**logt / weighing.MK])
        per_dex = _per_dex(response, logt, dlogt)
        self.constants = per_dex.astype(kind), weights.astype(kind), kind.type(SIGNIFICANT), int(Status.INVALID)
        bins, channels = response.shape
        self.planes = 3 * bins + channels + 1 + len(bands) + 2
        """How many there are, in the order: dem, edem, elogt, dn_reg, chisq, em_bands, temperature, constrained."""

    def fill(
        self,
        rows: Sequence[Array],
        scales: Array,
        status: NDArray[np.int8],
        planes: NDArray[np.uint32],
        start: int,
        swap: bool,
    ) -> None:
        """Fill P columns of `planes` (.planes, ...) from `start` on, the four bytes of numbers in single precision.

        `swap`: in the other order. `rows`: dem, edem, elogt (P, T), dn_reg (P, F) and chisq (P, 1), to be multiplied by
        `scales` (5,).
        """
        from implementations.aia import weighing

        rows = tuple(np.ascontiguousarray(values, np.float64) for values in rows)
        scratch = weighing.scratch_of(self.planes, *self.constants[0].shape)
        weighing.fill(rows, scales, status, *self.constants, np.empty((0, 0), bool), scratch, planes, start, swap)
