"""A job of many blocks of pixels on workers: planned from what a pixel costs, bounded in flight, errors named.

The constants (response, options, the inner solver's recipe) reach each worker once, as a worker plugin: unlike
scattered data it outlives the worker, since one that is restarted, or joins late, gets it too. Imports Dask.
"""

import errno
import math
import mmap
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
from distributed import Future, KilledWorker, as_completed, get_worker, secede
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from distributed.diagnostics.plugin import WorkerPlugin

from implementations.cluster.memory import GoneError
from implementations.cluster.session import Session, Workers
from implementations.contract import Array, Problem, Solution, Solver

TARGET_S = 1.0
"""Seconds of work in a block: a thousand times what a task costs, and a lost worker loses little."""
SHORTEST_S = 0.02
"""Less than that isn't worth a task, even to balance."""
BLOCKS_PER_SLOT = 8
"""Blocks for each that is computed at a time: a flaring region costs several times a quiet one."""
MEMORY_SHARE = 0.5
COPIES = 3
"""Times that a block's arrays are held at once: being computed, being written, on its way."""
FLIGHT = 2
"""Blocks with the workers for each that is computed at a time: the next one is there when one is done."""
PROBE_S, PROBE_PIXELS = 0.05, 4096
Pixels = tuple[Array, Array, Array | None]
"""dn (n, F), edn (n, F), dem_norm0 (n, T) or None."""


class Task(Protocol):
    """One block on its way: how a worker gets its pixels and where the solution goes."""

    overlaps: bool
    """Whether writing takes long enough for the next block to be computed meanwhile."""

    def read(self) -> Pixels:
        """On a worker: the block's pixels."""

    def write(self, solution: Solution) -> Any:
        """On a worker: put the solution where it belongs; what is returned goes to `Place.receive`."""


class Place(Protocol):
    """Where the pixels of all blocks are and the solutions go."""

    def task(self, block: int) -> Task:
        """What a worker is sent for that block."""

    def receive(self, block: int, returned: Any) -> None:
        """Take what the block's `write` returned. GoneError when the worker died before it could be had."""

    def describe(self, block: int) -> str:
        """The block, in words."""


class BlockError(RuntimeError):
    """A job that can't go on; the message names the block and what to do."""


@dataclass
class Tally:
    """What came of a job's blocks."""

    blocks: int = 0
    wall_s: float = 0.0
    task_s: float = 0.0
    """Seconds in tasks, added up over the workers."""
    workers: set[str] = field(default_factory=set)


class Job(WorkerPlugin):
    """What every worker holds from a job's start to its end."""

    def __init__(self, make: Callable[[int], Solver], asked: Workers, constants: Problem):
        self.name = f"demreg-{uuid.uuid4().hex[:12]}"
        self.make, self.threads, self.constants = make, asked.inner_threads, constants
        self.ours = not asked.scheduler

    def setup(self, worker: Any) -> None:
        """On a worker: make the solver that suits its hardware."""
        if self.ours:  # Ctrl-C at the terminal reaches the workers too: they are ended by the process that started them
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.solver = self.make(self.threads)
        self.writing = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("solver", "writing")}

    def run(self, pixels: Pixels) -> Solution:
        """On a worker: invert."""
        c, (dn, edn, norm) = self.constants, pixels
        return self.solver.run(Problem(dn, edn, c.rmatrix, c.logt, c.dlogt, c.options, norm))


def _job(name: str) -> Job:
    return get_worker().plugins[name]


def _compute(name: str, task: Task) -> tuple[Any, float, str]:
    """On a worker: one block. A long write leaves the worker's thread to the next block; one is written at a time."""
    start, job = time.perf_counter(), _job(name)
    solution = job.run(task.read())
    if not task.overlaps:
        return task.write(solution), time.perf_counter() - start, get_worker().address
    with job.writing:
        seconds = time.perf_counter() - start
        secede()
        return task.write(solution), seconds, get_worker().address


def _probe(name: str, pixels: Pixels) -> float:
    return seconds_per_pixel(_job(name).run, pixels)


