"""The first call of a fresh process and the next ten, side by side: what goes to imports, to compilation, to first use.

Two processes are looked at: one with an empty cache of compiled kernels, as on a machine where nothing has run yet, and
one that finds what others have compiled. A profile of a first call is a profile of these, not of the algorithm.
"""

import argparse
import builtins
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.machine import confinement
from harness.measure import clock
from harness.measure.cell import MEMORY_SHARE
from harness.measure.plan import threads_of
from harness.measure.supervisor import Supervisor
from harness.records.schema import Cell
from harness.show import terminal
from harness.workloads import problem as workload
from implementations import registry
from implementations.contract import Problem, Solver

RECORD, CALLS = "cold.json", 11
PROCESSES = {"nothing compiled yet": True, "kernels compiled before": False}
"""What the two processes are called, and whether their cache of kernels is empty."""
PARTS = ("import", "compilation", "first use", "steady state")
"""Of a call: importing modules; compiling kernels or loading compiled ones; what it takes beyond those and the later
calls' middle (memory and caches touched for the first time, libraries that set themselves up); and that middle."""
COMPILER = "numba.core.dispatcher"


class Clock:
    """Seconds by kind inside the functions that it is put around: of those that call one another, the outermost's."""

    def __init__(self) -> None:
        self.seconds, self._inside = {"import": 0.0, "compilation": 0.0}, False

    def around(self, kind: str, function: Callable[..., Any], after: Callable[[], None] = lambda: None) -> Any:
        """The function, timed; then `after` is called."""

        @functools.wraps(function)
        def timed(*arguments: Any, **keywords: Any) -> Any:
            if self._inside:
                return function(*arguments, **keywords)
            self._inside, start = True, time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                self._inside = False
                self.seconds[kind] += time.perf_counter() - start
                after()

        return timed


@contextmanager
def clocked() -> Iterator[Clock]:
    """A clock of imports and of Numba's compiler, which is hooked when a call has imported it."""
    clocks, original, undo = Clock(), builtins.__import__, list[Callable[[], None]]()

    def hook() -> None:
        module: Any = sys.modules.get(COMPILER)
        if module is not None and not undo:
            before = module.Dispatcher.compile
            module.Dispatcher.compile = clocks.around("compilation", before)
            undo.append(lambda: setattr(module.Dispatcher, "compile", before))

    hook()
    builtins.__import__ = clocks.around("import", original, hook)
    try:
        yield clocks
    finally:
        builtins.__import__ = original
        for step in undo:
            step()


def watch(solver: Solver, problem: Problem) -> dict[str, Any]:
    """Seconds of the first calls, and what of each went to imports and compilation."""
    calls = []
    with clocked() as clocks:
        for _ in range(CALLS):
            before = dict(clocks.seconds)
            phases, _ = clock.timed_run(solver, problem)
            spent = {f"{kind}_s": after - before[kind] for kind, after in clocks.seconds.items()}
            calls.append({"total_s": phases.total} | spent)
    return {"calls": calls}


def measure(given: argparse.Namespace, cell: Cell) -> dict[str, Any]:
    """Both processes' calls, by parts. Raises WorkerEnded when one fails."""
    limit_mb, table = int(confinement.memory_mb() * MEMORY_SHARE), registry.Registry(given.plugins or ())
    threads, found = threads_of(given.solver, given.threads[0]), {}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        problem = Path(folder)
        workload.write(workload.load(cell.dataset), cell.pixels, cell.bins, cell.seed, problem, np.arange(0))
        for name, empty in PROCESSES.items():
            variables = {"NUMBA_CACHE_DIR": cache} if empty else {}
            start = time.perf_counter()
            plugins = table.words(given.solver)
            with Supervisor(problem, given.solver, plugins, threads, limit_mb, variables=variables) as worker:
                worker.reply(given.max_seconds)
                started = time.perf_counter() - start
                calls = worker.ask(given.max_seconds, do="watch", how=__name__)["calls"]
            found[name] = {"start_s": started, "calls": [*map(functools.partial(parts, calls), calls)]}
    return {"cold": found}


def parts(calls: list[dict[str, float]], call: dict[str, float]) -> dict[str, float]:
    """A call's seconds by `PARTS`, which add up to it."""
    steady = float(np.median([each["total_s"] for each in calls[1:]]))
    importing, compiling = call["import_s"], call["compilation_s"]
    rest = max(call["total_s"] - importing - compiling, 0.0)
    return dict(zip(PARTS, (importing, compiling, max(rest - steady, 0.0), min(rest, steady)), strict=True))


def show(console: Console, record: dict[str, Any]) -> None:
    """A table of each process: a row for every call, and how far the first one's shares are from the others'."""
    for name, process in record["cold"].items():
        view = Table(box=None, padding=(0, 2, 0, 0), title=name, title_justify="left")
        for heading in ("call", *PARTS, "in all"):
            view.add_column(heading, justify="right", no_wrap=True)
        for number, call in enumerate(process["calls"], start=1):
            cells = (terminal.seconds(call[part]) if call[part] else "–" for part in PARTS)
            view.add_row(str(number), *cells, terminal.seconds(sum(call.values())))
        console.print(view)
        console.print(sentence(process), soft_wrap=not console.is_terminal)


def sentence(process: dict[str, Any]) -> str:
    """What the first call was made of, beside the later ones."""
    first, *later = process["calls"]
    whole = sum(first.values())
    steady = float(np.median([sum(call.values()) for call in later]))
    shares = ", ".join(f"{part} {first[part] / whole:.0%}" for part in PARTS if first[part] > 0.005 * whole)
    return (
        f"The process was ready after {terminal.seconds(process['start_s'])}; its first call took "
        f"{terminal.seconds(whole)}, {whole / steady:,.0f} times the later ones' {terminal.seconds(steady)}: {shares}."
    )
