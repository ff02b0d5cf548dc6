"""The generalised SVD of (K, L) for a diagonal L, as a thin SVD of K L^-1.

The regularised solution minimises |K x - d|^2 + mu |L x|^2. The generalised SVD writes K = U diag(alpha) X^-1 and
L = V diag(beta) X^-1 with alpha^2 + beta^2 = 1. With L invertible, put y = L x and B = K L^-1: the problem becomes
|B y - d|^2 + mu |y|^2, which the ordinary SVD B = U diag(s) V^T solves; s = alpha / beta and X = L^-1 V diag(beta).
Wherever the algorithm uses alpha and beta, only s is left:

    filter factor      mu beta^2 / (alpha^2 + mu beta^2)            = mu / (s^2 + mu)
    K-dagger           X diag(alpha / (alpha^2 + mu beta^2)) U^T    = L^-1 V diag(s / (s^2 + mu)) U^T

B is F x T with few channels and many bins. V enters only as V diag(s) = B^T U, hence K-dagger = L^-2 K^T M with
M = U diag(1 / (s^2 + mu)) U^T, and V is never needed. U and s are those of the F x F triangle of an orthogonal
factorisation B = C Q^T; unlike the eigenvalues of B B^T, this does not square the condition number. As the errors only
scale the rows of B, they scale those of C too: C is found for unit errors, once where all pixels share one L.
"""

from typing import Any

from implementations.maths.namespace import array_namespace


def reduced(rmatrix: Any, linv: Any) -> Any:
    """C (P, F, r) with rmatrix^T L^-1 = C Q^T, Q having r = min(F, T) orthonormal columns; linv (P, T) or (1, T)."""
    xp = array_namespace(rmatrix, linv)
    b = xp.permute_dims(rmatrix, (1, 0))[None, :, :] * linv[:, None, :]
    # With more channels than bins the triangle would be the larger matrix, and its last rows undetermined.
    return triangle(b) if b.shape[1] <= b.shape[2] else b


def thin_svd(c: Any, edn: Any) -> tuple[Any, Any]:
    """U (P, F, r) and s (P, r), descending, of B = K L^-1, from its reduced form for unit errors and edn (P, F)."""
    u, s, _ = array_namespace(c, edn).linalg.svd(c / edn[:, :, None], full_matrices=False)
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
        row = b[:, :1, :]
        along = (b @ xp.permute_dims(row, (0, 2, 1)))[:, :, 0]
        square = along[:, :1]
        safe = xp.where(square > 0, square, 1.0)
        columns += [xp.zeros((pixels, k), dtype=b.dtype), along / xp.sqrt(safe)]
        b = b[:, 1:, :] - (along[:, 1:] / safe)[:, :, None] * row
    return xp.stack([xp.concat(columns[2 * k : 2 * k + 2], axis=1) for k in range(channels)], axis=2)
