"""A job of many blocks of pixels on workers: planned from what a pixel costs, bounded in flight, errors named.

The constants (response, options, the inner solver's recipe) reach each worker once, as a worker plugin: unlike
scattered data it outlives the worker, since one that is restarted, or joins late, gets it too. Imports Dask.
"""

import errno
import math
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

from implementations.contract import Array, Problem, Solution, Solver
from implementations.dask_cluster import Session

TARGET_S = 1.0
"""Seconds of work in a block: a thousand times what a task costs, and a lost worker loses little."""
SHORTEST_S = 0.02
"""Less than that isn't worth a task, even to balance."""
BLOCKS_PER_SLOT = 8
"""Blocks for each that is computed at a time: a flaring region costs several times a quiet one."""
MEMORY_SHARE = 0.25
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
        """Take what the block's `write` returned."""

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

    def __init__(self, make: Callable[[int], Solver], threads: int, constants: Problem):
        self.name = f"demreg-{uuid.uuid4().hex[:12]}"
        self.make, self.threads, self.constants = make, threads, constants

    def setup(self, worker: Any) -> None:
        """On a worker: make the solver that suits its hardware."""
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
    """On a worker: seconds that a pixel takes, once compilation and the like are paid for."""
    job, most = _job(name), len(pixels[0])
    job.run(_every(pixels, most))
    count = 1
    while True:
        part = _every(pixels, max(1, most // count))
        start = time.perf_counter()
        job.run(part)
        seconds = time.perf_counter() - start
        if seconds >= PROBE_S or count >= most:
            return seconds / len(part[0])
        count *= 4


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
        raise _explained(error, "warming up the workers") from error


def sample_of(problem: Problem) -> Pixels:
    """Valid pixels from all over the map; their cost is what a block's is planned from."""
    valid = np.flatnonzero(problem.valid())
    chosen = problem.take(valid[:: max(1, len(valid) // PROBE_PIXELS)])
    return chosen.dn, chosen.edn, chosen.dem_norm0


def pixels_per_block(pixels: int, seconds: float, channels: int, bins: int, session: Session) -> int:
    """How many pixels a block has, from the seconds one takes, the workers' memory, and enough blocks to balance."""
    each = COPIES * 8 * (3 * channels + 4 * bins + 4)
    most = min(TARGET_S / max(seconds, 1e-9), MEMORY_SHARE * session.memory / each)
    balanced = max(pixels / (session.slots * BLOCKS_PER_SLOT), SHORTEST_S / max(seconds, 1e-9))
    size = max(1, min(most, balanced))
    rounds = max(1, math.ceil(pixels / size / session.slots))
    return max(1, math.ceil(pixels / (rounds * session.slots)))


def run(session: Session, job: Job, place: Place, blocks: Iterable[int]) -> Iterator[tuple[int, Tally]]:
    """Compute the blocks; each is yielded when it is done, with the tally so far.

    Raises BlockError when one can't be computed or written, or when the scheduler goes away.
    """
    todo, tally, start = iter(blocks), Tally(), time.perf_counter()
    flight: dict[Future, int] = {}
    done = as_completed(loop=session.client.loop)

    def send(count: int) -> None:
        for block in islice(todo, count):
            future = session.client.submit(
                _compute, job.name, place.task(block), key=f"{job.name}-{block}-{uuid.uuid4().hex[:6]}", pure=False,
                workers=session.addresses, allow_other_workers=session.addresses is not None,
            )  # fmt: skip
            flight[future] = block
            done.add(future)

    try:
        send(FLIGHT * session.slots)
        for future in done:
            block = flight.pop(future)
            try:
                returned, seconds, worker = future.result()
            except Exception as error:
                raise _explained(error, place.describe(block)) from error
            del future
            place.receive(block, returned)
            tally.blocks, tally.task_s = tally.blocks + 1, tally.task_s + seconds
            tally.workers.add(worker)
            send(1)
            tally.wall_s = time.perf_counter() - start
            yield block, tally
    finally:
        for future in flight:
            future.release()


def _explained(error: Exception, what: str) -> BlockError:
    """What went wrong with a block, in one line, and what to do about it."""
    if isinstance(error, KilledWorker):
        died = f"{error.allowed_failures + 1} workers died of it"
        return BlockError(f"{what}: {died}, most likely out of memory; give workers more memory or other work")
    if isinstance(error, CommClosedError | FutureCancelledError | TimeoutError):
        return BlockError(f"{what}: the scheduler went away ({type(error).__name__}); start it again")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BlockError(f"{what}: can't be written, {error.strerror}; make room")
    return BlockError(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
