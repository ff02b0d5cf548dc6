"""One call's inversion, of pixels in memory, or of a dask array's blocks when they are asked for."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from implementations.calls import arguments, channels, on_device
from implementations.calls.result import Result
from implementations.contract import OUTPUTS, Array, Options, Problem, Solution, Solver, Status, as_problem
from implementations.registry import Registry

STRIP = 65536
"""Pixels between two moves of the progress bar."""
RAISED = 10.0
"""A target of chi-squared that the positivity loop raised by more than this factor is warned of: no fit is left."""
POSITIVE = "plowman"
"""The solver whose DEMs are positive at the target, which the warning names as the way out where it is registered."""


def named(outputs: tuple[Any, ...]) -> Any:
    """The five outputs as they are, all of them as a `Result`."""
    return Result(*outputs) if len(outputs) > len(OUTPUTS) else outputs


@dataclass(frozen=True, eq=False)
class Inversion:
    """A checked call, all but its pixels."""

    constants: Problem
    solver: str
    handling: channels.Handling
    unit: float | Array
    """What `dem` and `edem` are multiplied by, and `elogt` by `width`."""
    width: float
    warn: bool
    rscl: bool
    full: bool

    def of(self, dn: Any, edn: Any, norm: Any, progress: bool) -> Any:
        """The outputs of those pixels; dask arrays of dask arrays, CuPy arrays of CuPy arrays."""
        if not isinstance(self.solver, str):
            raise ValueError(f"solver must be a name, as 'numba', got {self.solver!r}")
        if arguments.on_device(dn, edn):
            return self._on_device(dn, edn, norm)
        if not arguments.is_lazy(dn, edn):
            return self(dn, edn, norm, progress)
        from implementations.cluster import arrays as cluster_arrays

        if Registry().load(self.solver).device == "cluster":
            raise ValueError(
                f"solver '{self.solver}' starts workers, which dask arrays have already; name the one to run in them"
            )
        _, count, bins = self.constants.sizes
        return cluster_arrays.outputs(self, dn, edn, norm, bins, _ends_of(count) if self.full else {})

    def __call__(self, dn: Array, edn: Array, norm: Array | None, progress: bool = False) -> tuple[Any, ...]:
        """The outputs, five or all, of counts and errors (..., F) with user weights (T,) or (..., T)."""
        dn, edn = arguments.as_array(dn, "dn_in"), arguments.as_array(edn, "edn_in")  # blocks may be masked arrays
        c, leading = self.constants, dn.shape[:-1]
        _, count, bins = c.sizes
        rows = None if norm is None else np.broadcast_to(norm, (*leading, bins)).reshape(-1, bins)
        pixels = self.handling.of(np.reshape(dn, (-1, count)), np.reshape(edn, (-1, count)))
        problem = channels.within_scales(as_problem(*pixels, c.rmatrix, c.logt, c.dlogt, c.options, rows))
        solver = Registry().ready(self.solver)
        solution, used = self._solved(problem, solver, progress)
        return self._finished(solution, used, solver, leading, self.unit)

    def _on_device(self, dn: Any, edn: Any, norm: Array | None) -> tuple[Any, ...]:
        """The same of CuPy arrays: on their device where solver and settings allow it."""
        solver = Registry().ready(self.solver)
        solution = on_device.solved(self, solver, dn, edn, norm)
        if solution is None:
            return on_device.back(self(arguments.at_home(dn), arguments.at_home(edn), norm))
        used = np.repeat((solution.status != Status.INVALID)[:, None], dn.shape[-1], axis=1)
        return on_device.back(self._finished(solution, used, solver, dn.shape[:-1], arguments.placed(self.unit)))

    def _finished(
        self, solution: Solution, used: channels.Flags, solver: Solver, leading: tuple[int, ...], unit: Any
    ) -> tuple[Any, ...]:
        """The outputs in the call's units and shape."""
        options = self.constants.options
        _warn(solution, options if _raises(solver) else None, self.warn)
        dem, edem, elogt, chisq, dn_reg = (getattr(solution, name) for name in OUTPUTS)
        shaped = (dem * unit, edem * unit, elogt * self.width, chisq, dn_reg)
        ends = _ends(options, solution, solver, used) if self.full else ()
        return tuple(a.reshape((*leading, *a.shape[1:]))[()] for a in (*shaped, *ends))

    def _solved(self, problem: Problem, solver: Solver, progress: bool) -> tuple[Solution, channels.Flags]:
        """The solution and the channels used (P, F), all at once, or strip by strip beneath a progress bar."""
        solve = _rescaling(solver.run) if self.rscl else solver.run
        if not progress:
            return self._with_channels(problem, solve)
        parts = [self._with_channels(problem.take(strip), solve) for strip in _strips(problem.sizes[0])]
        if not parts:
            return Solution.empty(problem), np.zeros(problem.dn.shape, bool)
        solutions, used = zip(*parts, strict=True)
        joined = (np.concatenate([getattr(part, name) for part in solutions]) for name in vars(solutions[0]))
        return Solution(*joined), np.concatenate(used)

    def _with_channels(self, problem: Problem, solve: Callable[[Problem], Solution]) -> tuple[Solution, channels.Flags]:
        if self.handling.fewest < problem.sizes[1]:
            return channels.by_channels(problem, self.handling.fewest, solve)
        solution = solve(problem)
        return solution, np.broadcast_to((solution.status != Status.INVALID)[:, None], problem.dn.shape)


