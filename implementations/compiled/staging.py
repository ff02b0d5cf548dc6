"""What the kernel is given, laid out for its vectors: `Setup`, which all pixels share, and a thread's `Scratch`.

F channels, R = min(F, T) singular values, S bins per row after padding with zeros. All arrays are flat: a row along the
bins starts at f * S; across pixels bin t is the vector at t * LANES, and element (f, k) of a matrix at
(f * R + k) * LANES.
"""

import functools
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from implementations.compiled.constraint import BEFORE
from implementations.compiled.factorise import PANEL
from implementations.compiled.profiles import FAR, ROWS, SAMPLES
from implementations.compiled.simd import BITS, LANES
from implementations.compiled.sorted_profiles import BUCKETS, Along
from implementations.contract import Array, Options, Problem

SORT_FROM = 64
"""Bins from which on sorting them costs less than the rows of the resolution that it spares."""


REMEMBERED, IDLE = 4, 16
"""Responses with their settings whose staging is kept, for calls of a few pixels; working memory kept for each."""


class Sizes(NamedTuple):
    """F, R, T and S."""

    channels: int
    rank: int
    bins: int
    padded: int


class Settings(NamedTuple):
    """The options that the kernel branches on or computes with."""

    reg_tweak: float
    rgt_fact: float
    max_iter: int
    nmu: int
    l_emd: bool
    self_normalised: bool
    sorts: bool  # whether the resolution's rows are taken in falling order


class Constraint(NamedTuple):
    """What the weights are made from."""

    loci: Array  # F rows: 1 / response, infinite for a channel that is not chosen
    uniform: Array  # (F, R): the triangle under uniform weights and unit errors
    width: Array  # the uniform weights, across pixels
    scale: Array  # what takes a weight to L^-2
    norm: Array  # (P, T): the user's, or no rows


class Samples(NamedTuple):
    """Where a profile is compared with its half maximum, ROWS each."""

    left: NDArray[np.intp]  # the bin below
    before: NDArray[np.intp]  # for each bin, and one more, how many samples lie below it
    near: Any  # twice the share of that bin
    far: Any  # twice the share of the next
    position: Any  # half of the sample's logt, and FAR
    dlogt: Any  # the resolution where no sample reaches the half maximum; see `sorted_profiles` of bins nobody sees


class Setup(NamedTuple):
    """What all pixels share, read-only."""

    sizes: Sizes
    settings: Settings
    response: Array  # F rows
    constraint: Constraint
    samples: Samples


class Pixels(NamedTuple):
    """The pixels in the lanes."""

    number: NDArray[np.intp]
    start: NDArray[np.intp]  # of a pixel's row in an output
    counts: Array
    inverse_error: Array


class Factors(NamedTuple):
    """The factorised problem of each lane."""

    matrix: Array  # R^T, (F, R); working memory
    basis: Array  # P, (F, F)
    diagonal: Array  # Bd's, squared
    below: Array  # Bd's subdiagonal, squared
    product: Array  # of the two
    projection: Array  # P^T d
    unfitted: Array  # |d - P P^T d|^2
    ends: Array  # the squares of the least and the greatest singular value
    root: Array
    panel: Array


class Search(NamedTuple):
    """The search of the regularisation grid: see `discrepancy`."""

    guess: Array  # where the last pixels' ended: first solution, solution
    start: Array  # 1 / mu[0]
    power: Array
    sign: Array
    flat: Array
    at: Array  # the last pair of points, its first
    seen: Array  # its misfits
    pair: Array  # its z, (R, 2)
    gain: Array
    z: Array  # of the point chosen
    chosen: Array  # 1 / mu of it


class Rows(NamedTuple):
    """Rows along the bins, across pixels, and what makes them."""

    weight: Array
    line: Array
    coefficient: Array
    dem: Array
    edem: Array
    couple: Array
    root: Array
    mixing: Array
    fitted: Array
    chisq: Array
    passes: Array  # iterations, and whether some bin is negative still


class Profiles(NamedTuple):
    """The resolution: see `uncertainty`, `profiles` and, of the last two, `sorted_profiles`."""

    rows: Any
    size: Array
    pair: Any
    width: Array
    starts: NDArray[np.intp]
    lines: Any


class Scratch(NamedTuple):
    """Working memory of one thread."""

    pixels: Pixels
    factors: Factors
    search: Search
    rows: Rows
    profiles: Profiles
    along: Along


