"""The whole inversion of a tile of pixels as one compiled function, `invert`.

Vectors of 8 doubles (`numba_simd`) run along the temperature bins, except where the work is a chain of divisions on an
F x F matrix: there (`factorise`) they run across 8 pixels. So pixels go through in blocks of 8; a pixel's result
depends neither on its neighbours nor on its lane. Nothing is allocated: a thread has one `Scratch` for all its tiles.

F channels, R = min(F, T) singular values, S bins per row after padding with zeros. All arrays are flat: a row along the
bins starts at f * S; a matrix across pixels has its element (f, k) of the eight pixels at (f * R + k) * LANES.
"""

# mypy: allow-untyped-defs

import math
from collections import namedtuple

import numba

from implementations.numba_simd import (
    LANES,
    absolute,
    all_less,
    any_less,
    broadcast,
    fma,
    highest,
    larger,
    load,
    smaller,
    splat,
    sqrt,
    store,
    total,
    where_less,
)

SAMPLES = 51
"""Points at which a resolution profile is compared with its half maximum."""
ROWS = 52
"""The same, padded to the four at a time that `products` makes; the last point stands twice."""
FAR = 1e9
"""A position beyond every logt."""
ORTHOGONAL = 1e-15
"""Cosine below which two columns need no rotation."""
SMALL_TURN = 1e-8
"""Tangent of a rotation that leaves, at second order, nothing for another sweep to do."""
MAX_SWEEPS = 30
OK, HIT_MAX_ITER = 0, 1

Setup = namedtuple(
    "Setup",
    "channels rank bins padded response loci fallback uniform width scale norm left fraction position negated dlogt "
    "reg_tweak rgt_fact max_iter nmu l_emd self_normalised",
)
"""What all pixels share, read-only."""
Scratch = namedtuple(
    "Scratch",
    "pixel counts inverse_error factor energy projection unfitted coefficient power weight row norm2 wz gz sample dem "
    "line edem elogt",
)
"""Working memory of one thread."""

part = numba.njit(error_model="numpy", forceinline=True)
"""A step of `invert`, inlined, so that arrays are not handed on through memory."""


@part
def dot(x, a, y, b, padded):
    """Sum over the bins of x[a:] * y[b:]."""
    even, odd = load(x, a) * load(y, b), load(x, a + LANES) * load(y, b + LANES)
    for t in range(2 * LANES, padded, 2 * LANES):
        even = fma(load(x, a + t), load(y, b + t), even)
        odd = fma(load(x, a + t + LANES), load(y, b + t + LANES), odd)
    return total(even + odd)


# --- constraint: the weight of each bin, W = L^-2 --------------------------------------------------------------------


@part
def loci_weight(loci, counts, lane, line, channels, padded):
    """line[t] = min over the chosen channels of counts[f] / response[f, t]."""
    for t in range(0, padded, LANES):
        lowest = broadcast(counts, lane) * load(loci, t)
        for f in range(1, channels):
            locus = broadcast(counts, f * LANES + lane) * load(loci, f * padded + t)
            lowest = where_less(locus, lowest, locus, lowest)
        store(line, LANES + t, lowest)


@part
def self_weight(dem, fallback, line, padded):
    """line[t] = dem where it is above 1e-4 of its maximum, else 1 (in the padding: -inf)."""
    greatest = load(dem, 0)
    for t in range(LANES, padded, LANES):
        greatest = larger(load(dem, t), greatest)
    # the padding's zeros hide a maximum below 0, but either way no bin is above the threshold
    threshold = splat(1e-4 * highest(greatest))
    for t in range(0, padded, LANES):
        x = load(dem, t)
        store(line, LANES + t, where_less(threshold, x, x, load(fallback, t)))


@part
def smooth(line, scale, l_emd, weight, at, bins, padded):
    """weight from line / max(line), averaged over 5 bins of which the first and the last count as 0; at least 1e-8."""
    greatest = load(line, LANES)
    for t in range(2 * LANES, LANES + padded, LANES):
        greatest = larger(load(line, t), greatest)
    line[LANES] = 0.0
    for t in range(LANES + bins - 1, 2 * LANES + padded):
        line[t] = 0.0
    fifth, floor = splat(0.2 / highest(greatest)), splat(1e-8)
    for t in range(0, padded, LANES):
        near = load(line, t + LANES - 1) + load(line, t + LANES + 1)
        far = load(line, t + LANES - 2) + load(line, t + LANES + 2)
        mean = larger((near + far + load(line, t + LANES)) * fifth, floor)
        store(weight, at + t, (mean * mean if l_emd else mean) * load(scale, t))


