"""The steps of `plowman`, compiled: from a start to the DEM whose chi-squared is at its target.

A pixel's DEM is exp(s), s a value for each node; what is linearised about it is M, the counts' derivatives by s over
their errors. D, the roughness, has the form B^T W B with B the differences of neighbouring nodes: so in slopes, M s is
N times the weighted slopes plus m times the level, and (D + M^T M) s = M^T y is an F x F system, I + N N^T, bordered by
m, which no roughness holds. N is a sum from the hot end of M's columns; there is no T x T matrix and no exponential of
a large number: a step changes s by one half at most, and the DEM is multiplied by a short series.

F channels, T nodes; a vector of pixels abreast: arrays are flat, [.. * LANES + lane]. A pixel that has stopped stays as
it is, bit by bit.
"""

# mypy: allow-untyped-defs

import math

from implementations.compiled.jit import part
from implementations.compiled.simd import (
    LANES,
    absolute,
    broadcast,
    fma,
    larger,
    load,
    smaller,
    splat,
    sqrt,
    store,
    where_less,
)

NEAR, FAR = 0.1, 0.5
"""The trial steps, and the shortest and the longest step."""
WITHIN = 0.1
"""How near to the target chi-squared must be, as a share of it."""
MOST_STEPS, PATIENCE, GAIN = 100, 5, 1e-3
"""After `PATIENCE` steps, one that comes less than this share nearer to the target is the last."""


@part
def series(a, terms):
    """exp(a), |a| <= 0.5, by so many terms of its series."""
    one = splat(1.0)
    result = one
    for k in range(terms, 0, -1):
        result = fma(result, a * splat(1.0 / k), one)
    return result


@part
def counts_of(setup, dem, counts):
    """Counts of a DEM at the nodes."""
    f_all, t_all = setup.channels, setup.bins
    for f in range(f_all):
        store(counts, f * LANES, splat(0.0))
    for t in range(t_all):
        x = load(dem, t * LANES)
        for f in range(f_all):
            store(counts, f * LANES, fma(broadcast(setup.folded, t * f_all + f), x, load(counts, f * LANES)))


@part
def scaled_start(setup, w):
    """The start times what fits best in the errors' metric, and what that factor's logarithm does with the data."""
    f_all, t_all = setup.channels, setup.bins
    counts_of(setup, w.dem, w.model)
    fit = norm = splat(0.0)
    for f in range(f_all):
        k, error = load(w.model, f * LANES), load(w.inverse_error, f * LANES)
        k = k * error
        store(w.level, f * LANES, k)
        fit, norm = fma(load(w.counts, f * LANES) * error, k, fit), fma(k, k, norm)
    zero = fit - fit
    factor = where_less(zero, fit, fit / norm, splat(1.0))  # a response below 0 may leave nothing that fits
    for t in range(t_all):
        store(w.dem, t * LANES, load(w.dem, t * LANES) * factor)
    inverse = where_less(zero, fit, splat(1.0) / fit, zero)
    for f in range(f_all):
        store(w.level, f * LANES, load(w.level, f * LANES) * inverse)


@part
def linearise(setup, w):
    """N, m (`model`), the residual and y = residual + M s of the DEM; returns chi-squared per channel."""
    f_all, t_all, row = setup.channels, setup.bins, setup.row
    for f in range(f_all):
        store(w.model, f * LANES, splat(0.0))
        store(w.aim, f * LANES, splat(0.0))
    for t in range(t_all - 1, -1, -1):
        x = load(w.dem, t * LANES)
        moved = x * load(w.log, t * LANES)
        for f in range(f_all):
            k = broadcast(setup.folded, t * f_all + f)
            tail = fma(k, x, load(w.model, f * LANES))
            store(w.model, f * LANES, tail)
            store(w.aim, f * LANES, fma(k, moved, load(w.aim, f * LANES)))
            if t > 0:
                h = broadcast(setup.root, t - 1) * load(w.inverse_error, f * LANES)
                store(w.slopes, (f * row + t - 1) * LANES, tail * h)
    chisq = splat(0.0)
    for f in range(f_all):
        error = load(w.inverse_error, f * LANES)
        model = load(w.model, f * LANES) * error
        residual = fma(load(w.counts, f * LANES), error, splat(0.0) - model)
        store(w.model, f * LANES, model)
        store(w.residual, f * LANES, residual)
        store(w.aim, f * LANES, fma(load(w.aim, f * LANES), error, residual))
        chisq = fma(residual, residual, chisq)
    return chisq * splat(1.0 / f_all)


