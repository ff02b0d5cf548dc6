"""Other people's solvers behind this contract: what a user could install instead, measured by the same harness.

`demregpy`: the published algorithm, its own `dn2dem`, all five outputs. `utu`: the regularised inversion of Plowman &
Caspi (2020, ApJ 905, 17), compiled; `emtoolkit`: the same method as its authors distribute it. These two give a DEM and
chi-squared only: edem and elogt are NaN, "not computed", never an invented number.

None of them is part of this project; each runs as it is installed, in one call for all valid pixels. `mask=false` hands
over the bad pixels too, as they are, to see what becomes of them. `threads` is the number of cores each may use, by the
process's affinity where the peer takes no such argument. How many passes a pixel took none of them tells: 0.

Cost per pixel: theirs; results/peers has it measured beside ours. Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt
(T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1; dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
"""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Bounds, Problem, Solution, Solver, Status
from implementations.maths.response import SCALE

SIGMA_TO_HALF_WIDTH = 2 * np.sqrt(2 * np.log(2))


class State(NamedTuple):
    """A problem, which of its pixels are handed over (P,), and its response (T, F), DN cm5 s-1 px-1."""

    problem: Problem
    given: NDArray[np.bool_]
    response: Array


class Peer(Solver):
    """What the peers share: staging, the probe, and cores by affinity."""

    device = "cpu"
    package: str
    needs: tuple[int, ...]
    """The package's first version that works here."""
    python: tuple[int, int] = (3, 11)
    """The first Python that it can be installed on."""

    def __init__(self, threads: int = 1, mask: bool = True):
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads must be a whole number of at least 1, got {threads}")
        if not isinstance(mask, bool):
            raise ValueError(f"mask must be true or false, got {mask}")
        self.threads, self.mask = threads, mask

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether the package is installed, in a version that works with NumPy 2; else why not."""
        wanted = f"{cls.package} {'.'.join(map(str, cls.needs))} or newer"
        if sys.version_info < cls.python:
            return False, f"{wanted} needs Python {'.'.join(map(str, cls.python))}; this is {platform.python_version()}"
        try:
            found = version(cls.package)
        except PackageNotFoundError:
            return False, f"{cls.package} is not installed: pip install {cls.package}"
        if tuple(int(part) for part in found.split(".")[:2]) < cls.needs:
            return False, f"{wanted} is needed, {found} is installed"
        return True, ""

    def prepare(self, problem: Problem) -> State:
        """Take the bins' widths out of the response."""
        width = 10.0**problem.logt * np.log(10.0**problem.dlogt)
        given = problem.valid() if self.mask else np.ones(problem.sizes[0], dtype=bool)
        return State(problem, given, problem.rmatrix / (width[:, None] * SCALE))

    def collect(self, state: State, solution: Solution) -> Solution:
        """The solution is on the host already."""
        return solution

    @contextmanager
    def _cores(self) -> Iterator[None]:
        """Restrict this process, and the ones it starts, to as many cores as it has threads."""
        if not hasattr(os, "sched_setaffinity"):
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(before)[-self.threads :])
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


class Demregpy(Peer):
    """demregpy's `dn2dem`, bins and response as given; it starts processes of its own from 200 pixels on."""

    name = "demregpy"
    accuracy = "exact"
    leaves_out = ("iterations",)
    package, needs, python = "demregpy", (1, 0), (3, 12)

    def solve(self, state: State) -> Solution:
        """Invert all pixels in one call. Raises ValueError for options that `dn2dem` can't be given."""
        from demregpy import dn2dem

        problem, given, options = state.problem, state.given, state.problem.options
        if options.nmu <= 40:
            raise ValueError(f"demregpy's dn2dem can't be given nmu {options.nmu}: up to 40 it takes 42")
        solution = Solution.empty(problem)
        if not given.any():
            return solution
        half = problem.dlogt / 2
        edges = 10.0 ** np.append(problem.logt - half, problem.logt[-1] + half[-1])
        norm = None if problem.dem_norm0 is None else problem.dem_norm0[given]
        with self._cores():
            dem, edem, elogt, chisq, dn_reg = dn2dem(
                problem.dn[given],
                problem.edn[given],
                state.response,
                problem.logt,
                edges,
                reg_tweak=options.reg_tweak,
                max_iter=options.max_iter,
                rgt_fact=options.rgt_fact,
                nmu=options.nmu,
                gloci=np.array(options.gloci),
                l_emd=options.l_emd,
                dem_norm0=norm,
            )
        negative = (dem < 0).any(axis=1)
        solution.dem[given], solution.edem[given] = dem / SCALE, edem / SCALE
        solution.elogt[given] = elogt * SIGMA_TO_HALF_WIDTH
        solution.chisq[given], solution.dn_reg[given] = chisq, dn_reg
        solution.status[given] = np.where(negative, Status.HIT_MAX_ITER, Status.OK)
        return solution