@part
def user_weight(norm, pixel, scale, l_emd, weight, at, bins):
    """weight from the user's row; False, and nothing done, where that row counts as not given."""
    given = False
    for t in range(bins):
        given |= norm[pixel, t] != 1.0
    if not given or norm[pixel, 0] == 0.0:
        return False
    for t in range(bins):
        w = abs(norm[pixel, t])
        weight[at + t] = (w * w if l_emd else w) * scale[t]
    return True


# --- factorise: B = K L^-1 = U diag(s) V^T, by B^T = Q R and R = V' diag(s) U^T -------------------------------------


@part
def triangle(response, weight, at, inverse_error, lane, factor, row, norm2, channels, rank, padded):
    """factor = R^T of this lane, by modified Gram-Schmidt with the channel of largest remaining norm next.

    As good as Householder's for R, which is all that is kept of it. The errors scale rows of R^T, so they come last.
    """
    for t in range(0, padded, LANES):
        root = sqrt(load(weight, at + t))
        for f in range(channels):
            store(row, f * padded + t, load(response, f * padded + t) * root)
    for f in range(channels):
        norm2[f] = dot(row, f * padded, row, f * padded, padded)
    for k in range(rank):
        pivot, largest = 0, -1.0
        for f in range(channels):
            size = norm2[f] * inverse_error[f * LANES + lane] ** 2
            if size > largest:
                pivot, largest = f, size
            factor[(f * rank + k) * LANES + lane] = 0.0
        length2 = norm2[pivot]
        norm2[pivot] = -1.0
        if length2 <= 0.0:
            continue
        length = math.sqrt(length2)
        factor[(pivot * rank + k) * LANES + lane] = length * inverse_error[pivot * LANES + lane]
        for f in range(channels):
            if norm2[f] >= 0.0:
                along = dot(row, f * padded, row, pivot * padded, padded)
                factor[(f * rank + k) * LANES + lane] = along / length * inverse_error[f * LANES + lane]
                norm2[f] = remove(row, f * padded, pivot * padded, -along / length2, padded)


@part
def remove(row, a, b, factor, padded):
    """row[a:] += factor * row[b:]; returns the squared norm of what is left."""
    multiple = splat(factor)
    even = odd = multiple - multiple
    for t in range(0, padded, 2 * LANES):
        x = fma(multiple, load(row, b + t), load(row, a + t))
        y = fma(multiple, load(row, b + t + LANES), load(row, a + t + LANES))
        store(row, a + t, x)
        store(row, a + t + LANES, y)
        even, odd = fma(x, x, even), fma(y, y, odd)
    return total(even + odd)


@part
def rotation(factor, p, q, rank, channels, busy):
    """(t, c) that make columns p and q orthogonal in every busy lane; (0, 1) where they are."""
    alpha = beta = gamma = splat(0.0)
    for f in range(channels):
        x, y = load(factor, (f * rank + p) * LANES), load(factor, (f * rank + q) * LANES)
        alpha, beta, gamma = fma(x, x, alpha), fma(y, y, beta), fma(x, y, gamma)
    zero, one, two = splat(0.0), splat(1.0), splat(2.0)
    needed = gamma * gamma - splat(ORTHOGONAL**2) * (alpha * beta)
    delta = beta - alpha
    twice = gamma * two
    size = absolute(delta) + sqrt(fma(delta, delta, twice * twice))
    t = where_less(delta, zero, zero - twice, twice) / size
    t = where_less(zero, needed * busy, t, zero)
    return t, one / sqrt(fma(t, t, one))


@part
def orthogonalise(factor, channels, rank):
    """One-sided Jacobi: rotate the columns of `factor` until they are orthogonal, each lane until it is done."""
    zero, one, small = splat(0.0), splat(1.0), splat(SMALL_TURN)
    busy = one
    for _ in range(MAX_SWEEPS):
        largest = zero
        for p in range(rank - 1):
            for q in range(p + 1, rank):
                t, c = rotation(factor, p, q, rank, channels, busy)
                largest = larger(absolute(t), largest)
                s = c * t
                for f in range(channels):
                    a, b = (f * rank + p) * LANES, (f * rank + q) * LANES
                    x, y = load(factor, a), load(factor, b)
                    store(factor, a, c * x - s * y)
                    store(factor, b, fma(s, x, c * y))
        busy = where_less(small, largest, busy, zero)
        if not any_less(zero, busy):
            break


