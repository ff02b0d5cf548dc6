"""The resolution elogt of one pixel, for many bins: profiles along the bins.

Element (i, t) is the sum over k of wz[k, i] gz[k, t], at most bound[i] reach[t] by Cauchy and Schwarz: of the profiles
that `compiled.uncertainty` describes both are W Y, of another method's they may be two.

Most rows need not be looked at where there are many: they are taken in falling order of what they can reach, until none
can beat what was found. That order is each pixel's own; so vectors run along the bins. Four rows and two vectors of
bins at a time stay in registers, so that the multipliers never wait for memory; samples are rows like any other,
interpolated once instead of in each profile.
"""

# mypy: allow-untyped-defs

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.compiled.jit import called, part
from implementations.compiled.profiles import ROWS, SLACK
from implementations.compiled.simd import (
    LANES,
    any_less,
    broadcast,
    fma,
    highest,
    lanes_of,
    larger,
    load,
    read,
    smaller,
    splat,
    sqrt,
    store,
    turn,
    where_less,
    write,
)
from implementations.contract import Array

BUCKETS = 128
"""Classes by which rows are sorted."""


class Along(NamedTuple):
    """The resolution of one lane, along the bins."""

    wz: Any
    gz: Any
    reach: Any
    bound: Any
    bucket: NDArray[np.intp]
    tally: NDArray[np.intp]
    order: NDArray[np.int32]
    limit: Any
    sample: Any
    sample_bound: Any
    elogt: Array


@part
def lay_out(sizes, profiles, first):
    """Turn the rows of LANES bins, and the roots of their squares, into lines along the bins for each pixel."""
    rank, padded, starts = sizes.rank, sizes.padded, profiles.starts
    for lane in range(LANES):
        starts[lane] = lane * (rank + 1) * padded + first
        store(profiles.size, lane * LANES, sqrt(load(profiles.size, lane * LANES)) * splat(SLACK))
    for k in range(rank):
        turn(profiles.rows, k * LANES, rank * LANES, profiles.lines, starts, k * padded)
    turn(profiles.size, 0, LANES, profiles.lines, starts, rank * padded)


@part
def lane_of(sizes, profiles, along, lane):
    """The lines of one pixel where they lie, for which wz is gz, and bound is reach; and its greatest bound."""
    end, lanes = sizes.rank * sizes.padded, lanes_of(profiles.lines)
    at = lane * (end + sizes.padded)
    line, reach = profiles.lines[at : at + end], profiles.lines[at + end : at + end + sizes.padded]
    greatest = load(reach, 0)
    for n in range(lanes, sizes.padded, lanes):
        greatest = larger(load(reach, n), greatest)
    a = along
    one = Along(line, line, reach, reach, a.bucket, a.tally, a.order, a.limit, a.sample, a.sample_bound, a.elogt)
    return one, highest(greatest)


@part
def products(sizes, rows, four, stride, gz, t, lanes):
    """Profiles at four rows, for the two vectors of bins at t."""
    i0, i1, i2, i3 = four
    y, z = load(gz, t), load(gz, t + lanes)
    x = broadcast(rows, i0)
    a0, b0 = x * y, x * z
    x = broadcast(rows, i1)
    a1, b1 = x * y, x * z
    x = broadcast(rows, i2)
    a2, b2 = x * y, x * z
    x = broadcast(rows, i3)
    a3, b3 = x * y, x * z
    row = 0
    for _ in range(1, sizes.rank):
        row, t = row + stride, t + sizes.padded
        y, z = load(gz, t), load(gz, t + lanes)
        x = broadcast(rows, row + i0)
        a0, b0 = fma(x, y, a0), fma(x, z, b0)
        x = broadcast(rows, row + i1)
        a1, b1 = fma(x, y, a1), fma(x, z, b1)
        x = broadcast(rows, row + i2)
        a2, b2 = fma(x, y, a2), fma(x, z, b2)
        x = broadcast(rows, row + i3)
        a3, b3 = fma(x, y, a3), fma(x, z, b3)
    return a0, a1, a2, a3, b0, b1, b2, b3


