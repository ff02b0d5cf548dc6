"""The compiled part of `products`: which bins are constrained, and sums over them, for a block of pixels at a time.

T temperature bins, F channels, B bands, P pixels. Imports Numba: imported when maps are made, not before.
"""

import numpy as np

from implementations.compiled.jit import entry

BLOCK = 64
"""Pixels abreast: their sums stay in the first-level cache."""


@entry
def weigh(dem, edem, dn_reg, per_dex, weights, significant, kept, sums, best, per_count):  # type: ignore[no-untyped-def]
    """Mark constrained bins in `kept` (T, P), where it has rows, and add up `sums` (W + 1, P).

    dem, edem (T, P); dn_reg (F, P); per_dex (T, F): the least DEM's counts, so that a bin has its share of a channel's
    where dem·per_dex >= dn_reg. Sums are of constrained bins by each row of `weights` (W, T), and, last, of all bins
    above zero by its last row but one. Scratch: best (BLOCK,), per_count (F, BLOCK).
    """
    bins, pixels, channels = np.uintp(dem.shape[0]), np.uintp(dem.shape[1]), np.uintp(dn_reg.shape[0])
    rows, block, zero, one = np.uintp(weights.shape[0]), np.uintp(BLOCK), np.uintp(0), np.uintp(1)
    for first in range(zero, pixels, block):
        n = min(block, pixels - first)
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
                sure = (value >= significant * edem[t, first + i]) & (value * best[i] >= 1)
                best[i] = value if sure else 0
                sums[rows, first + i] += weights[rows - np.uintp(2), t] * (value if value > 0 else 0 * value)
            if kept.size:
                for i in range(n):
                    kept[t, first + i] = best[i] != 0
            for w in range(rows):
                for i in range(n):
                    sums[w, first + i] += weights[w, t] * best[i]


def scratch(channels: int, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Working memory of `weigh`."""
    return np.empty(BLOCK, kind), np.empty((channels, BLOCK), kind)