@part
def factorise(factor, counts, inverse_error, energy, projection, unfitted, channels, rank):
    """Eight pixels' `factor` = R^T becomes U; energy = s^2, projection = U^T d, unfitted = |d - U U^T d|^2."""
    orthogonalise(factor, channels, rank)
    zero, one = splat(0.0), splat(1.0)
    for k in range(rank):
        length2 = zero
        for f in range(channels):
            x = load(factor, (f * rank + k) * LANES)
            length2 = fma(x, x, length2)
        store(energy, k * LANES, length2)
        unit = where_less(zero, length2, one / sqrt(length2), zero)
        along = zero
        for f in range(channels):
            u = load(factor, (f * rank + k) * LANES) * unit
            store(factor, (f * rank + k) * LANES, u)
            along = fma(u, load(counts, f * LANES) * load(inverse_error, f * LANES), along)
        store(projection, k * LANES, along)
    rest = zero
    for f in range(channels):
        d = load(counts, f * LANES) * load(inverse_error, f * LANES)
        for k in range(rank):
            d = d - load(factor, (f * rank + k) * LANES) * load(projection, k * LANES)
        rest = fma(d, d, rest)
    store(unfitted, 0, rest)


# --- discrepancy: Morozov's choice on a grid of regularisation parameters mu -----------------------------------------


@part
def grid(energy, lane, rank, nmu, power):
    """1 / mu of the first grid point and whether mu falls; power[b] = (mu[i] / mu[i + 2^b]) for the others."""
    low, high = math.inf, 0.0
    for k in range(rank):
        size = energy[k * LANES + lane]
        if size > 0.0:  # else the channels are linearly dependent
            low, high = min(low, size), max(high, size)
    first, last = low * 1e-4, math.sqrt(high)
    power[0] = math.exp(math.log(first / last) / (nmu - 1))
    b = 1
    while nmu >> b:
        power[b] = power[b - 1] * power[b - 1]
        b += 1
    return 1.0 / first, last < first


@part
def grid_point(start, power, index):
    """1 / mu of a grid point, monotone in its index and the same however the search came to it."""
    value, b = start, 0
    while index:
        if index & 1:
            value *= power[b]
        index >>= 1
        b += 1
    return value


@part
def misfit(energy, projection, unfitted, lane, rank, reciprocal):
    """Sum of (u.d / (1 + s^2 / mu))^2 and what no mu can fit. Every rounding is monotone in mu, so the sum is too."""
    value = unfitted[lane]
    for k in range(rank):
        term = projection[k * LANES + lane] / (1.0 + energy[k * LANES + lane] * reciprocal)
        value += term * term
    return value


@part
def discrepancy(energy, projection, unfitted, lane, rank, start, power, falling, nmu, target, low, step):
    """Index of the grid point whose misfit is nearest to `target`, the first where several are.

    `low` is any index on the near side of the crossing (or -1); the search doubles `step` until it has crossed.
    """

    def excess(index):
        difference = misfit(energy, projection, unfitted, lane, rank, grid_point(start, power, index)) - target
        return -difference if falling else difference

    high = min(low + step, nmu)
    while high < nmu and excess(high) < 0.0:
        low, step = high, 2 * step
        high = min(low + step, nmu)
    while high - low > 1:
        middle = (low + high) // 2
        if excess(middle) < 0.0:
            low = middle
        else:
            high = middle
    if low < 0:
        return 0
    nearest = excess(low)
    if high < nmu and excess(high) < -nearest:
        return high
    if low == 0 or excess(low - 1) != nearest:
        return low
    high, low = low - 1, -1  # a plateau: find where it begins
    while high - low > 1:
        middle = (low + high) // 2
        if excess(middle) != nearest:
            low = middle
        else:
            high = middle
    return high


# --- inverse: x = W K^T U diag(1/(s^2+mu)) U^T d ----------------------------------------------------------------------


