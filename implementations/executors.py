"""Where the pixels of a per-pixel strategy are computed: in this process, in its threads, or in a pool of processes.

`serial` is a plain loop. `threads` shares this process (LAPACK releases the interpreter lock, Python code does not).
`process-pool` spawns fresh workers for every problem and ends them with it. `loky` keeps its workers between problems
(they end when idle for five minutes), so only the first problem pays for starting them. `loky-mapped` is the same, but
the pixels go to a file that workers map, as joblib does with large arrays, and a task is its pixels' numbers; the other
two pickle pixels into the task. Outputs are pickled by all three. Spawned rather than forked, so that no worker
inherits threads, locks or a GPU context.

Starting workers, sending them the constant arrays and waiting until each of them has checked in belongs to `prepare`,
mapping the pixels to `solve`, ending the workers to `collect`; the harness times the three apart. Whatever the
executor, each worker is one thread: BLAS is held to one thread in it. Blocks of pixels in flight are bounded, so that
an image never lies in the queue as a whole.
"""

import functools
import math
import multiprocessing
import os
import pickle
import shutil
import tempfile
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor as PoolExecutor
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.blas import one_thread, threadpool_limits
from implementations.contract import Array, Problem, Solution, Solver, Status

LARGEST_BLOCK = 64
"""Most pixels in one task: small enough to balance pixels of uneven cost, large enough to hide the queue."""
TASKS_PER_WORKER = 8
IDLE_SECONDS = 300
START_SECONDS = 120.0


class Pixel(NamedTuple):
    """The outputs of one pixel, or of a block of them stacked."""

    dem: Array
    edem: Array
    elogt: Array
    chisq: Any
    dn_reg: Array
    iterations: Any


PixelFunction = Callable[[Array, Array, Array | None, Problem], Pixel]
"""(dn (F,), edn (F,), dem_norm0 (T,) or None, the problem without its pixels) -> outputs. A module-level function."""


class PixelBlock(NamedTuple):
    """Some valid pixels of a problem."""

    pixels: NDArray[np.intp]
    dn: Array
    edn: Array
    norm: Array | None


def invert_block(function: PixelFunction, constants: Problem, block: PixelBlock) -> Pixel:
    """Invert the pixels of a block one after another."""
    norms = [None] * len(block.dn) if block.norm is None else block.norm
    rows = [function(g, e, w, constants) for g, e, w in zip(block.dn, block.edn, norms, strict=True)]
    return Pixel(*(np.array(column) for column in zip(*rows, strict=True)))


