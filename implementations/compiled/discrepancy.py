"""Compiled `maths.discrepancy` for a vector of pixels: Morozov's choice on the grid of mu, without singular values.

With 1 / mu = v the misfit is |z|^2 for z = (1 + v Bd Bd^T)^-1 P^T d, and what no mu can fit. The triangular factors of
that tridiagonal matrix come from the differential qd transform with a positive shift (Dhillon & Parlett 2004, Linear
Algebra Appl. 387, 1), R divisions: all its terms are positive, so that nothing cancels and no condition number is
squared. Two neighbouring points of the grid are looked at together, since the crossing of the target is to lie between
them; from there a secant leads to the next two (log misfit is nearly linear along the grid).

The search ends at the point that a scan of the whole grid would have chosen, wherever it starts, as far as misfits
that differ by more than rounding rise along the grid.
"""

# mypy: allow-untyped-defs

import math

from implementations.compiled.jit import part
from implementations.compiled.simd import (
    LANES,
    any_less,
    exponent,
    floor,
    fma,
    larger,
    load,
    smaller,
    splat,
    store,
    where_less,
)

SECANTS = 3
"""Pairs of points tried by the secant, before the interval that is left is halved."""
FLAT = 1e-14
"""Relative difference of misfits below which their neighbours' might be nothing but rounding."""


@part
def grid(factors, search, points):
    """The grids of all lanes, from 1e-4 of the least s^2 to the greatest s: 1 / mu[0], and its factors to others.

    `power` holds mu[i] / mu[i + 2^b] for b = 0, 1, ..., `sign` -1 where mu falls along the grid, else 1.
    """
    power = search.power
    for lane in range(LANES):
        first, last = factors.ends[lane] * 1e-4, math.sqrt(factors.ends[LANES + lane])
        step = math.log(first / last) / (points - 1)
        search.start[lane] = 1.0 / first
        power[lane] = math.exp(step)
        search.sign[lane] = -1.0 if last < first else 1.0
        search.flat[lane] = FLAT * math.exp(2 * abs(step))
    b, value = 1, load(power, 0)
    while (points - 1) >> b:
        value = value * value
        store(power, b * LANES, value)
        b += 1


@part
def reciprocal(search, points, index):
    """1 / mu of a grid point in each lane, by the same multiplications however the search came to it."""
    half, zero = splat(0.5), splat(0.0)
    value, b = load(search.start, 0), 0
    while (points - 1) >> b:
        rest = floor(index * half)
        value = where_less(zero, index - rest - rest, value * load(search.power, b * LANES), value)
        index = rest
        b += 1
    return value


@part
def misfits(factors, search, rank, v, w):
    """Misfits at 1 / mu = v and w. Leaves z, by components: that of v, then that of w."""
    one = splat(1.0)
    z, gain = search.pair, search.gain
    s = t = one
    y, x = load(factors.projection, 0), load(factors.projection, 0)
    for k in range(rank):
        a, b, c = load(factors.diagonal, k * LANES), load(factors.below, k * LANES), load(factors.product, k * LANES)
        q, r = one / fma(a, v, s), one / fma(a, w, t)
        at = 2 * k * LANES
        store(z, at, y * q)
        store(z, at + LANES, x * r)
        q, r = q * v, r * w
        e, g = c * q, c * r
        store(gain, at, e)
        store(gain, at + LANES, g)
        d = load(factors.projection, (k + 1) * LANES)
        y, x = d - e * y, d - g * x
        s, t = fma(b * s, q, one), fma(b * t, r, one)
    at = 2 * (rank - 1) * LANES
    y, x = load(z, at), load(z, at + LANES)
    p, q = y * y, x * x
    for _ in range(rank - 1):
        at -= 2 * LANES
        y = load(z, at) - load(gain, at) * y
        x = load(z, at + LANES) - load(gain, at + LANES) * x
        store(z, at, y)
        store(z, at + LANES, x)
        p, q = fma(y, y, p), fma(x, x, q)
    unfitted = load(factors.unfitted, 0)
    return p + unfitted, q + unfitted


