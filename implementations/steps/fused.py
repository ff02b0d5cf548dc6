"""The steps by the fused kernel's own functions: LANES pixels at a time, filled from a step's inputs and emptied again.

`setup` and `scratch` are the kernel's (`compiled.staging`). One thread, as a tile of the kernel has.
"""

# mypy: allow-untyped-defs

import numpy as np

from implementations.compiled.constraint import loci_weight, smoothed, solution_weight
from implementations.compiled.discrepancy import grid, morozov
from implementations.compiled.factorise import factorise, triangle
from implementations.compiled.inverse import combine, solution
from implementations.compiled.jit import entry, fingerprint, part
from implementations.compiled.kernel import put, put_row
from implementations.compiled.profiles import widths
from implementations.compiled.simd import LANES, load, splat, store
from implementations.compiled.sorted_profiles import lay_out, resolution


def call(module, setup, scratch, given):
    """The step of that module: its outputs, newly allocated."""
    pixels, channels, bins = given.sizes
    rank = min(channels, bins)
    shapes = {
        "regularisation": [(pixels,)],
        "factorisation": [(pixels, channels, rank), (pixels, rank), (pixels, rank), (pixels, 2)],
        "positivity": [(pixels, bins), (pixels,)],
        "resolution": [(pixels, bins)],
        "weights": [(pixels, bins)],
    }
    name = module.rpartition(".")[2]
    outputs = tuple(np.empty(shape) for shape in shapes[name])
    KERNELS[name](setup, scratch, *given.layout, *outputs)
    return (outputs[0], outputs[1] > 0) if name == "positivity" else outputs


@part
def fill(values, first, last, width, target):
    """Columns 0 to width - 1 of rows first to last - 1 into the lanes; the last row again where none is left."""
    for lane in range(LANES):
        row = min(first + lane, last - 1)
        for k in range(width):
            target[k * LANES + lane] = values[row, k]


def _regularisation(version):
    @entry
    def kernel(setup, scratch, squares, u, data, chosen):
        _ = version
        sizes, settings, factors, search = setup.sizes, setup.settings, scratch.factors, scratch.search
        channels, rank, pixels = sizes.channels, sizes.rank, len(data)
        target = splat(channels * settings.reg_tweak)
        for first in range(0, pixels, LANES):
            fill(squares, first, pixels, rank, factors.diagonal)
            for lane in range(LANES):
                row = min(first + lane, pixels - 1)
                least = greatest = squares[row, 0]
                whole = fitted = 0.0
                for f in range(channels):
                    whole += data[row, f] * data[row, f]
                for k in range(rank):
                    least, greatest = min(least, squares[row, k]), max(greatest, squares[row, k])
                    along = 0.0
                    for f in range(channels):
                        along += u[row, f, k] * data[row, f]
                    factors.projection[k * LANES + lane] = along
                    factors.below[k * LANES + lane] = factors.product[k * LANES + lane] = 0.0
                    fitted += along * along
                factors.unfitted[lane] = whole - fitted if rank < channels else 0.0
                factors.ends[lane], factors.ends[LANES + lane] = least, greatest
            grid(factors, search, settings.nmu)
            index = morozov(factors, search, rank, settings.nmu, target, load(search.guess, LANES))
            store(search.guess, LANES, index)
            for lane in range(min(LANES, pixels - first)):
                chosen[first + lane] = 1.0 / search.chosen[lane]

    return kernel


def _factorisation(version):
    @entry
    def kernel(setup, scratch, weight, edn, basis, diagonal, beside, ends):
        _ = version
        sizes, factors, lanes = setup.sizes, scratch.factors, scratch.pixels
        channels, rank, pixels = sizes.channels, sizes.rank, len(edn)
        for first in range(0, pixels, LANES):
            fill(weight, first, pixels, sizes.bins, scratch.rows.weight)
            fill(edn, first, pixels, channels, lanes.inverse_error)
            for f in range(channels):
                store(lanes.inverse_error, f * LANES, splat(1.0) / load(lanes.inverse_error, f * LANES))
                store(lanes.counts, f * LANES, splat(1.0))
            triangle(sizes, setup.response, scratch.rows.weight, lanes.inverse_error, factors)
            factorise(sizes, lanes, factors)
            for lane in range(min(LANES, pixels - first)):
                row = first + lane
                for k in range(rank):
                    before = factors.below[(k - 1) * LANES + lane] if k else 0.0
                    diagonal[row, k] = factors.diagonal[k * LANES + lane] + before
                    beside[row, k] = factors.product[k * LANES + lane] if k < rank - 1 else 0.0
                    for f in range(channels):
                        basis[row, f, k] = factors.basis[(f * channels + k) * LANES + lane]
                ends[row, 0], ends[row, 1] = factors.ends[lane], factors.ends[LANES + lane]

    return kernel


