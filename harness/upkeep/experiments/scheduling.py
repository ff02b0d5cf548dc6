"""What Dask's scheduler costs per block, by blocks that only wait; and whether memory is flat.

`python -m harness.upkeep.experiments.scheduling` starts two worker processes of many threads, and has them "compute"
10,000 and 100,000 blocks, submitted as `implementations.cluster.workers` does, by a solver that waits as long as
`numba` takes for so many pixels (results/reference-peers-disc). Waiting costs no CPU time, scheduling does: so two
cores stand for a cluster of as many cores as threads. The figures go to results/scheduling.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harness.machine import facts
from harness.measure import family
from harness.records.files import plain, write_atomically
from harness.reports.pages import scale_page
from implementations import command_line as cli
from implementations.cluster.session import Block
from implementations.contract import Problem, Solution, Solver

PROCESSES, THREADS = 2, 32
BLOCKS = (10_000, 100_000)
PIXELS = 65_536
"""In a block: a chunk of a store."""
LOOKS = 20
"""Times that memory is looked at."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.experiments.scheduling", description=__doc__)
    parser.add_argument("--blocks", type=cli.whole_numbers, default=BLOCKS, help="how many, by commas (10000,100000)")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"of each of two processes ({THREADS})")
    parser.add_argument("--pixels", type=int, default=PIXELS, help=f"in a block ({PIXELS})")
    parser.add_argument("--out", type=Path, default=scale_page.SCHEDULING.parent, metavar="DIR", help="of the result")
    given = parser.parse(arguments)
    parser.folder(given.out)
    try:
        if min(given.threads, given.pixels, *given.blocks) < 1:
            raise ValueError("--blocks, --threads and --pixels must be at least 1")
        figures = measure(given.blocks, given.threads, given.pixels)
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    path = given.out / scale_page.SCHEDULING.name
    write_atomically(path, json.dumps(plain(figures), indent=1) + "\n")
    for run in figures["runs"]:
        print(
            f"{run['blocks']:,} blocks: scheduler {1e3 * run['scheduler_s_per_block']:.2f} ms a block, "
            f"{run['busy']:.0%} of all threads' time in blocks, memory {max(run['memory_mb']):.0f} MiB at most"
        )
    print(path)
    return cli.OK


def measure(counts: Sequence[int], threads: int, pixels: int) -> dict[str, Any]:
    """All runs, on workers that are the same for all. ValueError when no record says how long a block takes."""
    from distributed import LocalCluster

    from implementations.cluster import workers

    wait_s = pixels * scale_page.core_seconds_per_pixel()
    load = os.getloadavg()[0]
    with LocalCluster(n_workers=PROCESSES, threads_per_worker=threads, dashboard_address="127.0.0.1:0") as cluster:
        session = workers.joined(partial(Waits, wait_s), cluster.scheduler_address, None)
        try:
            one_run(session, session.slots, wait_s)  # workers import what they need
            runs = [one_run(session, count, wait_s) for count in counts]
        finally:
            session.close()
    return {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "processes": PROCESSES,
        "threads": threads,
        "pixels": pixels,
        "wait_s": wait_s,
        "load_before": load,
        "runs": runs,
    }


def one_run(session: Any, count: int, wait_s: float) -> dict[str, Any]:
    """So many blocks; the scheduler and its client are threads of this process."""
    memory: list[float] = []
    every, session.seconds = max(1, count // LOOKS), []

    def done(_: None) -> None:
        if len(session.seconds) % every == 0:
            memory.append(family.held_mb(os.getpid()))

    began, used, others = time.perf_counter(), time.process_time(), _workers_s()
    session.run(blocks(count, done))
    seconds = time.perf_counter() - began
    return {
        "blocks": count,
        "seconds": seconds,
        "scheduler_s_per_block": (time.process_time() - used) / count,
        "worker_s_per_block": (_workers_s() - others) / count,
        "busy": count * wait_s / (session.slots * seconds),
        "memory_mb": memory,
    }


def _workers_s() -> float:
    """CPU time of all processes that this one started, s."""
    times = (child.cpu_times() for child in psutil.Process().children(recursive=True))
    return sum(each.user + each.system for each in times)


class Waits(Solver):
    """An inner solver that waits as long as another computes, and gives nothing."""

    name = "waits"
    device = "cpu"
    accuracy = "exact"

    def __init__(self, wait_s: float):
        self.wait_s = wait_s

    def prepare(self, problem: Problem) -> Problem:
        """Nothing."""
        return problem

    def solve(self, state: Problem) -> Solution:
        """Wait."""
        time.sleep(self.wait_s)
        return Solution.empty(state)

    def collect(self, state: Problem, solution: Solution) -> Solution:
        """Nothing."""
        return solution


@dataclass(frozen=True)
class Task:
    """As large as that of a store's block, but nothing is read or written."""

    source: str
    target: str
    constants: Problem

    def __call__(self, solver: Solver) -> None:
        """Have the solver wait."""
        solver.run(self.constants)


def blocks(count: int, done: Callable[[Any], None]) -> Iterator[Block]:
    """Blocks of no pixels; `done` is called with each that is."""
    nothing, logt = np.empty((0, 6)), np.linspace(5.7, 7.4, 34)
    constants = Problem(nothing, nothing, np.ones((34, 6)), logt, np.full(34, 0.05))
    for number in range(count):
        yield Block(f"block {number}", Task("/" * 50, "/" * 50, constants), done)


if __name__ == "__main__":
    from harness.upkeep.experiments import scheduling  # workers know what they are sent by this name, not as __main__

    cli.run(scheduling.main)
