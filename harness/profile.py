"""Where a solver's time goes: one solver, one cell, a fresh process, warmed up, watched.

Writes a folder: profile.json with all figures, calls.prof for snakeviz, icicle.svg for reports, and what else an engine
makes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.figures.cold import first_calls
from harness.machine import confinement, facts
from harness.measure.cell import MEMORY_SHARE
from harness.measure.plan import threads_of
from harness.measure.supervisor import Supervisor, WorkerEnded
from harness.profiling import cold, engines, icicle, memory, stages, thread_counts
from harness.profiling.calls import Calls
from harness.profiling.engines import ICICLE_FILE, PROFILE_FILE
from harness.records.files import replacing, write_atomically
from harness.records.schema import Cell, solver_slug
from harness.show import terminal
from harness.workloads import problem as workload
from implementations import command_line as cli
from implementations import registry, solver_spec

RESULTS, COLD_FILE = Path("results"), "cold.svg"
SHOWN = 12
"""Functions in the printed table."""


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.profile", description=__doc__, epilog=cli.EXIT_CODES)
    add = parser.add_argument
    add("solver", help="name or name[key=value,...]")
    add("--dataset", default="random-response", help="a specification in datasets/ (random-response)")
    add("--pixels", type=int, default=200, help="map size (200)")
    add("--bins", type=int, default=200, help="temperature bins (200)")
    add("--seed", type=int, help="of the workload, instead of the specification's own")
    add("--threads", type=cli.whole_numbers, default=(1,), help="of the solver (1); several, as 1,2,4, are compared")
    add("--engine", choices=list(engines.ENGINES), default="cprofile", help="what watches (cprofile)")
    add("--cold", action="store_true", help="the first calls of a fresh process instead, and what they are made of")
    add("--plugin", dest="plugins", action="append", metavar="FILE.py", help="a file with further solvers (repeatable)")
    add("--max-seconds", type=float, default=600.0, help="longest wait for an answer of the solver's process (600)")
    add("--out", type=Path, metavar="DIR", help="the profile's folder (results/TIME-profile-SOLVER)")
    add("--view", action="store_true", help="open the calls in snakeviz, served to this machine only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    given = parser.parse(arguments)
    console = terminal.console()
    try:
        cell = _check(given)
        out = given.out or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-profile-{solver_slug(given.solver)}"
        out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    several = len(given.threads) > 1
    try:
        if given.cold:
            return _cold(console, given, cell, out)
        figures = thread_counts.measure(given, cell, given.threads) if several else measure(given, cell, out)
    except WorkerEnded as end:
        console.print(f"{given.solver}: {end.status}: {end}", soft_wrap=not console.is_terminal)
        return cli.CELL_FAILED
    record = _provenance(given, cell) | figures
    if engines.PROF in figures.get("files", ()):
        record |= _calls(out, record)
    write_atomically(out / PROFILE_FILE, json.dumps(record, indent=1) + "\n")
    if several:
        thread_counts.show(console, record["threads"])
        console.print(f"written: {out / PROFILE_FILE}", soft_wrap=True)
        return cli.OK
    _show(console, record, out)
    return _view(console, out / engines.PROF) if given.view else cli.OK


def _cold(console: Console, given: argparse.Namespace, cell: Cell, out: Path) -> int:
    """Watch a fresh process's first calls, show them as a table and draw them."""
    record = _provenance(given, cell) | cold.measure(given, cell)
    write_atomically(out / cold.RECORD, json.dumps(record, indent=1) + "\n")
    cold.show(console, record)
    with replacing(out / COLD_FILE) as file:
        first_calls(record).savefig(file, metadata={"Date": None})
    for name in (cold.RECORD, COLD_FILE):
        console.print(f"written: {out / name}", soft_wrap=True)
    return cli.OK


def _check(given: argparse.Namespace) -> Cell:
    """The cell that is asked for. ValueError, in one line, when something can't be profiled as given."""
    table = registry.Registry(given.plugins or ())
    described = table.describe(solver_spec.parse(given.solver)[0])
    if not described["available"]:
        raise ValueError(f"{given.solver} can't run here: {described['reason'] or 'it says not why'}")
    table.check(given.solver)
    reason = engines.unavailable(given.engine)
    if reason:
        raise ValueError(f"--engine {given.engine} can't be used: {reason}")
    if given.view and (given.engine != "cprofile" or not find_spec("snakeviz")):
        raise ValueError("--view needs --engine cprofile and snakeviz (pip install 'demreg-bench[profile]')")
    if not all(1 <= threads <= 4096 for threads in given.threads):
        raise ValueError(f"--threads must be from 1 to 4096, got {', '.join(map(str, given.threads))}")
    if given.cold and (given.view or given.engine != "cprofile" or len(given.threads) > 1):
        raise ValueError("--cold watches without any profiler: leave out --engine, --view and all but one of --threads")
    if len(given.threads) > 1 and (given.view or given.engine != "cprofile"):
        raise ValueError(
            "several numbers of --threads are compared without any profiler: leave out --engine and --view"
        )
    seed = workload.load(given.dataset).seed if given.seed is None else given.seed
    workload.check_sizes(given.pixels, given.bins, seed)
    return Cell(given.dataset, given.pixels, given.bins, seed)


