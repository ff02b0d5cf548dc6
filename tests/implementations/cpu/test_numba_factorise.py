"""The compiled factorisation without an SVD, held to the thin SVD's own error in arithmetic of 60 digits."""

from typing import NamedTuple

import mpmath as mp
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implementations.compiled import staging
from implementations.compiled.discrepancy import misfits
from implementations.compiled.factorise import factorise, triangle
from implementations.compiled.inverse import combine, solution
from implementations.compiled.simd import LANES, load, splat, store
from implementations.compiled.uncertainty import edem_and_rows, factors_at
from implementations.contract import Problem

AS_MANY = 30
"""Times the thin SVD's error, that ours may be at most."""
ROUNDING = 1e-15
"""Relative error below which the SVD's is luck."""
LOST = 1e-3
"""Relative error of the SVD from which there is nothing left to compare."""


@numba.njit(_nrt=False)
def at_mu(setup, scratch, v):
    """Everything that a solution at 1 / mu = v is made of, in scratch."""
    sizes, w, search, rows = setup.sizes, scratch, scratch.search, scratch.rows
    triangle(sizes, setup.response, rows.weight, w.pixels.inverse_error, w.factors)
    factorise(sizes, w.pixels, w.factors)
    store(search.seen, 0, misfits(w.factors, search, sizes.rank, splat(v), splat(v))[0])
    for k in range(sizes.rank):
        store(search.z, k * LANES, load(search.pair, 2 * k * LANES))
    store(search.chosen, 0, splat(v))
    combine(sizes, w.pixels.inverse_error, w.factors, search, rows.coefficient)
    solution(sizes, setup.response, rows.coefficient, rows.weight, rows.dem)
    factors_at(sizes, w.pixels.inverse_error, w.factors, search, rows)
    edem_and_rows(sizes, setup.response, rows, 0, sizes.bins + sizes.bins % 2, w.profiles)


class Given(NamedTuple):
    """One pixel: B = K L^-1 and what it is made of."""

    response: np.ndarray
    weight: np.ndarray
    errors: np.ndarray
    counts: np.ndarray

    @property
    def b(self):
        return self.response * np.sqrt(self.weight) / self.errors[:, None]


class Found(NamedTuple):
    """What is compared: dem, its error, the profiles times W, the misfit, and the least and the greatest s^2."""

    dem: np.ndarray
    edem: np.ndarray
    profiles: np.ndarray
    misfit: np.ndarray
    ends: np.ndarray


def ours(pixel, mu, lane):
    channels, bins = pixel.response.shape
    logt = np.linspace(5.7, 7.1, bins)
    counts, errors = np.ones((1, channels)), np.ones((1, channels))
    problem = Problem(counts, errors, pixel.response.T, logt, np.full(bins, 0.1))
    setup = staging.stage(problem, np.float64)
    scratch = staging.working_memory(setup, np.float64)
    rows, size, rank = scratch.rows, setup.sizes.padded, setup.sizes.rank
    rng = np.random.default_rng(lane)
    rows.weight.reshape(size, LANES)[:bins] = rng.uniform(0.1, 1, (bins, LANES))
    scratch.pixels.counts[:], scratch.pixels.inverse_error[:] = rng.uniform(1, 2, (2, channels * LANES))
    rows.weight.reshape(size, LANES)[:bins, lane] = pixel.weight
    scratch.pixels.counts[lane::LANES] = pixel.counts
    scratch.pixels.inverse_error[lane::LANES] = 1 / pixel.errors
    at_mu(setup, scratch, 1 / mu)
    dem, edem = (row.reshape(size, LANES)[:bins, lane] for row in (rows.dem, rows.edem))
    y = scratch.profiles.rows.reshape(-1, rank, LANES)[:bins, :, lane]
    return Found(dem, edem, y @ y.T, scratch.search.seen[lane], scratch.factors.ends[lane::LANES])


