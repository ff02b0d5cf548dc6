"""One cell with equal solvers and slower ones in it, on a machine as it is or with burners on its cores."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from harness.measure import cell as measure_cell
from harness.measure.contender import Contender
from harness.measure.handover import Original
from harness.measure.plan import Plan, threads_of
from harness.measure.rounds import MOST_ROUNDS
from harness.measure.supervisor import Supervisor
from harness.records.schema import Cell
from harness.workloads import problem as workload

PLUGIN = Path(__file__).with_name("planted.py")
"""The solvers with planted slowness. They are imported in their workers alone."""
BURNER = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(10**6): pass"
"""It ends when who started it does, however that was, and however early: hence the number of whom to look for."""
LIMIT_MB = 4096


@contextmanager
def burners(count: int) -> Iterator[None]:
    """Keep so many processes spinning."""
    started = [subprocess.Popen([sys.executable, "-c", BURNER, str(os.getpid())]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def turns(cell: Cell, specs: Sequence[str], seconds: float, repeats: int = 0) -> list[Contender]:
    """The contenders, one process each, after rounds that took so long; `repeats`: runs in a turn, 0: as usual."""
    plan = Plan(plugins=(str(PLUGIN),), repeats=MOST_ROUNDS, max_seconds=seconds)
    contenders = [Contender(spec, threads_of(spec, 1), seconds, repeats=repeats) for spec in specs]
    with tempfile.TemporaryDirectory() as folder:
        measure_cell.measure_contenders(
            cell, contenders, plan, Path(folder), measure_cell.Nobody(), satisfy=lambda _: None
        )
    return contenders


def duet(cell: Cell, specs: tuple[str, str], seconds: float, repeats: int) -> np.ndarray:
    """Wall seconds (R, 2) of rounds in which both solvers run at the same time, a core each, cores swapped in turn."""

    cores = sorted(os.sched_getaffinity(0))[:2]
    rounds: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.write(Plan().specification(cell.dataset), cell.pixels, cell.bins, cell.seed, folder, np.arange(1))
        original = Original(workload.read(folder, mapped=False), folder, "duet")
        workers = [Supervisor(folder, spec, [str(PLUGIN)], 1, LIMIT_MB) for spec in specs]
        try:
            for worker in workers:
                worker.reply(60.0)
                worker.ask(60.0, do="warmup")
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                seeds, keep = original.turn(len(rounds), "duet", repeats)
                for worker in workers:
                    worker.ask(60.0, do="stage", seeds=seeds, keep=keep)
                for worker, core in zip(workers, cores if len(rounds) % 2 else cores[::-1], strict=True):
                    os.sched_setaffinity(worker.pid, {core})
                rounds.append(_together(workers))
        finally:
            for worker in workers:
                with suppress(OSError):
                    worker.end()
    return np.array(rounds)


def _together(workers: Sequence[Supervisor]) -> list[float]:
    """The median run of each worker's turn, all turns begun at once."""
    found = [0.0] * len(workers)

    def ask(place: int) -> None:
        samples = workers[place].ask(60.0, do="run")["samples"]
        found[place] = float(np.median(np.sum(samples, axis=1)))

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