@part
def order_rows(bins, profiles, greatest):
    """Sort rows by falling bound into classes; limit[j] bounds order[4 j] and all after it.

    Neighbours are often of one class, whose tally would have to wait for itself: so four distant rows are dealt with
    in turn. The lowest class, of most rows where the weights are peaked, is filled from the end without a tally.
    """
    bound, bucket, tally = profiles.bound, profiles.bucket, profiles.tally
    order, limit = profiles.order, profiles.limit
    scale, step = (BUCKETS - 0.001) / greatest, greatest / (BUCKETS - 0.001)
    for b in range(BUCKETS):
        tally[b] = 0
    quarter = -(-bins // 4)
    for first in range(quarter):
        for n in range(4):
            t = first + n * quarter
            if t < bins:
                x = read(bound, t) * scale
                b = BUCKETS - 1 - int(x) if x < BUCKETS else 0  # a NaN counts as high
                write(bucket, t, b)
                if b < BUCKETS - 1:
                    write(tally, b, read(tally, b) + 1)
    before, end = 0, bins
    for b in range(BUCKETS):
        tally[b], before = before, before + tally[b]
    for first in range(quarter):
        for n in range(4):
            t = first + n * quarter
            if t < bins:
                b = read(bucket, t)
                if b < BUCKETS - 1:
                    j = read(tally, b)
                    write(tally, b, j + 1)
                else:
                    end -= 1
                    j = end
                write(order, j, t)
    for j in range(0, bins, 4):
        write(limit, j // 4, step * (BUCKETS - read(bucket, read(order, j))))


@part
def profile_peak(sizes, profiles, t, lanes):
    """Greatest values of the profiles of the two vectors of bins at t; at least 0, as profile t has bin t >= 0.

    The first rows that can't reach the peaks found so far, in any of the profiles, end the search.
    """
    order, reach_a, reach_b = profiles.order, load(profiles.reach, t), load(profiles.reach, t + lanes)
    a = b = reach_a - reach_a
    for j in range(0, sizes.bins, 4):
        bound = broadcast(profiles.limit, j // 4)
        if not (any_less(a, bound * reach_a) or any_less(b, bound * reach_b)):
            break
        four = read(order, j), read(order, j + 1), read(order, j + 2), read(order, j + 3)
        a0, a1, a2, a3, b0, b1, b2, b3 = products(sizes, profiles.wz, four, sizes.padded, profiles.gz, t, lanes)
        a = larger(a, larger(larger(a0, a1), larger(a2, a3)))
        b = larger(b, larger(larger(b0, b1), larger(b2, b3)))
    return a, b


@part
def profile_samples(sizes, samples, profiles):
    """Twice the rows wz at the sample points: twice, to be compared with the peak itself; and bounds of each four."""
    wz, bound, sample, sample_bound = profiles.wz, profiles.bound, profiles.sample, profiles.sample_bound
    for j in range(ROWS):
        at, x, y = read(samples.left, j), read(samples.near, j), read(samples.far, j)
        most = read(bound, at) * x + read(bound, at + 1) * y
        write(sample_bound, j // 4, max(most, read(sample_bound, j // 4)) if j % 4 else most)
        for k in range(sizes.rank):
            write(sample, k * ROWS + j, read(wz, at) * x + read(wz, at + 1) * y)
            at += sizes.padded


@part
def crossing(values, peak, positions, far, first, last):
    """First and last crossing, in each lane, once four further samples are known."""
    a0, a1, a2, a3 = values
    p0, p1, p2, p3 = positions
    one = where_less(a2, peak, where_less(a3, peak, far, p3), p2)
    one = where_less(a0, peak, where_less(a1, peak, one, p1), p0)
    last = where_less(a1, peak, where_less(a0, peak, last, p0), p1)
    last = where_less(a3, peak, where_less(a2, peak, last, p2), p3)
    return smaller(one, first), last


@part
def crossings(sizes, position, profiles, t, lanes, peak_a, peak_b):
    """First and last position whose sample reaches half the peak; first is position[ROWS], beyond all, if none does."""
    far = first_a = first_b = last_a = last_b = broadcast(position, ROWS)
    reach_a, reach_b = load(profiles.reach, t), load(profiles.reach, t + lanes)
    for j in range(0, ROWS, 4):
        bound = broadcast(profiles.sample_bound, j // 4)
        if not (any_less(peak_a, bound * reach_a) or any_less(peak_b, bound * reach_b)):
            continue
        four = j, j + 1, j + 2, j + 3
        a0, a1, a2, a3, b0, b1, b2, b3 = products(sizes, profiles.sample, four, ROWS, profiles.gz, t, lanes)
        p = broadcast(position, j), broadcast(position, j + 1), broadcast(position, j + 2), broadcast(position, j + 3)
        first_a, last_a = crossing((a0, a1, a2, a3), peak_a, p, far, first_a, last_a)
        first_b, last_b = crossing((b0, b1, b2, b3), peak_b, p, far, first_b, last_b)
    return first_a, first_b, last_a, last_b


@part
def elogt_of(sizes, samples, profiles, elogt):
    """elogt, two vectors of bins at a time: half the distance of the outermost samples that reach half the peak."""
    position, dlogt, lanes = samples.position, samples.dlogt, lanes_of(profiles.wz)
    far = broadcast(position, ROWS)
    for t in range(0, sizes.padded, 2 * lanes):
        peak_a, peak_b = profile_peak(sizes, profiles, t, lanes)
        # a bin that no channel sees, and the padding: no sample reaches it, as `samples.dlogt` counts on
        peak_a = where_less(peak_a - peak_a, load(profiles.reach, t), peak_a, far)
        peak_b = where_less(peak_b - peak_b, load(profiles.reach, t + lanes), peak_b, far)
        first_a, first_b, last_a, last_b = crossings(sizes, position, profiles, t, lanes, peak_a, peak_b)
        store(elogt, t, where_less(first_a, far, last_a - first_a, load(dlogt, t)))
        store(elogt, t + lanes, where_less(first_b, far, last_b - first_b, load(dlogt, t + lanes)))


@called
def resolution(sizes, samples, profiles, along, lane):
    """elogt of one pixel, in `along`."""
    one, greatest = lane_of(sizes, profiles, along, lane)
    order_rows(sizes.bins, one, greatest)
    profile_samples(sizes, samples, one)
    elogt_of(sizes, samples, one, one.elogt)