@part
def product(slopes, f, g, row):
    """Element (f, g) of N N^T, by four sums at a time, so that none waits for itself."""
    i, j = f * row * LANES, g * row * LANES
    a = b = c = d = splat(0.0)
    for t in range(0, row * LANES, 4 * LANES):
        a = fma(load(slopes, i + t), load(slopes, j + t), a)
        b = fma(load(slopes, i + t + LANES), load(slopes, j + t + LANES), b)
        c = fma(load(slopes, i + t + 2 * LANES), load(slopes, j + t + 2 * LANES), c)
        d = fma(load(slopes, i + t + 3 * LANES), load(slopes, j + t + 3 * LANES), d)
    return (a + b) + (c + d)


@part
def factor(setup, w):
    """Cholesky's L of I + N N^T; its diagonal inverted. No pivot is below 1, but by rounding."""
    f_all, one = setup.channels, splat(1.0)
    for f in range(f_all):
        for g in range(f + 1):
            value = product(w.slopes, f, g, setup.row)
            if f == g:
                value = value + one
            for k in range(g):
                left, right = load(w.gram, (f * f_all + k) * LANES), load(w.gram, (g * f_all + k) * LANES)
                value = value - left * right
            value = one / sqrt(larger(value, one)) if f == g else value * load(w.gram, (g * f_all + g) * LANES)
            store(w.gram, (f * f_all + g) * LANES, value)


@part
def solve(setup, w, given, out, at):
    """out = (I + N N^T)^-1 given, row `at` of out."""
    f_all = setup.channels
    for f in range(f_all):
        value = load(given, f * LANES)
        for k in range(f):
            value = value - load(w.gram, (f * f_all + k) * LANES) * load(out, (at + k) * LANES)
        store(out, (at + f) * LANES, value * load(w.gram, (f * f_all + f) * LANES))
    for f in range(f_all - 1, -1, -1):
        value = load(out, (at + f) * LANES)
        for k in range(f + 1, f_all):
            value = value - load(w.gram, (k * f_all + f) * LANES) * load(out, (at + k) * LANES)
        store(out, (at + f) * LANES, value * load(w.gram, (f * f_all + f) * LANES))


@part
def dot(a, b, at, f_all):
    """Sum over the channels of a times row `at` of b."""
    value = splat(0.0)
    for f in range(f_all):
        value = fma(load(a, f * LANES), load(b, (at + f) * LANES), value)
    return value


@part
def turn(setup, w):
    """Where (D + M^T M) s = M^T y lies from here, into `turn`; returns how far, in the node that is to go farthest."""
    f_all, t_all, row = setup.channels, setup.bins, setup.row
    factor(setup, w)
    solve(setup, w, w.aim, w.left, 0)
    solve(setup, w, w.model, w.border, 0)
    level = dot(w.model, w.left, 0, f_all) / dot(w.model, w.border, 0, f_all)
    for f in range(f_all):
        store(w.left, f * LANES, load(w.left, f * LANES) - level * load(w.border, f * LANES))
    greatest = splat(0.0)
    for t in range(t_all):
        away = level - load(w.log, t * LANES)
        store(w.turn, t * LANES, away)
        greatest = larger(absolute(away), greatest)
        if t < t_all - 1:
            slope = splat(0.0)
            for f in range(f_all):
                slope = fma(load(w.slopes, (f * row + t) * LANES), load(w.left, f * LANES), slope)
            level = fma(slope, broadcast(setup.root, t), level)
    return greatest


