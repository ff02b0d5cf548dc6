"""The steps as plain loops, each compiled twice: as it is, and with every flag that promises speed.

Under the plain compilation `prange` is `range`. Every function takes and returns arrays with the pixel axis first.
"""

# mypy: allow-untyped-defs

import functools

import numpy as np
from numba import njit, prange

from implementations.cpu.flags import with_every_flag

SAMPLES = 51


@functools.cache
def compiled(module, parallel):
    """The step of that module; `parallel`: with parallel=True and fastmath=True."""
    loop = LOOPS[module.rpartition(".")[2]]
    return with_every_flag(loop) if parallel else njit(cache=True)(loop)


def regularisation(alpha, beta, u, data, target, nmu):
    """The grid point (P,) whose misfit is nearest to F·target, the first of equals; the points of all grids in turn."""
    pixels, channels = data.shape
    lowest, step = np.empty(pixels), np.empty(pixels)
    projection = np.zeros((pixels, channels))
    for p in range(pixels):
        least, greatest = np.inf, 0.0
        for k in range(channels):
            if alpha[p, k] != 0.0:
                least, greatest = min(least, alpha[p, k] / beta[p, k]), max(greatest, alpha[p, k] / beta[p, k])
            for f in range(channels):
                projection[p, k] += data[p, f] * u[p, f, k]
        lowest[p] = least**2 * 1e-4
        step[p] = np.log(greatest / lowest[p]) / (nmu - 1)
    distance = np.empty((pixels, nmu))
    for n in prange(pixels * nmu):
        p, i = n // nmu, n % nmu
        mu, misfit = lowest[p] * np.exp(i * step[p]), 0.0
        for k in range(channels):
            left = mu * beta[p, k] ** 2 / (alpha[p, k] ** 2 + mu * beta[p, k] ** 2) * projection[p, k]
            misfit += left * left
        distance[p, i] = abs(misfit - channels * target)
    mu = np.empty(pixels)
    for p in range(pixels):
        nearest = 0  # no np.argmin: with parallel=True each would wake the threads
        for i in range(1, nmu):
            if distance[p, i] < distance[p, nearest]:
                nearest = i
        mu[p] = lowest[p] * np.exp(nearest * step[p])
    return (mu,)


def factorisation(kernel, constraint):
    """B reduced to a triangle by Gram-Schmidt, where that is smaller, and its SVD."""
    pixels, channels, bins = kernel.shape
    rank = min(channels, bins)
    basis, square = np.empty((pixels, channels, rank)), np.empty((pixels, rank))
    beside, ends = np.zeros((pixels, rank)), np.empty((pixels, 2))
    for p in prange(pixels):
        b = np.empty((channels, bins))
        for f in range(channels):
            for t in range(bins):
                b[f, t] = kernel[p, f, t] / constraint[p, t]
        if channels <= bins:
            c = np.zeros((channels, channels))
            for k in range(channels):
                length2 = np.dot(b[k], b[k])
                c[k, k] = np.sqrt(length2)
                for f in range(k + 1, channels):
                    along = np.dot(b[f], b[k])
                    c[f, k] = along / c[k, k] if length2 > 0.0 else 0.0
                    for t in range(bins):
                        b[f, t] -= along / length2 * b[k, t] if length2 > 0.0 else 0.0
            left, s, _ = np.linalg.svd(c, False)
        else:
            left, s, _ = np.linalg.svd(b, False)
        for k in range(rank):
            square[p, k] = s[k] * s[k]
            for f in range(channels):
                basis[p, f, k] = left[f, k]
        ends[p, 0], ends[p, 1] = square[p, rank - 1], square[p, 0]
    return basis, square, beside, ends


def positivity(rmatrix, s, u, data, mu, constraint, edn):
    """The DEM, K-dagger d, and whether some bin is negative."""
    bins, channels = rmatrix.shape
    pixels, rank = s.shape
    dem, negative = np.empty((pixels, bins)), np.zeros(pixels, np.bool_)
    for p in prange(pixels):
        coefficient = np.zeros(channels)
        for k in range(rank):
            along = 0.0
            for f in range(channels):
                along += u[p, f, k] * data[p, f]
            along /= s[p, k] ** 2 + mu[p]
            for f in range(channels):
                coefficient[f] += u[p, f, k] * along / edn[p, f]
        for t in range(bins):
            total = 0.0
            for f in range(channels):
                total += rmatrix[t, f] * coefficient[f]
            dem[p, t] = total / constraint[p, t] ** 2
            if dem[p, t] < 0.0:
                negative[p] = True
    return dem, negative


def resolution(inverse, kernel, logt, dlogt):
    """Half the distance of a profile's outermost samples of at least half its maximum."""
    pixels, bins, channels = inverse.shape
    elogt = np.empty((pixels, bins))
    span = logt[-1] - logt[0]
    below, share, points = np.empty(SAMPLES, np.int64), np.empty(SAMPLES), np.empty(SAMPLES)
    at = 0
    for j in range(SAMPLES):
        points[j] = logt[0] + 1e-8 + span * j / SAMPLES
        while at < bins - 2 and logt[at + 1] <= points[j]:
            at += 1
        below[j], share[j] = at, (points[j] - logt[at]) / (logt[at + 1] - logt[at])
    for p in prange(pixels):
        profile = np.empty(bins)
        for t in range(bins):
            greatest = -np.inf
            for i in range(bins):
                total = 0.0
                for f in range(channels):
                    total += inverse[p, i, f] * kernel[p, f, t]
                profile[i] = total
                greatest = max(greatest, total)
            first = last = -1
            for j in range(SAMPLES):
                left, right = profile[below[j]], profile[below[j] + 1]
                if left + (right - left) * share[j] >= greatest / 2:
                    last = j
                    if first < 0:
                        first = j
            elogt[p, t] = dlogt[t] if first < 0 else (points[last] - points[first]) / 2
    return (elogt,)


def weights(first, dn, rmatrix, chosen):
    """The loci of the chosen channels, or without any the first solution where it matters; five-point means of it."""
    pixels, bins = first.shape
    loci = chosen.any()
    weight = np.empty((pixels, bins))
    for p in prange(pixels):
        line = np.empty(bins)
        threshold = 1e-4 * first[p].max()
        for t in range(bins):
            if loci:
                line[t] = np.inf
                for f in range(len(chosen)):
                    if chosen[f] and rmatrix[t, f] > 0.0:
                        line[t] = min(line[t], dn[p, f] / rmatrix[t, f])
            else:
                line[t] = first[p, t] if first[p, t] > threshold else 1.0
        greatest = line.max()
        for t in range(bins):
            total = 0.0
            for near in range(max(t - 2, 1), min(t + 3, bins - 1)):
                total += line[near] / greatest
            weight[p, t] = max(total / 5, 1e-8)
    return (weight,)


LOOPS = {f.__name__: f for f in (regularisation, factorisation, positivity, resolution, weights)}
