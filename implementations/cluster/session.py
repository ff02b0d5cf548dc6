"""Workers for one job: a cluster on this machine that is started and always closed, or one that runs already.

Imports Dask: strategies import this module when they prepare a problem, not before.
"""

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dask
import psutil
from dask.utils import parse_bytes
from distributed import Client, LocalCluster

MEMORY_SHARE = 0.6
"""Share of the memory available at the start that all workers together may hold, unless told otherwise."""
ANSWER_S = 10.0
"""How long a scheduler's and a first worker's answer is waited for."""
CLOSE_S = 10.0
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1GB",  # blocks of counts travel in their tasks
    "distributed.worker.daemon": True,  # workers die with this process
    "distributed.worker.memory.target": False,  # what a worker holds stays in its memory, where it is read from
    "distributed.worker.memory.spill": False,
    "distributed.worker.profile.enabled": False,  # looks at a worker a hundred times a second, and at its start
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.nanny.pre-spawn-environ": {  # memory is kept for the next block: fresh pages cost as much as work
        "MALLOC_TRIM_THRESHOLD_": 2**31 - 1,
        "MALLOC_MMAP_THRESHOLD_": 2**30,
        "MALLOC_ARENA_MAX": 1,
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
    "distributed.comm.timeouts.connect": f"{ANSWER_S:g}s",
    "distributed.comm.retry.count": 0,
}


@dataclass(frozen=True)
class Workers:
    """Which workers are asked for.

    `scheduler`: address or JSON file of a running cluster, "" for one on this machine; `workers`: how many, None for
    one per thread (here) or all that there are (there); `threads`: of all workers on this machine together; `memory`:
    of a worker on this machine, bytes or as in "2GiB". Raises ValueError when a number is out of range or more threads
    are asked for than the machine has cores.
    """

    scheduler: str = ""
    workers: int | None = None
    threads: int = 1
    memory: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value}")
        cores = os.cpu_count() or 1
        if not self.scheduler and self.count * self.inner_threads > cores:
            raise ValueError(f"{self.count} workers x {self.inner_threads} threads exceed this machine's {cores} cores")
        if self.memory is not None and parse_bytes(self.memory) <= 0:
            raise ValueError(f"memory must be > 0 bytes, got {self.memory}")

    @property
    def count(self) -> int:
        """Workers on this machine."""
        return self.workers or self.threads

    @property
    def inner_threads(self) -> int:
        """Threads of the inner solver: a worker on this machine has its share, one elsewhere runs a block a thread."""
        return 1 if self.scheduler else max(1, self.threads // self.count)


@dataclass
class Session:
    """A connection to workers. `close` ends it, and the workers if they were started for it."""

    client: Client
    cluster: LocalCluster | None
    asked: Workers
    startup_s: float
    """Until the workers answered, and were warmed up."""
    addresses: list[str] | None = None
    """The workers to use; None for any."""
    slots: int = 0
    """Blocks that are computed at a time."""
    memory: int = 0
    """Bytes that one block may count on."""
    plugins: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Take back what was given to the workers, and end those that were started here. Never raises."""
        if self.cluster is None:
            for name in self.plugins:
                with suppress(Exception):
                    self.client.unregister_worker_plugin(name)
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        with suppress(Exception):
            self.client.close(timeout=CLOSE_S)
        if self.cluster is not None:
            with suppress(Exception):
                self.cluster.close(timeout=CLOSE_S)


def start(asked: Workers) -> Session:
    """Workers that answer. RuntimeError, naming the scheduler and what to do, when there are none."""
    began = time.perf_counter()
    dask.config.set(SETTINGS)
    session = _attached(asked) if asked.scheduler else _embedded(asked)
    try:
        _count_slots(session)
    except BaseException:
        session.close()
        raise
    session.startup_s = time.perf_counter() - began
    return session


def _embedded(asked: Workers) -> Session:
    memory = (
        parse_bytes(asked.memory) if asked.memory else psutil.virtual_memory().available * MEMORY_SHARE / asked.count
    )
    cluster = LocalCluster(
        n_workers=asked.count,
        threads_per_worker=1,
        processes=True,
        memory_limit=int(memory),
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    try:
        return Session(Client(cluster), cluster, asked, 0.0)
    except BaseException:
        cluster.close()
        raise


def _attached(asked: Workers) -> Session:
    where: dict[str, Any] = {"address": asked.scheduler}
    if asked.scheduler.endswith(".json"):
        if not os.path.isfile(asked.scheduler):
            raise RuntimeError(
                f"scheduler file {asked.scheduler} is not there: start `dask scheduler --scheduler-file` with it"
            )
        where = {"scheduler_file": asked.scheduler}
    try:
        client = Client(**where, timeout=ANSWER_S, set_as_default=False)
        client.wait_for_workers(asked.workers or 1, timeout=ANSWER_S)
    except TimeoutError as error:
        raise RuntimeError(
            f"{asked.scheduler} has fewer than {asked.workers or 1} workers: start `dask worker` with it"
        ) from error
    except OSError as error:
        raise RuntimeError(f"no scheduler answers at {asked.scheduler}: start one with `dask scheduler`") from error
    return Session(client, None, asked, 0.0)


def _count_slots(session: Session) -> None:
    known = session.client.scheduler_info(n_workers=-1)["workers"]
    used = dict(sorted(known.items())[: session.asked.workers])
    session.addresses = list(used) if len(used) < len(known) else None
    session.slots = sum(facts["nthreads"] for facts in used.values())
    session.memory = min(
        int(f["memory_limit"] or psutil.virtual_memory().total) // f["nthreads"] for f in used.values()
    )