def by_svd(pixel, mu, triangle=False):
    b = np.linalg.qr(pixel.b.T, mode="r").T if triangle else pixel.b
    u, s, _ = np.linalg.svd(b, full_matrices=False)
    k, d = pixel.response / pixel.errors[:, None], pixel.counts / pixel.errors
    z, p = u.T @ k, u.T @ d
    inverse = pixel.weight[:, None] * (z.T / (s**2 + mu))
    misfit = np.sum((mu / (s**2 + mu) * p) ** 2) + np.sum((d - u @ p) ** 2)
    profiles = (inverse @ z) * pixel.weight
    return Found(inverse @ p, np.linalg.norm(inverse, axis=1), profiles, misfit, s[[-1, 0]] ** 2)


def exactly(pixel, mu):
    with mp.workdps(60):
        k = mp.matrix((pixel.response / 1).tolist())
        for f, error in enumerate(pixel.errors.tolist()):
            for t in range(k.cols):
                k[f, t] /= mp.mpf(error)
        weight = mp.diag(pixel.weight.tolist())
        d = mp.matrix(
            [mp.mpf(c) / mp.mpf(e) for c, e in zip(pixel.counts.tolist(), pixel.errors.tolist(), strict=True)]
        )
        square = k * weight * k.T
        inverse = weight * k.T * mp.inverse(square + mp.mpf(mu) * mp.eye(k.rows))
        energy = sorted(mp.eigsy(square, eigvals_only=True))
        dem = inverse * d
        left = d - k * dem
        edem = [mp.norm(inverse[t, :]) for t in range(k.cols)]
        ends = [energy[-min(k.rows, k.cols)], energy[-1]]
        as_array = [np.array([float(x) for x in values]) for values in (dem, edem, inverse * k * weight, ends)]
        shape = (k.cols, k.cols)
        return Found(as_array[0], as_array[1], as_array[2].reshape(shape), float((left.T * left)[0]), as_array[3])


def off(found, exact):
    return np.max(np.abs(found - exact)) / np.max(np.abs(exact))


def neighbours(pixel, number=6):
    """The same problem with its numbers off by one rounding: on one alone an SVD may be lucky."""
    rng = np.random.default_rng(number)
    for _ in range(number):
        scales = (1 + np.finfo(float).eps * rng.choice([-1, 1], array.shape) for array in pixel[:2])
        yield pixel._replace(response=pixel.response * next(scales), weight=pixel.weight * next(scales))


def falling(pixel):
    """The same problem with its channels by falling norm."""
    order = np.argsort(-np.linalg.norm(pixel.b, axis=1))
    return Given(pixel.response[order], pixel.weight, pixel.errors[order], pixel.counts[order])


def svds_near(pixel, mu):
    """Thin SVDs of B and of its triangle, of problems one rounding apart."""
    return [by_svd(p, mu, triangle) for p in (pixel, *neighbours(pixel)) for triangle in (False, True)]


def compare(pixel, mu, lane, svds=None):
    """Hold ours to the worst of thin SVDs; unless said, `svds_near`."""
    got, exact = ours(pixel, mu, lane), exactly(pixel, mu)
    svds = svds or svds_near(pixel, mu)
    for name in Found._fields[:-1]:
        true = getattr(exact, name)
        allowed = max(off(getattr(svd, name), true) for svd in svds)
        if allowed < LOST:
            assert off(getattr(got, name), true) <= AS_MANY * max(allowed, ROUNDING), name
    return got, exact


@st.composite
def pixels(draw, channels, bins):
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    f, t = draw(channels), draw(bins)
    logt = np.linspace(0, 1, t)
    centres, width = rng.uniform(0, 1, (f, 1)), draw(st.floats(0.05, 1.0))
    response = np.exp(-(((logt - centres) / width) ** 2)) * 10 ** rng.uniform(-1, 1, (f, 1)) + 1e-4
    weight = 10 ** (draw(st.floats(0, 8)) * (rng.random(t) - 1))
    return Given(response, weight, 10 ** rng.uniform(-0.5, 0.5, f), rng.uniform(0.5, 2, f))