def _positivity(version):
    @entry
    def kernel(setup, scratch, squares, u, data, mu, weight, edn, dem, negative):
        _ = version
        sizes, factors, search, rows = setup.sizes, scratch.factors, scratch.search, scratch.rows
        channels, rank, pixels = sizes.channels, sizes.rank, len(data)
        for first in range(0, pixels, LANES):
            fill(weight, first, pixels, sizes.bins, rows.weight)
            found = min(LANES, pixels - first)
            for lane in range(LANES):
                row = min(first + lane, pixels - 1)
                search.chosen[lane] = 1.0 / mu[row]
                scratch.pixels.number[lane] = row
                for f in range(channels):
                    scratch.pixels.inverse_error[f * LANES + lane] = 1.0 / edn[row, f]
                for k in range(rank):
                    along = 0.0
                    for f in range(channels):
                        along += u[row, f, k] * data[row, f]
                        factors.basis[(f * channels + k) * LANES + lane] = u[row, f, k]
                    search.z[k * LANES + lane] = along * mu[row] / (squares[row, k] + mu[row])
            combine(sizes, scratch.pixels.inverse_error, factors, search, rows.coefficient)
            store(rows.passes, 0, solution(sizes, setup.response, rows.coefficient, rows.weight, rows.dem))
            put(dem, scratch.pixels, rows.dem, sizes.bins, found)
            for lane in range(found):
                negative[first + lane] = 1.0 if rows.passes[lane] < 0.0 else 0.0

    return kernel


def _resolution(version):
    @entry
    def kernel(setup, scratch, products, elogt):
        _ = version
        sizes, sorts, lanes, profiles = setup.sizes, setup.settings.sorts, scratch.pixels, scratch.profiles
        rank, bins, pixels = sizes.rank, sizes.bins, len(products)
        step = LANES if sorts else bins + bins % 2
        for start in range(0, pixels, LANES):
            found = min(LANES, pixels - start)
            for lane in range(LANES):
                lanes.number[lane] = min(start + lane, pixels - 1)
            for first in range(0, bins, step):
                for t in range(step):
                    for lane in range(LANES):
                        size = 0.0
                        for k in range(rank):
                            x = products[lanes.number[lane], first + t, k] if first + t < bins else 0.0
                            profiles.rows[(t * rank + k) * LANES + lane] = x
                            size += x * x
                        profiles.size[t * LANES + lane] = size
                if sorts:
                    lay_out(sizes, profiles, first)
            if sorts:
                for lane in range(found):
                    resolution(sizes, setup.samples, profiles, scratch.along, lane)
                    put_row(elogt, lanes.number[lane], scratch.along.elogt, bins)
            else:
                widths(sizes, setup.samples, profiles)
                put(elogt, lanes, profiles.width, bins, found)

    return kernel


def _weights(version):
    @entry
    def kernel(setup, scratch, solved, dn, weight):
        _ = version
        sizes, rows, lanes = setup.sizes, scratch.rows, scratch.pixels
        pixels = len(dn)
        for t in range(sizes.padded):
            rows.edem[t] = 1.0
        for first in range(0, pixels, LANES):
            for lane in range(LANES):
                lanes.number[lane] = min(first + lane, pixels - 1)
            if setup.settings.self_normalised:
                fill(solved, first, pixels, sizes.bins, rows.dem)
                solution_weight(sizes, rows.dem, rows.line)
            else:
                fill(dn, first, pixels, sizes.channels, lanes.counts)
                loci_weight(sizes, setup.constraint.loci, lanes.counts, rows.line)
            smoothed(sizes, rows.line, rows.edem, False, rows.weight)
            put(weight, lanes, rows.weight, sizes.bins, min(LANES, pixels - first))

    return kernel


KERNELS = {
    "regularisation": _regularisation(fingerprint()),
    "factorisation": _factorisation(fingerprint()),
    "positivity": _positivity(fingerprint()),
    "resolution": _resolution(fingerprint()),
    "weights": _weights(fingerprint()),
}
"""Numba's cache is keyed by the values that a kernel closes over: hence the version of its sources."""
