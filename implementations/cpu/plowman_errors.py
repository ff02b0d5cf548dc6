"""What `plowman`'s DEM does with noise and with a DEM of one bin, compiled: edem and elogt from its last linearisation.

s ends at (1 - a) of its start and a share a of the last linearised problem's solution (a: `share`, from the lengths of
all steps), so that ds = a A dd + (1 - a) dlevel, with A = (D + M^T M)^-1 M^T, dd the noise over its errors and dlevel
that of the start's factor. The last step's length is such that chi-squared stays at its target: where that is so, noise
that would change chi-squared is answered along the last step's `way`. The rest is linear: the DEM in bins, its
derivatives E by dd (T, F), edem as E's row norms, and E times the whitened response, whose column t is the profile that
a DEM of bin t leaves.
"""

# mypy: allow-untyped-defs

from implementations.compiled.jit import part
from implementations.compiled.profiles import SLACK
from implementations.compiled.simd import LANES, broadcast, fma, load, read, splat, sqrt, store, where_less, write
from implementations.compiled.sorted_profiles import elogt_of, order_rows, profile_samples
from implementations.cpu.plowman_steps import FAR, NEAR, dot, factor, solve


@part
def inverse(setup, w):
    """Z = G - (G m)(G m)^T / (m^T G m), with G = (I + N N^T)^-1: what the linearised problem leaves of the data."""
    f_all = setup.channels
    factor(setup, w)
    solve(setup, w, w.model, w.border, 0)
    store(w.scale, 0, splat(1.0) / dot(w.model, w.border, 0, f_all))
    for f in range(f_all):
        for g in range(f_all):
            store(w.left, g * LANES, splat(1.0 if f == g else 0.0))
        solve(setup, w, w.left, w.remains, f * f_all)
        share = load(w.border, f * LANES) * load(w.scale, 0)
        for g in range(f_all):
            at = (f * f_all + g) * LANES
            store(w.remains, at, load(w.remains, at) - share * load(w.border, g * LANES))


@part
def answers(setup, w):
    """`answer`: by how much a unit of each channel's noise lengthens the last step; no more in all than its range
    allows."""
    f_all = setup.channels
    zero, one, share = splat(0.0), splat(1.0), load(w.share, 0)
    slope = load(w.slope, 0)
    gain = where_less(slope, zero, splat(-2.0 / f_all) / slope, zero)
    fitted, squares = dot(w.residual, w.model, 0, f_all), zero
    for f in range(f_all):
        r, kept = load(w.residual, f * LANES), dot(w.residual, w.remains, f * f_all, f_all)
        change = r - share * (r - kept) - (one - share) * fitted * load(w.level, f * LANES)
        answer = gain * change
        store(w.answer, f * LANES, answer)
        squares = fma(answer, answer, squares)
    most = splat((FAR - NEAR) / 2)
    held = where_less(most, sqrt(squares), most / sqrt(squares), one)
    for f in range(f_all):
        store(w.answer, f * LANES, load(w.answer, f * LANES) * held)


@part
def spread(setup, w):
    """dem exp(s) times ds / dd, at the nodes (`spread`)."""
    f_all, t_all, row = setup.channels, setup.bins, setup.row
    share, one = load(w.share, 0), splat(1.0)
    for f in range(f_all):
        level = share * load(w.border, f * LANES) * load(w.scale, 0) + (one - share) * load(w.level, f * LANES)
        store(w.near, f * LANES, level)
        store(w.far, f * LANES, splat(0.0))  # sum over the slopes up to here
        for g in range(f_all):
            at = (f * f_all + g) * LANES
            store(w.remains, at, load(w.remains, at) * share)
    for t in range(t_all):
        x, way = load(w.dem, t * LANES), load(w.way, t * LANES)
        for f in range(f_all):
            value = fma(way, load(w.answer, f * LANES), load(w.near, f * LANES))
            for g in range(f_all):
                value = fma(load(w.far, g * LANES), load(w.remains, (f * f_all + g) * LANES), value)
            store(w.spread, (f * t_all + t) * LANES, x * value)
        if t < t_all - 1:
            h = broadcast(setup.root, t)
            for f in range(f_all):
                store(w.far, f * LANES, fma(load(w.slopes, (f * row + t) * LANES), h, load(w.far, f * LANES)))


@part
def in_bin(setup, values, at, t):
    """What values at the nodes, whose row starts at `at`, make in bin t."""
    value = load(values, (at + t) * LANES) * broadcast(setup.middle, t)
    if t > 0:
        value = fma(load(values, (at + t - 1) * LANES), broadcast(setup.lower, t), value)
    if t < setup.bins - 1:
        value = fma(load(values, (at + t + 1) * LANES), broadcast(setup.upper, t), value)
    return value


@part
def in_bins(setup, w):
    """DEM, its error and E in the bins: `turn`, `log` and `sensitivity`."""
    f_all, t_all = setup.channels, setup.bins
    for t in range(t_all):
        variance = splat(0.0)
        for f in range(f_all):
            e = in_bin(setup, w.spread, f * t_all, t)
            store(w.sensitivity, (f * t_all + t) * LANES, e)
            variance = fma(e, e, variance)
        store(w.log, t * LANES, sqrt(variance))
        store(w.turn, t * LANES, in_bin(setup, w.dem, 0, t))


@part
def propagate(setup, w):
    """DEM, edem and E of all lanes, from their last linearisation."""
    inverse(setup, w)
    answers(setup, w)
    spread(setup, w)
    in_bins(setup, w)


@part
def elogt_of_lane(setup, w, lane):
    """The resolution of one lane, from its profiles E K."""
    sizes, profiles, greatest = setup.sizes, w.profiles, 0.0
    f_all, t_all, padded = setup.channels, setup.bins, sizes.padded
    for t in range(0, padded, LANES):
        reach = splat(0.0)
        for f in range(f_all):
            k = load(setup.response, f * padded + t) * broadcast(w.inverse_error, f * LANES + lane)
            store(profiles.gz, f * padded + t, k)
            reach = fma(k, k, reach)
        store(profiles.reach, t, sqrt(reach) * splat(SLACK))
    for t in range(t_all):
        bound = read(w.log, t * LANES + lane) * SLACK
        write(profiles.bound, t, bound)
        greatest = max(bound, greatest)
        for f in range(f_all):
            write(profiles.wz, f * padded + t, read(w.sensitivity, (f * t_all + t) * LANES + lane))
    if setup.sorts:
        order_rows(t_all, profiles, greatest)
    profile_samples(sizes, setup.samples, profiles)
    elogt_of(sizes, setup.samples, profiles, w.elogt)
