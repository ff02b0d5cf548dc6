"""Profilers, each a hook around one timed run in a solver's own process; what is not installed is a reason, no more.

An engine takes a callable that does one timed run, the solver, and a folder for what it writes; it returns figures for
the profile's record, among them `files`, the names of what it wrote.
"""

import cProfile
import functools
import importlib
import inspect
import math
import os
import pstats
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.measure import clock
from harness.measure.clock import Phases
from harness.profiling.calls import own_shares, unsteadiness
from harness.profiling.stages import TABLE
from harness.profiling.stopwatch import Ranges
from implementations.contract import Problem, Solution, Solver

Run = Callable[..., tuple[Phases, Solution]]
PROF, PROFILE_FILE, ICICLE_FILE = "calls.prof", "profile.json", "icicle.svg"
PERF_HERTZ = 999
HELD_UP = 1.2
STEADY, FEWEST_RUNS, MOST_RUNS, BUDGET_S = 0.01, 3, 100, 20.0
"""Runs under cProfile go on until no share of a function that matters is less certain than that; a slow solver's within
the budget, one at least."""


def watch(solver: Solver, problem: Problem, engine: str, folder: str) -> dict[str, Any]:
    """Figures of one run under an engine, `disturbed_s`, between undisturbed ones, of which `undisturbed_s` is the
    median."""
    run = functools.partial(clock.timed_run, solver, problem)
    alone = [run()[0].total]
    half = math.ceil(clock.repeats_for(alone[0]) / 2)
    alone += [run()[0].total for _ in range(half)]
    figures = ENGINES[engine](run, solver, Path(folder))
    alone += [run()[0].total for _ in range(half)]
    return {"undisturbed_s": float(np.median(alone[1:])), "disturbed_s": figures.pop("run_s"), **figures}


def unavailable(engine: str) -> str:
    """Why an engine can't be used here, "" when it can."""
    package = {"pyinstrument": "pyinstrument", "line": "line_profiler", "memray": "memray"}.get(engine)
    if package and not find_spec(package):
        return f"{package} is not installed (pip install 'demreg-bench[profile]')"
    if engine == "perf":
        return _perf_unavailable()
    return _device_unavailable() if engine == "nvtx" else ""


def _device_unavailable() -> str:
    able, reason = importlib.import_module("implementations.gpu.device").available()
    return "" if able else reason


def _perf_unavailable() -> str:
    if shutil.which("perf") is None:
        return "perf is not on the PATH (it comes with the Linux kernel's tools)"
    probe = subprocess.run(
        ["perf", "record", "-q", "-o", "/dev/null", "--", "true"], capture_output=True, text=True, check=False
    )
    return "" if probe.returncode == 0 else f"perf can't record here: {' '.join(probe.stderr.split())[:160]}"