@part
def inverse(
    response, weight, at, factor, energy, projection, inverse_error, lane, mu, coefficient, dem, channels, rank, padded
):
    """dem of one lane; returns whether some bin is negative."""
    for f in range(channels):
        coefficient[f] = 0.0
    for k in range(rank):
        filtered = projection[k * LANES + lane] / (energy[k * LANES + lane] + mu)
        for f in range(channels):
            coefficient[f] += factor[(f * rank + k) * LANES + lane] * filtered
    for f in range(channels):
        coefficient[f] *= inverse_error[f * LANES + lane]
    zero = splat(0.0)
    lowest = zero
    for t in range(0, padded, LANES):
        x = broadcast(coefficient, 0) * load(response, t)
        for f in range(1, channels):
            x = fma(broadcast(coefficient, f), load(response, f * padded + t), x)
        x = x * load(weight, at + t)
        store(dem, t, x)
        lowest = where_less(x, lowest, x, lowest)
    return any_less(lowest, zero)


# --- uncertainty: errors of the solution and its resolution ----------------------------------------------------------


@part
def errors(
    response, weight, at, factor, energy, inverse_error, lane, mu, coefficient, wz, gz, edem, channels, rank, padded
):
    """edem, and rows wz and gz such that sum over k of wz[k, i] * gz[k, t] is (K-dagger K)[i, t].

    With Z = U^T K and g = 1/(s^2 + mu): wz = W Z, gz = g Z. To form M = U diag(g) U^T first would cost the square of
    the condition number.
    """
    for k in range(rank):
        for f in range(channels):
            coefficient[k * channels + f] = factor[(f * rank + k) * LANES + lane] * inverse_error[f * LANES + lane]
    for t in range(0, padded, LANES):
        w = load(weight, at + t)
        variance = w - w
        for k in range(rank):
            z = broadcast(coefficient, k * channels) * load(response, t)
            for f in range(1, channels):
                z = fma(broadcast(coefficient, k * channels + f), load(response, f * padded + t), z)
            g = z * splat(1.0 / (energy[k * LANES + lane] + mu))
            variance = fma(g, g, variance)
            store(wz, k * padded + t, w * z)
            store(gz, k * padded + t, g)
        store(edem, t, w * sqrt(variance))


@part
def products(rows, i, stride, gz, t, lanes, rank, padded):
    """Profiles at rows i to i + 3, for the two vectors of bins at t."""
    y, z = load(gz, t), load(gz, t + lanes)
    x = broadcast(rows, i)
    a0, b0 = x * y, x * z
    x = broadcast(rows, i + 1)
    a1, b1 = x * y, x * z
    x = broadcast(rows, i + 2)
    a2, b2 = x * y, x * z
    x = broadcast(rows, i + 3)
    a3, b3 = x * y, x * z
    for _ in range(1, rank):
        i, t = i + stride, t + padded
        y, z = load(gz, t), load(gz, t + lanes)
        x = broadcast(rows, i)
        a0, b0 = fma(x, y, a0), fma(x, z, b0)
        x = broadcast(rows, i + 1)
        a1, b1 = fma(x, y, a1), fma(x, z, b1)
        x = broadcast(rows, i + 2)
        a2, b2 = fma(x, y, a2), fma(x, z, b2)
        x = broadcast(rows, i + 3)
        a3, b3 = fma(x, y, a3), fma(x, z, b3)
    return a0, a1, a2, a3, b0, b1, b2, b3


@part
def profile_peaks(wz, gz, t, lanes, rank, padded):
    """Greatest values of the profiles of the two vectors of bins at t; at least 0, as profile t has bin t >= 0."""
    a = load(gz, t) - load(gz, t)
    b = a
    for i in range(0, padded, 4):
        a0, a1, a2, a3, b0, b1, b2, b3 = products(wz, i, padded, gz, t, lanes, rank, padded)
        a = larger(a, larger(larger(a0, a1), larger(a2, a3)))
        b = larger(b, larger(larger(b0, b1), larger(b2, b3)))
    return a, b


@part
def profile_samples(wz, left, fraction, sample, rank, padded):
    """Twice the rows wz, interpolated linearly at the sample points: twice, to be compared with the peak itself."""
    for k in range(rank):
        for j in range(ROWS):
            at = k * padded + left[j]
            sample[k * ROWS + j] = 2.0 * (wz[at] + fraction[j] * (wz[at + 1] - wz[at]))


