"""The regularised inverse K-dagger = L^-2 K^T M, M = U diag(1 / (s^2 + mu)) U^T, and the DEM K-dagger d.

K = rmatrix^T / edn is never formed here: it is shared by all pixels but for the errors, which go to the small side, and
one product with rmatrix serves all pixels of a chunk.
"""

from typing import Any

from implementations.maths.namespace import array_namespace


def solution(u: Any, s: Any, projection: Any, mu: Any, linv: Any, rmatrix: Any, edn: Any) -> Any:
    """DEM (P, T) at mu (P,): L^-2 K^T U diag(1 / (s^2 + mu)) U^T d.

    u (P, F, r), s and projection U^T d (P, r), linv (P, T), rmatrix (T, F), edn (P, F).
    """
    xp = array_namespace(u, rmatrix)
    filtered = projection / (s * s + mu[:, None])
    residual = xp.sum(u * filtered[:, None, :], axis=2) / edn
    return linv * linv * (residual @ xp.permute_dims(rmatrix, (1, 0)))


def k_dagger(u: Any, s: Any, mu: Any, linv: Any, rmatrix: Any, edn: Any) -> Any:
    """K-dagger transposed (P, F, T) at mu (P,): row f is the DEM of one whitened count in channel f, and no others.

    Arguments as `solution`.
    """
    xp = array_namespace(u, rmatrix)
    pixels, channels, _ = u.shape
    filtered = u / (s * s + mu[:, None])[:, None, :]
    middle = filtered @ xp.permute_dims(u, (0, 2, 1)) / edn[:, None, :]
    flat = xp.reshape(middle, (pixels * channels, channels))  # one product with rmatrix for all pixels
    rows = xp.reshape(flat @ xp.permute_dims(rmatrix, (1, 0)), (pixels, channels, rmatrix.shape[0]))
    return rows * (linv * linv)[:, None, :]
