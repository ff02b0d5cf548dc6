"""Compiled `maths.discrepancy` for one pixel: Morozov's choice by bisection of the grid, a vector of points at once.

The misfit is computed so that every rounding in it is monotone in mu. So is then the sum, and a search that halves the
grid ends at the very point that a scan of all of it would have chosen, wherever it starts.
"""

# mypy: allow-untyped-defs

import math
from typing import Any, NamedTuple

from implementations.compiled.jit import part
from implementations.compiled.simd import LANES, broadcast, count_less, load, read, splat, store, where_less


class Grid(NamedTuple):
    """The regularisation grid of one lane."""

    factors: Any
    lane: int
    rank: int
    power: Any  # power[l] = 1 / mu[l] for the first LANES, power[LANES + b] = mu[i] / mu[i + 2^b * LANES]
    excess: Any  # working memory
    ramp: Any
    points: int
    sign: float  # -1 if mu falls along the grid, else 1


@part
def grid(factors, lane, rank, search, ramp, points):
    """The grid of one lane, from 1e-4 of the least s^2 to the greatest s."""
    low, high = math.inf, 0.0
    for k in range(rank):
        size = factors.energy[k * LANES + lane]
        if size > 0.0:  # else channels are linearly dependent
            low, high = min(low, size), max(high, size)
    first, last, power = low * 1e-4, math.sqrt(high), search.power
    ratio = math.exp(math.log(first / last) / (points - 1))
    power[0] = 1.0 / first
    for i in range(1, LANES):
        power[i] = power[i - 1] * ratio
    power[LANES] = ratio**LANES
    b = LANES + 1
    while points // LANES >> (b - LANES):
        power[b] = power[b - 1] * power[b - 1]
        b += 1
    return Grid(factors, lane, rank, power, search.excess, ramp, points, -1.0 if last < first else 1.0)


@part
def shift(g, block):
    """mu[i] / mu[i + LANES * block], by the same multiplications however the search came to it."""
    value, b = 1.0, LANES
    while block:
        if block & 1:
            value *= read(g.power, b)
        block >>= 1
        b += 1
    return value


@part
def reciprocal(g, index):
    """1 / mu of a grid point."""
    return read(g.power, index % LANES) * shift(g, index // LANES)


@part
def excesses(g, block, target):
    """For a vector of grid points the misfit beyond the target, or the reverse if mu falls along the grid: rising.

    The misfit is the sum of (u.d / (1 + s^2 / mu))^2, and what no mu can fit. Infinite beyond the grid.
    """
    r = load(g.power, 0) * splat(shift(g, block))
    value, one = broadcast(g.factors.unfitted, g.lane), splat(1.0)
    for k in range(g.rank):
        at = k * LANES + g.lane
        term = broadcast(g.factors.projection, at) / (one + broadcast(g.factors.energy, at) * r)
        value = value + term * term
    value = (value - splat(target)) * splat(g.sign)
    return where_less(load(g.ramp, 0), splat(float(g.points - block * LANES)), value, splat(math.inf))


@part
def excess_at(g, index, target):
    """`excesses` at one grid point."""
    store(g.excess, 0, excesses(g, index // LANES, target))
    return read(g.excess, index % LANES)


@part
def crossing_block(g, target, guess):
    """First vector of points not all before the crossing: from `guess` on in doubling steps, then by halving."""
    zero, step, blocks = splat(0.0), 1, (g.points - 1) // LANES + 1
    if count_less(excesses(g, guess, target), zero) == LANES:
        low, high = guess, guess + 1
        while high < blocks and count_less(excesses(g, high, target), zero) == LANES:
            step *= 2
            low, high = high, min(high + step, blocks)
    else:
        low, high = guess - 1, guess
        while low >= 0 and count_less(excesses(g, low, target), zero) < LANES:
            step *= 2
            low, high = max(low - step, -1), low
    while high - low > 1:
        middle = (low + high) // 2
        if count_less(excesses(g, middle, target), zero) == LANES:
            low = middle
        else:
            high = middle
    return min(high, blocks - 1)


@part
def morozov(g, target, guess):
    """Index of the grid point whose misfit is nearest to `target`, the first where several are; guess: any index."""
    block, zero = guess // LANES, splat(0.0)
    excess = excesses(g, block, target)
    before = count_less(excess, zero)
    if before == 0 or before == LANES:
        block = crossing_block(g, target, block)
        excess = excesses(g, block, target)
        before = count_less(excess, zero)
    low = block * LANES + before - 1  # the last point before the crossing
    if low < 0:
        return 0
    store(g.excess, 0, excess)
    above = read(g.excess, before) if before < LANES else math.inf
    below = read(g.excess, before - 1) if before > 0 else excess_at(g, low, target)
    if above < -below:
        return low + 1
    if before > 1 and read(g.excess, before - 2) != below:
        return low
    return plateau(g, target, low, below)


@part
def plateau(g, target, low, excess):
    """The first point with the excess that `low` has: itself, but for the rounding of a target that dwarfs misfits."""
    if low == 0 or excess_at(g, low - 1, target) != excess:
        return low
    high, low = low - 1, -1
    while high - low > 1:
        middle = (low + high) // 2
        if excess_at(g, middle, target) != excess:
            low = middle
        else:
            high = middle
    return high
