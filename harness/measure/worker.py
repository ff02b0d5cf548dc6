"""One process per solver and cell: stage the problem, run on command, report. Never trusted not to die.

Run as `python -m harness.measure.worker PROBLEM_FOLDER SOLVER THREADS [PLUGIN ...]`, with threads pinned in the
environment it is started with; the only plugins it imports are those, the solver's own. The first line on standard
input is a token, each further one a command in JSON; replies in JSON, behind the token, go to what was standard output
when the process started (whatever a solver prints goes to standard error). When the commands end, because the parent
closed the pipe or died, the whole process group goes.
"""

import fcntl
import gc
import importlib
import json
import os
import queue
import re
import resource
import secrets
import signal
import sys
import threading
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

from harness.machine.pinning import pools

FEW = 2
"""Pixels that compilation, device contexts and the like are first paid on."""
COMMANDS: "queue.SimpleQueue[dict[str, Any]]" = queue.SimpleQueue()


def _hidden(descriptor: int) -> int:
    """The pipe at a number that is nobody's guess, and which processes that a solver starts don't have."""
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1024)
    number = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, most // 4 + secrets.randbelow(most // 2))
    os.register_at_fork(after_in_child=lambda: os.close(number))
    return number


def _listen(commands: BinaryIO) -> None:
    """Queue the commands; at their end, take the group along: a solve that hangs and pools of workers included."""
    for line in commands:
        COMMANDS.put(json.loads(line))
    os.killpg(os.getpgrp(), signal.SIGKILL)


class Bench:
    """A solver and its staged problem."""

    def __init__(self, folder: Path, spec: str, threads: int, plugins: list[str]):
        start = perf_counter()
        from harness.machine.usage import Meter
        from harness.measure import clock, family
        from harness.workloads import problem as workload
        from harness.workloads import variant
        from implementations import registry

        self.clock, self.variant, self.folder = clock, variant, folder
        self.staged: list[Any] = []
        self.rooms: list[Any] = []
        """Memory of each run's counts, turn after turn: new memory takes as long to come by as to fill."""
        self.kept: Any = None
        self.kept_run = -1
        self.problem = workload.read(folder)
        self.meter = Meter(threads, lambda: family.cpu_s(os.getpid(), own=False))
        imported = perf_counter()
        self.solver: Any = registry.Registry(plugins).create(spec, threads)
        self.harness_s, self.import_s = imported - start, perf_counter() - imported

    def laid_out(self, problem: Any) -> Any:
        """A step's inputs as its form wants them to lie; the whole problem is as it is."""
        return replace(problem, layout=self.solver.laid_out(problem)) if hasattr(problem, "layout") else problem

    def hello(self) -> dict[str, Any]:
        """Which libraries are loaded, on how many threads."""
        bounds = self.solver.bounds and asdict(self.solver.bounds)
        promises = {"accuracy": self.solver.accuracy, "bounds": bounds, "leaves_out": list(self.solver.leaves_out)}
        facts = {"harness_s": self.harness_s, "threadpools": pools(), "device": self.solver.device}
        return facts | promises | {"method": self.solver.method, "stages": self.variant.SCHEME}

    def warmup(self) -> dict[str, Any]:
        """First a few pixels, which pay the one-off costs, twice; then all of the problem as it is."""
        facts: list[dict[str, float]] = []
        few = self._few()
        self.problem = self.laid_out(self.problem)
        self.kept = self.clock.keeping(self.problem)
        phases, _ = self.clock.timed_run(self.solver, self.problem, facts, self.kept, self.meter)
        peak = self.clock.peak_rss_mb()
        times = {"oneoff_s": self.import_s + few.total, "phases": phases}
        return times | {"peak_rss_mb": peak, "facts": facts, "used": self._used()}

    def _few(self) -> Any:
        """The phases of a first run. ValueError when its solution doesn't outlast the next run."""
        first = int(self.problem.valid().argmax()) if hasattr(self.problem, "valid") else 0
        given = self.problem.take(slice(first, first + FEW))  # from one that everybody computes: imports are one-off
        other = self.variant.staged(given, 0, self.variant.room(given))
        kept = self.clock.keeping(given)
        phases, _ = self.clock.timed_run(self.solver, self.laid_out(given), kept=kept)
        self.clock.timed_run(self.solver, self.laid_out(other))
        if changed := kept.changed():
            raise ValueError(f"{changed} of a solution changed when the next problem was solved")
        return phases

    def save(self, file: str) -> dict[str, Any]:
        """Hand over the solution that was kept of the last turn, or the warm-up."""
        self.kept.save(self.folder / file)
        self.kept = None
        gc.collect()
        gc.freeze()
        return {}

    def stage(self, seeds: list[int], keep: int) -> dict[str, Any]:
        """Problems of the next turn's runs, one each; of which run the solution is kept."""
        self.kept = None
        self.rooms += [self.variant.room(self.problem) for _ in seeds[len(self.rooms) :]]
        given = zip(seeds, self.rooms, strict=False)
        self.staged = [self.laid_out(self.variant.staged(self.problem, seed, room)) for seed, room in given]
        self.kept_run, self.kept = keep, self.clock.keeping(self.staged[keep])
        return {}

    def run(self, repeats: int = 0) -> dict[str, Any]:
        """A turn: timed runs one after another, of the problems staged, or so many of the problem as it is."""
        problems, self.staged = self.staged or [self.problem] * repeats, []
        samples, facts = [], list[dict[str, float]]()
        gc.disable()
        for number, problem in enumerate(problems):
            kept = self.kept if number == self.kept_run else None
            samples.append(self.clock.timed_run(self.solver, problem, facts, kept, self.meter)[0])
        gc.enable()
        return {"samples": samples, "facts": facts, "used": self._used()}

    def _used(self) -> list[Any]:
        """What each run used since this was last asked; nothing where the system doesn't say."""
        used, self.meter.used = self.meter.used, []
        return used

    def watch(self, how: str, **options: Any) -> dict[str, Any]:
        """What the module `how` sees of runs that its function `watch` makes."""
        self.kept = None
        return importlib.import_module(how).watch(self.solver, self.problem, **options)


