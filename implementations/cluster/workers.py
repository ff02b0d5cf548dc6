"""Blocks of pixels on Dask's workers, processes of this machine or a cluster: sent there, and solutions sent back.

Imports Dask: strategies import this module when they prepare a problem, not before.
"""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from operator import methodcaller
from typing import Self

import dask
import psutil
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from implementations.cluster.session import Block, BlockError, Session, explained, timed
from implementations.contract import Problem, Solver

FLIGHT = 2
"""Blocks with the workers for each that is computed at a time: the next one is there when one is done."""
ANSWER_S = 10.0
"""How long a scheduler's and a first worker's answer is waited for."""
CLOSE_S = 10.0
LARGE = {"distributed.admin.large-graph-warning-threshold": "1GB"}
"""Tasks carry their pixels, which Dask would warn of."""
IGNORE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""At the terminal it reaches the workers too: they are ended by the process that started them."""


@dataclass(kw_only=True)
class Workers(Session):
    """Workers that are there, and those of them to use."""

    sends = True
    make: Callable[[], Solver]
    """The inner solver's recipe, called in a worker."""
    client: Client
    cluster: LocalCluster | None = None
    """What was started for the session and ends with it."""
    addresses: list[str] | None = None
    """The workers to use; None for any."""

    def run(self, blocks: Iterable[Block]) -> None:
        """Compute the blocks. BlockError when one can't be, or when the scheduler goes away.

        When workers die, Dask blames all blocks that they had. Those are tried again at the end, one at a time, and
        only one that takes workers along when it is alone is given up.
        """
        suspects: list[Block] = []
        with dask.config.set(LARGE):
            self._run(blocks, FLIGHT * self.slots, suspects)
            self._run(suspects, 1, None)

    def _run(self, blocks: Iterable[Block], most: int, suspects: list[Block] | None) -> None:
        todo, done, flight = iter(blocks), as_completed(loop=self.client.loop), dict[Future, Block]()
        where = {"workers": self.addresses, "allow_other_workers": self.addresses is not None}  # when they are gone

        def fill() -> None:
            for block in islice(todo, most - len(flight)):
                future = self.client.submit(timed, self.make, block.task, pure=False, **where)
                flight[future] = block
                done.add(future)

        fill()
        for future in done:
            block = flight.pop(future)
            try:
                returned, seconds = future.result()
                block.receive(returned)
                self.seconds.append(seconds)
            except KilledWorker as error:
                if suspects is None:
                    died = f"{error.allowed_failures + 1} workers died of it, most likely out of memory"
                    raise BlockError(f"{block.name}: {died}; give workers more memory") from error
                suspects.append(block)
            except (CommClosedError, FutureCancelledError, TimeoutError) as error:
                gone = f"the scheduler went away ({type(error).__name__})"
                raise BlockError(f"{block.name}: {gone}; start it again") from error
            except Exception as error:
                raise explained(error, block.name) from error
            fill()

    def warmed(self, few: Problem) -> Self:
        """Itself, when every worker has imported what it needs and inverted a few pixels. BlockError when one can't."""
        try:
            self.client.run(timed, self.make, methodcaller("run", few), workers=self.addresses)
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise explained(error, "warming up the workers") from error
            raise
        return self

    def close(self) -> None:
        """Leave the workers, and end those that were started here. Never raises."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        for one in filter(None, (self.client, self.cluster)):
            with suppress(Exception):
                one.close(timeout=CLOSE_S)


def started(make: Callable[[], Solver], count: int, memory: int) -> Workers:
    """Worker processes on this machine, of one thread each."""
    asked = {"n_workers": count, "threads_per_worker": 1, "memory_limit": memory, "preload": IGNORE_CTRL_C}
    cluster = LocalCluster(**asked, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL)
    try:
        return Workers(slots=count, memory=memory, make=make, client=Client(cluster), cluster=cluster)
    except BaseException:
        cluster.close()
        raise


def joined(make: Callable[[], Solver], scheduler: str, count: int | None) -> Workers:
    """The workers of a running cluster. RuntimeError, naming the scheduler and what to do, when there are none."""
    where = {"scheduler_file" if scheduler.endswith(".json") else "address": scheduler}
    if "scheduler_file" in where and not os.path.isfile(scheduler):
        raise RuntimeError(f"scheduler file {scheduler} is not there: start `dask scheduler --scheduler-file` with it")
    try:
        client = Client(**where, timeout=ANSWER_S, set_as_default=False)
        client.wait_for_workers(count or 1, timeout=ANSWER_S)
    except TimeoutError as error:
        raise RuntimeError(f"{scheduler} has fewer than {count or 1} workers: start `dask worker` with it") from error
    except OSError as error:
        raise RuntimeError(f"no scheduler answers at {scheduler}: start one with `dask scheduler`") from error
    known = client.scheduler_info(n_workers=-1)["workers"]
    used = dict(sorted(known.items())[:count])
    each = (int(f["memory_limit"] or psutil.virtual_memory().total) // f["nthreads"] for f in used.values())
    some = list(used) if len(used) < len(known) else None
    slots = sum(facts["nthreads"] for facts in used.values())
    return Workers(slots=slots, memory=min(each), make=make, client=client, addresses=some)
