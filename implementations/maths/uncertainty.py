"""What the inverse says about its own solution: standard error, temperature resolution, recovered counts, chi-squared.

Memory: `elogt` holds about 8·T·(T + 3·51) bytes per pixel in float64 (0.05 MB at 34 bins, 0.6 MB at 200, 1.8 MB at
400); callers cut the pixels accordingly.
"""

from typing import Any

from array_api_compat import array_namespace

SAMPLES = 51
OFFSET = 1e-8
"""The published code's sampling of a profile: 51 points that start this far (dex) above the lowest bin's centre."""


def edem(k_dagger: Any) -> Any:
    """Standard error (P, T) of the DEM: row norms of K-dagger (P, T, F), as whitened counts have unit errors."""
    return array_namespace(k_dagger).linalg.vector_norm(k_dagger, axis=2)


def counts(dem: Any, rmatrix: Any) -> Any:
    """Counts (P, F) of a DEM (P, T) seen through rmatrix (T, F)."""
    return dem @ rmatrix


def chisq(dn: Any, edn: Any, dn_reg: Any) -> Any:
    """Squared normalised residuals per channel (P,), of counts, errors and recovered counts (P, F)."""
    xp = array_namespace(dn, edn, dn_reg)
    residual = (dn - dn_reg) / edn
    return xp.mean(residual * residual, axis=1)


def sampling(logt: Any) -> tuple[Any, Any]:
    """The sample points (51,) in log T, and the matrix (51, T) that interpolates linearly from bin centres to them."""
    xp = array_namespace(logt)
    bins = logt.shape[0]
    steps = xp.arange(SAMPLES, dtype=logt.dtype)
    points = logt[0] + OFFSET + (logt[-1] - logt[0]) * steps / SAMPLES
    below = xp.sum(xp.astype(logt[None, :] <= points[:, None], xp.int64), axis=1) - 1
    below = xp.where(below < bins - 1, below, bins - 2)
    left, right = xp.take(logt, below), xp.take(logt, below + 1)
    share = ((points - left) / (right - left))[:, None]
    unit = xp.eye(bins, dtype=logt.dtype)
    return points, xp.take(unit, below, axis=0) * (1 - share) + xp.take(unit, below + 1, axis=0) * share


def elogt(k_dagger: Any, rmatrix: Any, edn: Any, points: Any, interpolate: Any, dlogt: Any) -> Any:
    """Temperature resolution (P, T), dex: half the distance of the outermost samples of at least half the maximum.

    Of bin t, the profile is column t of K-dagger K (T, T), the response of the solution to a DEM in that bin alone. Its
    maximum is taken over the bins, and its 51 samples are K-dagger interpolated, times K. `dlogt` where no sample
    reaches half the maximum. k_dagger (P, T, F), rmatrix (T, F), edn (P, F); `points`, `interpolate` from `sampling`.
    """
    xp = array_namespace(k_dagger, rmatrix, edn)
    pixels, bins, channels = k_dagger.shape
    kernel = xp.permute_dims(rmatrix, (1, 0))
    per_count = k_dagger / edn[:, None, :]
    half = xp.max(xp.reshape(xp.reshape(per_count, (-1, channels)) @ kernel, (pixels, bins, bins)), axis=1) / 2
    sampled = xp.reshape(interpolate @ per_count, (-1, channels)) @ kernel
    above = xp.reshape(sampled, (pixels, SAMPLES, bins)) >= half[:, None, :]
    where = points[None, :, None]
    last = xp.max(xp.where(above, where, -xp.inf), axis=1)
    first = xp.min(xp.where(above, where, xp.inf), axis=1)
    found = last >= first
    return xp.where(found, (xp.where(found, last, 0.0) - xp.where(found, first, 0.0)) / 2, dlogt[None, :])
