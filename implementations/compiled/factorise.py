"""Compiled `maths.factorise` for a vector of pixels: B = K L^-1 = U diag(s) V^T without squaring its condition.

B^T = Q R by Gram-Schmidt, then Jacobi rotations make the columns of R^T orthogonal: they become U diag(s). V is not
needed. Both are chains of divisions and square roots on few numbers, which a vector along the bins would wait for; so
a vector holds the same element of LANES pixels: element (f, k) at (f * R + k) * LANES, with R = min(F, T).
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import (
    LANES,
    absolute,
    any_less,
    broadcast,
    fma,
    larger,
    load,
    read,
    splat,
    sqrt,
    store,
    where_less,
    write,
)

PANEL = 40
"""Bins that are reduced to a triangle at a time: of 8 pixels and 6 channels, half the first-level cache."""
ORTHOGONAL = 1e-15
"""Cosine below which two columns need no rotation."""
SMALL = 1e-7
"""Cosine and tangent of rotations that leave, at second order, nothing to do for another sweep."""
MAX_SWEEPS = 30


@part
def uniform_triangle(sizes, uniform, inverse_error, factor):
    """factor = R^T under L = 1/sqrt(dlogt), the same for all pixels but for the errors."""
    rank = sizes.rank
    for f in range(sizes.channels):
        e = load(inverse_error, f * LANES)
        for k in range(rank):
            store(factor, (f * rank + k) * LANES, broadcast(uniform, f * rank + k) * e)


@part
def triangle(sizes, response, weight, inverse_error, factors):
    """factor = R^T of a vector of pixels, under the weights of each.

    A panel of bins at a time is reduced together with the R of those before it, so that the rows stay in the
    first-level cache. The errors scale whole rows of R^T, so they come last. Where there are fewer bins than channels,
    B itself is small enough.
    """
    channels, rank, bins, padded = sizes
    factor, root, panel = factors.matrix, factors.root, factors.panel
    for lane in range(LANES):
        for t in range(bins):
            write(root, t * LANES + lane, read(weight, lane * padded + t))
    for t in range(bins):
        store(root, t * LANES, sqrt(load(root, t * LANES)))
    if rank < channels:
        for f in range(channels):
            for t in range(rank):
                store(factor, (f * rank + t) * LANES, broadcast(response, f * padded + t) * load(root, t * LANES))
    else:
        panels = -(-bins // PANEL)
        width, done = -(-bins // panels), 0
        while done < bins:
            width = min(width, bins - done)
            filled = fill_panel(response, root, panel, factor, channels, done, width, padded)
            reduce_panel(panel, factor, channels, filled)
            done += width
    for f in range(channels):
        e = load(inverse_error, f * LANES)
        for k in range(rank):
            store(factor, (f * rank + k) * LANES, load(factor, (f * rank + k) * LANES) * e)


@part
def fill_panel(response, root, panel, factor, channels, done, width, padded):
    """Rows of `width` bins from bin `done` on, the triangle of the bins before, zeros up to a multiple of four."""
    filled, zero = width, splat(0.0)
    if done:
        filled += channels
    for f in range(channels):
        at = f * (PANEL + channels + 3)
        for t in range(width):
            x = broadcast(response, f * padded + done + t) * load(root, (done + t) * LANES)
            store(panel, (at + t) * LANES, x)
        for t in range(width, filled):
            store(panel, (at + t) * LANES, load(factor, (f * channels + t - width) * LANES))
        for t in range(filled, filled + 3):
            store(panel, (at + t) * LANES, zero)
    return (filled + 3) // 4 * 4


@part
def along_rows(panel, a, b, width):
    """Sum over the panel's row at `a` times the row at `b`, four terms at a time so that none waits for the last."""
    s0 = s1 = s2 = s3 = splat(0.0)
    for t in range(0, width * LANES, 4 * LANES):
        s0 = fma(load(panel, a + t), load(panel, b + t), s0)
        s1 = fma(load(panel, a + t + LANES), load(panel, b + t + LANES), s1)
        s2 = fma(load(panel, a + t + 2 * LANES), load(panel, b + t + 2 * LANES), s2)
        s3 = fma(load(panel, a + t + 3 * LANES), load(panel, b + t + 3 * LANES), s3)
    return (s0 + s1) + (s2 + s3)