@part
def nearest(sample, gz, t, lanes, peak_a, peak_b, found_a, found_b, position, start, step, rank, padded):
    """Least position whose sample reaches half the peak, in each lane not yet found (at position[ROWS], beyond all)."""
    far = broadcast(position, ROWS)
    for j in range(start, ROWS - 4 - start + step, step):
        a0, a1, a2, a3, b0, b1, b2, b3 = products(sample, j, ROWS, gz, t, lanes, rank, padded)
        p = broadcast(position, j)
        found_a = smaller(found_a, where_less(a0, peak_a, far, p))
        found_b = smaller(found_b, where_less(b0, peak_b, far, p))
        p = broadcast(position, j + 1)
        found_a = smaller(found_a, where_less(a1, peak_a, far, p))
        found_b = smaller(found_b, where_less(b1, peak_b, far, p))
        p = broadcast(position, j + 2)
        found_a = smaller(found_a, where_less(a2, peak_a, far, p))
        found_b = smaller(found_b, where_less(b2, peak_b, far, p))
        p = broadcast(position, j + 3)
        found_a = smaller(found_a, where_less(a3, peak_a, far, p))
        found_b = smaller(found_b, where_less(b3, peak_b, far, p))
        if all_less(found_a, far) and all_less(found_b, far):
            break
    return found_a, found_b


@part
def resolution(wz, gz, sample, position, negated, dlogt, elogt, rank, padded):
    """elogt, two vectors of bins at a time: their peaks, then the samples from either end until all have crossed."""
    lanes = 64 // wz.itemsize
    far = broadcast(position, ROWS)
    for t in range(0, padded, 2 * lanes):
        peak_a, peak_b = profile_peaks(wz, gz, t, lanes, rank, padded)
        first_a, first_b = nearest(sample, gz, t, lanes, peak_a, peak_b, far, far, position, 0, 4, rank, padded)
        # where no sample crosses there is none to find from the other end
        zero = far - far
        last_a, last_b = where_less(first_a, far, far, zero), where_less(first_b, far, far, zero)
        last_a, last_b = nearest(
            sample, gz, t, lanes, peak_a, peak_b, last_a, last_b, negated, ROWS - 4, -4, rank, padded
        )
        store(elogt, t, where_less(first_a, far, zero - last_a - first_a, load(dlogt, t)))
        store(elogt, t + lanes, where_less(first_b, far, zero - last_b - first_b, load(dlogt, t + lanes)))


# --- tile ------------------------------------------------------------------------------------------------------------


@part
def is_valid(dn, edn, pixel, channels):
    """Whether every count and error is finite and > 0; a NaN compares false."""
    valid = True
    for f in range(channels):
        valid &= 0.0 < dn[pixel, f] < math.inf and 0.0 < edn[pixel, f] < math.inf
    return valid


@part
def gather(dn, edn, first, last, pixel, counts, inverse_error, channels):
    """The next valid pixels from `first` on into the lanes; returns how many, and where to go on."""
    found = 0
    while first < last and found < LANES:
        if is_valid(dn, edn, first, channels):
            pixel[found] = first
            found += 1
        first += 1
    for lane in range(LANES):
        if lane >= found:  # a copy of the first, so that every lane holds numbers
            pixel[lane] = pixel[0]
        for f in range(channels):
            counts[f * LANES + lane] = dn[pixel[lane], f]
            inverse_error[f * LANES + lane] = 1.0 / edn[pixel[lane], f]
    return found, first


@part
def uniform_triangle(uniform, inverse_error, factor, channels, rank):
    """factor = R^T under L = 1/sqrt(dlogt), the same for all pixels but for the errors."""
    for f in range(channels):
        e = load(inverse_error, f * LANES)
        for k in range(rank):
            store(factor, (f * rank + k) * LANES, broadcast(uniform, f * rank + k) * e)


