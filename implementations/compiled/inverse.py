"""Compiled `maths.inverse` for a vector of pixels: x = W K^T P z, with z = (Bd Bd^T + mu)^-1 P^T d."""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import LANES, broadcast, fma, load, smaller, splat, store

BINS = 4
"""Bins at a time: a coefficient that is loaded serves them all."""


@part
def combine(sizes, inverse_error, factors, search, coefficient):
    """coefficient (F) = P z / errors, for the mu z that the search left and its 1 / mu."""
    one = load(search.chosen, 0)
    for f in range(sizes.channels):
        total = load(factors.basis, f * sizes.channels * LANES) * load(search.z, 0)
        for k in range(1, sizes.rank):
            total = fma(load(factors.basis, (f * sizes.channels + k) * LANES), load(search.z, k * LANES), total)
        store(coefficient, f * LANES, total * one * load(inverse_error, f * LANES))


@part
def solution(sizes, response, coefficient, weight, dem):
    """dem; returns the least of each pixel's bins, at most 0."""
    channels, padded = sizes.channels, sizes.padded
    lowest = splat(0.0)
    for t in range(0, sizes.bins, BINS):
        c = load(coefficient, 0)
        x0, x1 = c * broadcast(response, t), c * broadcast(response, t + 1)
        x2, x3 = c * broadcast(response, t + 2), c * broadcast(response, t + 3)
        at = t
        for f in range(1, channels):
            c, at = load(coefficient, f * LANES), at + padded
            x0, x1 = fma(c, broadcast(response, at), x0), fma(c, broadcast(response, at + 1), x1)
            x2, x3 = fma(c, broadcast(response, at + 2), x2), fma(c, broadcast(response, at + 3), x3)
        at = t * LANES
        x0, x1 = x0 * load(weight, at), x1 * load(weight, at + LANES)
        x2, x3 = x2 * load(weight, at + 2 * LANES), x3 * load(weight, at + 3 * LANES)
        store(dem, at, x0)
        store(dem, at + LANES, x1)
        store(dem, at + 2 * LANES, x2)
        store(dem, at + 3 * LANES, x3)
        lowest = smaller(x3, smaller(x2, smaller(x1, smaller(x0, lowest))))
    return lowest
