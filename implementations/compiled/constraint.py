"""Compiled `maths.constraint` for one pixel: the weight of each bin, W = L^-2, in vectors along the bins.

A pixel's row of S padded bins starts at `at`; it is zero beyond T. The raw weight stands in `line`, from LANES on, so
that its neighbours to either side can be loaded too. Each function returns nothing and fills its target.
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import LANES, broadcast, highest, larger, load, splat, store, where_less


@part
def loci_weight(sizes, loci, counts, lane, line):
    """line = min over the channels of counts / response; `loci` (F, S) is 1 / response, inf if not chosen."""
    for t in range(0, sizes.padded, LANES):
        lowest = broadcast(counts, lane) * load(loci, t)
        for f in range(1, sizes.channels):
            locus = broadcast(counts, f * LANES + lane) * load(loci, f * sizes.padded + t)
            lowest = where_less(locus, lowest, locus, lowest)
        store(line, LANES + t, lowest)


@part
def solution_weight(sizes, first, fallback, line):
    """line = the first solution where it is above 1e-4 of its maximum, else `fallback`: 1, and -inf in the padding."""
    greatest = load(first, 0)
    for t in range(LANES, sizes.padded, LANES):
        greatest = larger(load(first, t), greatest)
    # the padding's zeros hide a maximum below 0, but either way no bin is above the threshold
    threshold = splat(1e-4 * highest(greatest))
    for t in range(0, sizes.padded, LANES):
        x = load(first, t)
        store(line, LANES + t, where_less(threshold, x, x, load(fallback, t)))


@part
def smoothed(sizes, line, scale, l_emd, weight, at):
    """weight from line / max(line), averaged over 5 bins of which the first and the last count as 0; at least 1e-8."""
    greatest = load(line, LANES)
    for t in range(2 * LANES, LANES + sizes.padded, LANES):
        greatest = larger(load(line, t), greatest)
    line[LANES] = 0.0
    for t in range(LANES + sizes.bins - 1, 2 * LANES + sizes.padded):
        line[t] = 0.0
    fifth, floor = splat(0.2 / highest(greatest)), splat(1e-8)
    for t in range(0, sizes.padded, LANES):
        near = load(line, t + LANES - 1) + load(line, t + LANES + 1)
        far = load(line, t + LANES - 2) + load(line, t + LANES + 2)
        mean = larger((near + far + load(line, t + LANES)) * fifth, floor)
        store(weight, at + t, (mean * mean if l_emd else mean) * load(scale, t))


@part
def given_weight(sizes, norm, pixel, scale, l_emd, weight, at):
    """weight from the user's row; False, and nothing done, where that row counts as not given."""
    given = False
    for t in range(sizes.bins):
        given |= norm[pixel, t] != 1.0
    if not given or norm[pixel, 0] == 0.0:
        return False
    for t in range(sizes.bins):
        w = abs(norm[pixel, t])
        weight[at + t] = (w * w if l_emd else w) * scale[t]
    return True
