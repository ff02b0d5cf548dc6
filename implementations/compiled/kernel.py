"""The whole inversion of a tile of pixels as one compiled function, `invert`.

Vectors (`compiled.simd`) run across pixels, LANES of them at a time, but for the resolution of many bins
(`compiled.sorted_profiles`). A pixel's result depends neither on its neighbours nor on its lane. Nothing is allocated:
a thread has one `Scratch` for all its tiles (`compiled.staging`).
"""

# mypy: allow-untyped-defs

import math

from implementations.compiled.constraint import given_weight, loci_weight, smoothed, solution_weight
from implementations.compiled.discrepancy import aim, grid, morozov
from implementations.compiled.factorise import factorise, triangle, uniform_triangle
from implementations.compiled.inverse import combine, solution
from implementations.compiled.jit import entry, fingerprint, part
from implementations.compiled.profiles import widths
from implementations.compiled.simd import LANES, any_less, load, splat, store, turn, where_less
from implementations.compiled.sorted_profiles import lay_out, resolution
from implementations.compiled.ticks import ERRORS, FACTORISATION, OTHER, POSITIVITY, SEARCH, WEIGHTS, WIDTH, mark, start
from implementations.compiled.uncertainty import count, edem_and_rows, factors_at

OK, HIT_MAX_ITER, INVALID = 0, 1, 2


@part
def blank(pixel, outputs):
    """The outputs of a pixel that can't be inverted."""
    for t in range(outputs.dem.shape[1]):
        outputs.dem[pixel, t] = outputs.edem[pixel, t] = outputs.elogt[pixel, t] = 0.0
    for f in range(outputs.dn_reg.shape[1]):
        outputs.dn_reg[pixel, f] = 0.0
    outputs.chisq[pixel], outputs.iterations[pixel], outputs.status[pixel] = 0.0, 0, INVALID


@part
def gather(dn, edn, first, last, channels, pixels, outputs):
    """The next valid pixels from `first` on into the lanes; returns how many, and where to go on."""
    found = 0
    while first < last and found < LANES:
        valid = True
        for f in range(channels):  # a NaN compares false
            valid &= 0.0 < dn[first, f] < math.inf and 0.0 < edn[first, f] < math.inf
        if valid:
            pixels.number[found] = first
            found += 1
        else:
            blank(first, outputs)
        first += 1
    for lane in range(LANES):
        if lane >= found:  # a copy of the first, so that every lane holds numbers
            pixels.number[lane] = pixels.number[0]
        for f in range(channels):
            pixels.counts[f * LANES + lane] = dn[pixels.number[lane], f]
            pixels.inverse_error[f * LANES + lane] = 1.0 / edn[pixels.number[lane], f]
    return found, first


@part
def constrain(setup, scratch):
    """The weights: the user's, else from EM loci or from the dem under uniform weights."""
    sizes, settings, c, w, rows = setup.sizes, setup.settings, setup.constraint, scratch, scratch.rows
    if settings.self_normalised:
        solution_weight(sizes, rows.dem, rows.line)
    else:
        loci_weight(sizes, c.loci, w.pixels.counts, rows.line)
    smoothed(sizes, rows.line, c.scale, settings.l_emd, rows.weight)
    if len(c.norm):
        for lane in range(LANES):
            given_weight(sizes, c.norm, w.pixels.number[lane], c.scale, settings.l_emd, rows.weight, lane)


@part
def solve(setup, scratch, weighted, ticks, since):
    """dem: one solution under uniform weights, or the positivity loop under the pixels' own; returns the counter.

    A pixel that is done keeps its target, and so its mu and its dem, while others go on.
    """
    sizes, settings, w, rows, search = setup.sizes, setup.settings, scratch, scratch.rows, scratch.search
    zero, one, factor = splat(0.0), splat(1.0), splat(settings.rgt_fact)
    if weighted:
        triangle(sizes, setup.response, rows.weight, w.pixels.inverse_error, w.factors)
    else:
        uniform_triangle(sizes, setup.constraint.uniform, w.pixels.inverse_error, w.factors.matrix)
    factorise(sizes, w.pixels, w.factors)
    since = mark(ticks, FACTORISATION, since)
    grid(w.factors, search, settings.nmu)
    weight, most = (rows.weight, settings.max_iter) if weighted else (setup.constraint.width, 1)
    target, guess = splat(sizes.channels * settings.reg_tweak), load(search.guess, weighted * LANES)
    negative, taken, iterations = one, 0, zero
    while taken < most and any_less(zero, negative):
        index = morozov(w.factors, search, sizes.rank, settings.nmu, target, guess)
        if taken == 0:
            store(search.guess, weighted * LANES, index)
        combine(sizes, w.pixels.inverse_error, w.factors, search, rows.coefficient)
        since = mark(ticks, SEARCH, since)
        lowest = solution(sizes, setup.response, rows.coefficient, weight, rows.dem)
        iterations, taken = iterations + negative, taken + 1
        negative = where_less(lowest, zero, negative, zero)
        target = where_less(zero, negative, target * factor, target)
        guess = where_less(zero, negative, aim(search, target), load(search.at, 0))
        since = mark(ticks, POSITIVITY, since)
    store(rows.passes, 0, iterations)
    store(rows.passes, LANES, negative)
    return since


