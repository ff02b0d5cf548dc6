"""The compiled parts of maps: a solution's rows as planes, which bins are constrained, and sums over them.

All for a block of pixels at a time, whose numbers stay in the first-level cache. T temperature bins, F channels, B
bands, P pixels. Imports Numba: imported when maps are made, not before.
"""

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from implementations.compiled.jit import entry, part
from implementations.compiled.simd import LANES, turn

BLOCK = 64
"""Pixels abreast."""
MK = 1e6
"""Temperatures are weighed in MK: single precision ends at 3e38."""


@intrinsic
def swapped(typingctx, bits):  # type: ignore[no-untyped-def]
    """Four bytes in the other order."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        assert isinstance(args[0].type, ir.IntType)
        return builder.bswap(args[0])

    return types.uint32(types.uint32), codegen


@part
def weigh_block(dem, edem, dn_reg, chisq, first, n, per_dex, weights, significant, kept, sums, best, per_count, least):  # type: ignore[no-untyped-def]
    """As `weigh`, of the n pixels from `first` on; `sums` (W + 1, ...) has them from there on too."""
    bins, channels, rows = np.uintp(dem.shape[0]), np.uintp(dn_reg.shape[0]), np.uintp(weights.shape[0])
    zero, one = np.uintp(0), np.uintp(1)
    for i in range(n):
        misfit = chisq[first + i]
        least[i] = significant * (np.sqrt(misfit) if misfit > 1 else 1)
    for f in range(channels):
        for i in range(n):
            count = dn_reg[f, first + i]
            per_count[f, i] = 1 / count if count > 0 else 0
    for t in range(bins):
        for i in range(n):
            best[i] = per_dex[t, zero] * per_count[zero, i]
        for f in range(one, channels):
            for i in range(n):
                share = per_dex[t, f] * per_count[f, i]
                best[i] = share if share > best[i] else best[i]
        for i in range(n):
            value = dem[t, first + i]
            sure = (value >= least[i] * edem[t, first + i]) & (value * best[i] >= 1)
            best[i] = value if sure else 0
            sums[rows, first + i] += weights[rows - np.uintp(2), t] * (value if value > 0 else 0 * value)
        if kept.size:
            for i in range(n):
                kept[t, first + i] = best[i] != 0
        for w in range(rows):
            if weights[w, t] != 0:  # most bins are in one band
                for i in range(n):
                    sums[w, first + i] += weights[w, t] * best[i]


@entry
def weigh(dem, edem, dn_reg, chisq, per_dex, weights, significant, kept, sums, best, per_count, least):  # type: ignore[no-untyped-def]
    """Mark constrained bins in `kept` (T, P), where it has rows, and add up `sums` (W + 1, P).

    dem, edem (T, P); dn_reg (F, P); chisq (P,), by whose root errors are larger where it is above 1; per_dex (T, F):
    the least DEM's counts, so that a bin has its share of a channel's where dem·per_dex >= dn_reg. Sums are of
    constrained bins by each row of `weights` (W, T), and, last, of all bins above
    zero by its last row but one. Scratch: best, least (BLOCK,), per_count (F, BLOCK).
    """
    pixels, block = np.uintp(dem.shape[1]), np.uintp(BLOCK)
    for first in range(np.uintp(0), pixels, block):
        n = min(block, pixels - first)
        weigh_block(
            dem, edem, dn_reg, chisq, first, n, per_dex, weights, significant, kept, sums, best, per_count, least
        )


@part
def lay(rows, scale, first, n, block, wide, starts, at):  # type: ignore[no-untyped-def]
    """block[at:] = the transpose of n rows from `first` on, times `scale`; the row of the block that follows."""
    depth, length, lanes, zero = np.uintp(rows.shape[1]), np.uintp(BLOCK), np.uintp(LANES), np.uintp(0)
    if n == length and depth >= lanes:
        for step in range(zero, depth, lanes):
            t = min(step, depth - lanes)  # the last vectors overlap those before
            for lane in range(lanes):
                starts[lane] = (t + lane) * length
            for i in range(zero, length, lanes):
                turn(rows, (first + i) * depth + t, depth, wide, starts, i)
        for t in range(depth):
            for i in range(length):
                block[at + t, i] = wide[t * length + i] * scale
    else:
        for i in range(n):
            for t in range(depth):
                block[at + t, i] = rows[first + i, t] * scale
    return at + depth


@entry
def fill(rows, scales, status, per_dex, weights, significant, invalid, kept, scratch, planes, start, swap):  # type: ignore[no-untyped-def]
    """Fill `planes` (3 T + F + 1 + B + 2, all pixels) from column `start` on with the bits of single precision numbers.

    `swap`: in the other order of bytes. `rows`: dem, edem, elogt (P, T), dn_reg (P, F), chisq (P, 1), each to be
    multiplied by one of `scales`. After their planes come the emission measure of each band, the temperature and the
    share that is constrained: sums as of `weigh`, NaN where the status is `invalid`. `scratch`: see `scratch_of`.
    """
    block, bits, wide, starts, best, per_count, least = scratch
    start, pixels, length, zero = np.uintp(start), np.uintp(len(status)), np.uintp(BLOCK), np.uintp(0)
    bins, channels, last = np.uintp(per_dex.shape[0]), np.uintp(per_dex.shape[1]), np.uintp(planes.shape[0])
    dem, edem, dn_reg = block[:bins], block[bins : 2 * bins], block[3 * bins : 3 * bins + channels]
    chisq = block[3 * bins + channels]
    for first in range(zero, pixels, length):
        n = min(length, pixels - first)
        at = lay(rows[0], scales[0], first, n, block, wide, starts, zero)
        at = lay(rows[1], scales[1], first, n, block, wide, starts, at)
        at = lay(rows[2], scales[2], first, n, block, wide, starts, at)
        at = lay(rows[3], scales[3], first, n, block, wide, starts, at)
        at = lay(rows[4], scales[4], first, n, block, wide, starts, at)
        sums = block[at:]
        sums[:] = 0
        weigh_block(
            dem, edem, dn_reg, chisq, zero, n, per_dex, weights, significant, kept, sums, best, per_count, least
        )
        bands = np.uintp(weights.shape[0]) - np.uintp(2)
        for i in range(n):
            of_bands, of_heat, of_all = sums[bands, i], sums[bands + np.uintp(1), i], sums[bands + np.uintp(2), i]
            sums[bands, i] = of_heat / of_bands * np.float32(MK)
            sums[bands + np.uintp(1), i] = of_bands / of_all
            if status[first + i] == invalid:
                for w in range(bands + np.uintp(2)):
                    sums[w, i] = np.nan
        for r in range(last):
            if swap:
                for i in range(n):
                    planes[r, start + first + i] = swapped(bits[r, i])
            else:
                for i in range(n):
                    planes[r, start + first + i] = bits[r, i]


def scratch(channels: int, kind: np.dtype) -> tuple[np.ndarray, ...]:
    """Working memory of `weigh`."""
    return np.empty(BLOCK, kind), np.empty((channels, BLOCK), kind), np.empty(BLOCK, kind)


def scratch_of(planes: int, bins: int, channels: int) -> tuple[np.ndarray, ...]:
    """Working memory of `fill` for so many planes, one more among them."""
    block = np.empty((planes + 1, BLOCK), np.float32)
    wide = np.empty(max(bins, channels) * BLOCK)
    return block, block.view(np.uint32), wide, np.empty(LANES, np.intp), *scratch(channels, block.dtype)
