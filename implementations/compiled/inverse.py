"""Compiled `maths.inverse` for one pixel: x = W K^T U diag(1/(s^2 + mu)) U^T d, in vectors along the bins."""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import LANES, any_less, broadcast, fma, load, smaller, splat, store


@part
def solution(sizes, response, inverse_error, factors, lane, mu, weight, at, rows):
    """dem of one lane, whose weights start at `at`; returns whether some bin is negative."""
    channels, rank, padded, coefficient = sizes.channels, sizes.rank, sizes.padded, rows.coefficient
    for f in range(channels):
        coefficient[f] = 0.0
    for k in range(rank):
        filtered = factors.projection[k * LANES + lane] / (factors.energy[k * LANES + lane] + mu)
        for f in range(channels):
            coefficient[f] += factors.matrix[(f * rank + k) * LANES + lane] * filtered
    for f in range(channels):
        coefficient[f] *= inverse_error[f * LANES + lane]
    zero = splat(0.0)
    lowest = zero
    for t in range(0, padded, 2 * LANES):
        c = broadcast(coefficient, 0)
        x, y = c * load(response, t), c * load(response, t + LANES)
        for f in range(1, channels):
            c = broadcast(coefficient, f)
            x = fma(c, load(response, f * padded + t), x)
            y = fma(c, load(response, f * padded + t + LANES), y)
        x, y = x * load(weight, at + t), y * load(weight, at + t + LANES)
        store(rows.dem, t, x)
        store(rows.dem, t + LANES, y)
        lowest = smaller(y, smaller(x, lowest))
    return any_less(lowest, zero)