@part
def logarithm(a):
    """Binary logarithm within 0.01, of a positive number."""
    x = exponent(a)
    part_of_one = x - floor(x)
    return fma(splat(0.344) * part_of_one, splat(1.0) - part_of_one, x)


@part
def aim(search, target):
    """Where along the grid the misfit should reach the target, by the secant in logarithms of the last pair's."""
    a, b = logarithm(load(search.seen, 0)), logarithm(load(search.seen, LANES))
    return floor(load(search.at, 0) + (logarithm(target) - a) / (b - a))


@part
def morozov(factors, search, rank, points, target, guess):
    """Choose the grid point whose misfit is nearest to `target`, the first where several are; guess: any number.

    Leaves `chosen` = 1 / mu and its z, and returns its index.
    """
    zero, one, half = splat(0.0), splat(1.0), splat(0.5)
    last, sign = splat(float(points - 1)), load(search.sign, 0)
    low, high = zero - one, last + one  # the excess is below 0 at low, and not below 0 at high
    g = larger(smaller(guess, last - one), zero)
    excess = beyond = zero
    tries = 0
    while True:
        v, w = reciprocal(search, points, g), reciprocal(search, points, g + one)
        p, q = misfits(factors, search, rank, v, w)
        store(search.at, 0, g)
        store(search.seen, 0, p)
        store(search.seen, LANES, q)
        excess, beyond = (p - target) * sign, (q - target) * sign
        # open: where neither the crossing nor an end of the grid is between the two
        upward = where_less(beyond, zero, last - one - g, zero)
        is_open = where_less(excess, zero, upward, g)
        if not any_less(zero, is_open):
            break
        low = where_less(beyond, zero, g + one, where_less(excess, zero, g, low))
        high = where_less(excess, zero, where_less(beyond, zero, high, g + one), g)
        tries += 1
        to = aim(search, target) if tries <= SECANTS else floor((low + high) * half)
        to = larger(smaller(smaller(to, high - one), last - one), larger(low, zero))
        g = where_less(zero, is_open, to, g)
    return nearest(factors, search, rank, points, target, g, excess, beyond)


@part
def nearest(factors, search, rank, points, target, g, excess, beyond):
    """The nearer of grid points g and g + 1 with those excesses, the first of its equals; see `morozov`."""
    zero, one = splat(0.0), splat(1.0)
    second = where_less(excess, zero, where_less(beyond, zero - excess, one, zero), zero)
    index = g + second
    # might points before have the same excess, but for the rounding of a target that dwarfs misfits?
    flat = load(search.flat, 0) * (target + load(search.seen, LANES))
    before = where_less(excess, zero, where_less(beyond - excess, flat, index, zero), zero)
    if any_less(zero, before):
        level = where_less(zero, second, beyond, excess)
        index = plateau(factors, search, rank, points, target, index, level, before)
        v = reciprocal(search, points, index)
        misfits(factors, search, rank, v, v)
    for k in range(rank):
        y, x = load(search.pair, 2 * k * LANES), load(search.pair, (2 * k + 1) * LANES)
        store(search.z, k * LANES, where_less(zero, second, x, y))
    store(search.chosen, 0, reciprocal(search, points, index))
    return index


@part
def plateau(factors, search, rank, points, target, index, level, maybe):
    """In lanes where `maybe` > 0 the first point with the excess `level` of `index`, else `index`."""
    zero, one, half, sign = splat(0.0), splat(1.0), splat(0.5), load(search.sign, 0)
    high = index
    low = where_less(zero, maybe, zero - one, high - one)
    middle = larger(high - one, low)  # most often it is none
    while any_less(low + one, high):
        excess = excess_at(factors, search, rank, points, target, larger(middle, zero)) * sign
        differs = where_less(excess, level, one, where_less(level, excess, one, zero))
        moves = where_less(low, middle, where_less(middle, high, one, zero), zero)
        low = where_less(zero, moves * differs, middle, low)
        high = where_less(zero, moves * (one - differs), middle, high)
        middle = floor((low + high) * half)
    return high


@part
def excess_at(factors, search, rank, points, target, index):
    """The misfit beyond the target at one grid point of each lane."""
    v = reciprocal(search, points, index)
    return misfits(factors, search, rank, v, v)[0] - target