def _strips(pixels: int) -> Iterator[slice]:
    from rich.progress import track

    starts = range(0, pixels, STRIP)
    for start in track(starts, description="DEM", total=len(starts)):
        yield slice(start, start + STRIP)


def _ends_of(count: int) -> dict[str, tuple[type, int | None]]:
    """What a `Result` has beyond the five outputs: type, and numbers for each pixel, None for a single one."""
    return {
        "status": (np.int8, None),
        "iterations": (np.int32, None),
        "target": (np.float64, None),
        "channels": (np.bool_, count),
    }


def _ends(options: Options, solution: Solution, solver: Solver, used: channels.Flags) -> tuple[Any, ...]:
    """How the pixels ended: status, iterations, the chi-squared aimed at in the last, channels."""
    raised = np.full(solution.status.shape, options.reg_tweak)
    if "iterations" in solver.leaves_out:
        raised[:] = np.nan
    elif _raises(solver):
        with np.errstate(over="ignore"):
            raised *= options.rgt_fact ** (solution.iterations - 1.0)
    return solution.status, solution.iterations, np.where(solution.status == Status.INVALID, 0.0, raised), used


def _raised(solution: Solution, options: Options | None) -> int:
    """How many pixels have a target raised by more than `RAISED`."""
    if options is None:
        return 0
    most = 1 + math.floor(math.log(RAISED) / math.log(options.rgt_fact))  # solves whose target is within it
    return int(np.count_nonzero(solution.iterations > most)) if options.max_iter > most else 0


def _rescaling(run: Callable[[Problem], Solution]) -> Callable[[Problem], Solution]:
    """`run`, with DEM and error times the mean over the channels of observed to recovered counts."""

    def rescaled(problem: Problem) -> Solution:
        solution = run(problem)
        valid = solution.status != Status.INVALID
        factor = np.ones(len(valid))
        factor[valid] = (problem.dn[valid] / solution.dn_reg[valid]).mean(axis=1)
        dn_reg = solution.dn_reg * factor[:, None]
        chisq = np.zeros(len(valid))
        chisq[valid] = (((problem.dn - dn_reg)[valid] / problem.edn[valid]) ** 2).mean(axis=1)
        dem, edem = solution.dem * factor[:, None], solution.edem * factor[:, None]
        return replace(solution, dem=dem, edem=edem, chisq=chisq, dn_reg=dn_reg)

    return rescaled


def _raises(solver: Solver) -> bool:
    """Whether its iterations are DEMREG's solves, each of which aims at a higher chi-squared."""
    return solver.method == "demreg"


def _warn(solution: Solution, options: Options | None, every: bool) -> None:
    """Warn of targets raised beyond `RAISED` (options: None where none is), with `every` of other ills too."""
    if raised := _raised(solution, options):
        wayout = f"; solver='{POSITIVE}' fits them with positive DEMs" if POSITIVE in Registry().names() else ""
        warnings.warn(
            f"{raised} of {len(solution.status)} pixels are no fit: their target of chi-squared was raised more than "
            f"{RAISED:g} times above reg_tweak, to avoid negative bins; full=True has it{wayout}",
            stacklevel=6,
        )
    counts = np.bincount(solution.status, minlength=len(Status)) if every else np.zeros(len(Status))
    for status, what in ((Status.INVALID, "invalid counts or errors"), (Status.HIT_MAX_ITER, "negative bins left")):
        if counts[status]:
            warnings.warn(f"{counts[status]} of {len(solution.status)} pixels have {what}", stacklevel=6)