def _cprofile(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """Every call of this thread, counted and timed, run after run until the functions' shares are steady.

    Runs that took much longer than the fastest were held up by something else, and are left out.
    """
    runs, times = list[pstats.Stats](), list[float]()
    start, off = time.perf_counter(), math.inf
    while len(times) < FEWEST_RUNS or (off > STEADY and len(times) < MOST_RUNS and _in_time(start, times)):
        profile = cProfile.Profile()
        phases, _ = profile.runcall(run)
        times.append(phases.total)
        runs.append(pstats.Stats(profile))
        kept = [each for each, took in zip(runs, times, strict=True) if took <= HELD_UP * min(times)]
        off = unsteadiness([own_shares(each.stats) for each in kept]) if len(kept) >= FEWEST_RUNS else math.inf  # type: ignore[attr-defined]
        if times[0] > BUDGET_S:
            break
    pstats.Stats().add(*kept).dump_stats(out / PROF)
    figures = {"runs": len(kept), "share_error": off if math.isfinite(off) else None, "steady": off <= STEADY}
    times = [took for took in times if took <= HELD_UP * min(times)]
    return {"run_s": float(np.median(times)), **figures, "files": [PROF]}


def _in_time(start: float, times: list[float]) -> bool:
    """Whether a further run is within the budget."""
    return time.perf_counter() - start + times[-1] < BUDGET_S


def _pyinstrument(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """The stack every millisecond: less in the way than counting calls."""
    from pyinstrument import Profiler

    profiler = Profiler(interval=0.001)
    with profiler:
        phases, _ = run()
    (out / "pyinstrument.txt").write_text(profiler.output_text(unicode=True, show_all=False))
    (out / "pyinstrument.html").write_text(profiler.output_html())
    return {"run_s": phases.total, "files": ["pyinstrument.txt", "pyinstrument.html"]}


def _line(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """Time by line of every function in the modules that make up the solver."""
    from line_profiler import LineProfiler

    profiler = LineProfiler()
    for module in solver_modules(solver):
        for _, thing in inspect.getmembers(module):
            if getattr(thing, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(thing):
                profiler.add_function(thing)
            elif inspect.isclass(thing):
                for _, method in inspect.getmembers(thing, inspect.isfunction):
                    profiler.add_function(method)
    phases, _ = profiler.runcall(run)
    with (out / "lines.txt").open("w") as stream:
        profiler.print_stats(stream, output_unit=1e-3, stripzeros=True)
    return {"run_s": phases.total, "files": ["lines.txt"]}


def solver_modules(solver: Solver) -> list[Any]:
    """The modules of a solver's class and its bases, and of this project's solvers that they have imported."""
    own = {cls.__module__ for cls in type(solver).__mro__} - {"abc", "builtins", "implementations.contract"}
    shared = {name for name in sys.modules if name.startswith("implementations.maths.")}
    return [sys.modules[name] for name in sorted(own | shared)]


def _memray(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """Every allocation, by line, NumPy's included."""
    import memray

    file = out / "memray.bin"
    file.unlink(missing_ok=True)
    with memray.Tracker(file):
        phases, _ = run()
    command = [sys.executable, "-m", "memray"]
    quiet = {"capture_output": True, "text": True, "check": False}
    subprocess.run([*command, "flamegraph", "-f", "-o", str(out / "memray.html"), str(file)], **quiet)  # type: ignore[call-overload]
    with memray.FileReader(file) as reader:
        peak = reader.metadata.peak_memory
        records = sorted(reader.get_high_watermark_allocation_records(), key=lambda r: -r.size)
        lines = [{"mb": r.size / 2**20, "count": r.n_allocations, "where": _where(r)} for r in records[:20]]
    return {
        "run_s": phases.total,
        "peak_mb": peak / 2**20,
        "allocations": lines,
        "files": ["memray.bin", "memray.html"],
    }


def _where(record: Any) -> str:
    """The innermost line of this project in an allocation's stack, else the innermost of all."""
    stack = record.stack_trace()
    mine = [frame for frame in stack if "implementations" in frame[1] or "plugin" in frame[1]]
    name, file, line = (mine or stack or [("?", "?", 0)])[0]
    return f"{name} ({Path(file).name}:{line})"


def _tracemalloc(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """Allocations by line as Python and NumPy report them: always there, but slow and blind to libraries."""
    import tracemalloc

    tracemalloc.start()
    try:
        held = run()  # held, so that the outputs are among what is counted
        peak, statistics = tracemalloc.get_traced_memory()[1], tracemalloc.take_snapshot().statistics("lineno")
    finally:
        tracemalloc.stop()
    lines = [
        {
            "mb": s.size / 2**20,
            "count": s.count,
            "where": f"{Path(s.traceback[0].filename).name}:{s.traceback[0].lineno}",
        }
        for s in statistics[:20]
    ]
    return {"run_s": held[0].total, "peak_mb": peak / 2**20, "allocations": lines, "files": []}


def _perf(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """The machine's own profiler, attached to this process: instructions of compiled code too, by symbol."""
    data = out / "perf.data"
    recorder = subprocess.Popen(
        ["perf", "record", "-q", "-g", "-F", str(PERF_HERTZ), "-o", str(data), "-p", str(os.getpid())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.5)  # perf doesn't say when it has attached
    try:
        phases, _ = run()
    finally:
        recorder.send_signal(2)
        recorder.wait(timeout=30)
    report = subprocess.run(
        ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.5"],
        capture_output=True,
        text=True,
        check=False,
    )
    (out / "perf.txt").write_text(report.stdout)
    return {"run_s": phases.total, "files": ["perf.data", "perf.txt"]}


def _nvtx(run: Run, solver: Solver, out: Path) -> dict[str, Any]:
    """Ranges around the algorithm's stages, for Nsight Systems started around this command; times by device events."""
    ranges = importlib.import_module("cupy").cuda.nvtx
    marks, facts = Ranges(ranges.RangePush, ranges.RangePop), list[dict[str, float]]()
    undo = marks.install(TABLE)
    try:
        with marks.stage(f"run of {solver.name}"):
            phases, _ = run(facts)
    finally:
        for step in reversed(undo):
            step()
    return {"run_s": phases.total, "device_events": facts[0] if facts else {}, "files": []}


ENGINES: dict[str, Callable[[Run, Solver, Path], dict[str, Any]]] = {
    "cprofile": _cprofile,
    "pyinstrument": _pyinstrument,
    "line": _line,
    "memray": _memray,
    "tracemalloc": _tracemalloc,
    "perf": _perf,
    "nvtx": _nvtx,
}