def measure(given: argparse.Namespace, cell: Cell, out: Path) -> dict[str, Any]:
    """Start the solver's process, warm it up, and let it be watched. Raises WorkerEnded when it fails."""
    limit_mb, table = int(confinement.memory_mb() * MEMORY_SHARE), registry.Registry(given.plugins or ())
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder)
        workload.write(workload.load(cell.dataset), cell.pixels, cell.bins, cell.seed, problem, np.arange(0))
        threads = threads_of(given.solver, given.threads[0])
        with Supervisor(problem, given.solver, table.words(given.solver), threads, limit_mb) as worker:
            worker.reply(given.max_seconds)
            warm = worker.ask(given.max_seconds, do="warmup")
            staged = worker.ask(given.max_seconds, do="watch", how=stages.__name__, spec=given.solver)
            with memory.sampled(worker.pid) as looks:
                worker.ask(given.max_seconds, do="run", repeats=1)
            held: dict[str, Any] = {"memory": memory.summary(looks)}
            if "workers" in table.describe(solver_spec.parse(given.solver)[0])["tunables"]:
                held["worker_memory"] = worker.ask(given.max_seconds, do="watch", how=memory.__name__)
            with_engine = {"how": engines.__name__, "engine": given.engine, "folder": str(out.resolve())}
            figures = worker.ask(given.max_seconds, do="watch", **with_engine)
            return {"oneoff_s": warm["oneoff_s"], "peak_rss_mb": warm["peak_rss_mb"], **held, **staged, **figures}


def _provenance(given: argparse.Namespace, cell: Cell) -> dict[str, Any]:
    return {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "solver": given.solver,
        "cell": vars(cell),
        "threads": threads_of(given.solver, given.threads[0]),
        "engine": given.engine,
    }


def _calls(out: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The table of functions and the hot spot; draws the icicle."""
    calls, cell = Calls(out / engines.PROF), record["cell"]
    title = f"{record['solver']}: {cell['dataset']}, {cell['pixels']} pixels x {cell['bins']} bins"
    note = f"{calls.total:.3g} s under cProfile; {facts.machine_label(record['machine'])}"
    write_atomically(out / ICICLE_FILE, icicle.svg(calls.tree(), title, note))
    spot = calls.hot_spot(record["undisturbed_s"])
    return {"hot_spot": spot, "functions": calls.table(), "files": [*record["files"], ICICLE_FILE]}


def _show(console: Console, record: dict[str, Any], out: Path) -> None:
    cell = record["cell"]
    console.print(
        f"{record['solver']}: {cell['dataset']}, {cell['pixels']} pixels x {cell['bins']} bins, "
        f"{record['threads']} thread(s): {terminal.seconds(record['undisturbed_s'])} undisturbed",
        soft_wrap=not console.is_terminal,
    )
    _show_stages(console, record)
    console.print(f"{record['engine']}: {_disturbance(record)}", soft_wrap=not console.is_terminal)
    for line in memory.sentences(record):
        console.print(line, soft_wrap=not console.is_terminal)
    if "functions" in record:
        view = Table("function", box=None, padding=(0, 1, 0, 0))
        for name in ("calls", "own", "share", "cumulative", "share"):
            view.add_column(name, justify="right", no_wrap=True)
        for row in record["functions"][:SHOWN]:
            view.add_row(
                row["function"],
                f"{row['calls']:,}",
                terminal.seconds(row["own_s"]),
                f"{row['own_share']:.1%}",
                terminal.seconds(row["cumulative_s"]),
                f"{row['cumulative_share']:.1%}",
            )
        console.print(view)
        console.print(f"hot spot: {record['hot_spot']}", soft_wrap=not console.is_terminal)
    for row in record.get("allocations", [])[:SHOWN]:
        console.print(f"{row['mb']:9.2f} MB in {row['count']:,} allocations: {row['where']}")
    for name in (*record["files"], PROFILE_FILE):
        console.print(f"written: {out / name}", soft_wrap=True)


def _disturbance(record: dict[str, Any]) -> str:
    """By how much the profiler slows the run, and how far its shares can be trusted."""
    times = record["disturbed_s"] / record["undisturbed_s"]
    said = f"a run takes {terminal.seconds(record['disturbed_s'])} under it, {times:.1f} times as long as undisturbed"
    if "runs" not in record:
        return said
    error = "of one run" if record["share_error"] is None else f"steady to {record['share_error']:.1%}"
    if record["share_error"] is not None and not record["steady"]:
        error = f"not steady, uncertain by {record['share_error']:.1%}"
    return f"{said}; shares of {record['runs']} runs, {error}"


def _show_stages(console: Console, record: dict[str, Any]) -> None:
    if record["stages"] is None:
        console.print(f"stages: {record['stages_reason']}")
        return
    total = sum(record["stages"].values())
    parts = sorted(record["stages"].items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {value / total:.1%}" for name, value in parts)
    console.print(f"stages: {shares}", soft_wrap=not console.is_terminal)
    if not record["stages_agree"]:
        console.print(
            f"the stages add up to {record['stages_excess']:+.0%} beyond the undisturbed run: counting disturbs it, or "
            "the machine is not quiet",
            soft_wrap=not console.is_terminal,
        )


def view_command(prof: Path) -> list[str]:
    """snakeviz on the loopback address only; without a display it serves and prints its address."""
    server = [] if os.environ.get("DISPLAY") or sys.platform == "darwin" else ["--server"]
    return [sys.executable, "-m", "snakeviz", "--hostname", "127.0.0.1", *server, str(prof)]


def _view(console: Console, prof: Path) -> int:
    console.print("snakeviz serves until interrupted")
    try:
        return cli.OK if subprocess.run(view_command(prof), check=False).returncode == 0 else cli.CELL_FAILED
    except KeyboardInterrupt:
        return cli.OK


if __name__ == "__main__":
    cli.run(main)