def _answer(reply: int, token: bytes, value: dict[str, Any]) -> None:
    line = token + b" " + json.dumps(value).encode() + b"\n"
    while line:
        line = line[os.write(reply, line) :]


def _failure(error: BaseException) -> dict[str, Any]:
    status = "out_of_memory" if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ else "failed"
    from implementations.solver_faults import reason_of

    return {"failure": status, "reason": reason_of(error), "traceback": portable(traceback.format_exc())}


def portable(text: str) -> str:
    """A traceback with files named from their package on: those who read a record don't have these folders."""
    known = r"site-packages|lib/python[\d.]+|harness|implementations"
    return re.sub(rf'File "[^"]*/((?:{known})/[^"]*)"', r'File "\1"', text)


def main(folder: str, spec: str, threads: str, *plugins: str) -> None:
    """Serve commands until they end."""
    reply = _hidden(1)
    commands = open(_hidden(0), "rb", closefd=False)  # noqa: SIM115 (closed after a fork, and with the process)
    os.dup2(2, 1)
    # A process that a solver forks closes its sys.stdin, and would wait for ever if the thread were reading from it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    token = commands.readline().strip()
    threading.Thread(target=_listen, args=(commands,), daemon=True).start()
    try:
        bench = Bench(Path(folder), spec, int(threads), list(plugins))
        _answer(reply, token, bench.hello())
        while True:
            command = COMMANDS.get()
            action = getattr(bench, command.pop("do"))
            _answer(reply, token, action(**command))
    except BaseException as error:  # SystemExit included: a solver's
        _answer(reply, token, _failure(error))
        COMMANDS.get()


if __name__ == "__main__":
    main(*sys.argv[1:])
