"""The calls that people already use, `dn2dem` and `demmap`, with the solver chosen by name.

Arguments, outputs, shapes and units are those of the published `dn2dem_pos` and `demmap_pos`. What differs: pixels that
can't be inverted never raise, every count and error of a pixel must be finite and positive for it to be valid
(published codes look at the product of the counts), and one core is used unless the solver is told otherwise.
"""

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implementations.contract import OUTPUTS, Array, Options, Problem, Solution, Status, as_problem
from implementations.maths import response
from implementations.maths.uncertainty import HALF_WIDTH_TO_SIGMA
from implementations.registry import Registry

NMU_DEFAULT, NMU_ONE_PIXEL, NMU_MAP = 40, 500, 42
"""At most the first means: the second for a single pixel, the third for maps."""
STRIP = 65536
"""Pixels between two moves of the progress bar."""
Outputs = tuple[Array, Array, Array, Array, Array]


def dn2dem(
    dn_in: ArrayLike,
    edn_in: ArrayLike,
    tresp: ArrayLike,
    tresp_logt: ArrayLike,
    temps: ArrayLike,
    *,
    solver: str = "numba",
    reg_tweak: float = 1.0,
    max_iter: int = 10,
    gloci: int | ArrayLike = 0,
    rgt_fact: float = 1.5,
    dem_norm0: ArrayLike | None = None,
    nmu: int = 40,
    warn: bool = False,
    emd_int: bool = False,
    emd_ret: bool = False,
    l_emd: bool = False,
    non_pos: bool = False,
    rscl: bool = False,
    progress: bool = False,
) -> Outputs:
    """DEM of every pixel from its counts.

    Parameters
    ----------
    dn_in, edn_in
        Counts and their standard errors, DN s-1 px-1, channels last: (F,), (n, F), (nx, ny, F) or (n0, n1, n2, F). Any
        number type, byte order or memory layout; never changed.
    tresp, tresp_logt
        Temperature response (N, F), DN cm5 s-1 px-1, at N values of log10 T. Values <= 0 become the channel's smallest
        positive one.
    temps
        Edges of the T >= 3 temperature bins, (T+1,), K.
    solver
        Name of a registered solver, or `name[key=value,...]`.
    reg_tweak, max_iter, rgt_fact
        Chi-squared per channel aimed at; most solves while some bin is negative; factor on the aim at each of them.
    gloci
        Shape of the constraint: 0 self-normalised, 1 EM loci of all channels, or a mask of zeros and ones (F,).
    dem_norm0
        Shape of the constraint given by the user, (T,) or one for every pixel; all ones, or 0 at first, means none.
    nmu
        Points of the regularisation grid; 40 and below mean 500 for a single pixel and 42 for maps.
    warn
        Warn of pixels that could not be inverted and of ones with negative bins left.
    emd_int, emd_ret, l_emd
        Invert, and return, the emission measure distribution (cm-5) instead of the DEM; constrain it (implied by
        emd_int).
    non_pos
        Take the first solution even if it has negative bins (max_iter = 1).
    rscl
        Rescale the DEM so that the counts it gives agree with the observed ones in the mean.
    progress
        Show a progress bar.

    Returns
    -------
    dem, edem
        (..., T), cm-5 K-1 (cm-5 with emd_ret), with standard errors.
    elogt
        (..., T), temperature resolution as a standard deviation, dex.
    chisq
        (...), squared normalised residuals per channel; a NumPy scalar for one pixel.
    dn_reg
        (..., F), counts of the recovered DEM, DN s-1 px-1.

    Leading axes are those of dn_in: a 1 x N map comes back as (1, N, T). Pixels with a count or error that is not
    finite and positive are zeros.

    Dask arrays give dask arrays, computed when they are, a block of pixels a task.

    Raises ValueError, naming the argument, on shapes that don't fit or settings out of range.
    """
    if _is_lazy(dn_in, edn_in):
        return _lazily(dn2dem, locals(), ("dn_in", "edn_in"), len(np.asarray(temps)) - 1)
    dn, edn = _counts(dn_in, edn_in)
    leading, channels = dn.shape[:-1], dn.shape[-1]
    logt, dlogt = response.bins_of(np.asarray(temps, dtype=np.float64))
    tresp, tresp_logt = np.asarray(tresp, dtype=np.float64), np.asarray(tresp_logt, dtype=np.float64)
    if tresp.ndim != 2 or tresp.shape[1] != channels or tresp_logt.shape != tresp.shape[:1]:
        raise ValueError(
            f"tresp and tresp_logt have shapes {tresp.shape} and {tresp_logt.shape}, expected (N, {channels}) and (N,)"
        )
    if nmu <= NMU_DEFAULT:
        nmu = NMU_MAP if leading else NMU_ONE_PIXEL
    options = Options(reg_tweak, 1 if non_pos else max_iter, rgt_fact, nmu, _mask(gloci), l_emd or emd_int)
    rmatrix = response.response_matrix(tresp, tresp_logt, logt, dlogt, emd_int)
    norm = _norm(dem_norm0, leading, len(logt))
    problem = as_problem(dn.reshape(-1, channels), edn.reshape(-1, channels), rmatrix, logt, dlogt, options, norm)
    solution = _solved(problem, solver, progress)
    if warn:
        _warn(solution)
    dem, edem, elogt, chisq, dn_reg = _rescaled(problem, solution) if rscl else _outputs(solution)
    unit = _unit(logt, dlogt, emd_int, emd_ret)
    shaped = (dem * unit, edem * unit, elogt * HALF_WIDTH_TO_SIGMA, chisq, dn_reg)
    dem, edem, elogt, chisq, dn_reg = (a.reshape((*leading, *a.shape[1:])) for a in shaped)
    return dem, edem, elogt, chisq if leading else chisq[()], dn_reg


