"""Problems to try a solver on: small plain ones, and awkward ones made of a few drawn numbers."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from implementations.contract import Array, Options, Problem


def problem(pixels: int, bins: int = 14, channels: int = 6, seed: int = 5, **options: Any) -> Problem:
    """Noisy counts of one-component DEMs; well-conditioned."""
    rng = np.random.default_rng(seed)
    logt = 5.7 + 1.4 / bins * (np.arange(bins, dtype=np.float64) + 0.5)
    centres = np.linspace(5.8, 7.0, channels)
    rmatrix = 0.05 * np.exp(-((logt[:, None] - centres) ** 2) / (2 * 0.12**2)) + 1e-4
    peak = rng.uniform(5.9, 6.9, (pixels, 1))
    dn = (10 ** rng.uniform(2, 4, (pixels, 1)) * np.exp(-((logt - peak) ** 2) / 0.1)) @ rmatrix
    edn = 0.07 * dn + 0.05
    noisy = np.maximum(dn + edn * rng.standard_normal(dn.shape), 0.01)
    return Problem(noisy, edn, rmatrix, logt, np.full(bins, 1.4 / bins), Options(**options))


def with_invalid(of: Problem) -> tuple[Problem, list[int]]:
    """The problem with every kind of invalid pixel, at both ends and in a row, and their numbers."""
    dn, edn = of.dn.copy(), of.edn.copy()
    dn[0, 0], dn[1, -1], dn[2], dn[5, 2], dn[-1, 1] = np.nan, 0, -1, np.inf, -np.inf
    dn[6, :2] *= -1  # their product is positive
    edn[9, 3], edn[10] = np.nan, np.inf
    return Problem(dn, edn, of.rmatrix, of.logt, of.dlogt, of.options), [0, 1, 2, 5, 6, 9, 10, len(dn) - 1]


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

    @lru_cache(maxsize=64)  # noqa: B019 (a process that checks is short)
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


def bins(rng: np.random.Generator, number: int, uneven: bool) -> tuple[Array, Array]:
    """logt (T,) and dlogt (T,) between 5.7 and 7.1."""
    widths = rng.uniform(0.3, 3, number) if uneven else np.ones(number)
    edges = 5.7 + 1.4 * np.concatenate([[0], np.cumsum(widths)]) / widths.sum()
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def response(rng: np.random.Generator, logt: Array, channels: int, kind: str, closeness: int) -> Array:
    """rmatrix (T, F): noise, bells on a floor, or bells of which the first two are nearly equal."""
    if kind == "noise":
        return rng.uniform(1e-3, 1, (len(logt), channels)) * 10 ** rng.uniform(-3, 3)
    centre, width = rng.uniform(5.7, 7.1, channels), rng.uniform(0.05, 0.3, channels)
    rmatrix = np.exp(-((logt[:, None] - centre) ** 2) / (2 * width**2)) + 10 ** rng.uniform(-8, -3)
    rmatrix *= 10 ** rng.uniform(-1, 1, channels) * 10 ** rng.uniform(-3, 3)
    if kind == "close":
        rmatrix[:, 1] = rmatrix[:, 0] * (1 + 10.0**-closeness * rng.random(len(logt)))
    return rmatrix


def spoil(rng: np.random.Generator, dn: Array, edn: Array) -> None:
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


def user_weights(rng: np.random.Generator, kind: str, pixels: int, number: int) -> Array | None:
    """dem_norm0 (P, T) or None; "some" has rows that count as not given."""
    if kind == "none":
        return None
    norm = 10 ** rng.uniform(-3, 1, (pixels, number))
    if kind == "some":
        norm[rng.random(pixels) < 0.3] = 1
        norm[rng.random(pixels) < 0.3, 0] = 0
    return norm


def drawn(seed: int) -> Draw:
    """Any problem that exact solvers agree on, the same for the same seed."""
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(2, 13))
    mask = tuple(int(g) for g in rng.integers(0, 2, channels))
    gloci = (0, 1, mask)[rng.integers(3)]
    reg_tweak, rgt_fact = float(rng.uniform(0.5, 3)), float(rng.uniform(1.1, 2))
    chosen = Options(
        reg_tweak, int(rng.integers(1, 21)), rgt_fact, int(rng.integers(10, 100)), gloci, rng.random() < 0.5
    )
    return Draw(
        seed=seed,
        pixels=int(rng.integers(1, 7)),
        channels=channels,
        bins=int(rng.integers(3, 41)),
        response=("noise", "bells", "close")[rng.integers(3)],
        closeness=int(rng.integers(2, 7)),
        counts=float(rng.uniform(-3, 7)),
        noise=float(rng.uniform(-3, -0.5)),
        uneven=bool(rng.random() < 0.5),
        weights=("none", "none", "some", "all")[rng.integers(4)],
        invalid=bool(rng.random() < 0.5),
        options=chosen,
    )
