"""Compiled `maths.uncertainty` for a vector of pixels: counts, edem, and what the resolution elogt is made from.

Column t of K-dagger K is a profile over the bins i. With L D L^T the triangular factors of Bd Bd^T + mu and
Y = D^(-1/2) L^-1 P^T K, it is W_i times the sum over k of Y[k, i] Y[k, t]. elogt compares a profile with its own half
maximum, so that a factor does not matter: all is made of one array, W_t Y[k, t].
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import LANES, broadcast, fma, load, splat, sqrt, store


@part
def count(sizes, response, f, dem):
    """Counts of a DEM seen by channel f."""
    even = odd = splat(0.0)
    for t in range(0, sizes.bins, 2):
        even = fma(broadcast(response, f * sizes.padded + t), load(dem, t * LANES), even)
        odd = fma(broadcast(response, f * sizes.padded + t + 1), load(dem, (t + 1) * LANES), odd)
    return even + odd


@part
def factors_at(sizes, inverse_error, factors, search, work):
    """At the 1 / mu that the search left: L, D^(-1/2) and P^T / errors."""
    channels, rank, one = sizes.channels, sizes.rank, splat(1.0)
    v, s = load(search.chosen, 0), one
    for k in range(rank):
        r = v / fma(load(factors.diagonal, k * LANES), v, s)
        store(work.couple, k * LANES, load(factors.product, k * LANES) * r)
        store(work.root, k * LANES, sqrt(r))
        s = fma(load(factors.below, k * LANES) * s, r, one)
        for f in range(channels):
            x = load(factors.basis, (f * channels + k) * LANES) * load(inverse_error, f * LANES)
            store(work.mixing, (k * channels + f) * LANES, x)


@part
def edem_and_rows(sizes, response, work, first, number, profiles):
    """edem of bins first to first + number - 1, their rows W Y, from 0 on, and the sum of a row's squares over k."""
    channels, rank, padded, weight = sizes.channels, sizes.rank, sizes.padded, work.weight
    for t in range(first, first + number, 2):
        zero = splat(0.0)
        y = z = size_y = size_z = zero
        u, w = load(weight, t * LANES), load(weight, (t + 1) * LANES)
        row, size = (t - first) * rank * LANES, (t - first) * LANES
        other = row + rank * LANES
        for k in range(rank):
            if k:
                c = zero - load(work.couple, (k - 1) * LANES)
                y, z = c * y, c * z
            at, n = t, k * channels * LANES
            for _ in range(channels):
                c = load(work.mixing, n)
                y, z = fma(c, broadcast(response, at), y), fma(c, broadcast(response, at + 1), z)
                at, n = at + padded, n + LANES
            r = load(work.root, k * LANES)
            a, b = y * r, z * r
            store(work.fitted, 2 * k * LANES, a * r)
            store(work.fitted, (2 * k + 1) * LANES, b * r)
            a, b = u * a, w * b
            store(profiles.rows, row + k * LANES, a)
            store(profiles.rows, other + k * LANES, b)
            size_y, size_z = fma(a, a, size_y), fma(b, b, size_z)
        store(profiles.size, size, size_y)
        store(profiles.size, size + LANES, size_z)
        y = z = variance_y = variance_z = zero
        for j in range(rank):
            k = rank - 1 - j
            c = zero - load(work.couple, k * LANES)  # 0 at the last, which none comes after
            y = fma(c, y, load(work.fitted, 2 * k * LANES))
            z = fma(c, z, load(work.fitted, (2 * k + 1) * LANES))
            variance_y, variance_z = fma(y, y, variance_y), fma(z, z, variance_z)
        store(work.edem, t * LANES, u * sqrt(variance_y))
        store(work.edem, (t + 1) * LANES, w * sqrt(variance_z))