class Outputs(NamedTuple):
    """A `Solution`'s arrays."""

    dem: Array
    edem: Array
    elogt: Array
    chisq: Array
    dn_reg: Array
    iterations: NDArray[np.int32]
    status: NDArray[np.int8]


def staged(problem: Problem, dtype: type[np.floating]) -> tuple[Setup, deque[Scratch]]:
    """What all pixels share, and working memory that lies idle: those of an earlier problem, where it had the same."""
    content = (array.tobytes() for array in (problem.rmatrix, problem.logt, problem.dlogt))
    setup, idle = _staged(np.dtype(dtype), SORT_FROM, problem.options, problem.sizes[1], *content)
    if problem.dem_norm0 is None:
        return setup, idle
    return setup._replace(constraint=setup.constraint._replace(norm=problem.dem_norm0)), idle


@functools.lru_cache(maxsize=REMEMBERED)
def _staged(dtype: Any, sorts: bool, options: Options, channels: int, *content: bytes) -> tuple[Setup, deque[Scratch]]:
    rmatrix, logt, dlogt = (np.frombuffer(array) for array in content)
    nothing = np.empty((0, channels))
    problem = Problem(nothing, nothing, rmatrix.reshape(-1, channels), logt, dlogt, options)
    return stage(problem, dtype.type), deque(maxlen=IDLE)


