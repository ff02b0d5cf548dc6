"""One call's inversion, of pixels in memory, or of a dask array's blocks when they are asked for."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.calls import arguments, channels, on_device
from implementations.calls.result import Result
from implementations.contract import OUTPUTS, Array, Options, Problem, Solution, Solver, Status
from implementations.registry import Registry

STRIP = 65536
"""Pixels between two moves of the progress bar."""
RAISED = 10.0
"""A target of chi-squared that the positivity loop raised by more than this factor is warned of: no fit is left."""
NO_FIT = 5
"""The status that such a pixel has in files, if it would be `Status.OK` otherwise; see `aia.maps.MapStatus`."""
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
    dtype: np.dtype[Any]
    """Of the outputs."""

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
        return cluster_arrays.outputs(self, dn, edn, norm, bins, self._ends_of(count) if self.full else {}, self.dtype)

    def __call__(self, dn: Array, edn: Array, norm: Array | None, progress: bool = False) -> tuple[Any, ...]:
        """The outputs, five or all, of counts and errors (..., F) with user weights (T,) or (..., T)."""
        dn, edn = arguments.as_array(dn, "dn_in"), arguments.as_array(edn, "edn_in")  # blocks may be masked arrays
        c, leading = self.constants, dn.shape[:-1]
        _, count, bins = c.sizes
        rows = None if norm is None else np.broadcast_to(norm, (*leading, bins)).reshape(-1, bins)
        pixels = self.handling.of(dn.reshape(-1, count), edn.reshape(-1, count))
        problem = channels.within_scales(c, *pixels, rows)
        solver = Registry().ready(self.solver)
        solution, used = self._solved(problem, solver, progress)
        return self._finished(solution, used, solver, leading, self.unit)

    def _on_device(self, dn: Any, edn: Any, norm: Array | None) -> tuple[Any, ...]:
        """The same of CuPy arrays: on their device where solver and settings allow it."""
        solver = Registry().ready(self.solver)
        solution = on_device.solved(self, solver, dn, edn, norm)
        if solution is None:
            return on_device.back(self(arguments.at_home(dn), arguments.at_home(edn), norm))
        return on_device.back(self._finished(solution, None, solver, dn.shape[:-1], arguments.placed(self.unit)))

    def _finished(
        self, solution: Solution, used: channels.Flags | None, solver: Solver, leading: tuple[int, ...], unit: Any
    ) -> tuple[Any, ...]:
        """The outputs in the call's units and shape; `used`: see `_with_channels`."""
        options = self.constants.options
        _warn(solution, options, solver, self.warn)
        s, ends = solution, _ends(options, solution, solver, used) if self.full else ()
        rows = (s.dem * unit, s.edem * unit, s.elogt * self.width, s.chisq, s.dn_reg, *ends)
        typed = [a if a.dtype is self.dtype or a.dtype.kind != "f" else a.astype(self.dtype) for a in rows]
        return tuple([a.reshape(leading + a.shape[1:])[()] for a in typed])

    def _ends_of(self, count: int) -> dict[str, tuple[Any, int | None]]:
        """What a `Result` has beyond the five outputs: type, and numbers for each pixel, None for a single one."""
        return {
            "status": (np.int8, None),
            "iterations": (np.int32, None),
            "target": (self.dtype, None),
            "channels": (np.bool_, count),
        }

    def _solved(self, problem: Problem, solver: Solver, progress: bool) -> tuple[Solution, channels.Flags | None]:
        """The solution and the channels used, all at once, or strip by strip beneath a progress bar."""
        solve = _rescaling(solver.run) if self.rscl else solver.run
        if not progress:
            return self._with_channels(problem, solve)
        parts = [self._with_channels(problem.take(strip), solve) for strip in _strips(problem.sizes[0])]
        if not parts:
            return Solution.empty(problem), np.zeros(problem.dn.shape, bool)
        solutions, used = zip(*parts, strict=True)
        joined = (np.concatenate([getattr(part, name) for part in solutions]) for name in vars(solutions[0]))
        return Solution(*joined), None if used[0] is None else np.concatenate(used)

    def _with_channels(
        self, problem: Problem, solve: Callable[[Problem], Solution]
    ) -> tuple[Solution, channels.Flags | None]:
        """The solution and the channels used (P, F); None where every valid pixel has all."""
        if self.handling.fewest < problem.sizes[1]:
            return channels.by_channels(problem, self.handling.fewest, solve)
        return solve(problem), None


def _strips(pixels: int) -> Iterator[slice]:
    from rich.progress import track

    starts = range(0, pixels, STRIP)
    for start in track(starts, description="DEM", total=len(starts)):
        yield slice(start, start + STRIP)


def _ends(options: Options, solution: Solution, solver: Solver, used: channels.Flags | None) -> tuple[Any, ...]:
    """How the pixels ended: status, iterations, the chi-squared aimed at in the last, channels."""
    invalid = solution.status == Status.INVALID
    if used is None:
        used = np.repeat(~invalid[:, None], solution.dn_reg.shape[1], axis=1)
    raised = np.full(solution.status.shape, options.reg_tweak)
    if "iterations" in solver.leaves_out:
        raised[:] = np.nan
    elif _raises(solver):
        with np.errstate(over="ignore"):
            raised *= options.rgt_fact ** (solution.iterations - 1.0)
    return solution.status, solution.iterations, np.where(invalid, 0.0, raised), used


def no_fit(solution: Solution, options: Options, solver: Solver) -> NDArray[np.bool_]:
    """Which pixels (P,) have a target raised by more than `RAISED`."""
    most = 1 + math.floor(math.log(RAISED) / math.log(options.rgt_fact))  # solves whose target is within it
    return (solution.iterations > most) & _raises(solver)


def mark_no_fit(solution: Solution, options: Options, solver: Solver) -> int:
    """Give them their status; how many they are."""
    unfit = no_fit(solution, options, solver)
    count = int(np.count_nonzero(unfit))
    if count:
        solution.status[unfit & (solution.status == Status.OK)] = NO_FIT
    return count


def no_fit_text(unfit: int, pixels: int) -> str:
    """What is said of so many pixels."""
    return (
        f"{unfit} of {pixels} pixels are no fit: their target of chi-squared was raised more than {RAISED:g} times "
        "above reg_tweak, to avoid negative bins"
    )


def way_out() -> str:
    """What to do about them, where there is something; begins with a semicolon."""
    return f"; solver='{POSITIVE}' fits them with positive DEMs" if POSITIVE in Registry().names() else ""


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


def _warn(solution: Solution, options: Options, solver: Solver, every: bool) -> None:
    """Warn of targets raised beyond `RAISED`, with `every` of other ills too."""
    if unfit := int(np.count_nonzero(no_fit(solution, options, solver))):
        warnings.warn(f"{no_fit_text(unfit, len(solution.status))}; full=True has it{way_out()}", stacklevel=6)
    if not every:
        return
    counts = np.bincount(solution.status, minlength=len(Status))
    for status, what in ((Status.INVALID, "invalid counts or errors"), (Status.HIT_MAX_ITER, "negative bins left")):
        if counts[status]:
            warnings.warn(f"{counts[status]} of {len(solution.status)} pixels have {what}", stacklevel=6)
