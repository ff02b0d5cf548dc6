"""Blocks of pixels on Dask's threads; and what these have in common with workers (`cluster.workers`).

Imports Dask: strategies import this module when they prepare a problem, not before.
"""

import errno
import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import dask
import psutil
from dask.utils import parse_bytes

from implementations.blas import one_thread
from implementations.contract import Problem, Solver

MEMORY_SHARE = 0.6
"""Share of the memory available at the start that all blocks together may count on, unless told otherwise."""
BLOCK_SHARE, COPIES = 0.5, 3
"""Of the memory for a block, its arrays take half, each held three times: computed, written, on its way."""
MOST_PIXELS = 32_768
"""In a block: tens of milliseconds of work at least, in memory that is used again for the next one."""
BLOCKS_PER_SLOT = 8
"""Blocks for each that is computed at a time: a flaring region costs several times a quiet one."""


class BlockError(RuntimeError):
    """A job that can't go on; the message names the block and what to do."""


class Block(NamedTuple):
    """Some pixels."""

    name: str
    task: Callable[[Solver], Any]
    """Called with the inner solver where the block is computed; a worker is sent it."""
    receive: Callable[[Any], None] = lambda returned: None
    """Takes in this process what the task returned."""


@dataclass(kw_only=True)
class Session:
    """What computes blocks."""

    slots: int
    """Blocks that are computed at a time."""
    memory: int
    """Bytes that each of them may count on."""
    seconds: list[float] = field(default_factory=list)
    """In the task, of every block that is done."""
    sends: ClassVar[bool] = False
    """Whether pixels and solutions travel in messages."""

    def pixels_per_block(self, problem: Problem, pixels: int, most: int = MOST_PIXELS) -> int:
        """How many of `pixels` make a block: no more than memory allows, enough to balance, and all about as large.

        Their number is a multiple of the slots: with 37 blocks for two, one waits for the other's last.
        """
        _, channels, bins = problem.sizes
        fitting = BLOCK_SHARE * self.memory / (COPIES * 8 * (3 * channels + 4 * bins + 4))
        largest = max(1, min(most, int(fitting), math.ceil(pixels / (self.slots * BLOCKS_PER_SLOT))))
        rounds = max(1, math.ceil(pixels / largest / self.slots))
        return max(1, math.ceil(pixels / (rounds * self.slots)))

    def close(self) -> None:
        """End what was started for it. Never raises."""


@dataclass(kw_only=True)
class Threads(Session):
    """Dask's threads in this process; a single one is the caller's own, which Ctrl-C interrupts."""

    solver: Solver

    def run(self, blocks: Iterable[Block]) -> None:
        """Compute the blocks. BlockError when one can't be; before it is raised, those in work are finished."""

        def one(block: Block) -> None:
            try:
                returned, seconds = timed(lambda: self.solver, block.task)
                block.receive(returned)
            except Exception as error:
                raise explained(error, block.name) from error
            self.seconds.append(seconds)

        where = "threads" if self.slots > 1 else "synchronous"
        with one_thread("blas"), ThreadPoolExecutor(self.slots) as pool:
            dask.compute(*(dask.delayed(partial(one, block))() for block in blocks), scheduler=where, pool=pool)


def timed(make: Callable[[], Solver], task: Callable[[Solver], Any]) -> tuple[Any, float]:
    """Where a block is computed: what its task returns, and the seconds it took."""
    began = time.perf_counter()
    return task(make()), time.perf_counter() - began


def memory_for_each(count: int, asked: str | int | None = None) -> int:
    """Bytes for each of `count` on this machine."""
    return parse_bytes(asked) if asked else int(psutil.virtual_memory().available * MEMORY_SHARE / count)


def explained(error: Exception, what: str) -> Exception:
    """What went wrong with a block, in one line, and what to do about it."""
    if isinstance(error, MemoryError):
        return MemoryError(f"{what}: {error}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BlockError(f"{what}: can't be written, {error.strerror}; make room")
    return BlockError(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