class PlowmanCaspi(Peer):
    """What the two implementations of Plowman & Caspi share: the DEM is linear between temperatures, and positive."""

    accuracy, method = "other", "plowman"
    leaves_out = ("edem", "elogt", "iterations")
    bounds = Bounds(
        chisq_median=(0.2, 2.0), chisq_iqr=(0.0, 3.0), chisq_p95=(0.0, 3.0), truth_dem_error=1.5, negative_pixels=0.0
    )

    def solve(self, state: State) -> Solution:
        """Invert all pixels in one call; what the method doesn't compute is NaN."""
        problem, given = state.problem, state.given
        solution = Solution.empty(problem)
        if not given.any():
            return solution
        with self._cores():
            dem = self.dem_per_logt(problem.dn[given], problem.edn[given], problem.logt, state.response)
        solution.dem[given] = self.in_bins(dem, problem)
        solution.dn_reg[given] = solution.dem[given] @ problem.rmatrix
        residual = (problem.dn[given] - solution.dn_reg[given]) / problem.edn[given]
        solution.chisq[given] = (residual**2).mean(axis=1)
        solution.edem[problem.valid()] = solution.elogt[problem.valid()] = np.nan
        solution.status[given] = Status.OK
        return solution

    def dem_per_logt(self, dn: Array, edn: Array, logt: Array, response: Array) -> Array:
        """DEM per log10 T at the temperatures (n, T), cm-5."""
        raise NotImplementedError

    @staticmethod
    def in_bins(dem: Array, problem: Problem) -> Array:
        """The DEM (n, T) per K, 1e15 cm-5 K-1, whose sum over bins gives the counts that the method fitted.

        The method integrates response times DEM, both linear between the temperatures: a mass matrix with two thirds
        of a step on the diagonal (one third at the ends) and a sixth beside it.
        """
        step = np.diff(problem.logt)
        mass = np.diag(np.append(step, 0) + np.append(0, step)) / 3 + (np.diag(step, 1) + np.diag(step, -1)) / 6
        width = 10.0**problem.logt * np.log(10.0**problem.dlogt)
        return dem @ mass / width / SCALE


class Utu(PlowmanCaspi):
    """utu's `plowman`, compiled with Numba."""

    name = "utu"
    package, needs, python = "utu", (0, 5), (3, 12)

    def dem_per_logt(self, dn: Array, edn: Array, logt: Array, response: Array) -> Array:
        """DEM per log10 T, through its named arrays."""
        import astropy.units as u
        import named_arrays as na
        import numba
        from utu.dem import plowman

        numba.set_num_threads(min(self.threads, numba.config.NUMBA_NUM_THREADS))
        unit = u.DN / u.s
        temperature = na.ScalarArray(10.0**logt * u.K, axes="t")
        dem, _ = plowman(
            na.ScalarArray(dn * unit, axes=("p", "f")),
            na.ScalarArray(edn * unit, axes=("p", "f")),
            na.FunctionArray(temperature, na.ScalarArray(response * unit * u.cm**5, axes=("t", "f"))),
            "f",
            "t",
        )
        values: Array = dem.outputs.ndarray_aligned(("p", "t")).to_value(u.cm**-5)
        return values


class EmToolKit(PlowmanCaspi):
    """EMToolKit's `simple_reg_dem`, pixel by pixel in Python."""

    name = "emtoolkit"
    package, needs = "EMToolKit", (0, 1)

    def dem_per_logt(self, dn: Array, edn: Array, logt: Array, response: Array) -> Array:
        """As an image of one row, exposures of a second."""
        from EMToolKit.algorithms.simple_reg_dem import simple_reg_dem

        dem, _ = simple_reg_dem(dn[None], edn[None], np.ones(dn.shape[1]), logt, response)
        values: Array = dem[0]
        return values
