"""Compiled `maths.factorise` for a vector of pixels: B = K L^-1 = P Bd V^T, Bd lower bidiagonal, without an SVD.

B^T = Q R by Gram-Schmidt, then Householder reflections from the right and the left in turn take R^T to Bd: a fixed
number of steps, the same in all lanes. Q and V are not needed: all the rest is made of (B B^T + mu)^-1, and that of
P and of the triangular factors of Bd Bd^T + mu (`compiled.discrepancy`). The grid's ends need the least and the
greatest singular value, no other, which Laguerre's iteration finds (`extremes`).

Reflections keep a weak channel's digits best where strong ones come before it. With channels in falling order of the
norms of B's rows the error is held to 30 times the thin SVD's own, in any order to 30 times the worst of the SVDs of
problems one rounding apart. Channels are taken as given: that order is each pixel's own, and the vectors would have to
exchange rows lane by lane; what that costs is not yet measured.

These are chains of divisions and square roots on few numbers, which a vector along the bins would wait for; so
a vector holds the same element of LANES pixels: element (f, k) at (f * R + k) * LANES, with R = min(F, T).
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.simd import (
    LANES,
    any_less,
    broadcast,
    fma,
    larger,
    load,
    splat,
    sqrt,
    store,
    where_less,
)

PANEL = 40
"""Bins that are reduced to a triangle at a time: of 8 pixels and 6 channels, half the first-level cache."""
CONVERGED = 1e-13
"""Relative distance from a singular value's square that is left, if no iteration were better than the last."""
MOST_STEPS = 40
NEGLIGIBLE = 1e-33
"""Energy relative to the greatest below which a singular value is rounding: channels are linearly dependent."""


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
    for t in range(0, bins * LANES, LANES):
        store(root, t, sqrt(load(weight, t)))
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
def reflection(first, length2):
    """The reflection of a vector, of that first element and square, onto its first axis.

    Returns what the first element becomes, the first element of the reflection's own vector, whose others are the
    vector's, and twice the inverse of that vector's square.
    """
    zero, one = splat(0.0), splat(1.0)
    length = sqrt(length2)
    onto = where_less(first, zero, length, zero - length)
    scale = where_less(zero, length2, one / (length2 - first * onto), zero)
    return onto, first - onto, scale


@part
def reflect_rows(matrix, basis, columns, channels, top, bottom, column, inner):
    """Reflect rows top to bottom - 1 so that only the first is left in `column`; the same to the columns of basis.

    `inner`: rows of the basis before it are those of the identity. Returns the element that is left.
    """
    length2 = splat(0.0)
    for i in range(top, bottom):
        x = load(matrix, (i * columns + column) * LANES)
        length2 = fma(x, x, length2)
    onto, head, scale = reflection(load(matrix, (top * columns + column) * LANES), length2)
    for j in range(column + 1, columns):
        along = head * load(matrix, (top * columns + j) * LANES)
        for i in range(top + 1, bottom):
            v = load(matrix, (i * columns + column) * LANES)
            along = fma(v, load(matrix, (i * columns + j) * LANES), along)
        along = splat(0.0) - along * scale
        at = (top * columns + j) * LANES
        store(matrix, at, fma(along, head, load(matrix, at)))
        for i in range(top + 1, bottom):
            at = (i * columns + j) * LANES
            store(matrix, at, fma(along, load(matrix, (i * columns + column) * LANES), load(matrix, at)))
    for f in range(inner, channels):
        along = head * load(basis, (f * channels + top) * LANES)
        for i in range(top + 1, bottom):
            v = load(matrix, (i * columns + column) * LANES)
            along = fma(v, load(basis, (f * channels + i) * LANES), along)
        along = splat(0.0) - along * scale
        at = (f * channels + top) * LANES
        store(basis, at, fma(along, head, load(basis, at)))
        for i in range(top + 1, bottom):
            at = (f * channels + i) * LANES
            store(basis, at, fma(along, load(matrix, (i * columns + column) * LANES), load(basis, at)))
    return onto


