"""What the inverse says about its own solution: standard error, temperature resolution, recovered counts, chi-squared.

Memory: `profile_peak` holds 8·T^2 bytes per pixel in float64 (0.3 MB at 200 bins), `elogt` about 600·T (0.1 MB);
callers cut the pixels accordingly.
"""

import math
from typing import Any, NamedTuple

from implementations.maths.namespace import array_namespace

HALF_WIDTH_TO_SIGMA = 1 / (2 * math.sqrt(2 * math.log(2)))
"""What `dn2dem` and maps multiply elogt by, as the published `dn2dem_pos` does."""
SAMPLES = 51
OFFSET = 1e-8
"""The published code's sampling of a profile: 51 points that start this far (dex) above the lowest bin's centre."""


def edem(k_dagger: Any) -> Any:
    """Standard error (P, T) of the DEM from K-dagger transposed (P, F, T), as whitened counts have unit errors."""
    return array_namespace(k_dagger).linalg.vector_norm(k_dagger, axis=1)


def counts(dem: Any, rmatrix: Any) -> Any:
    """Counts (P, F) of a DEM (P, T) seen through rmatrix (T, F)."""
    return dem @ rmatrix


def chisq(dn: Any, edn: Any, dn_reg: Any) -> Any:
    """Squared normalised residuals per channel (P,), of counts, errors and recovered counts (P, F)."""
    xp = array_namespace(dn, edn, dn_reg)
    residual = (dn - dn_reg) / edn
    return xp.mean(residual * residual, axis=1)


class Sampling(NamedTuple):
    """Where profiles are sampled: 51 points in log T, the bin whose centre is next below each, and the way past it."""

    points: Any
    below: Any
    share: Any


def sampling(logt: Any) -> Sampling:
    """The published sampling of the bins logt (T,)."""
    xp = array_namespace(logt)
    points = logt[0] + OFFSET + (logt[-1] - logt[0]) * xp.arange(SAMPLES, dtype=logt.dtype) / SAMPLES
    below = xp.sum(xp.astype(logt[None, :] <= points[:, None], xp.int64), axis=1) - 1
    below = xp.where(below < logt.shape[0] - 1, below, logt.shape[0] - 2)
    left, right = xp.take(logt, below), xp.take(logt, below + 1)
    return Sampling(points, below, (points - left) / (right - left))


def profile_peak(per_count: Any, rmatrix: Any) -> Any:
    """Maxima (P, T) of the profiles, column t of K-dagger K (T, T) being that of bin t; arguments as `elogt`."""
    xp = array_namespace(per_count, rmatrix)
    profiles = xp.permute_dims(per_count, (0, 2, 1)) @ xp.permute_dims(rmatrix, (1, 0))
    return xp.max(profiles, axis=1)


def elogt(per_count: Any, rmatrix: Any, peak: Any, sampling: Sampling, dlogt: Any) -> Any:
    """Temperature resolution (P, T), dex: half the distance of the outermost samples of at least half the maximum.

    The profile of a bin is the response of the solution to a DEM in that bin alone. Its maximum, `peak`, is taken over
    the bins, and its 51 samples are those of K-dagger, times K. `dlogt` where no sample reaches half the maximum.
    per_count (P, F, T) is K-dagger transposed over the errors, rmatrix (T, F), dlogt (T,).
    """
    xp = array_namespace(per_count, rmatrix, peak)
    left, right = xp.take(per_count, sampling.below, axis=2), xp.take(per_count, sampling.below + 1, axis=2)
    sampled = xp.permute_dims(left + (right - left) * sampling.share, (0, 2, 1)) @ xp.permute_dims(rmatrix, (1, 0))
    above = xp.astype(sampled >= peak[:, None, :] / 2, xp.int8)
    # The outermost True by one-byte products and maxima, an eighth of what floating-point ones would move.
    number = xp.arange(1, SAMPLES + 1, dtype=xp.int8)[None, :, None]
    last = xp.max(above * number, axis=1)
    first = SAMPLES + 1 - xp.max(above * (SAMPLES + 1 - number), axis=1)
    found = last > 0
    first, last = (xp.astype(xp.where(found, n, 1), xp.int64) - 1 for n in (first, last))
    width = _at(sampling.points, last) - _at(sampling.points, first)
    return xp.where(found, width / 2, dlogt[None, :])


def _at(values: Any, index: Any) -> Any:
    xp = array_namespace(values)
    return xp.reshape(xp.take(values, xp.reshape(index, (-1,))), index.shape)
