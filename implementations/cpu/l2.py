"""One SVD of the unwhitened response serves every pixel: what is left per pixel is a choice among a few fixed inverses.

The simplified L2 discrepancy solver: |K x - g|^2 + mu |L x|^2 with K the response, not divided by each pixel's errors,
and one L for all pixels (the uniform one, L = diag(1 / sqrt(dlogt)) as in a first self-normalised solve). So K L^-1 and
its SVD are the same for all pixels, and so are the regularisation grid and K-dagger and elogt at each of its points.
mu is where |K x - g|^2 is nearest to reg_tweak times the summed squared errors; negative bins are clipped to 0.

Approximate. Given up: the weighting of channels by their errors (a bright channel's misfit hides a faint one's), the
constraint's shape (gloci, dem_norm0 and l_emd have no effect) and the positivity loop (nor have rgt_fact and max_iter).
Clipping is done after the choice of mu, so that chi-squared may end far above its target. Kept: error bars. The errors,
not being in K-dagger, enter edem explicitly, edem^2 = sum_f K-dagger[t,f]^2 e_f^2, before clipping; elogt is that of
K-dagger K.

Wins: where pixels per second matter more than the DEM's shape: 630,000 DEM/s at 34 bins, 300,000 at 200, 5000 pixels on
one thread (results/reference).
Cost per pixel: a product of F x nmu for the misfit, three of F x T. Once per problem: nmu products of T x F x T.
Memory: nmu·F·T for the inverses, and at most `memory_mb` for a chunk beyond inputs and outputs.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: the discrepancy principle as in Hannah & Kontar (2012), without their whitening and weights.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Bounds, Problem, Solution, Solver, Status
from implementations.maths import constraint, discrepancy, factorise, inverse, uncertainty
from implementations.maths.namespace import array_namespace


class Table(NamedTuple):
    """What all pixels share: the SVD's U (F, r) and s (r,), the grid mu (G,), and at each of its points an inverse."""

    u: Any
    left: Any
    """Squared filter factors (r, G): the misfit is the squared projections times these."""
    k_dagger: Any
    """(G, F, T), transposed: the DEM of one count in a channel."""
    elogt: Any
    """(G, T)"""


class State(NamedTuple):
    """A problem, its valid pixels (V,), the shared table and how many pixels make a chunk."""

    problem: Problem
    pixels: NDArray[np.intp]
    table: Table
    chunk: int


class L2(Solver):
    """Shared-SVD discrepancy solver. Tunable: `memory_mb`, what a chunk may take beyond its inputs and outputs."""

    name = "l2"
    device = "cpu"
    accuracy = "approximate"
    releases_lock = True
    # About twice what the four workloads at 20 to 400 bins gave over several seeds: medians 0.3 to 3.5 times the
    # baseline's, IQR 0.15 to 5, p95 0.16 to 2, DEM error against the truth 0.6 to 1.2; nine pixels of ten had
    # 0.53 to 2.6 times the baseline's edem, and 0.10 to 3.1 times its elogt.
    bounds = Bounds((0.15, 5.0), (0.07, 8.0), (0.08, 4.0), 1.4, 0.0, edem=(0.25, 5.0), elogt=(0.05, 6.0))

    def __init__(self, memory_mb: float = 4.0):
        if not memory_mb > 0:
            raise ValueError(f"memory_mb must be > 0, got {memory_mb}")
        self.memory_mb = memory_mb

    def prepare(self, problem: Problem) -> State:
        """Factorise the response and tabulate the inverses."""
        _, channels, bins = problem.sizes
        chunk = max(1, int(self.memory_mb * 1e6 / (8 * (3 * bins + 3 * problem.options.nmu + 8 * channels))))
        return State(problem, np.flatnonzero(problem.valid()), tabulate(problem), chunk)

    def solve(self, state: State) -> Solution:
        """Invert chunk after chunk; invalid pixels stay zero."""
        solution = Solution.empty(state.problem)
        for first in range(0, len(state.pixels), state.chunk):
            invert(state.problem, state.pixels[first : first + state.chunk], state.table, solution)
        return solution

    def collect(self, state: State, solution: Solution) -> Solution:
        """Nothing to do: the solution is on the host."""
        return solution


def tabulate(problem: Problem) -> Table:
    """The SVD of the response, and K-dagger and elogt at every point of the regularisation grid."""
    rmatrix, unit = problem.rmatrix, np.ones((1, problem.sizes[1]))
    linv = constraint.uniform_inverse_diagonal(problem.dlogt)
    u, s = factorise.thin_svd(factorise.reduced(rmatrix, linv), unit)
    mu = discrepancy.grid(s, problem.options.nmu)[0]
    sampling = uncertainty.sampling(problem.logt)
    inverses, resolutions = [], []
    for point in mu:  # one by one: each needs a T x T profile
        k_dagger = inverse.k_dagger(u, s, np.array([point]), linv, rmatrix, unit)
        peak = uncertainty.profile_peak(k_dagger, rmatrix)
        inverses.append(k_dagger[0])
        resolutions.append(uncertainty.elogt(k_dagger, rmatrix, peak, sampling, problem.dlogt)[0])
    left = (mu / (s[0, :, None] ** 2 + mu)) ** 2
    return Table(u[0], left, np.stack(inverses), np.stack(resolutions))


def invert(problem: Problem, pixels: NDArray[np.intp], table: Table, solution: Solution) -> None:
    """Fill in the solution of some valid pixels, those with the same mu together."""
    dn, edn = problem.dn[pixels], problem.edn[pixels]
    order, groups = by_grid_point(choose(dn, edn, table, problem.options.reg_tweak), len(table.elogt))
    dn, edn, pixels = dn[order], edn[order], pixels[order]
    dem = np.empty((len(pixels), problem.sizes[2]))
    variance, elogt = np.empty_like(dem), np.empty_like(dem)
    for point, rows in groups:
        np.matmul(dn[rows], table.k_dagger[point], out=dem[rows])
        np.matmul(edn[rows] ** 2, table.k_dagger[point] ** 2, out=variance[rows])
        elogt[rows] = table.elogt[point]
    np.maximum(dem, 0, out=dem)
    dn_reg = uncertainty.counts(dem, problem.rmatrix)
    solution.dem[pixels], solution.edem[pixels], solution.elogt[pixels] = dem, np.sqrt(variance), elogt
    solution.dn_reg[pixels], solution.chisq[pixels] = dn_reg, uncertainty.chisq(dn, edn, dn_reg)
    solution.iterations[pixels], solution.status[pixels] = 1, Status.OK


def choose(dn: Any, edn: Any, table: Table, reg_tweak: float) -> Any:
    """Which grid point (P,) brings the misfit nearest to the summed squared errors."""
    xp = array_namespace(dn, edn)
    projection, outside = discrepancy.project(table.u[None, ...], dn)
    misfit = projection**2 @ table.left
    misfit += (outside - reg_tweak * xp.sum(edn**2, axis=1))[:, None]
    return xp.argmin(xp.abs(misfit), axis=1)


def by_grid_point(point: NDArray[np.intp], points: int) -> tuple[NDArray[np.intp], list[tuple[int, slice]]]:
    """An order (P,) of the pixels that brings those of a grid point together, and each point's rows in it."""
    order = np.argsort(point, kind="stable")
    ends = np.cumsum(np.bincount(point, minlength=points))
    starts = np.concatenate([[0], ends[:-1]])
    return order, [(n, slice(a, b)) for n, (a, b) in enumerate(zip(starts, ends, strict=True)) if b > a]
