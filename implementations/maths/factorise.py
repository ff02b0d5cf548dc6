"""The generalised SVD of (K, L) for a diagonal L, as a thin SVD of K L^-1.

The regularised solution minimises |K x - d|^2 + mu |L x|^2. The generalised SVD writes K = U diag(alpha) X^-1 and
L = V diag(beta) X^-1 with alpha^2 + beta^2 = 1. With L invertible, put y = L x and B = K L^-1: the problem becomes
|B y - d|^2 + mu |y|^2, which the ordinary SVD B = U diag(s) V^T solves; s = alpha / beta and X = L^-1 V diag(beta).
Wherever the algorithm uses alpha and beta, only s is left:

    filter factor      mu beta^2 / (alpha^2 + mu beta^2)            = mu / (s^2 + mu)
    K-dagger           X diag(alpha / (alpha^2 + mu beta^2)) U^T    = L^-1 V diag(s / (s^2 + mu)) U^T

B is F x T with few channels and many bins. V enters only as V diag(s) = B^T U, hence K-dagger = L^-2 K^T M with
M = U diag(1 / (s^2 + mu)) U^T, and V is never needed. U and s are those of the F x F triangle of an orthogonal
factorisation B = C Q^T. Unlike the eigenvalues of B B^T this does not square the condition number.
"""

from typing import Any

from array_api_compat import array_namespace


def thin_svd(b: Any) -> tuple[Any, Any]:
    """U (P, F, r) and s (P, r), descending, of B (P, F, T); r = min(F, T)."""
    xp = array_namespace(b)
    # With more channels than bins the triangle would be the larger matrix, and its last rows undetermined.
    small = triangle(b) if b.shape[1] <= b.shape[2] else b
    u, s, _ = xp.linalg.svd(small, full_matrices=False)
    return u, s


def triangle(b: Any) -> Any:
    """Lower triangle C (P, F, F) with B = C Q^T for B (P, F, T), F <= T, Q (P, T, F) orthonormal but not formed.

    Modified Gram-Schmidt: its Q would lose orthogonality where rows of B are nearly parallel, but its triangle is that
    of a matrix within rounding of B (Bjorck 1967), as good as Householder's.
    """
    xp = array_namespace(b)
    pixels, channels, _ = b.shape
    columns = []
    for k in range(channels):
        row = b[:, 0, :]
        length = xp.linalg.vector_norm(row, axis=1, keepdims=True)
        unit = row / xp.where(length > 0, length, 1.0)
        b = b[:, 1:, :]
        along = xp.sum(b * unit[:, None, :], axis=2)
        b = b - along[:, :, None] * unit[:, None, :]
        columns.append(xp.concat([xp.zeros((pixels, k), dtype=b.dtype), length, along], axis=1))
    return xp.stack(columns, axis=2)