class InProcess:
    """`serial` and `threads`: the blocks are computed in this process."""

    def __init__(self, function: PixelFunction, constants: Problem, pool: ThreadPoolExecutor | None, workers: int):
        self.task = functools.partial(invert_block, function, constants)
        self.pool, self.workers = pool, workers

    def map(self, blocks: Iterator[PixelBlock]) -> Iterator[tuple[PixelBlock, Pixel]]:
        """Each block with its outputs, in order."""
        with one_thread():
            if self.pool is None:
                yield from ((block, self.task(block)) for block in blocks)
            else:
                yield from _bounded(self.pool, self.task, blocks, 2 * self.workers)

    def stop(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


class InWorkers:
    """`process-pool` and `loky`: the blocks are computed in processes that have read the constants once."""

    def __init__(self, function: PixelFunction, constants: Problem, pool: PoolExecutor, workers: int, keep: bool):
        self.pool, self.workers, self.keep = pool, workers, keep
        self.folder = tempfile.mkdtemp(prefix="demreg-bench-")
        try:
            Path(self.folder, "constants").write_bytes(pickle.dumps((function, constants)))
            for worker in [pool.submit(_check_in, self.folder, workers) for _ in range(workers)]:
                worker.result()
        except BaseException:
            self.stop()
            raise

    def map(self, blocks: Iterator[PixelBlock]) -> Iterator[tuple[PixelBlock, Pixel]]:
        """Each block with its outputs, in order."""
        return _bounded(self.pool, functools.partial(_invert_in_worker, self.folder), blocks, 2 * self.workers)

    def stop(self) -> None:
        """End the workers, unless they are kept for the next problem."""
        if not self.keep:
            self.pool.shutdown(cancel_futures=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class InMappedWorkers(InWorkers):
    """`loky-mapped`: the constants, pixels included, are in a file that workers map; tasks are numbers of pixels."""

    def __init__(self, function: PixelFunction, problem: Problem, pool: PoolExecutor, workers: int):
        super().__init__(function, problem.take(slice(0, 0)), pool, workers, keep=True)
        import joblib

        try:
            joblib.dump(problem, Path(self.folder, "problem"))
        except BaseException:
            self.stop()
            raise

    def map(self, blocks: Iterator[PixelBlock]) -> Iterator[tuple[PixelBlock, Pixel]]:
        """Each block with its outputs, in order."""
        numbers = (block._replace(dn=block.dn[:0], edn=block.edn[:0], norm=None) for block in blocks)
        return _bounded(self.pool, functools.partial(_invert_mapped, self.folder), numbers, 2 * self.workers)


def _bounded(
    pool: PoolExecutor, task: Callable[[PixelBlock], Pixel], blocks: Iterator[PixelBlock], most: int
) -> Iterator[tuple[PixelBlock, Pixel]]:
    """Like pool.map, but never more than `most` blocks submitted and not yet handed on."""
    flight: deque[tuple[PixelBlock, Future[Pixel]]] = deque()
    try:
        for block in blocks:
            flight.append((block, pool.submit(task, block)))
            if len(flight) >= most:
                done, future = flight.popleft()
                yield done, future.result()
        while flight:
            done, future = flight.popleft()
            yield done, future.result()
    finally:
        for _, future in flight:
            future.cancel()


@functools.lru_cache(maxsize=1)
def _held(folder: str) -> tuple[PixelFunction, Problem]:
    """In a worker: the function and the constants, read once per problem; from here on BLAS has one thread."""
    threadpool_limits(limits=1)
    return pickle.loads(Path(folder, "constants").read_bytes())


def _check_in(folder: str, workers: int) -> None:
    """In a worker: get ready, then wait for the others, so that no worker takes the place of one still starting."""
    _held(folder)
    Path(folder, f"worker-{os.getpid()}").touch()
    deadline = time.monotonic() + START_SECONDS
    while len(list(Path(folder).glob("worker-*"))) < workers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{workers} workers did not start within {START_SECONDS:.0f} s")
        time.sleep(0.002)


def _invert_in_worker(folder: str, block: PixelBlock) -> Pixel:
    return invert_block(*_held(folder), block)


@functools.lru_cache(maxsize=1)
def _mapped(folder: str) -> Problem:
    """In a worker: the problem, mapped once."""
    import joblib

    return joblib.load(Path(folder, "problem"), mmap_mode="r")


def _invert_mapped(folder: str, block: PixelBlock) -> Pixel:
    function, constants = _held(folder)
    return invert_block(function, constants, _block(_mapped(folder), block.pixels))


def _block(problem: Problem, rows: NDArray[np.intp]) -> PixelBlock:
    norm = None if problem.dem_norm0 is None else problem.dem_norm0[rows]
    return PixelBlock(rows, problem.dn[rows], problem.edn[rows], norm)


def start(executor: str, workers: int, function: PixelFunction, problem: Problem) -> InProcess | InWorkers:
    """Workers that are ready to invert blocks of a problem's pixels. `executor` is one of `EXECUTORS`."""
    constants = problem.take(slice(0, 0))
    if executor == "serial":
        return InProcess(function, constants, None, 1)
    if executor == "threads":
        return InProcess(function, constants, ThreadPoolExecutor(workers), workers)
    if executor == "process-pool":
        spawned = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        return InWorkers(function, constants, spawned, workers, keep=False)
    from joblib.externals.loky import get_reusable_executor

    reused = get_reusable_executor(max_workers=workers, timeout=IDLE_SECONDS)
    if executor == "loky-mapped":
        return InMappedWorkers(function, problem, reused, workers)
    return InWorkers(function, constants, reused, workers, keep=True)


EXECUTORS = ("serial", "process-pool", "loky", "loky-mapped", "threads")


@dataclass(frozen=True, eq=False)
class State:
    """A problem, its valid pixels (V,) and the workers that wait for them."""

    problem: Problem
    pixels: NDArray[np.intp]
    executor: InProcess | InWorkers
    block: int

    def blocks(self) -> Iterator[PixelBlock]:
        """The valid pixels, cut into tasks."""
        for first in range(0, len(self.pixels), self.block):
            yield _block(self.problem, self.pixels[first : first + self.block])


class PerPixel(Solver):
    """A strategy that inverts one pixel at a time; a subclass says how.

    Tunables: `executor`, one of `EXECUTORS`, and `workers`, the processes or threads of it (never all by default).
    """

    device = "cpu"
    accuracy = "exact"

    def __init__(self, executor: str = "serial", workers: int = 1):
        if executor not in EXECUTORS:
            raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, got '{executor}'")
        if not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers must be a whole number of at least 1, got {workers}")
        if executor == "serial" and workers != 1:
            raise ValueError(f"the serial executor has one worker, got workers={workers}")
        self.executor, self.workers = executor, workers

    @property
    @abstractmethod
    def pixel(self) -> PixelFunction:
        """The function that inverts one pixel, importable by name from a worker process."""

    def prepare(self, problem: Problem) -> State:
        """Find the valid pixels and start the workers."""
        pixels = np.flatnonzero(problem.valid())
        executor = start(self.executor, self.workers, self.pixel, problem)
        tasks = TASKS_PER_WORKER * self.workers
        return State(problem, pixels, executor, min(LARGEST_BLOCK, max(1, math.ceil(len(pixels) / tasks))))

    def solve(self, state: State) -> Solution:
        """Invert the valid pixels; the others stay zero."""
        solution = Solution.empty(state.problem)
        try:
            for block, rows in state.executor.map(state.blocks()):
                _store(solution, block.pixels, rows)
        except BaseException:
            state.executor.stop()
            raise
        return solution

    def collect(self, state: State, solution: Solution) -> Solution:
        """End the workers; the solution is on the host already."""
        state.executor.stop()
        return solution


def _store(solution: Solution, pixels: NDArray[np.intp], rows: Pixel) -> None:
    for name, value in rows._asdict().items():
        getattr(solution, name)[pixels] = value
    negative = (rows.dem < 0).any(axis=1)
    solution.status[pixels] = np.where(negative, Status.HIT_MAX_ITER, Status.OK)