@part
def constrain(setup, scratch, lane):
    """The weights of one lane; if self-normalised, `factorise` has just been through the uniform triangle."""
    s, w = setup, scratch
    at = lane * s.padded
    given = False
    if len(s.norm):
        given = user_weight(s.norm, w.pixel[lane], s.scale, s.l_emd, w.weight, at, s.bins)
    if not given:
        if s.self_normalised:
            start, falling = grid(w.energy, lane, s.rank, s.nmu, w.power)
            index = discrepancy(
                w.energy, w.projection, w.unfitted, lane, s.rank, start, w.power, falling, s.nmu,
                s.channels * s.reg_tweak, -1, (s.nmu + 1) // 2,
            )  # fmt: skip
            inverse(
                s.response, s.width, 0, w.factor, w.energy, w.projection, w.inverse_error, lane,
                1.0 / grid_point(start, w.power, index), w.coefficient, w.dem, s.channels, s.rank, s.padded,
            )  # fmt: skip
            self_weight(w.dem, s.fallback, w.line, s.padded)
        else:
            loci_weight(s.loci, w.counts, lane, w.line, s.channels, s.padded)
        smooth(w.line, s.scale, s.l_emd, w.weight, at, s.bins, s.padded)


@part
def solve(setup, scratch, lane):
    """The positivity loop of one lane: dem, the mu it ended with, iterations and status."""
    s, w = setup, scratch
    start, falling = grid(w.energy, lane, s.rank, s.nmu, w.power)
    target, low, step = s.channels * s.reg_tweak, -1, (s.nmu + 1) // 2
    mu, negative, iterations = 0.0, True, 0
    while negative and iterations < s.max_iter:
        index = discrepancy(
            w.energy, w.projection, w.unfitted, lane, s.rank, start, w.power, falling, s.nmu, target, low, step
        )
        mu = 1.0 / grid_point(start, w.power, index)
        negative = inverse(
            s.response, w.weight, lane * s.padded, w.factor, w.energy, w.projection, w.inverse_error, lane, mu,
            w.coefficient, w.dem, s.channels, s.rank, s.padded,
        )  # fmt: skip
        iterations += 1
        target *= s.rgt_fact
        if s.rgt_fact >= 1.0 and not falling:  # the crossing moves up from here
            low, step = index - 1, 1
    return mu, iterations, HIT_MAX_ITER if negative else OK


@part
def finish(setup, scratch, lane, mu, dem, edem, elogt, chisq, dn_reg):
    """The outputs of one lane whose dem is in scratch."""
    s, w = setup, scratch
    pixel = w.pixel[lane]
    residual = 0.0
    for f in range(s.channels):
        counts = dot(s.response, f * s.padded, w.dem, 0, s.padded)
        dn_reg[pixel, f] = counts
        residual += ((w.counts[f * LANES + lane] - counts) * w.inverse_error[f * LANES + lane]) ** 2
    chisq[pixel] = residual / s.channels
    errors(
        s.response, w.weight, lane * s.padded, w.factor, w.energy, w.inverse_error, lane, mu, w.coefficient, w.wz, w.gz,
        w.edem, s.channels, s.rank, s.padded,
    )  # fmt: skip
    for t in range(s.bins):
        dem[pixel, t] = w.dem[t]
        edem[pixel, t] = w.edem[t]
    profile_samples(w.wz, s.left, s.fraction, w.sample, s.rank, s.padded)
    resolution(w.wz, w.gz, w.sample, s.position, s.negated, s.dlogt, w.elogt, s.rank, s.padded)
    for t in range(s.bins):
        elogt[pixel, t] = w.elogt[t]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def invert(setup, scratch, dn, edn, first, last, dem, edem, elogt, chisq, dn_reg, iterations, status):
    """Solve pixels first to last - 1; the outputs of invalid ones are left as they are."""
    s, w = setup, scratch
    while first < last:
        found, first = gather(dn, edn, first, last, w.pixel, w.counts, w.inverse_error, s.channels)
        if found == 0:
            break
        if s.self_normalised:
            uniform_triangle(s.uniform, w.inverse_error, w.factor, s.channels, s.rank)
            factorise(w.factor, w.counts, w.inverse_error, w.energy, w.projection, w.unfitted, s.channels, s.rank)
        for lane in range(LANES):
            constrain(s, w, lane)
        for lane in range(LANES):
            triangle(
                s.response, w.weight, lane * s.padded, w.inverse_error, lane, w.factor, w.row, w.norm2, s.channels,
                s.rank, s.padded,
            )  # fmt: skip
        factorise(w.factor, w.counts, w.inverse_error, w.energy, w.projection, w.unfitted, s.channels, s.rank)
        for lane in range(found):
            mu, iterations[w.pixel[lane]], status[w.pixel[lane]] = solve(s, w, lane)
            finish(s, w, lane, mu, dem, edem, elogt, chisq, dn_reg)