def demmap(
    dd: ArrayLike,
    ed: ArrayLike,
    rmatrix: ArrayLike,
    logt: ArrayLike,
    dlogt: ArrayLike,
    glc: ArrayLike,
    *,
    solver: str = "numba",
    reg_tweak: float = 1.0,
    max_iter: int = 10,
    rgt_fact: float = 1.5,
    dem_norm0: ArrayLike | None = None,
    nmu: int = 42,
    warn: bool = False,
    l_emd: bool = False,
    rscl: bool = False,
    progress: bool = False,
) -> Outputs:
    """The inversion below `dn2dem`, for a list of pixels and a response matrix that is made already.

    dd, ed (P, F): counts and errors, DN s-1 px-1. rmatrix (T, F): response times bin width times 1e15. logt, dlogt
    (T,): bin centres and widths. glc (F,): mask of channels whose EM loci shape the constraint, all 0 for
    self-normalised. dem_norm0 (T,) or (P, T). The rest as in `dn2dem`.

    Returns dem, edem (P, T) in 1e15 cm-5 K-1, elogt (P, T) in dex as half of the full width at half maximum, chisq
    (P,), dn_reg (P, F). Dask arrays give dask arrays. Raises ValueError, naming the argument, on shapes that don't fit
    or settings out of range.
    """
    if _is_lazy(dd, ed):
        return _lazily(demmap, locals(), ("dd", "ed"), len(np.asarray(rmatrix)))
    dn, edn = _counts(dd, ed)
    if dn.ndim != 2:
        raise ValueError(f"dd has shape {dn.shape}, expected (pixels, channels)")
    bins = np.asarray(rmatrix).shape[0]
    norm = _norm(dem_norm0, dn.shape[:1], bins)
    options = Options(reg_tweak, max_iter, rgt_fact, nmu, _mask(glc), l_emd)
    problem = as_problem(dn, edn, rmatrix, logt, dlogt, options, norm)
    solution = _solved(problem, solver, progress)
    if warn:
        _warn(solution)
    return _rescaled(problem, solution) if rscl else _outputs(solution)


def _is_lazy(*arrays: Any) -> bool:
    """Whether one is a dask array; Dask is not imported to find out."""
    return any(type(array).__module__.startswith("dask.array") for array in arrays)


def _lazily(call: Any, arguments: dict[str, Any], pixels: tuple[str, str], bins: int) -> Any:
    """`call` with those arguments for every block of the arrays named by `pixels`; all but the pixels is checked now.

    Raises ValueError as `call` does, and for a solver that starts workers: a task is in one already.
    """
    from implementations.cluster import arrays as cluster_arrays

    kept = {k: v for k, v in arguments.items() if k not in (*pixels, "dem_norm0", "progress")}
    dn, edn, norm = (arguments[name] for name in (*pixels, "dem_norm0"))
    if Registry().load(kept["solver"]).device == "cluster":
        raise ValueError(
            f"solver '{kept['solver']}' starts workers, which dask arrays have already; name the one to run in them"
        )
    if np.ndim(norm) > 1 and np.shape(norm) != (*np.shape(dn)[:-1], bins):
        raise ValueError(f"dem_norm0 has shape {np.shape(norm)}, expected {(bins,)} or {(*np.shape(dn)[:-1], bins)}")
    block = functools.partial(_block, call, pixels, kept)
    nothing = np.empty((0, np.shape(dn)[-1]))
    _block(call, pixels, {**kept, "solver": "baseline"}, nothing, nothing, None if np.ndim(norm) > 1 else norm)
    return cluster_arrays.outputs(block, dn, edn, norm, bins)