@part
def tried(setup, w, scale, active):
    """The way to be gone, `way`, which is `turn` times `scale`; returns chi-squared at both trial steps along it."""
    f_all, t_all = setup.channels, setup.bins
    for f in range(f_all):
        store(w.near, f * LANES, splat(0.0))
        store(w.far, f * LANES, splat(0.0))
    half = splat(0.5)
    for t in range(t_all):
        way = where_less(half, active, load(w.turn, t * LANES) * scale, load(w.way, t * LANES))
        store(w.way, t * LANES, way)
        x, tenth = load(w.dem, t * LANES), series(way * splat(NEAR), 8)
        near, twice = x * tenth, tenth * tenth
        far = near * (twice * twice)
        for f in range(f_all):
            k = broadcast(setup.folded, t * f_all + f)
            store(w.near, f * LANES, fma(k, near, load(w.near, f * LANES)))
            store(w.far, f * LANES, fma(k, far, load(w.far, f * LANES)))
    chisq_near = chisq_far = splat(0.0)
    for f in range(f_all):
        error, counts = load(w.inverse_error, f * LANES), load(w.counts, f * LANES)
        near, far = (counts - load(w.near, f * LANES)) * error, (counts - load(w.far, f * LANES)) * error
        chisq_near, chisq_far = fma(near, near, chisq_near), fma(far, far, chisq_far)
    share = splat(1.0 / f_all)
    return chisq_near * share, chisq_far * share


@part
def advance(setup, w, step):
    """Go `step` of the way; a lane whose step is 0 stays bit by bit."""
    for t in range(setup.bins):
        moved = load(w.way, t * LANES) * step
        store(w.log, t * LANES, load(w.log, t * LANES) + moved)
        store(w.dem, t * LANES, load(w.dem, t * LANES) * series(moved, 14))


@part
def stopped(setup, w, lane):
    """Whether a lane's steps end here: at the target, from a start that fits better, or where no more is gained."""
    target, chisq, steps = setup.target, w.chisq[lane], w.steps[lane]
    off, before = abs(chisq - target), w.off[lane]
    w.off[lane] = off
    if off <= WITHIN * target or (steps == 0 and chisq <= target) or steps >= MOST_STEPS:
        return True
    return steps > PATIENCE and not before - off > GAIN * off


@part
def chosen(setup, w, lane, scale):
    """The step at which chi-squared would be at its target, were it linear between the trial steps."""
    near, far = w.trial[lane], w.trial[LANES + lane]
    step = NEAR + (FAR - NEAR) * (setup.target - near) / (far - near)
    if not NEAR <= step <= FAR:
        step = NEAR if step < NEAR else FAR
    # the last step's length depends on the data where neither end of its range holds it
    w.slope[lane] = (far - near) / (FAR - NEAR) if NEAR < step < FAR else 0.0
    w.share[lane] += step * scale * (1.0 - w.share[lane])
    return step


@part
def descend(setup, w):
    """Steps until all lanes have stopped, each linearised where it ended."""
    for lane in range(LANES):
        w.active[lane], w.steps[lane], w.off[lane] = 1.0, 0, math.inf
        w.share[lane] = w.slope[lane] = 0.0
    while True:
        store(w.chisq, 0, linearise(setup, w))
        going = False
        for lane in range(LANES):
            if w.active[lane] != 0.0 and stopped(setup, w, lane):
                w.active[lane] = 0.0
            going |= w.active[lane] != 0.0
        if not going:
            break
        one = splat(1.0)
        # towards the solution of the linearised problem, or, with chi-squared below its target, away from it
        sign = where_less(load(w.chisq, 0), splat(setup.target), splat(-1.0), one)
        scale = sign * smaller(one / turn(setup, w), one)
        store(w.scale, 0, scale)
        near, far = tried(setup, w, scale, load(w.active, 0))
        store(w.trial, 0, near)
        store(w.trial, LANES, far)
        for lane in range(LANES):
            w.length[lane] = 0.0
            if w.active[lane] != 0.0:
                w.length[lane] = chosen(setup, w, lane, w.scale[lane])
                w.steps[lane] += 1
        advance(setup, w, load(w.length, 0))