def seconds_per_pixel(invert: Callable[[Pixels], Any], pixels: Pixels) -> float:
    """What a pixel takes, once compilation and the like are paid for; from as many of `pixels` as that needs."""
    most, count = len(pixels[0]), 1
    invert(_every(pixels, most))
    while True:
        part = _every(pixels, max(1, most // count))
        seconds = min(_timed(invert, part) for _ in range(2))  # once, the machine may be busy with something else
        if seconds >= PROBE_S or count >= most:
            return seconds / len(part[0])
        count *= 4


def _timed(invert: Callable[[Pixels], Any], pixels: Pixels) -> float:
    start = time.perf_counter()
    invert(pixels)
    return time.perf_counter() - start


def _every(pixels: Pixels, step: int) -> Pixels:
    dn, edn, norm = pixels
    return dn[::step], edn[::step], None if norm is None else norm[::step]


def give(session: Session, job: Job, sample: Pixels) -> float:
    """Hand the job to every worker and warm each up on the sample; seconds per pixel on the slowest of them."""
    session.client.register_plugin(job, name=job.name)
    session.plugins.append(job.name)
    if not len(sample[0]):
        return 0.0
    addresses = session.addresses or list(session.client.scheduler_info(n_workers=-1)["workers"])
    futures = [
        session.client.submit(_probe, job.name, sample, pure=False, workers=[a], allow_other_workers=True)
        for a in addresses
    ]
    try:
        return max(session.client.gather(futures))
    except Exception as error:
        raise explained(error, "warming up the workers") from error


def sample_of(problem: Problem) -> Pixels:
    """Valid pixels from all over the map; their cost is what a block's is planned from."""
    valid = np.flatnonzero(problem.valid())
    chosen = problem.take(valid[:: max(1, math.ceil(len(valid) / PROBE_PIXELS))])
    return chosen.dn, chosen.edn, chosen.dem_norm0


def pixels_per_block(pixels: int, seconds: float, channels: int, bins: int, slots: int, memory: int) -> int:
    """How many pixels a block has: from the seconds one takes, the memory of a slot, and enough blocks to balance.

    `slots`: blocks computed at a time; `memory`: bytes for each of them.
    """
    each = COPIES * 8 * (3 * channels + 4 * bins + 4)
    most = min(TARGET_S / max(seconds, 1e-9), MEMORY_SHARE * memory / each)
    balanced = max(pixels / (slots * BLOCKS_PER_SLOT), SHORTEST_S / max(seconds, 1e-9))
    size = max(1, min(most, balanced))
    rounds = max(1, math.ceil(pixels / size / slots))
    return max(1, math.ceil(pixels / (rounds * slots)))


def warm_memory(session: Session, size: int, channels: int, bins: int) -> float:
    """Let every worker use once the memory that solutions of its blocks will need, and keep it: the seconds taken."""
    began = time.perf_counter()
    session.client.run(_use, FLIGHT * size * 8 * (3 * bins + channels + 2), workers=session.addresses)
    return time.perf_counter() - began


def _use(size: int) -> None:
    np.empty(size, np.uint8)[:: mmap.PAGESIZE] = 0


def run(session: Session, job: Job, place: Place, blocks: Iterable[int]) -> Iterator[tuple[int, Tally]]:
    """Compute the blocks; each is yielded when it is done, with the tally so far.

    When workers die, Dask blames all blocks that they had. Those are tried again one at a time, and only one that takes
    workers along when it is alone is given up. Raises BlockError when a block can't be computed or written, or when the
    scheduler goes away.
    """
    todo, tally, start = iter(blocks), Tally(), time.perf_counter()
    flight: dict[Future, int] = {}
    suspects: list[int] = []
    alone: set[int] = set()
    done = as_completed(loop=session.client.loop)

    def fill() -> None:
        if not suspects:
            ones = [] if alone & set(flight.values()) else list(_next(todo, session, flight))
        elif flight:
            ones = []
        else:
            ones = [suspects.pop()]
            alone.update(ones)
        for block in ones:
            future = _submitted(session, job, place.task(block), block)
            flight[future] = block
            done.add(future)

    try:
        fill()
        for future in done:
            block = flight.pop(future)
            try:
                returned, seconds, worker = future.result()
                place.receive(block, returned)  # as long as the future lives, so does what the worker returned
            except Exception as error:
                if not isinstance(error, KilledWorker | GoneError) or block in alone:
                    raise explained(error, place.describe(block)) from error
                suspects.append(block)
                fill()
                continue
            del future, returned
            tally.blocks, tally.task_s = tally.blocks + 1, tally.task_s + seconds
            tally.workers.add(worker)
            fill()
            tally.wall_s = time.perf_counter() - start
            yield block, tally
    finally:
        for future in flight:
            future.release()


def _next(todo: Iterator[int], session: Session, flight: dict[Future, int]) -> Iterator[int]:
    return islice(todo, max(0, FLIGHT * session.slots - len(flight)))


def _submitted(session: Session, job: Job, task: Task, block: int) -> Future:
    return session.client.submit(
        _compute,
        job.name,
        task,
        key=f"{job.name}-{block}-{uuid.uuid4().hex[:6]}",
        pure=False,
        workers=session.addresses,
        allow_other_workers=session.addresses is not None,
    )


def explained(error: Exception, what: str) -> BlockError:
    """What went wrong with a block, in one line, and what to do about it."""
    if isinstance(error, KilledWorker):
        died = f"{error.allowed_failures + 1} workers died of it"
        return BlockError(f"{what}: {died}, most likely out of memory; give workers more memory or other work")
    if isinstance(error, CommClosedError | FutureCancelledError | TimeoutError):
        return BlockError(f"{what}: the scheduler went away ({type(error).__name__}); start it again")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BlockError(f"{what}: can't be written, {error.strerror}; make room")
    return BlockError(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
