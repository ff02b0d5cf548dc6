"""Compiled `maths.uncertainty` for one pixel: edem, and the resolution elogt, which is most of the work at many bins.

Column t of K-dagger K is a profile over the bins i: the sum over k of wz[k, i] * gz[k, t], with Z = U^T K, wz = W Z and
gz = Z / (s^2 + mu). elogt needs its greatest value and which of 51 samples reach half of it. Three things make that
cheap: four rows i and two vectors of t at a time stay in registers, so that the multipliers never wait for memory;
samples are rows like any other, interpolated once instead of in each profile; and rows are taken in falling order of
what they can reach, so that most of them need not be looked at.
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
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
    total,
    where_less,
    write,
)

SAMPLES = 51
"""Points at which a profile is compared with its half maximum."""
ROWS = 52
"""The same, padded to the four at a time that `products` makes; the last point stands twice."""
FAR = 1e9
"""A position beyond every logt."""
BUCKETS = 64
"""Classes by which rows are sorted."""
SLACK = 1.0 + 1e-5
"""More than the rounding of a bound and of what it bounds, in either precision."""


@part
def count(response, at, dem, padded):
    """Counts of a DEM seen by the channel whose response starts at `at`."""
    even = odd = splat(0.0)
    for t in range(0, padded, 2 * LANES):
        even = fma(load(response, at + t), load(dem, t), even)
        odd = fma(load(response, at + t + LANES), load(dem, t + LANES), odd)
    return total(even + odd)


@part
def edem_and_rows(sizes, response, inverse_error, factors, lane, mu, rows, profiles):
    """edem, the rows wz and gz, reach = sqrt(sum over k of gz * Z) and bound = W * reach; returns the greatest bound.

    No element (i, t) of K-dagger K exceeds bound[i] * reach[t], by Cauchy and Schwarz. To form U diag(g) U^T and apply
    it to K would cost the square of the condition number; Z does not.
    """
    channels, rank, padded, coefficient = sizes.channels, sizes.rank, sizes.padded, rows.coefficient
    wz, gz, at, gains = profiles.wz, profiles.gz, lane * sizes.padded, sizes.channels * sizes.rank
    for k in range(rank):
        coefficient[gains + k] = 1.0 / (factors.energy[k * LANES + lane] + mu)
        for f in range(channels):
            u = factors.matrix[(f * rank + k) * LANES + lane]
            coefficient[k * channels + f] = u * inverse_error[f * LANES + lane]
    greatest = splat(0.0)
    for t in range(0, padded, 2 * LANES):
        v, w = load(rows.weight, at + t), load(rows.weight, at + t + LANES)
        variance_v = variance_w = reach_v = reach_w = v - v
        for k in range(rank):
            y = z = v - v
            for f in range(channels):
                c = broadcast(coefficient, k * channels + f)
                y = fma(c, load(response, f * padded + t), y)
                z = fma(c, load(response, f * padded + t + LANES), z)
            c = broadcast(coefficient, gains + k)
            g, h = c * y, c * z
            store(wz, k * padded + t, v * y)
            store(wz, k * padded + t + LANES, w * z)
            store(gz, k * padded + t, g)
            store(gz, k * padded + t + LANES, h)
            variance_v, variance_w = fma(g, g, variance_v), fma(h, h, variance_w)
            reach_v, reach_w = fma(g, y, reach_v), fma(h, z, reach_w)
        store(rows.edem, t, v * sqrt(variance_v))
        store(rows.edem, t + LANES, w * sqrt(variance_w))
        reach_v, reach_w = sqrt(reach_v) * splat(SLACK), sqrt(reach_w) * splat(SLACK)
        store(profiles.reach, t, reach_v)
        store(profiles.reach, t + LANES, reach_w)
        bound_v, bound_w = v * reach_v, w * reach_w
        store(profiles.bound, t, bound_v)
        store(profiles.bound, t + LANES, bound_w)
        greatest = larger(bound_v, larger(bound_w, greatest))
    return highest(greatest)


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
    """Sort rows by falling bound into classes; limit[j] bounds order[j] and all after it.

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
        for t in range(first, bins, quarter):
            x = read(bound, t) * scale
            b = BUCKETS - 1 - int(x) if x < BUCKETS else 0  # a NaN counts as high
            write(bucket, t, b)
            if b < BUCKETS - 1:
                write(tally, b, read(tally, b) + 1)
    before, end = 0, bins
    for b in range(BUCKETS):
        tally[b], before = before, before + tally[b]
    for first in range(quarter):
        for t in range(first, bins, quarter):
            b = read(bucket, t)
            if b < BUCKETS - 1:
                j = read(tally, b)
                write(tally, b, j + 1)
            else:
                end -= 1
                j = end
            write(order, j, t)
            write(limit, j, step * (BUCKETS - b))


@part
def profile_peak(sizes, profiles, t, lanes):
    """Greatest values of the profiles of the two vectors of bins at t; at least 0, as profile t has bin t >= 0.

    The first rows that can't reach the peaks found so far, in any of the profiles, end the search.
    """
    order, reach_a, reach_b = profiles.order, load(profiles.reach, t), load(profiles.reach, t + lanes)
    a = b = reach_a - reach_a
    for j in range(0, sizes.bins, 4):
        bound = broadcast(profiles.limit, j)
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
def crossing(value, peak, position, first, last):
    """First and last crossing, in each lane, once a further sample is known."""
    return where_less(value, peak, first, smaller(position, first)), where_less(value, peak, last, position)


@part
def crossings(sizes, position, profiles, t, lanes, peak_a, peak_b):
    """First and last position whose sample reaches half the peak; first is position[ROWS], beyond all, if none does."""
    first_a = first_b = last_a = last_b = broadcast(position, ROWS)
    reach_a, reach_b = load(profiles.reach, t), load(profiles.reach, t + lanes)
    for j in range(0, ROWS, 4):
        bound = broadcast(profiles.sample_bound, j // 4)
        if not (any_less(peak_a, bound * reach_a) or any_less(peak_b, bound * reach_b)):
            continue
        four = j, j + 1, j + 2, j + 3
        a0, a1, a2, a3, b0, b1, b2, b3 = products(sizes, profiles.sample, four, ROWS, profiles.gz, t, lanes)
        p = broadcast(position, j)
        first_a, last_a = crossing(a0, peak_a, p, first_a, last_a)
        first_b, last_b = crossing(b0, peak_b, p, first_b, last_b)
        p = broadcast(position, j + 1)
        first_a, last_a = crossing(a1, peak_a, p, first_a, last_a)
        first_b, last_b = crossing(b1, peak_b, p, first_b, last_b)
        p = broadcast(position, j + 2)
        first_a, last_a = crossing(a2, peak_a, p, first_a, last_a)
        first_b, last_b = crossing(b2, peak_b, p, first_b, last_b)
        p = broadcast(position, j + 3)
        first_a, last_a = crossing(a3, peak_a, p, first_a, last_a)
        first_b, last_b = crossing(b3, peak_b, p, first_b, last_b)
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