def mixed(pixel, closeness, seed):
    """The last channel as the first, but for 10^-closeness of another: condition of that order."""
    response = pixel.response.copy()
    response[-1] = response[0] * 2 + 10.0**-closeness * np.random.default_rng(seed).random(response.shape[1])
    return pixel._replace(response=response)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixel=pixels(st.integers(1, 9), st.integers(9, 40)),
    at=st.floats(0, 1),
    lane=st.integers(0, LANES - 1),
)
def test_errors_are_those_of_the_thin_svd(pixel, at, lane):
    """Anywhere on the regularisation grid, whatever the condition of smooth responses is."""
    s = np.linalg.svd(pixel.b, compute_uv=False)
    low, high = max(s[-1] ** 2 * 1e-4, s[0] ** 2 * 1e-28), s[0] ** 2
    compare(pixel, low ** (1 - at) * high**at, lane)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixel=pixels(st.integers(2, 7), st.integers(8, 34)),
    closeness=st.floats(0, 12),
    at=st.floats(0, 1),
    lane=st.integers(0, LANES - 1),
)
def test_errors_are_those_of_the_thin_svd_where_channels_are_nearly_one(pixel, closeness, at, lane):
    pixel = mixed(pixel, closeness, lane)
    s = np.linalg.svd(pixel.b, compute_uv=False)
    low, high = max(s[-1] ** 2 * 1e-4, s[0] ** 2 * 1e-28), s[0] ** 2
    got, exact = compare(pixel, low ** (1 - at) * high**at, lane)
    condition = np.sqrt(exact.ends[1] / exact.ends[0])
    assert abs(np.sqrt(got.ends[0] / exact.ends[0]) - 1) <= max(1e-12, AS_MANY * 1e-16 * condition)
    assert got.ends[1] == pytest.approx(exact.ends[1], rel=1e-13)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixel=pixels(st.integers(1, 9), st.integers(9, 40)),
    closeness=st.none() | st.floats(0, 12),
    at=st.floats(0, 1),
    lane=st.integers(0, LANES - 1),
)
def test_errors_are_those_of_the_very_same_svd_where_channels_come_by_falling_norm(pixel, closeness, at, lane):
    """Reflections lose where a weak channel comes before a strong one; no SVD of a neighbour is needed here."""
    if closeness is not None and len(pixel.response) > 1:
        pixel = mixed(pixel, closeness, lane)
    pixel = falling(pixel)
    s = np.linalg.svd(pixel.b, compute_uv=False)
    low, high = max(s[-1] ** 2 * 1e-4, s[0] ** 2 * 1e-28), s[0] ** 2
    mu = low ** (1 - at) * high**at
    compare(pixel, mu, lane, [by_svd(pixel, mu)])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixel=pixels(st.integers(2, 7), st.integers(8, 34)),
    multiple=st.sampled_from([1.0, 3.0, 0.1]),
    others=st.booleans(),
    at=st.floats(-12, 0),
    lane=st.integers(0, LANES - 1),
)
def test_channels_that_are_dependent(pixel, multiple, others, at, lane):
    """A channel twice, with the same errors too, or the sum of all others: the least singular value is rounding."""
    response, errors, counts = (array.copy() for array in (pixel.response, pixel.errors, pixel.counts))
    response[-1] = response[:-1].sum(axis=0) if others else multiple * response[0]
    errors[-1], counts[-1] = errors[0], multiple * counts[0]
    pixel = Given(response, pixel.weight, errors, counts)
    got, exact = compare(pixel, 10**at * np.linalg.norm(pixel.b, 2) ** 2, lane)
    assert 0 < got.ends[0] <= 1e-28 * exact.ends[1]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixel=pixels(st.integers(4, 9), st.just(3)),
    at=st.floats(0, 1),
    lane=st.integers(0, LANES - 1),
)
def test_fewer_bins_than_channels(pixel, at, lane):
    s = np.linalg.svd(pixel.b, compute_uv=False)
    got, exact = compare(pixel, (s[-1] ** 2 * 1e-4) ** (1 - at) * s[0] ** (2 * at), lane)
    condition = np.sqrt(exact.ends[1] / exact.ends[0])
    assert abs(np.sqrt(got.ends[0] / exact.ends[0]) - 1) <= max(1e-12, AS_MANY * 1e-16 * condition)
