"""The whole inversion of a tile of pixels as one compiled function, `invert`.

Vectors (`compiled.simd`) run along the temperature bins, except in `compiled.factorise`, where they run across pixels.
So pixels go through in blocks of LANES; a pixel's result depends neither on its neighbours nor on its lane. Nothing is
allocated: a thread has one `Scratch` for all its tiles.

F channels, R = min(F, T) singular values, S bins per row after padding with zeros. All arrays are flat: a row along the
bins starts at f * S; a matrix across pixels has its element (f, k) of those pixels at (f * R + k) * LANES.
"""

# mypy: allow-untyped-defs

import math
from collections import namedtuple

from implementations.compiled.constraint import given_weight, loci_weight, smoothed, solution_weight
from implementations.compiled.discrepancy import grid, morozov, reciprocal
from implementations.compiled.factorise import thin_svd, triangle, uniform_triangle
from implementations.compiled.inverse import solution
from implementations.compiled.jit import entry, fingerprint, part
from implementations.compiled.simd import LANES, load, store
from implementations.compiled.uncertainty import count, edem_and_rows, elogt_of, order_rows, profile_samples

OK, HIT_MAX_ITER, INVALID = 0, 1, 2

Setup = namedtuple(
    "Setup",
    "channels rank bins padded sorts pairs response loci fallback uniform width scale norm left near far position "
    "dlogt ramp reg_tweak rgt_fact max_iter nmu l_emd self_normalised",
)
"""What all pixels share, read-only."""
Scratch = namedtuple(
    "Scratch",
    "pixel guess counts inverse_error root panel factor energy projection unfitted coefficient power excess weight "
    "line dem edem elogt wz gz reach bound bucket tally order limit sample sample_bound",
)
"""Working memory of one thread."""


@part
def blank(pixel, dem, edem, elogt, chisq, dn_reg, iterations, status):
    """The outputs of a pixel that can't be inverted."""
    for t in range(dem.shape[1]):
        dem[pixel, t] = edem[pixel, t] = elogt[pixel, t] = 0.0
    for f in range(dn_reg.shape[1]):
        dn_reg[pixel, f] = 0.0
    chisq[pixel], iterations[pixel], status[pixel] = 0.0, 0, INVALID


@part
def gather(dn, edn, first, last, pixel, counts, inverse_error, channels, outputs):
    """The next valid pixels from `first` on into the lanes; returns how many, and where to go on."""
    found = 0
    while first < last and found < LANES:
        valid = True
        for f in range(channels):  # a NaN compares false
            valid &= 0.0 < dn[first, f] < math.inf and 0.0 < edn[first, f] < math.inf
        if valid:
            pixel[found] = first
            found += 1
        else:
            blank(first, *outputs)
        first += 1
    for lane in range(LANES):
        if lane >= found:  # a copy of the first, so that every lane holds numbers
            pixel[lane] = pixel[0]
        for f in range(channels):
            counts[f * LANES + lane] = dn[pixel[lane], f]
            inverse_error[f * LANES + lane] = 1.0 / edn[pixel[lane], f]
    return found, first


@part
def constrain(setup, scratch, lane):
    """The weights of one lane; if self-normalised, from the factorisation under the uniform ones."""
    s, w = setup, scratch
    at = lane * s.padded
    if len(s.norm) and given_weight(s.norm, w.pixel[lane], s.scale, s.l_emd, w.weight, at, s.bins):
        return
    if s.self_normalised:
        g = grid(w.energy, w.projection, w.unfitted, lane, s.rank, w.power, w.excess, s.ramp, s.nmu)
        w.guess[0] = morozov(g, s.channels * s.reg_tweak, w.guess[0])
        solution(
            s.response,
            s.width,
            0,
            w.factor,
            w.energy,
            w.projection,
            w.inverse_error,
            lane,
            1.0 / reciprocal(g, w.guess[0]),
            w.coefficient,
            w.dem,
            s.channels,
            s.rank,
            s.padded,
        )
        solution_weight(w.dem, s.fallback, w.line, s.padded)
    else:
        loci_weight(s.loci, w.counts, lane, w.line, s.channels, s.padded)
    smoothed(w.line, s.scale, s.l_emd, w.weight, at, s.bins, s.padded)


