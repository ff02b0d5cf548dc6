"""A pipeline of three stages: reading ahead, computing in threads, writing in order; bounded, whatever comes."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

AHEAD = 3
"""Items that are read before, or wait to be written, besides those that are computed."""

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