@part
def finish(setup, scratch, found, outputs, ticks, since):
    """The outputs of pixels whose dem is in scratch; returns the counter."""
    sizes, sorts, pixels, rows = setup.sizes, setup.settings.sorts, scratch.pixels, scratch.rows
    put_counts(setup, scratch, found, outputs)
    factors_at(sizes, pixels.inverse_error, scratch.factors, scratch.search, rows)
    step = LANES if sorts else sizes.bins + sizes.bins % 2
    for first in range(0, sizes.bins, step):
        edem_and_rows(sizes, setup.response, rows, first, step, scratch.profiles)
        if sorts:
            lay_out(sizes, scratch.profiles, first)
    since = mark(ticks, ERRORS, since)
    if sorts:
        for lane in range(found):
            resolution(sizes, setup.samples, scratch.profiles, scratch.along, lane)
            put_row(outputs.elogt, pixels.number[lane], scratch.along.elogt, sizes.bins)
    else:
        widths(sizes, setup.samples, scratch.profiles)
        put(outputs.elogt, pixels, scratch.profiles.width, sizes.bins, found)
    since = mark(ticks, WIDTH, since)
    put(outputs.dem, pixels, rows.dem, sizes.bins, found)
    put(outputs.edem, pixels, rows.edem, sizes.bins, found)
    return mark(ticks, OTHER, since)


@part
def put_counts(setup, scratch, found, outputs):
    """The outputs that are not rows along the bins."""
    sizes, pixels, rows = setup.sizes, scratch.pixels, scratch.rows
    residual = splat(0.0)
    for f in range(sizes.channels):
        counts = count(sizes, setup.response, f, rows.dem)
        off = (load(pixels.counts, f * LANES) - counts) * load(pixels.inverse_error, f * LANES)
        residual = residual + off * off
        store(rows.coefficient, f * LANES, counts)
    store(rows.chisq, 0, residual / splat(float(sizes.channels)))
    for lane in range(found):
        pixel = pixels.number[lane]
        for f in range(sizes.channels):
            outputs.dn_reg[pixel, f] = rows.coefficient[f * LANES + lane]
        outputs.chisq[pixel] = rows.chisq[lane]
        outputs.iterations[pixel] = int(rows.passes[lane])
        outputs.status[pixel] = HIT_MAX_ITER if rows.passes[LANES + lane] > 0.0 else OK


@part
def put(output, pixels, values, bins, found):
    """output[pixels] = values; the last vector overlaps the one before it. A lane without a pixel repeats the first."""
    if bins < LANES:
        for lane in range(found):
            for t in range(bins):
                output[pixels.number[lane], t] = values[t * LANES + lane]
    else:
        for lane in range(LANES):
            pixels.start[lane] = pixels.number[lane] * bins
        for t in range(0, bins - LANES, LANES):
            turn(values, t * LANES, LANES, output, pixels.start, t)
        turn(values, (bins - LANES) * LANES, LANES, output, pixels.start, bins - LANES)


@part
def put_row(output, pixel, row, bins):
    """output[pixel] = row; the last vector overlaps the one before it."""
    if bins < LANES:
        for t in range(bins):
            output[pixel, t] = row[t]
    else:
        for t in range(0, bins - LANES, LANES):
            store(output, pixel * bins + t, load(row, t))
        store(output, pixel * bins + bins - LANES, load(row, bins - LANES))


def _compiled(version):
    """`invert`. Numba's cache is keyed by the values that a kernel closes over: hence the version of its sources."""

    @entry
    def invert(setup, scratch, dn, edn, first, last, outputs, ticks):
        """Solve pixels first to last - 1; `ticks`, unless None, gets the cycles of each stage added."""
        _ = version
        sizes, pixels = setup.sizes, scratch.pixels
        since = start(ticks)
        while first < last:
            found, first = gather(dn, edn, first, last, sizes.channels, pixels, outputs)
            since = mark(ticks, OTHER, since)
            if found == 0:
                break
            for weighted in range(0 if setup.settings.self_normalised else 1, 2):
                if weighted:
                    constrain(setup, scratch)
                    since = mark(ticks, WEIGHTS, since)
                since = solve(setup, scratch, weighted, ticks, since)
            since = finish(setup, scratch, found, outputs, ticks, since)

    return invert


invert = _compiled(fingerprint())
