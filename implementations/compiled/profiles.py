"""The resolution elogt of a vector of pixels, for few bins: the profiles that `compiled.uncertainty` describes.

No row beyond the outermost that can reach half a profile's maximum is looked at: element (i, t) is at most size[i] *
size[t] by Cauchy and Schwarz, and element (t, t) is just that. Four rows and two profiles at a time stay in registers,
so that the multipliers seldom wait for memory. Samples are interpolated in the profile, from either end to the first
that reaches the half maximum.
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import (
    LANES,
    any_less,
    broadcast_pixels,
    count_less,
    fma,
    larger,
    load,
    load_pixels,
    smaller,
    splat,
    store,
    where_less,
)

SAMPLES = 51
"""Points at which a profile is compared with its half maximum."""
ROWS = 52
"""The same, padded to the four at a time that `sorted_profiles` makes; the last point stands twice."""
FAR = 1e9
"""A position beyond every logt."""
SLACK = 1.0 + 1e-5
"""More than the rounding of a bound and of what it bounds, in either precision."""


@part
def reaching(sizes, profiles, t):
    """First and last bin that may reach half of profile t or t + 1 in some lane, and one bin more to either side."""
    least = load(profiles.size, t * LANES)
    if t + 1 < sizes.bins:
        least = smaller(load(profiles.size, (t + 1) * LANES), least)
    least = least * splat(0.25 / SLACK)
    low, high = 0, sizes.bins - 1
    while count_less(load(profiles.size, low * LANES), least) == LANES:
        low += 1
    while count_less(load(profiles.size, high * LANES), least) == LANES:
        high -= 1
    return max(low - 1, 0), min(high + 1, sizes.bins - 1)


@part
def make(sizes, profiles, t, low, high):
    """Elements low to high of profiles t and t + 1, and their greatest."""
    rows, pair, step = profiles.rows, profiles.pair, sizes.rank * LANES
    a = load_pixels(rows, t * step)
    a = b = a - a
    for i in range(low, high + 1, 4):
        at, to = i * step, t * step
        y, z = load_pixels(rows, to), load_pixels(rows, to + step)
        x = load_pixels(rows, at)
        a0, b0 = x * y, x * z
        x = load_pixels(rows, at + step)
        a1, b1 = x * y, x * z
        x = load_pixels(rows, at + 2 * step)
        a2, b2 = x * y, x * z
        x = load_pixels(rows, at + 3 * step)
        a3, b3 = x * y, x * z
        for _ in range(1, sizes.rank):
            at, to = at + LANES, to + LANES
            y, z = load_pixels(rows, to), load_pixels(rows, to + step)
            x = load_pixels(rows, at)
            a0, b0 = fma(x, y, a0), fma(x, z, b0)
            x = load_pixels(rows, at + step)
            a1, b1 = fma(x, y, a1), fma(x, z, b1)
            x = load_pixels(rows, at + 2 * step)
            a2, b2 = fma(x, y, a2), fma(x, z, b2)
            x = load_pixels(rows, at + 3 * step)
            a3, b3 = fma(x, y, a3), fma(x, z, b3)
        a = larger(larger(a0, a1), larger(larger(a2, a3), a))
        b = larger(larger(b0, b1), larger(larger(b2, b3), b))
        at = 2 * i * LANES
        store(pair, at, a0)
        store(pair, at + LANES, b0)
        store(pair, at + 2 * LANES, a1)
        store(pair, at + 3 * LANES, b1)
        store(pair, at + 4 * LANES, a2)
        store(pair, at + 5 * LANES, b2)
        store(pair, at + 6 * LANES, a3)
        store(pair, at + 7 * LANES, b3)
    return a, b


@part
def misses(profiles, i, a, b):
    """Whether bin i is below half the maxima a and b of the two profiles in all lanes."""
    x, y = load_pixels(profiles.pair, 2 * i * LANES), load_pixels(profiles.pair, (2 * i + 1) * LANES)
    return count_less(x + x, a) == LANES and count_less(y + y, b) == LANES


@part
def sample(samples, profiles, j):
    """Twice the two profiles at sample j."""
    at, near, far = 2 * samples.left[j] * LANES, broadcast_pixels(samples.near, j), broadcast_pixels(samples.far, j)
    pair = profiles.pair
    x = fma(far, load_pixels(pair, at + 2 * LANES), near * load_pixels(pair, at))
    y = fma(far, load_pixels(pair, at + 3 * LANES), near * load_pixels(pair, at + LANES))
    return x, y


@part
def width(sizes, samples, profiles, t, low, high, a, b):
    """elogt of bins t and t + 1 from the elements low to high of their profiles, whose greatest are a and b."""
    far = broadcast_pixels(samples.position, ROWS)
    none = far - far
    bottom, top = low, high
    while bottom < high and misses(profiles, bottom, a, b):
        bottom += 1
    while top > low and misses(profiles, top, a, b):
        top -= 1
    begin, end = samples.before[max(bottom - 1, low)], samples.before[min(top + 1, high)]
    first_a = first_b = far
    j = begin
    while j < end and count_less(larger(first_a, first_b), far) < LANES:
        x, y = sample(samples, profiles, j)
        p = broadcast_pixels(samples.position, j)
        first_a = where_less(x, a, first_a, smaller(p, first_a))
        first_b = where_less(y, b, first_b, smaller(p, first_b))
        j += 1
    near = none - far
    last_a, last_b = where_less(first_a, far, near + near, none), where_less(first_b, far, near + near, none)
    j = end - 1
    while j >= begin and any_less(smaller(last_a, last_b), near):
        x, y = sample(samples, profiles, j)
        p = broadcast_pixels(samples.position, j)
        last_a = where_less(x, a, last_a, larger(p, last_a))
        last_b = where_less(y, b, last_b, larger(p, last_b))
        j -= 1
    fallback = broadcast_pixels(samples.dlogt, t)
    store(profiles.width, t * LANES, where_less(first_a, far, last_a - first_a, fallback))
    fallback = broadcast_pixels(samples.dlogt, t + 1)
    store(profiles.width, (t + 1) * LANES, where_less(first_b, far, last_b - first_b, fallback))


@part
def widths(sizes, samples, profiles):
    """elogt of all bins."""
    for t in range(0, sizes.bins, 2):
        low, high = reaching(sizes, profiles, t)
        a, b = make(sizes, profiles, t, low, high)
        width(sizes, samples, profiles, t, low, high, a, b)
