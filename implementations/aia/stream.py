"""A pipeline of three stages: reading ahead, computing in threads, writing in order; bounded, whatever comes."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TypeVar

AHEAD = 3
"""Items that are read before, or wait to be written, besides those that are computed."""
BEHIND = 1 << 30
"""Bytes of what was written that stay in memory: a single set of synoptic maps does."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class StoppedError(RuntimeError):
    """Raised by what computes an item, when the others are not to be waited for."""


def run(
    items: Iterable[Given], compute: Callable[[Given, Event], Made], write: Callable[[Given, Made], None], threads: int
) -> None:
    """Compute and write every item, as many at a time as threads; items are read in this thread, written in another.

    `compute` looks at the event from time to time and raises StoppedError when it is set: another stage has failed, or
    the user has interrupted this one. What failed first is raised here.
    """
    stopped, flight = Event(), deque[Future[None]]()
    with ThreadPoolExecutor(threads) as computing, ThreadPoolExecutor(1) as writing:

        def written(item: Given, made: Future[Made]) -> None:
            write(item, made.result())

        try:
            for item in items:
                flight.append(writing.submit(written, item, computing.submit(compute, item, stopped)))
                if len(flight) >= threads + AHEAD:
                    flight.popleft().result()
            while flight:
                flight.popleft().result()
        except BaseException:
            stopped.set()
            for future in flight:
                future.cancel()
            raise


class WriteBehind:
    """Has what is written go to the disk at once and, when `BEHIND` bytes have been written since, out of memory.

    Maps are many times as large as the images they come from. Left to itself the system keeps them, in pages that no
    file had before: on a virtual machine, whose host has to give it each of them, that costs more than copying into
    pages that were just let go. Beyond a share of memory the system also stops whoever writes.
    """

    def __init__(self) -> None:
        self.pieces, self.held = deque[tuple[Path, int, int]](), 0

    def wrote(self, path: Path, place: int, size: int) -> None:
        """So many bytes of a file were written, from `place` on."""
        _to_disk(path, place, size)
        self.pieces.append((path, place, size))
        self.held += size
        while self.held > BEHIND:
            old = self.pieces.popleft()
            self.held -= old[2]
            _to_disk(*old)


def _to_disk(path: Path, place: int, size: int) -> None:
    """Begin to write what is only in memory, and let go what is on the disk already, where the system can be told."""
    if hasattr(os, "posix_fadvise"):
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, place, size, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