@part
def svd(setup, scratch):
    """`thin_svd` of the pixels whose triangles are in scratch."""
    s, w = setup, scratch
    thin_svd(w.factor, s.pairs, w.counts, w.inverse_error, w.energy, w.projection, w.unfitted, s.channels, s.rank)


@part
def solve(setup, scratch, lane):
    """The positivity loop of one lane: its dem, and returns the mu it ended with, iterations and status."""
    s, w = setup, scratch
    g = grid(w.energy, w.projection, w.unfitted, lane, s.rank, w.power, w.excess, s.ramp, s.nmu)
    target, index, mu = s.channels * s.reg_tweak, w.guess[1], 0.0
    negative, iterations = True, 0
    while negative and iterations < s.max_iter:
        index = morozov(g, target, index)
        if iterations == 0:
            w.guess[1] = index
        mu = 1.0 / reciprocal(g, index)
        negative = solution(
            s.response,
            w.weight,
            lane * s.padded,
            w.factor,
            w.energy,
            w.projection,
            w.inverse_error,
            lane,
            mu,
            w.coefficient,
            w.dem,
            s.channels,
            s.rank,
            s.padded,
        )
        iterations += 1
        target *= s.rgt_fact
    return mu, iterations, HIT_MAX_ITER if negative else OK


@part
def finish(setup, scratch, lane, mu, dem, edem, elogt, chisq, dn_reg):
    """The outputs of one lane whose dem is in scratch."""
    s, w = setup, scratch
    pixel, at = w.pixel[lane], lane * s.padded
    residual = 0.0
    for f in range(s.channels):
        counts = count(s.response, f * s.padded, w.dem, s.padded)
        dn_reg[pixel, f] = counts
        residual += ((w.counts[f * LANES + lane] - counts) * w.inverse_error[f * LANES + lane]) ** 2
    chisq[pixel] = residual / s.channels
    greatest = edem_and_rows(
        s.response,
        w.weight,
        at,
        w.factor,
        w.energy,
        w.inverse_error,
        lane,
        mu,
        w.coefficient,
        w.edem,
        w.wz,
        w.gz,
        w.reach,
        w.bound,
        s.channels,
        s.rank,
        s.padded,
    )
    if s.sorts:
        order_rows(w.bound, greatest, w.bucket, w.tally, w.order, w.limit, s.bins)
    profile_samples(w.wz, w.bound, s.left, s.near, s.far, w.sample, w.sample_bound, s.rank, s.padded)
    elogt_of(
        w.wz,
        w.gz,
        w.reach,
        w.order,
        w.limit,
        w.sample,
        w.sample_bound,
        s.position,
        s.dlogt,
        w.elogt,
        s.bins,
        s.rank,
        s.padded,
    )
    put(dem, pixel, w.dem, s.bins)
    put(edem, pixel, w.edem, s.bins)
    put(elogt, pixel, w.elogt, s.bins)


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


def _compiled(sources):
    """`invert`; as a variable of its closure, `sources` is part of its key in the cache."""

    @entry
    def invert(setup, scratch, dn, edn, first, last, dem, edem, elogt, chisq, dn_reg, iterations, status):
        """Solve pixels first to last - 1."""
        assert sources
        s, w = setup, scratch
        outputs = dem, edem, elogt, chisq, dn_reg, iterations, status
        while first < last:
            found, first = gather(dn, edn, first, last, w.pixel, w.counts, w.inverse_error, s.channels, outputs)
            if found == 0:
                break
            if s.self_normalised:
                uniform_triangle(s.uniform, w.inverse_error, w.factor, s.channels, s.rank)
                svd(s, w)
            for lane in range(LANES):
                constrain(s, w, lane)
            triangle(
                s.response, w.weight, w.inverse_error, w.root, w.panel, w.factor, s.channels, s.rank, s.bins, s.padded
            )
            svd(s, w)
            for lane in range(found):
                mu, iterations[w.pixel[lane]], status[w.pixel[lane]] = solve(s, w, lane)
                finish(s, w, lane, mu, dem, edem, elogt, chisq, dn_reg)

    return invert


invert = _compiled(fingerprint())
