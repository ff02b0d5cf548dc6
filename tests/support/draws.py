"""Awkward problems for property tests: hypothesis draws a few numbers, a seeded generator the arrays."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st

from implementations.contract import Options, Problem


@dataclass(frozen=True)
class Draw:
    """What a problem is made of; hashable, so that its expected solution is computed once for all solvers."""

    seed: int
    pixels: int
    channels: int
    bins: int
    response: str
    closeness: int
    """With the response "close", two channels differ by 10^-closeness: condition numbers up to its inverse."""
    counts: float
    """Decades."""
    noise: float
    """Decades, relative."""
    uneven: bool
    weights: str
    invalid: bool
    options: Options

    @lru_cache(maxsize=64)  # noqa: B019 (a test's process is short)
    def problem(self) -> Problem:
        """The problem, the same for the same draw."""
        rng = np.random.default_rng(self.seed)
        logt, dlogt = bins(rng, self.bins, self.uneven)
        rmatrix = response(rng, logt, self.channels, self.response, self.closeness)
        peak, width = rng.uniform(5.7, 7.1, (self.pixels, 1)), rng.uniform(0.05, 0.5, (self.pixels, 1))
        dem = 10 ** rng.uniform(-2, 2, (self.pixels, 1)) * np.exp(-((logt - peak) ** 2) / (2 * width**2)) + 1e-3
        dn = dem @ rmatrix
        dn *= 10**self.counts / dn.max(initial=1e-300)
        edn = dn * 10**self.noise + 1e-3 * dn.mean(axis=1, keepdims=True)
        dn = np.abs(dn + edn * rng.standard_normal(dn.shape)) + 1e-3 * edn
        if self.invalid and self.pixels:
            spoil(rng, dn, edn)
        norm = user_weights(rng, self.weights, self.pixels, self.bins)
        return Problem(dn, edn, rmatrix, logt, dlogt, self.options, norm)


def bins(rng: np.random.Generator, number: int, uneven: bool) -> tuple[np.ndarray, np.ndarray]:
    """logt (T,) and dlogt (T,) between 5.7 and 7.1."""
    widths = rng.uniform(0.3, 3, number) if uneven else np.ones(number)
    edges = 5.7 + 1.4 * np.concatenate([[0], np.cumsum(widths)]) / widths.sum()
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def response(rng: np.random.Generator, logt: np.ndarray, channels: int, kind: str, closeness: int) -> np.ndarray:
    """rmatrix (T, F): noise, bells on a floor, or bells of which the first two are nearly equal."""
    if kind == "noise":
        return rng.uniform(1e-3, 1, (len(logt), channels)) * 10 ** rng.uniform(-3, 3)
    centre, width = rng.uniform(5.7, 7.1, channels), rng.uniform(0.05, 0.3, channels)
    rmatrix = np.exp(-((logt[:, None] - centre) ** 2) / (2 * width**2)) + 10 ** rng.uniform(-8, -3)
    rmatrix *= 10 ** rng.uniform(-1, 1, channels) * 10 ** rng.uniform(-3, 3)
    if kind == "close":
        rmatrix[:, 1] = rmatrix[:, 0] * (1 + 10.0**-closeness * rng.random(len(logt)))
    return rmatrix


def spoil(rng: np.random.Generator, dn: np.ndarray, edn: np.ndarray) -> None:
    """Make some pixels invalid, in place: two negative channels among the ways, whose product is positive."""
    for pixel in np.flatnonzero(rng.random(len(dn)) < 0.4):
        channels = rng.choice(dn.shape[1], 2, replace=False)
        way = rng.integers(6)
        if way < 4:
            dn[pixel, channels[: 1 + way % 2]] = [-1.0, 0.0, np.nan, np.inf][way]
        if way == 3:
            dn[pixel, channels] *= -1
        if way >= 4:
            edn[pixel, channels[0]] = [np.nan, np.inf][way - 4]


def user_weights(rng: np.random.Generator, kind: str, pixels: int, number: int) -> np.ndarray | None:
    """dem_norm0 (P, T) or None; "some" has rows that count as not given."""
    if kind == "none":
        return None
    norm = 10 ** rng.uniform(-3, 1, (pixels, number))
    if kind == "some":
        norm[rng.random(pixels) < 0.3] = 1
        norm[rng.random(pixels) < 0.3, 0] = 0
    return norm


@st.composite
def options(draw, channels: int) -> Options:
    """Any options, a mask of channels included."""
    mask = st.lists(st.integers(0, 1), min_size=channels, max_size=channels).map(tuple)
    return Options(
        reg_tweak=draw(st.floats(0.1, 10)),
        max_iter=draw(st.integers(1, 50)),
        rgt_fact=draw(st.floats(1.01, 3)),
        nmu=draw(st.integers(2, 60) | st.integers(2, 500)),
        gloci=draw(st.sampled_from([0, 1]) | mask),
        l_emd=draw(st.booleans()),
    )


@st.composite
def draws(draw, most_pixels: int = 6) -> Draw:
    """Any problem; one pixel only where the bins are many, as the oracle's cost is their cube."""
    channels = draw(st.integers(2, 12))
    number = draw(st.integers(3, 40) | st.integers(3, 40) | st.integers(3, 40) | st.sampled_from([64, 100, 200]))
    return Draw(
        seed=draw(st.integers(0, 2**32 - 1)),
        pixels=1 if number > 64 else draw(st.integers(1, most_pixels)),
        channels=channels,
        bins=number,
        response=draw(st.sampled_from(["noise", "noise", "bells", "close"])),
        closeness=draw(st.integers(2, 12)),
        counts=draw(st.floats(-3, 7)),
        noise=draw(st.floats(-3, -0.5)),
        uneven=draw(st.booleans()),
        weights=draw(st.sampled_from(["none", "none", "some", "all"])),
        invalid=draw(st.booleans()),
        options=draw(options(channels)),
    )
