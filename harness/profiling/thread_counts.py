"""`python -m harness.profile SOLVER --threads 1,2,...`: each number of threads in a fresh process, and why."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.machine import confinement, counted_work, limits
from harness.measure.cell import MEMORY_SHARE
from harness.measure.supervisor import Supervisor
from harness.profiling import threads as profiling_threads
from harness.records.schema import Cell
from harness.show import terminal
from harness.workloads import problem as workload
from implementations import registry, solver_spec


def measure(given: argparse.Namespace, cell: Cell, counts: Sequence[int]) -> dict[str, Any]:
    """Figures of every number of threads, diagnosed. Raises WorkerEnded when one of them fails."""
    runs: dict[int, dict[str, Any]] = {}
    table = registry.Registry(given.plugins or ())
    known = table.describe(solver_spec.parse(given.solver)[0])["tunables"]
    machine = limits.known()
    with tempfile.TemporaryDirectory() as name:
        problem = Path(name)
        workload.write(workload.load(cell.dataset), cell.pixels, cell.bins, cell.seed, problem, np.arange(0))
        for threads in counts:
            spec, pinned = profiling_threads.spec_for(given.solver, known, threads)
            runs[threads] = {"solver": spec, **_figures(given, problem, spec, pinned, table.words(spec))}
    scaling = machine["flops_per_s"]["all"]["median"] / machine["flops_per_s"]["core"]["median"]
    figures = runs[min(runs)]
    work = counted_work.strategy(given.solver, counted_work.Shape(**figures["shape"]))
    copied = machine["copy_bytes_per_s"][-1]["all"]["best"]
    profiling_threads.diagnose(runs, scaling, copied, None if work is None else work.bytes * figures["valid"])
    return {"scaling_of_the_machine": scaling, "threads": runs}


def _figures(
    given: argparse.Namespace, problem: Path, spec: str, pinned: int, plugins: Sequence[str]
) -> dict[str, Any]:
    limit_mb = int(confinement.memory_mb() * MEMORY_SHARE)
    with Supervisor(problem, spec, plugins, pinned, limit_mb) as worker:
        worker.reply(given.max_seconds)
        worker.ask(given.max_seconds, do="warmup")
        return worker.ask(given.max_seconds, do="watch", how=profiling_threads.__name__)


def show(console: Console, runs: dict[int, dict[str, Any]]) -> None:
    """A row for every number of threads; below, what keeps it from being faster."""
    view = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("threads", "time", "speedup", "efficiency", "busy", "start-up", "imbalance", "waiting", "copy rate"):
        view.add_column(name, justify="right", no_wrap=True)
    for threads, run in runs.items():
        copied = run["bandwidth_share"]
        view.add_row(
            str(threads),
            terminal.seconds(run["total_s"]),
            terminal.ratio(run["speedup"]),
            f"{run['efficiency']:.0%}",
            str(len(run["busy_s"])),
            f"{run['start_share']:.0%}",
            f"{run['imbalance']:.0%}",
            f"{run['wait_share']:.0%}",
            "not counted" if copied is None else f"{copied:.1%}",
        )
    console.print(view)
    for threads, run in runs.items():
        for finding in run["findings"] or ["nothing found that keeps it from being faster"]:
            console.print(f"{threads} thread(s): {finding}", soft_wrap=not console.is_terminal)
