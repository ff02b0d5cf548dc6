"""Seconds by stage of a solver written in Python, by hooks around the functions that a table names while it runs.

A thread's time goes to the innermost named function that it is in. Worker processes hook themselves, and leave their
sums in a file that their parent reads.
"""

import functools
import importlib
import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine.pinning import pools

OTHER = "other"
Table = dict[str, str]
"""`module:function` or `module:Class.method` -> stage."""
Sums = dict[str, float]


class Stopwatch:
    """Sums of seconds per stage, a dict for each thread that had a hooked function in work."""

    def __init__(self, synchronise: Callable[[], None] | None = None):
        self.synchronise = synchronise
        """Waits until a device has done what it was told, so that the host's clock sees it."""
        self.sums: dict[int, Sums] = {}
        self._local = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The thread's time goes to `name` until a stage within begins, and again when that is over."""
        mine = self._enter(name)
        try:
            yield
        finally:
            self._leave(mine)

    def _enter(self, name: str) -> dict[str, Any]:
        mine = self._local.__dict__
        if not mine:
            mine.update(stack=[], since=0.0, sums=self.sums.setdefault(threading.get_ident(), {}))
        self._switch(mine)
        mine["stack"].append(name)
        return mine

    def _leave(self, mine: dict[str, Any]) -> None:
        self._switch(mine)
        mine["stack"].pop()

    def _switch(self, mine: dict[str, Any]) -> None:
        if self.synchronise is not None:
            self.synchronise()
        now = time.perf_counter()
        if mine["stack"]:
            stage = mine["stack"][-1]
            mine["sums"][stage] = mine["sums"].get(stage, 0.0) + now - mine["since"]
        mine["since"] = now

    def hook(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, its time a stage's."""

        @functools.wraps(function)
        def timed(*arguments: Any, **keywords: Any) -> Any:
            mine = self._enter(name)
            try:
                return function(*arguments, **keywords)
            finally:
                self._leave(mine)

        timed.is_hook = True  # type: ignore[attr-defined]
        return timed

    def install(self, table: Table) -> list[Callable[[], None]]:
        """Hook what is loaded of the table and not hooked yet; returns what undoes it."""
        undo: list[Callable[[], None]] = []
        for target, name in table.items():
            module_name, _, path = target.partition(":")
            module = sys.modules.get(module_name)
            owner = functools.reduce(getattr, path.split(".")[:-1], module) if module else None
            function = getattr(owner, path.split(".")[-1], None)
            if module is None or function is None or hasattr(function, "is_hook"):
                continue
            hooked = self.hook(function, name)
            undo.append(functools.partial(setattr, owner, path.split(".")[-1], function))
            setattr(owner, path.split(".")[-1], hooked)
            for _, other in inspect.getmembers(module, inspect.isfunction):
                defaults = other.__defaults__ or ()
                if any(d is function for d in defaults):  # bound when the module was read
                    undo.append(functools.partial(setattr, other, "__defaults__", defaults))
                    other.__defaults__ = tuple(hooked if d is function else d for d in defaults)
        return undo


class Ranges(Stopwatch):
    """Tells a device's own profiler which stage begins and ends, besides summing up: `push(name)` and `pop()`."""

    def __init__(self, push: Callable[[str], Any], pop: Callable[[], Any]):
        super().__init__()
        self.push, self.pop = push, pop

    def _enter(self, name: str) -> dict[str, Any]:
        self.push(name)
        return super()._enter(name)

    def _leave(self, mine: dict[str, Any]) -> None:
        super()._leave(mine)
        self.pop()


@functools.lru_cache(maxsize=1)
def _of_worker(folder: str) -> tuple[Stopwatch, Any]:
    """In a worker process: its stopwatch for the run that reads `folder`, and the file for its sums."""
    names = json.loads(Path(folder, "stages.json").read_text())
    file = Path(folder, f"sums-{os.getpid()}.npy")
    return Stopwatch(), np.lib.format.open_memmap(file, mode="w+", dtype=np.float64, shape=(len(names),))


def inside(function: Callable[..., Any], folder: str, table: Table, *arguments: Any) -> Any:
    """In a worker process: one pixel with the hooks in place; sums, and the BLAS that this process has, go to files."""
    watch, sums = _of_worker(folder)
    undo = watch.install(table)
    try:
        with watch.stage(OTHER):
            answer = function(*arguments)
    finally:
        for step in undo:
            step()
    mine = watch.sums[threading.get_ident()]
    sums[:] = [mine.get(name, 0.0) for name in json.loads(Path(folder, "stages.json").read_text())]
    blas = Path(folder, f"blas-{os.getpid()}.json")
    if not blas.exists():
        blas.write_text(json.dumps(pools()))
    return answer


def in_workers(folder: Path, names: tuple[str, ...], table: Table) -> Callable[[], None]:
    """Let process pools that are started from now on hook their workers; returns what undoes it."""
    (folder / "stages.json").write_text(json.dumps(names))
    executors: Any = importlib.import_module("implementations.executors")
    original = executors.start

    def start(executor: str, workers: int, function: Any, constants: Any) -> Any:
        if executor in ("process-pool", "loky"):
            function = functools.partial(inside, function, str(folder), table)
        return original(executor, workers, function, constants)

    executors.start = start
    return functools.partial(setattr, executors, "start", original)
