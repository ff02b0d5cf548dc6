"""How far two exact solvers may differ on a pixel, and which of its decisions are too close to call.

The algorithm is replayed pixel by pixel with a thin SVD, apart from any solver, for two things.

`kappa`, the condition of a pixel's outputs. A solve with singular values s_1..s_r of B = K L^-1 at mu adds

    s_1 / s_r                            the grid starts at s_r, which rounding moves by eps·s_1
    (s_1 / max(sqrt(mu), s_r))^2         the solution of a least-squares problem regularised by mu
    cond(diag(sqrt(1 + s^2)) V^T L)      of which the baseline, as published, takes a pseudo-inverse

and self-normalised weights take two solves. Outputs differ by a small multiple of eps·kappa: 16 at most over
16,000 random pixels with conditions up to 1e16, and more than 6 in one of a thousand. `allowed` grants a hundred.
Chi-squared is made of residuals, which are small differences of the data and the fit: its condition is kappa·|d|/|r|.

`margin`, how near the algorithm's decisions are to falling otherwise: which grid point is nearest to the target,
whether the lowest bin is negative, which bins of a first solution count as a weight; and per bin, whether a sample
reaches half the maximum. Where a margin is within what is allowed, two right answers exist: a tie, counted and not
compared.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from implementations.contract import OUTPUTS, Array, Problem, Solution


class OffError(AssertionError):
    """What is off, in one line."""


def require(good: Any, line: str) -> None:
    """Raise `OffError`, with the line, unless `good`."""
    if not good:
        raise OffError(line)


EPS = float(np.finfo(float).eps)
WELL = 1e-9
"""What every output is held to where that is more than a hundred times eps·kappa."""
FACTOR = 100
UNDETERMINED = 1e13


@dataclass(frozen=True, eq=False)
class Pixel:
    """What is known of one pixel."""

    kappa: float
    signal: float
    """Norm of the whitened data."""
    margin: float
    elogt_margin: Array

    @property
    def allowed(self) -> float:
        """How far its outputs may differ, relative to their peaks."""
        return max(WELL, FACTOR * EPS * self.kappa)


class Solve:
    """B = K L^-1 of one pixel factorised, its grid, and the condition of what is found on it."""

    def __init__(self, kernel: Array, data: Array, linv: Array, nmu: int):
        self.data, self.linv = data, linv
        self.u, self.s, vt = np.linalg.svd(kernel * linv, full_matrices=False)
        self.x = linv[:, None] * vt.T
        self.mu = np.geomspace(self.s[-1] ** 2 * 1e-4, self.s[0], nmu)
        self.projection = self.u.T @ data
        outside = data @ data - self.projection @ self.projection if len(data) > len(linv) else 0.0
        left = self.mu / (self.s[:, None] ** 2 + self.mu) * self.projection[:, None]
        self.misfit = (left**2).sum(axis=0) + outside

    def at(self, target: float) -> tuple[float, float]:
        """The grid's mu for a misfit, and by how much it is nearer than the next, relative to the data's norm."""
        distance = np.abs(self.misfit - target)
        order = np.argsort(distance, kind="stable")
        best, second = order[0], order[1]
        scale = 2 * np.sqrt(max(self.misfit[best], self.misfit[second])) * np.linalg.norm(self.data)
        return float(self.mu[best]), float((distance[second] - distance[best]) / scale)

    def inverse(self, mu: float) -> Array:
        """The regularised inverse (T, F)."""
        return self.x * (self.s / (self.s**2 + mu)) @ self.u.T

    def kappa(self, mu: float) -> float:
        """The condition of the outputs."""
        s, widest = self.s, self.linv.max() / self.linv.min()
        last = s[-1] if len(self.data) >= len(self.linv) else 0.0
        pseudo = widest * np.sqrt((1 + s[0] ** 2) / (1 + last**2))
        return float(s[0] / s[-1] + s[0] ** 2 / max(mu, s[-1] ** 2) + pseudo)


def weight_of(problem: Problem, pixel: int) -> tuple[Array, float, float]:
    """The weight (T,), the condition of the solve that it took and the margin of its decisions."""
    options, dn, norm = problem.options, problem.dn[pixel], problem.dem_norm0
    if norm is not None and norm[pixel, 0] != 0 and (norm[pixel] != 1).any():
        return norm[pixel], 0.0, np.inf
    kappa, margin, mask = 0.0, np.inf, options.loci_mask(len(dn))
    if mask is not None:
        weight = (dn[mask] / problem.rmatrix[:, mask]).min(axis=1)
    else:
        edn = problem.edn[pixel]
        solve = Solve(problem.rmatrix.T / edn[:, None], dn / edn, np.sqrt(problem.dlogt), options.nmu)
        mu, margin = solve.at(options.reg_tweak * len(dn))
        first = solve.inverse(mu) @ solve.data
        least = 1e-4 * first.max()
        margin = min(margin, np.abs(first - least).min() / np.abs(first).max())
        weight, kappa = np.where(first > least, first, 1.0), solve.kappa(mu)
    weight = weight / weight.max()
    weight[[0, -1]] = 0
    padded = np.pad(weight, 2)
    mean = sum(padded[k : k + len(weight)] for k in range(5)) / 5
    return np.maximum(mean, 1e-8), kappa, margin


def replay(problem: Problem, pixel: int) -> Pixel:
    """Condition and margins of a valid pixel."""
    options, edn = problem.options, problem.edn[pixel]
    weight, kappa, margin = weight_of(problem, pixel)
    linv = np.abs(weight) if options.l_emd else np.sqrt(np.abs(weight) / problem.dlogt)
    kernel, data = problem.rmatrix.T / edn[:, None], problem.dn[pixel] / edn
    solve, target = Solve(kernel, data, linv, options.nmu), options.reg_tweak * len(data)
    for _ in range(options.max_iter):
        mu, nearest = solve.at(target)
        inverse = solve.inverse(mu)
        dem = inverse @ data
        margin = min(margin, nearest, abs(dem.min()) / np.abs(dem).max())
        if dem.min() >= 0:
            break
        target *= options.rgt_fact
    margins = elogt_margins(inverse, kernel, problem.logt)
    return Pixel(kappa + solve.kappa(mu), float(np.linalg.norm(data)), margin, margins)


def elogt_margins(inverse: Array, kernel: Array, logt: Array) -> Array:
    """Per bin (T,), how near some sample of its profile is to half the maximum, relative to the sum of its terms."""
    profiles, terms = inverse @ kernel, np.abs(inverse) @ np.abs(kernel)
    points = logt[0] + 1e-8 + (logt[-1] - logt[0]) * np.arange(51) / 51
    sampled = np.stack([np.interp(points, logt, profile) for profile in profiles.T], axis=1)
    return np.abs(sampled - profiles.max(axis=0) / 2).min(axis=0) / terms.max(axis=0)


@dataclass
class Tally:
    """How many pixels and elogt bins were compared and how many of them left out as ties."""

    undetermined: int = 0
    """Pixels with kappa beyond 1e13, not in `pixels`: rounding has the say, only finite outputs are asked for."""
    pixels: int = 0
    well_conditioned: int = 0
    tied_pixels: int = 0
    elogt_bins: int = 0
    tied_elogt_bins: int = 0
    worst: float = 0.0
    """Largest deviation as a fraction of what is allowed."""

    def add(self, other: "Tally") -> None:
        """Count these too."""
        for name in ("undetermined", "pixels", "well_conditioned", "tied_pixels", "elogt_bins", "tied_elogt_bins"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst = max(self.worst, other.worst)


def compare(problem: Problem, got: Solution, expected: Solution, facts: dict[int, Pixel]) -> Tally:
    """Assert that every valid pixel of `got` is within what is allowed of `expected`, or tied; count both."""
    tally = Tally()
    for pixel, known in facts.items():
        if not known.kappa <= UNDETERMINED:
            for name in OUTPUTS:
                finite = np.isfinite(getattr(got, name)[pixel]).all()
                require(finite, f"{name}: pixel {pixel} has values that are not finite")
            tally.undetermined += 1
            continue
        tally.pixels += 1
        tally.well_conditioned += known.allowed == WELL
        excess = {name: excess_of(name, got, expected, pixel, known) for name in ("dem", "edem", "chisq", "dn_reg")}
        for name in ("iterations", "status"):
            excess[name] = 0.0 if getattr(got, name)[pixel] == getattr(expected, name)[pixel] else np.inf
        if not max(excess.values()) <= 1:
            worst = max(excess, key=lambda name: excess[name])
            line = f"{worst}: pixel {pixel} deviates from the baseline by {excess[worst]:.3g} times what is allowed"
            require(known.margin <= known.allowed, f"{line}, and no decision of the algorithm is a tie")
            tally.tied_pixels += 1
            continue
        tally.worst = max(tally.worst, *excess.values())
        tally.elogt_bins += len(problem.logt)
        tally.tied_elogt_bins += elogt_ties(got.elogt[pixel], expected.elogt[pixel], known)
    return tally


def excess_of(name: str, got: Solution, expected: Solution, pixel: int, known: Pixel) -> float:
    """Deviation of one output from what is expected as a multiple of what is allowed."""
    a, b = getattr(got, name)[pixel], getattr(expected, name)[pixel]
    if name != "chisq":
        return float(np.abs(a - b).max() / np.abs(b).max() / known.allowed)
    if a == b:
        return 0.0
    larger = max(a, b)
    condition = known.kappa * known.signal / np.sqrt(larger * got.dn_reg.shape[1])
    return float(abs(a - b) / larger / max(WELL, FACTOR * EPS * condition))


def elogt_ties(got: Array, expected: Array, known: Pixel) -> int:
    """How many bins differ; assert that each of them is a tie."""
    differ = np.abs(got - expected) > WELL * np.abs(expected).max()
    near = known.elogt_margin <= known.allowed
    require(near[differ].all(), f"elogt: bins {np.flatnonzero(differ & ~near)} of a pixel deviate from the baseline's")
    return int(differ.sum())