def _block(call: Any, pixels: tuple[str, str], kept: dict[str, Any], dn: Array, edn: Array, norm: Any) -> Outputs:
    return call(**{pixels[0]: dn, pixels[1]: edn}, **kept, dem_norm0=norm)


def _counts(dn: ArrayLike, edn: ArrayLike) -> tuple[Array, Array]:
    """Counts and errors as float64 arrays of one shape, one to four axes."""
    counts, errors = np.asarray(dn, dtype=np.float64), np.asarray(edn, dtype=np.float64)
    if not 1 <= counts.ndim <= 4:
        raise ValueError(f"the counts have shape {counts.shape}, expected one to four axes, channels last")
    if errors.shape != counts.shape:
        raise ValueError(f"the errors have shape {errors.shape}, expected that of the counts, {counts.shape}")
    return counts, errors


def _mask(gloci: int | ArrayLike) -> int | tuple[int, ...]:
    mask = np.asarray(gloci)
    return int(mask) if mask.ndim == 0 else tuple(mask.tolist())


def _norm(dem_norm0: ArrayLike | None, leading: tuple[int, ...], bins: int) -> Array | None:
    """User weights (P, T), those of one pixel repeated for all."""
    if dem_norm0 is None:
        return None
    norm = np.asarray(dem_norm0, dtype=np.float64)
    if norm.shape not in ((bins,), (*leading, bins)):
        raise ValueError(f"dem_norm0 has shape {norm.shape}, expected {(bins,)} or {(*leading, bins)}")
    if not np.isfinite(norm).all():
        raise ValueError(f"dem_norm0 has values that are not finite, shape {norm.shape}")
    return np.broadcast_to(norm, (*leading, bins)).reshape(-1, bins)


def _solved(problem: Problem, spec: str, progress: bool) -> Solution:
    """The solution by the solver of that name, all at once, or strip by strip beneath a progress bar."""
    solver = Registry().ready(spec)
    if not progress:
        return solver.run(problem)
    parts = [solver.run(problem.take(strip)) for strip in _strips(problem.sizes[0])]
    if not parts:
        return Solution.empty(problem)
    return Solution(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def _strips(pixels: int) -> Iterator[slice]:
    from rich.progress import track

    starts = range(0, pixels, STRIP)
    for start in track(starts, description="DEM", total=len(starts)):
        yield slice(start, start + STRIP)


def _outputs(solution: Solution) -> Outputs:
    dem, edem, elogt, chisq, dn_reg = (getattr(solution, name) for name in OUTPUTS)
    return dem, edem, elogt, chisq, dn_reg


def _rescaled(problem: Problem, solution: Solution) -> Outputs:
    """The outputs with DEM and error times the mean over the channels of observed to recovered counts."""
    valid = solution.status != Status.INVALID
    factor = np.ones(len(valid))
    factor[valid] = (problem.dn[valid] / solution.dn_reg[valid]).mean(axis=1)
    dn_reg = solution.dn_reg * factor[:, None]
    chisq = np.zeros(len(valid))
    chisq[valid] = (((problem.dn - dn_reg)[valid] / problem.edn[valid]) ** 2).mean(axis=1)
    return solution.dem * factor[:, None], solution.edem * factor[:, None], solution.elogt, chisq, dn_reg


def _unit(logt: Array, dlogt: Array, emd_int: bool, emd_ret: bool) -> float | Array:
    """What takes the inversion's unknown to the unit asked for: the scale of 1e15, and the bins' widths in K."""
    width = 10**logt * np.log(10**dlogt)
    to_ret: Any = 1.0 if emd_int == emd_ret else (width if emd_ret else 1 / width)
    return response.SCALE * to_ret


def _warn(solution: Solution) -> None:
    counts: NDArray[np.int64] = np.bincount(solution.status, minlength=len(Status))
    for status, what in ((Status.INVALID, "invalid counts or errors"), (Status.HIT_MAX_ITER, "negative bins left")):
        if counts[status]:
            warnings.warn(f"{counts[status]} of {len(solution.status)} pixels have {what}", stacklevel=3)
