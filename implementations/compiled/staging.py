"""What the kernel is given, laid out for its vectors: `Setup`, which all pixels share, and a thread's `Scratch`.

F channels, R = min(F, T) singular values, S bins per row after padding with zeros. All arrays are flat: a row along the
bins starts at f * S; a matrix across pixels has its element (f, k) of those pixels at (f * R + k) * LANES.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from implementations.compiled.factorise import PANEL
from implementations.compiled.simd import BITS, LANES
from implementations.compiled.uncertainty import BUCKETS, FAR, ROWS, SAMPLES
from implementations.contract import Array, Problem

SORT_FROM = 64
"""Bins from which on sorting them costs less than the rows of the resolution that it spares."""


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
    fallback: Array  # the weight where the first solution is too small: 1, and -inf in the padding
    uniform: Array  # (F, R): the triangle under uniform weights and unit errors
    width: Array  # the uniform weights
    scale: Array  # what takes a weight to L^-2
    norm: Array  # (P, T): the user's, or no rows


class Samples(NamedTuple):
    """Where a profile is compared with its half maximum, ROWS each."""

    left: NDArray[np.intp]  # the bin below
    near: Any  # twice the share of that bin
    far: Any  # twice the share of the next
    position: Any  # half of the sample's logt, and FAR
    dlogt: Any  # the resolution where no sample reaches the half maximum


class Setup(NamedTuple):
    """What all pixels share, read-only."""

    sizes: Sizes
    settings: Settings
    response: Array  # F rows
    constraint: Constraint
    samples: Samples
    pairs: NDArray[np.intp]  # columns that are rotated, two by two
    ramp: Array  # 0, 1, 2, ... for each lane


class Pixels(NamedTuple):
    """The pixels in the lanes."""

    number: NDArray[np.intp]
    counts: Array
    inverse_error: Array


class Factors(NamedTuple):
    """The factorised problem of each lane."""

    matrix: Array  # R^T, then U, (F, R)
    energy: Array  # s^2
    projection: Array  # U^T d
    unfitted: Array  # |d - U U^T d|^2
    root: Array
    panel: Array


class Search(NamedTuple):
    """The search of the regularisation grid: see `discrepancy.Grid`."""

    guess: NDArray[np.intp]  # where the last pixel's ended: first solution, solution
    power: Array
    excess: Array


class Rows(NamedTuple):
    """One lane's rows along the bins; the weights are those of all lanes."""

    weight: Array
    line: Array
    coefficient: Array
    dem: Array
    edem: Array
    elogt: Array


class Profiles(NamedTuple):
    """The resolution of one lane: see `uncertainty`."""

    wz: Any
    gz: Any
    reach: Any
    bound: Array
    bucket: NDArray[np.intp]
    tally: NDArray[np.intp]
    order: NDArray[np.intp]
    limit: Any
    sample: Any
    sample_bound: Any


class Scratch(NamedTuple):
    """Working memory of one thread."""

    pixels: Pixels
    factors: Factors
    search: Search
    rows: Rows
    profiles: Profiles


class Outputs(NamedTuple):
    """A `Solution`'s arrays."""

    dem: Array
    edem: Array
    elogt: Array
    chisq: Array
    dn_reg: Array
    iterations: NDArray[np.int32]
    status: NDArray[np.int8]


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
        fallback=_rows(np.ones(bins), sizes.padded, -np.inf),
        uniform=uniform,
        width=_rows(problem.dlogt, sizes.padded),
        scale=_rows(np.ones(bins) if options.l_emd else 1 / problem.dlogt, sizes.padded),
        norm=np.empty((0, bins)) if problem.dem_norm0 is None else problem.dem_norm0,
    )
    samples = _samples(problem, sizes.padded, dtype)
    pairs, ramp = _round_robin(sizes.rank), _rows(np.arange(LANES), LANES)
    return Setup(sizes, settings, _rows(response, sizes.padded), constraint, samples, pairs, ramp)


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
    return Samples(left, *(values.astype(dtype) for values in (near, far, position, dlogt)))


def working_memory(setup: Setup, dtype: type[np.floating]) -> Scratch:
    """Working memory for one thread: some 4 F + 30 rows of bins."""
    f, r, _, s = setup.sizes
    return Scratch(
        Pixels(_zeros(LANES, np.intp), counts=_zeros(f * LANES), inverse_error=_zeros(f * LANES)),
        Factors(
            matrix=_zeros(f * r * LANES),
            energy=_zeros(r * LANES),
            projection=_zeros(r * LANES),
            unfitted=_zeros(LANES),
            root=_zeros(s * LANES),
            panel=_zeros(f * (PANEL + f + 3) * LANES),
        ),
        Search(guess=np.full(2, setup.settings.nmu // 2), power=_zeros(64 + LANES), excess=_zeros(LANES)),
        Rows(
            weight=_zeros(LANES * s),
            line=_zeros(s + 2 * LANES),
            coefficient=_zeros((f + 1) * r + f),
            dem=_zeros(s),
            edem=_zeros(s),
            elogt=_zeros(s),
        ),
        Profiles(
            wz=_zeros(r * s, dtype),
            gz=_zeros(r * s, dtype),
            reach=_zeros(s, dtype),
            bound=_zeros(s),
            bucket=_zeros(s, np.intp),
            tally=_zeros(BUCKETS, np.intp),
            order=np.arange(s),
            limit=np.full(s, np.inf, dtype),  # of rows that are not sorted
            sample=_zeros(r * ROWS, dtype),
            sample_bound=_zeros(ROWS // 4, dtype),
        ),
    )


def _zeros(size: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Zeros that begin on a cache line: a vector that straddles two lines costs two accesses."""
    line = 64
    memory = np.zeros(size * np.dtype(dtype).itemsize + line, np.uint8)
    start = -memory.__array_interface__["data"][0] % line
    return memory[start : start + size * np.dtype(dtype).itemsize].view(dtype)


@functools.cache
def _round_robin(players: int) -> NDArray[np.intp]:
    """Every pair once, flat, in rounds in which nobody plays twice: the rotations of a round wait for none of it."""
    seats = list(range(players + players % 2))
    pairs = []
    for _ in seats[1:]:
        halves = zip(seats[: len(seats) // 2], reversed(seats), strict=False)
        pairs += [sorted(pair) for pair in halves if max(pair) < players]
        seats = [seats[0], seats[-1], *seats[1:-1]]
    return np.array(pairs, np.intp).ravel()


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
