"""Staging for `compiled.kernel` and the dealing of its tiles of pixels to threads.

Imports Numba: strategies import this module when they prepare a problem, not before.
"""

import functools
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from implementations.compiled.factorise import PANEL
from implementations.compiled.kernel import Scratch, Setup, invert
from implementations.compiled.simd import BITS, LANES
from implementations.compiled.uncertainty import BUCKETS, FAR, ROWS, SAMPLES
from implementations.contract import Array, Problem, Solution

TILE = 1024
"""Most pixels in one call of the kernel: long enough to hide the call, short enough to stop when asked to."""
TILES_PER_THREAD = 16
"""At least so many where pixels suffice, since a tile of flaring pixels takes several times as long as another."""
ONE_PIECE = 1 << 21
"""Doubles of the largest output up to which all are one piece of memory: eight huge pages."""
SORT_FROM = 64
"""Bins from which on sorting them costs less than the rows of the resolution that it spares."""


@dataclass(frozen=True, eq=False)
class State:
    """A staged problem, and the threads besides the caller's own."""

    problem: Problem
    setup: Setup
    dtype: type[np.floating]
    pool: ThreadPoolExecutor | None
    others: int
    tile: int


def prepare(problem: Problem, dtype: type[np.floating], threads: int | None) -> State:
    """Lay out what all pixels share, with the resolution profiles in `dtype`; threads: None for Numba's number."""
    threads = threads or numba.get_num_threads()
    setup = stage(problem, dtype)
    share = -(-len(problem.dn) // (threads * TILES_PER_THREAD))
    pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
    return State(problem, setup, dtype, pool, threads - 1, min(TILE, _round_up(max(share, 1), LANES)))


def solve(state: State) -> Solution:
    """Invert every pixel. Each thread, the caller's among them, takes the next tile when it is done with one."""
    solution = _unfilled(state.problem)
    tiles = deque(range(0, len(state.problem.dn), state.tile))
    work = functools.partial(_invert_tiles, state, solution, tiles)
    others = [state.pool.submit(work) for _ in range(state.others)] if state.pool else []
    try:
        work()
    finally:
        tiles.clear()  # when this thread was interrupted, the others stop too
        for other in others:
            other.result()
    return solution


def finish(state: State) -> None:
    """End the threads."""
    if state.pool is not None:
        state.pool.shutdown(wait=False)  # idle by now: nothing to wait for


def _unfilled(problem: Problem) -> Solution:
    """Memory for the outputs. The kernel fills it, so that threads share in the cost of a page's first use."""
    p, f, t = problem.sizes
    shapes = [(p, t), (p, t), (p, t), (p,), (p, f)]
    dem, edem, elogt, chisq, dn_reg = _doubles(shapes)
    return Solution(dem, edem, elogt, chisq, dn_reg, np.empty(p, np.int32), np.empty(p, np.int8))


def _doubles(shapes: list[tuple[int, ...]]) -> list[Array]:
    """Arrays of doubles; small ones in one piece, since NumPy asks for huge pages from 4 MB on.

    The first use of the small pages of 10,000 pixels at 34 bins, 9 MB in arrays of 3, is a seventh of the time.
    """
    sizes = [math.prod(shape) for shape in shapes]
    if max(sizes) > ONE_PIECE:  # large ones have huge pages of their own, and whoever keeps one should not keep all
        return [np.empty(shape) for shape in shapes]
    parts = np.split(np.empty(sum(sizes)), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _invert_tiles(state: State, s: Solution, tiles: deque[int]) -> None:
    """Take tiles, by their first pixels, until there are none."""
    p, scratch = state.problem, working_memory(state.setup, state.dtype)
    while tiles:
        try:
            first = tiles.popleft()
        except IndexError:  # another thread was faster
            return
        invert(
            state.setup,
            scratch,
            p.dn,
            p.edn,
            first,
            min(first + state.tile, len(p.dn)),
            s.dem,
            s.edem,
            s.elogt,
            s.chisq,
            s.dn_reg,
            s.iterations,
            s.status,
        )


def stage(problem: Problem, dtype: type[np.floating]) -> Setup:
    """What all pixels share, padded to whole pairs of vectors of `dtype`."""
    options, (_, channels, bins) = problem.options, problem.sizes
    padded = _round_up(bins, 2 * BITS // np.finfo(dtype).bits)
    response, mask = problem.rmatrix.T, options.loci_mask(channels)
    loci = np.full((channels, bins), np.inf)  # a channel that is never the lowest
    if mask is not None:
        with np.errstate(divide="ignore", over="ignore"):
            loci[mask] = 1 / response[mask]
    left, fraction, position = _sample_points(problem.logt)
    return Setup(
        channels=channels,
        rank=min(channels, bins),
        bins=bins,
        padded=padded,
        sorts=bins >= SORT_FROM,
        pairs=_round_robin(min(channels, bins)),
        response=_rows(response, padded),
        loci=_rows(loci, padded, -np.inf),
        fallback=_rows(np.ones(bins), padded, -np.inf),
        uniform=np.asarray(np.linalg.qr((response * np.sqrt(problem.dlogt)).T, mode="r")).T.ravel(),
        width=_rows(problem.dlogt, padded),
        scale=_rows(np.ones(bins) if options.l_emd else 1 / problem.dlogt, padded),
        norm=np.empty((0, bins)) if problem.dem_norm0 is None else problem.dem_norm0,
        left=left,
        near=(2 - 2 * fraction).astype(dtype),
        far=(2 * fraction).astype(dtype),
        position=np.append(position, FAR).astype(dtype),
        dlogt=_rows(problem.dlogt, padded).astype(dtype),
        ramp=_rows(np.arange(LANES), LANES),
        reg_tweak=float(options.reg_tweak),
        rgt_fact=float(options.rgt_fact),
        max_iter=options.max_iter,
        nmu=options.nmu,
        l_emd=options.l_emd,
        self_normalised=mask is None,
    )


def _sample_points(logt: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """For each sample of a profile: the bin to its left, how far it is to the next, and half its logt."""
    points = logt[0] + 1e-8 + (logt[-1] - logt[0]) * np.arange(SAMPLES) / SAMPLES
    points = np.append(points, np.repeat(points[-1], ROWS - SAMPLES))
    left = np.clip(np.searchsorted(logt, points, side="right") - 1, 0, len(logt) - 2)
    return left, (points - logt[left]) / (logt[left + 1] - logt[left]), points / 2


def working_memory(setup: Setup, dtype: type[np.floating]) -> Scratch:
    """Working memory for one thread: some 4 F + 30 rows of bins."""
    f, r, s = setup.channels, setup.rank, setup.padded
    scratch = Scratch(
        pixel=_zeros(LANES, np.intp),
        guess=np.full(2, setup.nmu // 2),
        counts=_zeros(f * LANES),
        inverse_error=_zeros(f * LANES),
        root=_zeros(s * LANES),
        panel=_zeros(f * (PANEL + f + 3) * LANES),
        factor=_zeros(f * r * LANES),
        energy=_zeros(r * LANES),
        projection=_zeros(r * LANES),
        unfitted=_zeros(LANES),
        coefficient=_zeros((f + 1) * r + f),
        power=_zeros(64 + LANES),
        excess=_zeros(LANES),
        weight=_zeros(LANES * s),
        line=_zeros(s + 2 * LANES),
        dem=_zeros(s),
        edem=_zeros(s),
        elogt=_zeros(s),
        wz=_zeros(r * s, dtype),
        gz=_zeros(r * s, dtype),
        reach=_zeros(s, dtype),
        bound=_zeros(s),
        bucket=_zeros(s, np.intp),
        tally=_zeros(BUCKETS, np.intp),
        order=np.arange(s),
        limit=_zeros(s, dtype),
        sample=_zeros(r * ROWS, dtype),
        sample_bound=_zeros(ROWS // 4, dtype),
    )
    scratch.limit[:] = np.inf  # of rows that are not sorted
    return scratch


def _zeros(size: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Zeros that begin on a cache line: a vector that straddles two lines costs two accesses."""
    line = 64
    memory = np.zeros(size * np.dtype(dtype).itemsize + line, np.uint8)
    start = -memory.__array_interface__["data"][0] % line
    return memory[start : start + size * np.dtype(dtype).itemsize].view(dtype)


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


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
