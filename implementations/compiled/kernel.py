"""The whole inversion of a tile of pixels as one compiled function, `invert`.

Vectors (`compiled.simd`) run along the temperature bins, except in `compiled.factorise`, where they run across pixels.
So pixels go through in blocks of LANES; a pixel's result depends neither on its neighbours nor on its lane. Nothing is
allocated: a thread has one `Scratch` for all its tiles (`compiled.staging`).
"""

# mypy: allow-untyped-defs

import math

from implementations.compiled.constraint import given_weight, loci_weight, smoothed, solution_weight
from implementations.compiled.discrepancy import grid, morozov, reciprocal
from implementations.compiled.factorise import thin_svd, triangle, uniform_triangle
from implementations.compiled.inverse import solution
from implementations.compiled.jit import entry, fingerprint, part
from implementations.compiled.simd import LANES, load, store
from implementations.compiled.ticks import ERRORS, FACTORISATION, OTHER, POSITIVITY, SEARCH, WEIGHTS, WIDTH, mark, start
from implementations.compiled.uncertainty import count, edem_and_rows, elogt_of, order_rows, profile_samples

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
def constrain(setup, scratch, lane, ticks, since):
    """The weights of one lane; if self-normalised, from the factorisation under the uniform ones."""
    sizes, settings, c, w, rows = setup.sizes, setup.settings, setup.constraint, scratch, scratch.rows
    at, l_emd = lane * sizes.padded, settings.l_emd
    if not (len(c.norm) and given_weight(sizes, c.norm, w.pixels.number[lane], c.scale, l_emd, rows.weight, at)):
        if settings.self_normalised:
            since = mark(ticks, WEIGHTS, since)
            g = grid(w.factors, lane, sizes.rank, w.search, setup.ramp, settings.nmu)
            index = morozov(g, sizes.channels * settings.reg_tweak, w.search.guess[0])
            w.search.guess[0] = index
            since = mark(ticks, SEARCH, since)
            mu, errors = 1.0 / reciprocal(g, index), w.pixels.inverse_error
            solution(sizes, setup.response, errors, w.factors, lane, mu, c.width, 0, rows)
            solution_weight(sizes, rows.dem, c.fallback, rows.line)
        else:
            loci_weight(sizes, c.loci, w.pixels.counts, lane, rows.line)
        smoothed(sizes, rows.line, c.scale, l_emd, rows.weight, at)
    return mark(ticks, WEIGHTS, since)


@part
def solve(setup, scratch, lane, ticks, since):
    """The positivity loop of one lane: its dem; returns the mu it ended with, iterations, status and the counter."""
    sizes, settings, w = setup.sizes, setup.settings, scratch
    g = grid(w.factors, lane, sizes.rank, w.search, setup.ramp, settings.nmu)
    target, index, mu = sizes.channels * settings.reg_tweak, w.search.guess[1], 0.0
    negative, iterations, at = True, 0, lane * sizes.padded
    while negative and iterations < settings.max_iter:
        index = morozov(g, target, index)
        since = mark(ticks, SEARCH, since)
        if iterations == 0:
            w.search.guess[1] = index
        mu, errors = 1.0 / reciprocal(g, index), w.pixels.inverse_error
        negative = solution(sizes, setup.response, errors, w.factors, lane, mu, w.rows.weight, at, w.rows)
        iterations += 1
        target *= settings.rgt_fact
        since = mark(ticks, POSITIVITY, since)
    return mu, iterations, HIT_MAX_ITER if negative else OK, since


@part
def finish(setup, scratch, lane, mu, outputs, ticks, since):
    """The outputs of one lane whose dem is in scratch; returns the counter."""
    sizes, pixels, rows, profiles = setup.sizes, scratch.pixels, scratch.rows, scratch.profiles
    pixel, residual = pixels.number[lane], 0.0
    for f in range(sizes.channels):
        counts = count(setup.response, f * sizes.padded, rows.dem, sizes.padded)
        outputs.dn_reg[pixel, f] = counts
        residual += ((pixels.counts[f * LANES + lane] - counts) * pixels.inverse_error[f * LANES + lane]) ** 2
    outputs.chisq[pixel] = residual / sizes.channels
    greatest = edem_and_rows(sizes, setup.response, pixels.inverse_error, scratch.factors, lane, mu, rows, profiles)
    since = mark(ticks, ERRORS, since)
    if setup.settings.sorts:
        order_rows(sizes.bins, profiles, greatest)
    profile_samples(sizes, setup.samples, profiles)
    elogt_of(sizes, setup.samples, profiles, rows.elogt)
    since = mark(ticks, WIDTH, since)
    put(outputs.dem, pixel, rows.dem, sizes.bins)
    put(outputs.edem, pixel, rows.edem, sizes.bins)
    put(outputs.elogt, pixel, rows.elogt, sizes.bins)
    return mark(ticks, OTHER, since)


@part
def put(output, pixel, row, bins):
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
        sizes, pixels, factors = setup.sizes, scratch.pixels, scratch.factors
        since = start(ticks)
        while first < last:
            found, first = gather(dn, edn, first, last, sizes.channels, pixels, outputs)
            since = mark(ticks, OTHER, since)
            if found == 0:
                break
            if setup.settings.self_normalised:
                uniform_triangle(sizes, setup.constraint.uniform, pixels.inverse_error, factors.matrix)
                thin_svd(sizes, setup.pairs, pixels, factors)
                since = mark(ticks, FACTORISATION, since)
            for lane in range(LANES):
                since = constrain(setup, scratch, lane, ticks, since)
            triangle(sizes, setup.response, scratch.rows.weight, pixels.inverse_error, factors)
            thin_svd(sizes, setup.pairs, pixels, factors)
            since = mark(ticks, FACTORISATION, since)
            for lane in range(found):
                mu, iterations, status, since = solve(setup, scratch, lane, ticks, since)
                outputs.iterations[pixels.number[lane]], outputs.status[pixels.number[lane]] = iterations, status
                since = finish(setup, scratch, lane, mu, outputs, ticks, since)

    return invert


invert = _compiled(fingerprint())
