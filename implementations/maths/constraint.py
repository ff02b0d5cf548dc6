"""The constraint L, a diagonal T x T matrix per pixel: the weight that shapes it, and L^-1.

A weight w (P, T) near the DEM makes the constraint |L x|^2 = sum_t dlogt_t x_t^2 / w_t nearly flat in log T, so that
the solution is pulled to the weight's shape where the data say nothing. L^-1 is passed on as its diagonal, `linv`.
"""

from typing import Any

from implementations.maths.namespace import array_namespace

FLOOR = 1e-8
"""Least weight, relative to the pixel's peak before smoothing."""
SMALL = 1e-4
"""A first solution below this fraction of its peak does not count as a weight."""


def is_given(norm: Any) -> Any:
    """Which pixels (P,) have user weights: rows of `norm` (P, T) that start with 0 or are all ones count as none."""
    xp = array_namespace(norm)
    return (norm[:, 0] != 0) & xp.any(norm != 1, axis=1)


def loci_weight(dn: Any, rmatrix: Any) -> Any:
    """EM loci (P, T): the least over the channels of dn / rmatrix, the DEM that one bin alone would need.

    dn (P, F) and rmatrix (T, F) hold the chosen channels only. A channel blind to a bin sets no limit there.
    """
    xp = array_namespace(dn, rmatrix)
    loci = None
    for f in range(rmatrix.shape[1]):  # channel by channel: no (P, T, F) array
        response = rmatrix[None, :, f]
        blind = response == 0
        one = xp.where(blind, xp.inf, dn[:, f, None] / xp.where(blind, 1.0, response))
        loci = one if loci is None else xp.minimum(loci, one)
    return smoothed(loci)


def solution_weight(first: Any) -> Any:
    """Self-normalised weight from a first solution (P, T): itself where it matters, 1 elsewhere, then smoothed."""
    xp = array_namespace(first)
    return smoothed(xp.where(first > SMALL * xp.max(first, axis=1, keepdims=True), first, 1.0))


def smoothed(weight: Any) -> Any:
    """Scale the weight (P, T) to a peak of 1, replace it by a five-point mean, lift it to the floor.

    The end bins, and what lies beyond them, enter the mean as zeros.
    """
    xp = array_namespace(weight)
    scaled = weight / xp.max(weight, axis=1, keepdims=True)
    edge = xp.zeros_like(scaled[:, :1])
    padded = xp.concat([edge, edge, edge, scaled[:, 1:-1], edge, edge, edge], axis=1)
    bins = weight.shape[1]
    total = padded[:, 0:bins] + padded[:, 1 : bins + 1]
    for shift in (2, 3, 4):
        total = total + padded[:, shift : bins + shift]
    mean = total / 5
    return xp.where(mean <= FLOOR, FLOOR, mean)  # NaN stays, and fails in the SVD rather than pass for a weight


def inverse_diagonal(weight: Any, dlogt: Any, l_emd: bool = False) -> Any:
    """Diagonal of L^-1 (P, T) for L = diag(sqrt(dlogt / |w|)), or diag(1 / |w|) with `l_emd`."""
    xp = array_namespace(weight, dlogt)
    size = xp.abs(weight)
    return size if l_emd else xp.sqrt(size) / xp.sqrt(dlogt)[None, :]


def uniform_inverse_diagonal(dlogt: Any) -> Any:
    """Diagonal of L^-1 (1, T) of the first, weightless solution: L = diag(1 / sqrt(dlogt)) for every pixel."""
    return array_namespace(dlogt).sqrt(dlogt)[None, :]