@part
def reflect_columns(matrix, columns, row):
    """Reflect columns `row` and after so that only the first is left in `row`; returns the element that is left."""
    length2 = splat(0.0)
    for j in range(row, columns):
        x = load(matrix, (row * columns + j) * LANES)
        length2 = fma(x, x, length2)
    onto, head, scale = reflection(load(matrix, (row * columns + row) * LANES), length2)
    for i in range(row + 1, columns):
        along = head * load(matrix, (i * columns + row) * LANES)
        for j in range(row + 1, columns):
            v = load(matrix, (row * columns + j) * LANES)
            along = fma(v, load(matrix, (i * columns + j) * LANES), along)
        along = splat(0.0) - along * scale
        at = (i * columns + row) * LANES
        store(matrix, at, fma(along, head, load(matrix, at)))
        for j in range(row + 1, columns):
            at = (i * columns + j) * LANES
            store(matrix, at, fma(along, load(matrix, (row * columns + j) * LANES), load(matrix, at)))
    return onto


@part
def lower_triangle(matrix, basis, columns, channels):
    """Where there are more channels than bins: B = P R^T by reflections, in reverse order of rows and columns."""
    zero = splat(0.0)
    for k in range(columns):
        onto = reflect_rows(matrix, basis, columns, channels, k, channels, k, 0)
        store(matrix, (k * columns + k) * LANES, onto)
        for i in range(k + 1, channels):
            store(matrix, (i * columns + k) * LANES, zero)
    end = columns * columns - 1
    for n in range(columns * columns // 2):
        x, y = load(matrix, n * LANES), load(matrix, (end - n) * LANES)
        store(matrix, n * LANES, y)
        store(matrix, (end - n) * LANES, x)
    for f in range(channels):
        for k in range(columns // 2):
            a, b = (f * channels + k) * LANES, (f * channels + columns - 1 - k) * LANES
            x, y = load(basis, a), load(basis, b)
            store(basis, a, y)
            store(basis, b, x)


@part
def bidiagonal(sizes, pixels, factors):
    """From R^T: `basis` P, the squares of Bd's diagonal and subdiagonal, their products, P^T d, |d - P P^T d|^2."""
    channels, rank, matrix, basis = sizes.channels, sizes.rank, factors.matrix, factors.basis
    zero, one = splat(0.0), splat(1.0)
    for n in range(channels * channels):
        store(basis, n * LANES, one if n % (channels + 1) == 0 else zero)
    inner = 1  # the first row and column of the basis stay the identity's
    if rank < channels:
        lower_triangle(matrix, basis, rank, channels)
        inner = 0
    for k in range(rank):
        a = load(matrix, (k * rank + k) * LANES)
        if 0 < k < rank - 1:
            a = reflect_columns(matrix, rank, k)
        b = zero
        if k < rank - 2:
            b = reflect_rows(matrix, basis, rank, channels, k + 1, rank, k, inner)
        elif k == rank - 2:
            b = load(matrix, ((k + 1) * rank + k) * LANES)
        store(factors.diagonal, k * LANES, a * a)
        store(factors.below, k * LANES, b * b)
        store(factors.product, k * LANES, a * b)
    project(sizes, pixels, factors)


@part
def project(sizes, pixels, factors):
    """projection = P^T d and unfitted = |d - P P^T d|^2."""
    channels, rank, basis = sizes.channels, sizes.rank, factors.basis
    rest = zero = splat(0.0)
    for k in range(rank):
        along = zero
        for f in range(channels):
            d = load(pixels.counts, f * LANES) * load(pixels.inverse_error, f * LANES)
            along = fma(load(basis, (f * channels + k) * LANES), d, along)
        store(factors.projection, k * LANES, along)
    if rank < channels:
        for f in range(channels):
            d = load(pixels.counts, f * LANES) * load(pixels.inverse_error, f * LANES)
            for k in range(rank):
                d = d - load(basis, (f * channels + k) * LANES) * load(factors.projection, k * LANES)
            rest = fma(d, d, rest)
    store(factors.unfitted, 0, rest)


@part
def laguerre(first, second, order):
    """How far the nearest of `order` real zeros is at least, from the sums of 1 / distance and of 1 / distance^2.

    0 where a distance is 0, or where rounding has led beyond the zero.
    """
    zero, one, n = splat(0.0), splat(1.0), splat(float(order))
    spread = larger((n - one) * (n * second - first * first), zero)
    return where_less(zero, first, n / (first + sqrt(spread)), zero)


@part
def from_below(factors, rank, at):
    """The sums for the eigenvalues of Bd Bd^T - at > 0, by the qd transform: all terms are positive."""
    zero, one = splat(0.0), splat(1.0)
    s, ds, dds = zero - at, one, zero  # minus the derivatives by `at`
    first = second = zero
    for k in range(rank):
        a, b = load(factors.diagonal, k * LANES), load(factors.below, k * LANES)
        r = one / (s + a)
        q = ds * r
        p = fma(q, q + q, dds * r)
        first, second = first + q, second + fma(zero - q, q, p)
        damped = a * b * r
        s, ds, dds = fma(b * s, r, zero - at), fma(damped, q, one), damped * p
    return first, second


@part
def from_above(factors, rank, unit, at):
    """The sums for the eigenvalues of at - unit Bd Bd^T > 0, from its characteristic polynomial and two derivatives."""
    zero, one, two = splat(0.0), splat(1.0), splat(2.0)
    p, dp, ddp = one, zero, zero
    before, dbefore, ddbefore = zero, zero, zero
    couple = beside = zero
    for k in range(rank):
        a, b = load(factors.diagonal, k * LANES) * unit, load(factors.below, k * LANES) * unit
        x = at - a - beside
        new = fma(x, p, zero - couple * before)
        dnew = fma(x, dp, p - couple * dbefore)
        ddnew = fma(x, ddp, fma(two, dp, zero - couple * ddbefore))
        before, dbefore, ddbefore = p, dp, ddp
        p, dp, ddp = new, dnew, ddnew
        beside, couple = b, a * b
    first = dp / p
    return first, fma(first, first, zero - ddp / p)


@part
def extremes(factors, rank):
    """The squares of the least and the greatest singular value, into `ends`; each lane until it is done."""
    zero, one = splat(0.0), splat(1.0)
    low, trace = zero, zero
    for k in range(rank):
        trace = trace + load(factors.diagonal, k * LANES) + load(factors.below, k * LANES)
    unit, high, busy = one / trace, one, one
    low_before, high_before = trace, one
    for _ in range(MOST_STEPS):
        first, second = from_below(factors, rank, low)
        low_step = where_less(zero, busy, laguerre(first, second, rank), zero)
        first, second = from_above(factors, rank, unit, high)
        high_step = where_less(zero, busy, laguerre(first, second, rank), zero)
        low, high = low + low_step, high - high_step
        # what is left, were the steps to go on shrinking by the same factor: cubic convergence leaves far less
        left = low_step * low_step - splat(CONVERGED) * low * low_before
        right = high_step * high_step - splat(CONVERGED) * high * high_before
        low_before, high_before = low_step, high_step
        busy = where_less(zero, larger(left, right), busy, zero)
        if not any_less(zero, busy):
            break
    store(factors.ends, 0, larger(low, high * trace * splat(NEGLIGIBLE)))
    store(factors.ends, LANES, high * trace)


@part
def factorise(sizes, pixels, factors):
    """What the matrix R^T, which is overwritten, has for the search and the solution."""
    bidiagonal(sizes, pixels, factors)
    extremes(factors, sizes.rank)
