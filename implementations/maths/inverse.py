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
    return dem(coefficient(u, s, projection, mu), linv, rmatrix, edn)


def coefficient(u: Any, s: Any, projection: Any, mu: Any) -> Any:
    """M d (P, F); arguments as `solution`."""
    filtered = projection / (s * s + mu[:, None])
    return array_namespace(u).sum(u * filtered[:, None, :], axis=2)


def dem(coefficient: Any, linv: Any, rmatrix: Any, edn: Any) -> Any:
    """DEM (P, T), L^-2 K^T M d, from M d (P, F); arguments as `solution`."""
    xp = array_namespace(coefficient, rmatrix)
    return linv * linv * ((coefficient / edn) @ xp.permute_dims(rmatrix, (1, 0)))


def k_dagger(u: Any, s: Any, mu: Any, linv: Any, rmatrix: Any, edn: Any) -> Any:
    """K-dagger transposed (P, F, T) at mu (P,): row f is the DEM of one whitened count in channel f, and no others.

    Arguments as `solution`.
    """
    return rows(middle(u, s, mu), linv, rmatrix, edn)


def middle(u: Any, s: Any, mu: Any) -> Any:
    """M (P, F, F); arguments as `solution`."""
    filtered = u / (s * s + mu[:, None])[:, None, :]
    return filtered @ array_namespace(u).permute_dims(u, (0, 2, 1))


def rows(middle: Any, linv: Any, rmatrix: Any, edn: Any) -> Any:
    """K-dagger transposed (P, F, T) from M (P, F, F); arguments as `solution`."""
    xp = array_namespace(middle, rmatrix)
    pixels, channels, _ = middle.shape
    flat = xp.reshape(middle / edn[:, None, :], (pixels * channels, channels))  # one product for all pixels
    rows = xp.reshape(flat @ xp.permute_dims(rmatrix, (1, 0)), (pixels, channels, rmatrix.shape[0]))
    return rows * (linv * linv)[:, None, :]