@part
def reduce_panel(panel, factor, channels, width):
    """factor = R^T of the panel's rows, by modified Gram-Schmidt, which is as good as Householder's for R alone."""
    zero, one = splat(0.0), splat(1.0)
    stride = (PANEL + channels + 3) * LANES
    for k in range(channels):
        length2 = along_rows(panel, k * stride, k * stride, width)
        unit = where_less(zero, length2, one / sqrt(length2), zero)
        for f in range(k):
            store(factor, (f * channels + k) * LANES, zero)
        store(factor, (k * channels + k) * LANES, length2 * unit)
        for f in range(k + 1, channels):
            along = along_rows(panel, k * stride, f * stride, width) * unit
            store(factor, (f * channels + k) * LANES, along)
            multiple = zero - along * unit
            for t in range(0, width * LANES, LANES):
                x = fma(multiple, load(panel, k * stride + t), load(panel, f * stride + t))
                store(panel, f * stride + t, x)


@part
def rotation(factor, p, q, rank, channels, busy):
    """Cosine and sine that make columns p and q orthogonal in busy lanes, and whether (> 0) others feel it."""
    zero, one, two = splat(0.0), splat(1.0), splat(2.0)
    alpha = beta = gamma = zero
    for f in range(channels):
        x, y = load(factor, (f * rank + p) * LANES), load(factor, (f * rank + q) * LANES)
        alpha, beta, gamma = fma(x, x, alpha), fma(y, y, beta), fma(x, y, gamma)
    delta, twice = beta - alpha, gamma * two
    t = where_less(delta, zero, zero - twice, twice) / (absolute(delta) + sqrt(fma(delta, delta, twice * twice)))
    cosine2, scale, small2 = gamma * gamma, alpha * beta, splat(SMALL**2)
    needed = busy * (cosine2 - splat(ORTHOGONAL**2) * scale)
    t = where_less(zero, needed, t, zero)
    felt = where_less(zero, needed, larger(cosine2 - small2 * scale, (t * t - small2) * scale), zero)
    c = one / sqrt(fma(t, t, one))
    return c, c * t, felt


@part
def orthogonalise(factor, pairs, channels, rank):
    """One-sided Jacobi: rotate the columns of `factor` until they are orthogonal, each lane until it is done."""
    zero = splat(0.0)
    busy = splat(1.0)
    for _ in range(MAX_SWEEPS):
        unsettled = zero
        for n in range(rank * (rank - 1) // 2):
            p, q = read(pairs, 2 * n), read(pairs, 2 * n + 1)
            c, s, felt = rotation(factor, p, q, rank, channels, busy)
            unsettled = larger(felt, unsettled)
            for f in range(channels):
                a, b = (f * rank + p) * LANES, (f * rank + q) * LANES
                x, y = load(factor, a), load(factor, b)
                store(factor, a, c * x - s * y)
                store(factor, b, fma(s, x, c * y))
        busy = where_less(zero, unsettled, busy, zero)
        if not any_less(zero, busy):
            break


@part
def thin_svd(sizes, pairs, pixels, factors):
    """The matrix R^T becomes U; energy = s^2, projection = U^T d, unfitted = |d - U U^T d|^2."""
    channels, rank, factor = sizes.channels, sizes.rank, factors.matrix
    orthogonalise(factor, pairs, channels, rank)
    zero, one = splat(0.0), splat(1.0)
    for k in range(rank):
        length2 = zero
        for f in range(channels):
            x = load(factor, (f * rank + k) * LANES)
            length2 = fma(x, x, length2)
        store(factors.energy, k * LANES, length2)
        unit = where_less(zero, length2, one / sqrt(length2), zero)
        along = zero
        for f in range(channels):
            u = load(factor, (f * rank + k) * LANES) * unit
            store(factor, (f * rank + k) * LANES, u)
            along = fma(u, load(pixels.counts, f * LANES) * load(pixels.inverse_error, f * LANES), along)
        store(factors.projection, k * LANES, along)
    rest = zero
    for f in range(channels):
        d = load(pixels.counts, f * LANES) * load(pixels.inverse_error, f * LANES)
        for k in range(rank):
            d = d - load(factor, (f * rank + k) * LANES) * load(factors.projection, k * LANES)
        rest = fma(d, d, rest)
    store(factors.unfitted, 0, rest)
