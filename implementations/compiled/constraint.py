"""Compiled `maths.constraint` for a vector of pixels: the weight of each bin, W = L^-2.

Bin t of the pixels in the lanes is the vector at t * LANES, zero beyond T. The raw weight stands in `line`, from two
bins on, so that its neighbours to either side can be loaded too. Each function returns nothing and fills its target.
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import LANES, broadcast, larger, load, splat, store, where_less

BEFORE = 2
"""Bins of zeros before and after `line`."""


@part
def loci_weight(sizes, loci, counts, line):
    """line = min over the channels of counts / response; `loci` (F, S) is 1 / response, inf if not chosen."""
    for t in range(sizes.bins):
        lowest = load(counts, 0) * broadcast(loci, t)
        for f in range(1, sizes.channels):
            locus = load(counts, f * LANES) * broadcast(loci, f * sizes.padded + t)
            lowest = where_less(locus, lowest, locus, lowest)
        store(line, (BEFORE + t) * LANES, lowest)


@part
def solution_weight(sizes, first, line):
    """line = the first solution where it is above 1e-4 of its maximum, else 1."""
    greatest, one = load(first, 0), splat(1.0)
    for t in range(1, sizes.bins):
        greatest = larger(load(first, t * LANES), greatest)
    threshold = splat(1e-4) * greatest
    for t in range(sizes.bins):
        x = load(first, t * LANES)
        # where all of it is negative no bin is above a multiple of the greatest, unless that is 0
        store(line, (BEFORE + t) * LANES, where_less(threshold, x, x, one))


@part
def smoothed(sizes, line, scale, l_emd, weight):
    """weight from line / max(line), averaged over 5 bins of which the first and the last count as 0; at least 1e-8."""
    first, last, zero = BEFORE * LANES, (BEFORE + sizes.bins - 1) * LANES, splat(0.0)
    greatest = load(line, first)
    for t in range(first + LANES, last + LANES, LANES):
        greatest = larger(load(line, t), greatest)
    store(line, first, zero)
    store(line, last, zero)
    fifth, floor = splat(0.2) / greatest, splat(1e-8)
    for t in range(sizes.bins):
        at = (BEFORE + t) * LANES
        near = load(line, at - LANES) + load(line, at + LANES)
        far = load(line, at - 2 * LANES) + load(line, at + 2 * LANES)
        mean = larger((near + far + load(line, at)) * fifth, floor)
        store(weight, t * LANES, (mean * mean if l_emd else mean) * broadcast(scale, t))


@part
def given_weight(sizes, norm, pixel, scale, l_emd, weight, lane):
    """weight of one lane from the user's row; False, and nothing done, where that row counts as not given."""
    given = False
    for t in range(sizes.bins):
        given |= norm[pixel, t] != 1.0
    if not given or norm[pixel, 0] == 0.0:
        return False
    for t in range(sizes.bins):
        w = abs(norm[pixel, t])
        weight[t * LANES + lane] = (w * w if l_emd else w) * scale[t]
    return True
