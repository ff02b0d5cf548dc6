"""Compiled probes of the machine: what its vector units do at most, in the vectors that the kernels are written in.

No strategy: `harness.machine.probes` times these. Each function does `repeats` rounds of operations on `CHAINS` vectors
held in registers, so that neither memory nor the wait for a result counts; `values` has CHAINS·LANES doubles near 1.
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import entry
from implementations.compiled.simd import LANES, fma, load, splat, sqrt, store

CHAINS = 12
"""Independent chains: more than latency times units of today's processors, few enough for 16 registers."""
OPERATIONS = CHAINS * LANES
"""Scalar operations per round."""


@entry
def multiply_adds(repeats, values):
    """value = value * x + y."""
    x, y = splat(0.999), splat(0.001)
    a, b, c, d = load(values, 0), load(values, LANES), load(values, 2 * LANES), load(values, 3 * LANES)
    e, f, g, h = load(values, 4 * LANES), load(values, 5 * LANES), load(values, 6 * LANES), load(values, 7 * LANES)
    i, j, k, m = load(values, 8 * LANES), load(values, 9 * LANES), load(values, 10 * LANES), load(values, 11 * LANES)
    for _ in range(repeats):
        a, b, c, d = fma(a, x, y), fma(b, x, y), fma(c, x, y), fma(d, x, y)
        e, f, g, h = fma(e, x, y), fma(f, x, y), fma(g, x, y), fma(h, x, y)
        i, j, k, m = fma(i, x, y), fma(j, x, y), fma(k, x, y), fma(m, x, y)
    store(values, 0, a + b + c + d + e + f + g + h + i + j + k + m)


@entry
def divisions(repeats, values):
    """value = x / value."""
    x = splat(1.001)
    a, b, c, d = load(values, 0), load(values, LANES), load(values, 2 * LANES), load(values, 3 * LANES)
    e, f, g, h = load(values, 4 * LANES), load(values, 5 * LANES), load(values, 6 * LANES), load(values, 7 * LANES)
    i, j, k, m = load(values, 8 * LANES), load(values, 9 * LANES), load(values, 10 * LANES), load(values, 11 * LANES)
    for _ in range(repeats):
        a, b, c, d, e, f, g, h, i, j, k, m = (
            x / a,
            x / b,
            x / c,
            x / d,
            x / e,
            x / f,
            x / g,
            x / h,
            x / i,
            x / j,
            x / k,
            x / m,
        )
    store(values, 0, a + b + c + d + e + f + g + h + i + j + k + m)


@entry
def square_roots(repeats, values):
    """value = square root of value."""
    a, b, c, d = load(values, 0), load(values, LANES), load(values, 2 * LANES), load(values, 3 * LANES)
    e, f, g, h = load(values, 4 * LANES), load(values, 5 * LANES), load(values, 6 * LANES), load(values, 7 * LANES)
    i, j, k, m = load(values, 8 * LANES), load(values, 9 * LANES), load(values, 10 * LANES), load(values, 11 * LANES)
    for _ in range(repeats):
        a, b, c, d, e, f = sqrt(a), sqrt(b), sqrt(c), sqrt(d), sqrt(e), sqrt(f)
        g, h, i, j, k, m = sqrt(g), sqrt(h), sqrt(i), sqrt(j), sqrt(k), sqrt(m)
    store(values, 0, a + b + c + d + e + f + g + h + i + j + k + m)
