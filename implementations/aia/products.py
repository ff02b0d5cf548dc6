"""What people map of a DEM: emission measure in bands of temperature, mean temperature, where it is constrained.

A bin is constrained where the DEM is at least `SIGNIFICANT` times its propagated standard error, and gives some channel
at least its share of the recovered counts, one per dex of its width. Products are of these bins only: beside a quiet
Sun AIA hardly sees plasma above log T 7, so that a fifth to a third of the emission measure may be put there at the
cost of a few counts, and a mean over all bins reads several MK.

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
SHARE = 1.0
"""Of a channel's counts, per dex, from which on a bin is."""
BANDS = 3
"""Bands of equal width in log T where none are given."""
MK = 1e6
"""Temperatures are weighed in MK: single precision ends at 3e38."""
PIECE = 2048
"""Pixels at a time, whose bins stay in the processor's cache."""

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
    dem: Planes, edem: Planes, dn_reg: Planes, response: Array, logt: Array, dlogt: Array
) -> NDArray[np.bool_]:
    """Which bins (T, ...) the counts constrain; dem, edem (T, ...), dn_reg (F, ...), response (T, F)."""
    per_dex = (response * (width_k(logt, dlogt) / (SHARE * dlogt))[:, None]).astype(dem.dtype)
    dems, edems, counts = (a.reshape(len(a), -1) for a in (dem, edem, dn_reg))
    found = np.empty(dems.shape, bool)
    for piece in _pieces(found.shape[1]):
        found[:, piece] = _constrained(dems[:, piece], edems[:, piece], counts[:, piece], per_dex)
    return found.reshape(dem.shape)


def _pieces(pixels: int) -> list[slice]:
    return [slice(first, first + PIECE) for first in range(0, pixels, PIECE)]


def _constrained(dem: Planes, edem: Planes, dn_reg: Planes, per_dex: Planes) -> Planes:
    """Of a piece: per_dex (T, F) is the least DEM's counts, so that a bin has its share where dem·per_dex >= dn_reg."""
    with np.errstate(divide="ignore"):
        per_count = np.where(dn_reg > 0, 1 / dn_reg, 0).astype(dem.dtype)
    best = per_dex[:, 0, None] * per_count[0]
    for channel in range(1, len(per_count)):
        np.maximum(best, per_dex[:, channel, None] * per_count[channel], out=best)
    return (dem >= SIGNIFICANT * edem) & (dem * best >= 1)


def in_bands(dem: Planes, bands: Bands, logt: Array, dlogt: Array) -> Planes:
    """Emission measure (B, ...) of each band, of the bins as they are."""
    weights = (shares(bands, logt, dlogt) * width_k(logt, dlogt)).astype(dem.dtype)
    return (weights @ dem.reshape(len(dem), -1)).reshape(len(bands), *dem.shape[1:])


def products(
    planes: dict[str, Planes], response: Array, logt: Array, dlogt: Array, bands: Bands
) -> dict[str, NDArray[np.float32]]:
    """The planes `em_bands` (B, ...), `temperature` (...) and `constrained` (...) of dem, edem, dn_reg and status.

    NaN where nothing was inverted. `temperature` is weighted by emission measure, NaN where no bin is constrained;
    `constrained` the share of all emission measure, negative bins as zero, that is in constrained bins.
    """
    dem, image = planes["dem"], planes["dem"].shape[1:]
    lists = [planes[name].reshape(len(planes[name]), -1) for name in ("dem", "edem", "dn_reg")]
    width, kind = width_k(logt, dlogt), dem.dtype
    per_dex = (response * (width / (SHARE * dlogt))[:, None]).astype(kind)
    rows = [*shares(bands, logt, dlogt) * width, width, width * 10**logt / MK]
    weights, sums = np.stack(rows).astype(kind), np.empty((len(rows) + 1, lists[0].shape[1]), kind)
    for piece in _pieces(sums.shape[1]):
        dems, edems, counts = (a[:, piece] for a in lists)
        np.matmul(weights, np.where(_constrained(dems, edems, counts, per_dex), dems, 0), out=sums[:-1, piece])
        np.matmul(weights[-2], np.maximum(dems, 0), out=sums[-1, piece])
    sums[:, planes["status"].reshape(-1) == Status.INVALID] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"em_bands": sums[:-3], "temperature": sums[-2] / sums[-3] * MK, "constrained": sums[-3] / sums[-1]}
    return {name: np.float32(values).reshape(*values.shape[:-1], *image) for name, values in found.items()}
