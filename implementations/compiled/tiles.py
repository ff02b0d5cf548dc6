"""The dealing of tiles of pixels to threads that run `compiled.kernel`, or another kernel that is called as it is.

Imports Numba: strategies import this module when they prepare a problem, not before.
"""

import functools
import itertools
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from implementations.compiled.kernel import invert
from implementations.compiled.simd import LANES
from implementations.compiled.staging import Outputs, round_up, staged, working_memory
from implementations.contract import Array, Problem, Solution

TILE = 1024
"""Most pixels in one call of the kernel: long enough to hide the call, short enough to stop when asked to."""
TILES_PER_THREAD = 16
"""So many, where pixels suffice, for several threads: tiles of flaring pixels take several times as long as others."""
LEAST, EACH = 1 << 13, 3 << 10
"""Bins of pixels in a tile, and in a thread's part, that are worth a call, and waking another thread."""
ONE_PIECE = 1 << 21
"""Doubles of the largest output up to which all are one piece of memory: eight huge pages."""


@dataclass(frozen=True, eq=False)
class State:
    """A staged problem, and the threads besides the caller's own."""

    problem: Problem
    setup: Any
    idle: deque[Any]
    """Working memory that no thread uses."""
    dtype: type[np.floating]
    pool: ThreadPoolExecutor | None
    others: int
    tile: int
    kernel: Callable[..., None]
    memory: Callable[..., Any]
    """A thread's working memory, from setup and dtype."""
    into: Solution | None = None
    """Memory for the outputs, where there is some already: rows of a larger map's."""


def prepare(problem: Problem, dtype: type[np.floating], threads: int | None) -> State:
    """Lay out what all pixels share, with the resolution profiles in `dtype`; threads: None for Numba's number."""
    setup, idle = staged(problem, dtype)
    return deal(problem, setup, dtype, threads, invert, working_memory, idle)


def deal(
    problem: Problem,
    setup: Any,
    dtype: type[np.floating],
    threads: int | None,
    kernel: Callable[..., None],
    memory: Callable[..., Any],
    idle: deque[Any] | None = None,
) -> State:
    """The threads and the size of their tiles, for what is laid out already."""
    pixels, _, bins = problem.sizes
    threads = max(1, min(threads or numba.get_num_threads(), pixels * bins // EACH))
    share = max(pixels // (threads * TILES_PER_THREAD), min(LEAST // bins, pixels // (2 * threads)), 1)
    pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
    tile = min(TILE, round_up(share, LANES)) if threads > 1 else TILE
    idle = deque() if idle is None else idle
    return State(problem, setup, idle, dtype, pool, threads - 1, tile, kernel, memory)


def solve(state: State) -> Solution:
    """Invert every pixel. Each thread, the caller's among them, takes the next tile when it is done with one."""
    solution = unfilled(state.problem) if state.into is None else state.into
    tiles = deque(range(0, len(state.problem.dn), state.tile))
    work = functools.partial(take_tiles, state, solution, tiles)
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


def unfilled(problem: Problem) -> Solution:
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
    ends = list(itertools.accumulate(sizes))
    piece = np.empty(ends[-1])
    return [piece[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True)]


def take_tiles(state: State, solution: Solution, tiles: deque[int], ticks: NDArray[np.int64] | None = None) -> None:
    """Invert tiles, given by their first pixels, until there are none; `ticks`: see `kernel.invert`."""
    p, outputs = state.problem, Outputs(**vars(solution))
    try:
        scratch = state.idle.pop()
    except IndexError:
        scratch = state.memory(state.setup, state.dtype)
    while tiles:
        try:
            first = tiles.popleft()
        except IndexError:  # another thread was faster
            break
        last = min(first + state.tile, len(p.dn))
        state.kernel(state.setup, scratch, p.dn, p.edn, first, last, outputs, ticks)
    state.idle.append(scratch)