def stage(problem: Problem, dtype: type[np.floating]) -> Setup:
    """What all pixels share, padded to whole pairs of vectors of `dtype`, in which profiles are computed."""
    options, (_, channels, bins) = problem.options, problem.sizes
    sizes = Sizes(channels, min(channels, bins), bins, round_up(bins, 2 * BITS // np.finfo(dtype).bits))
    response, mask = problem.rmatrix.T, options.loci_mask(channels)
    uniform = np.asarray(np.linalg.qr((response * np.sqrt(problem.dlogt)).T, mode="r")).T.ravel()
    settings = Settings(
        reg_tweak=float(options.reg_tweak),
        rgt_fact=float(options.rgt_fact),
        max_iter=options.max_iter,
        nmu=options.nmu,
        l_emd=options.l_emd,
        self_normalised=mask is None,
        sorts=bins >= SORT_FROM,
    )
    constraint = Constraint(
        loci=_rows(_loci(response, mask), sizes.padded, -np.inf),
        uniform=uniform,
        width=_rows(np.repeat(problem.dlogt, LANES), sizes.padded * LANES),
        scale=_rows(np.ones(bins) if options.l_emd else 1 / problem.dlogt, sizes.padded),
        norm=_none(bins),
    )
    samples = _samples(problem, sizes.padded, dtype)
    return Setup(sizes, settings, _rows(response, sizes.padded), constraint, samples)


def _none(bins: int) -> Array:
    """No user weights; read-only as those of a problem, so that one kernel is compiled for both."""
    rows = np.empty((0, bins))
    rows.flags.writeable = False
    return rows


def _loci(response: Array, mask: NDArray[np.bool_] | None) -> Array:
    """1 / response (F, T) of the chosen channels; a channel that is not is never the lowest."""
    loci = np.full(response.shape, np.inf)
    if mask is not None:
        with np.errstate(divide="ignore", over="ignore"):
            loci[mask] = 1 / response[mask]
    return loci


def _samples(problem: Problem, padded: int, dtype: type[np.floating]) -> Samples:
    logt = problem.logt
    points = logt[0] + 1e-8 + (logt[-1] - logt[0]) * np.arange(SAMPLES) / SAMPLES
    points = np.append(points, np.repeat(points[-1], ROWS - SAMPLES))
    left = np.clip(np.searchsorted(logt, points, side="right") - 1, 0, len(logt) - 2)
    share = (points - logt[left]) / (logt[left + 1] - logt[left])
    near, far, position = 2 - 2 * share, 2 * share, np.append(points / 2, FAR)
    unseen = (problem.rmatrix == 0).all(axis=1)  # a profile of zeros, half of whose maximum every sample reaches
    dlogt = _rows(np.where(unseen, (points[-1] - points[0]) / 2, problem.dlogt), padded)
    before = np.searchsorted(left[:SAMPLES], np.arange(len(logt) + 1))
    return Samples(left, before, *(values.astype(dtype) for values in (near, far, position, dlogt)))


def working_memory(setup: Setup, dtype: type[np.floating]) -> Scratch:
    """Working memory for one thread: for each of LANES pixels some 2 F + 10 rows of bins."""
    f, r, _, s = setup.sizes
    along = s if setup.settings.sorts else 0
    across = LANES if along else s
    pixels = Pixels(
        number=_zeros(LANES, np.intp),
        start=_zeros(LANES, np.intp),
        counts=_zeros(f * LANES),
        inverse_error=_zeros(f * LANES),
    )
    profiles = Profiles(
        rows=_zeros(r * (across + 4) * LANES, dtype),
        size=_zeros(across * LANES),
        pair=_zeros(2 * (across + 4) * LANES, dtype),
        width=_zeros(across * LANES),
        starts=_zeros(LANES, np.intp),
        lines=_zeros(LANES * (r + 1) * along, dtype),
    )
    factors, search, rows = _factors(f, r, s), _search(r, setup.settings.nmu), _rows_of_bins(f, r, s)
    return Scratch(pixels, factors, search, rows, profiles, along_bins(r, along, dtype, lines=False))


def _factors(f: int, r: int, s: int) -> Factors:
    return Factors(
        matrix=_zeros(f * r * LANES),
        basis=_zeros(f * f * LANES),
        diagonal=_zeros(r * LANES),
        below=_zeros(r * LANES),
        product=_zeros(r * LANES),
        projection=_zeros((r + 1) * LANES),
        unfitted=_zeros(LANES),
        ends=_zeros(2 * LANES),
        root=_zeros(s * LANES),
        panel=_zeros(f * (PANEL + f + 3) * LANES),
    )


def _search(r: int, points: int) -> Search:
    return Search(
        guess=np.full(2 * LANES, float(points // 2)),
        start=_zeros(LANES),
        power=_zeros((points.bit_length() + 1) * LANES),
        sign=_zeros(LANES),
        flat=_zeros(LANES),
        at=_zeros(LANES),
        seen=_zeros(2 * LANES),
        pair=_zeros(2 * r * LANES),
        gain=_zeros(2 * r * LANES),
        z=_zeros(r * LANES),
        chosen=_zeros(LANES),
    )


def _rows_of_bins(f: int, r: int, s: int) -> Rows:
    return Rows(
        weight=_zeros(s * LANES),
        line=_zeros((s + 2 * BEFORE) * LANES),
        coefficient=_zeros(f * LANES),
        dem=_zeros(s * LANES),
        edem=_zeros(s * LANES),
        couple=_zeros(r * LANES),
        root=_zeros(r * LANES),
        mixing=_zeros(r * f * LANES),
        fitted=_zeros(2 * r * LANES),
        chisq=_zeros(LANES),
        passes=_zeros(2 * LANES),
    )


def along_bins(rank: int, size: int, dtype: DTypeLike, lines: bool) -> Along:
    """Working memory for the profiles of one lane, with lines of its own or without: `sorted_profiles.lane_of`."""
    own = size if lines else 0
    return Along(
        wz=_zeros(rank * own, dtype),
        gz=_zeros(rank * own, dtype),
        reach=_zeros(own, dtype),
        bound=_zeros(own, dtype),
        bucket=_zeros(size, np.intp),
        tally=_zeros(BUCKETS, np.intp),
        order=np.arange(size, dtype=np.int32),
        limit=np.full(size // 4, np.inf, dtype),  # of rows that are not sorted
        sample=_zeros(rank * ROWS, dtype),
        sample_bound=_zeros(ROWS // 4, dtype),
        elogt=_zeros(size),
    )


def _zeros(size: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Zeros that begin on a cache line: a vector that straddles two lines costs two accesses."""
    line = 64
    memory = np.zeros(size * np.dtype(dtype).itemsize + line, np.uint8)
    start = -memory.__array_interface__["data"][0] % line
    return memory[start : start + size * np.dtype(dtype).itemsize].view(dtype)


def _rows(values: ArrayLike, padded: int, fill: float = 0.0) -> Array:
    """The last axis filled up to `padded`, then all in one row."""
    values = np.asarray(values, np.float64)
    rows = _zeros(values.size // values.shape[-1] * padded)
    table = rows.reshape(-1, padded)
    table[:] = fill
    table[:, : values.shape[-1]] = values
    return rows


def round_up(number: int, multiple: int) -> int:
    """The next multiple of `multiple`."""
    return -(-number // multiple) * multiple
