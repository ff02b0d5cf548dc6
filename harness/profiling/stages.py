"""Seconds of each stage of the algorithm in one run, for every solver: by hooks in Python, by counters in a kernel.

The sum of the stages is the run they were counted in. It is held against undisturbed runs that take turns with it:
where the two differ by more than a tenth, the profile says so.
"""

import importlib
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.measure import clock
from harness.profiling.stopwatch import OTHER, Stopwatch, Sums, in_workers
from implementations.contract import Problem, Solver
from implementations.solver_spec import parse

STAGES = (
    "weights",
    "factorisation",
    "grid search",
    "positivity",
    "errors",
    "profile width",
    "transfers",
    "pool overhead",
    OTHER,
)
"""The weights that shape L; SVDs and what leads to them; the search for mu; the DEM of each pass; edem, chi-squared and
counts; elogt; staging, and to and from a device; workers' start, end and waiting; the rest."""
AGREEMENT = 0.1
FEWEST, MOST, ENOUGH_S = 3, 25, 1.0
"""Rounds: that many at least, and further ones while they have not lasted long enough to be sure of a quiet moment."""
BUDGET_S = 30.0
"""A solver whose runs are slow gets fewer rounds, one at least."""
COUNTED = {"numba": "implementations.compiled.timed_kernel", "numba-float32": "implementations.compiled.timed_kernel"}
"""Solvers with a compiled variant that counts: a module with `stages(solver, problem)` and `unavailable()`."""
HANDS_ON = ("dask", "dask-delayed", "processes")
"""Solvers whose pixels are inverted by another solver, in threads or processes that no hook reaches."""

_PARTS = {
    "implementations.baseline": {
        "constraint_weight smoothed": "weights",
        "gsvd": "factorisation",
        "regularisation": "grid search",
        "regularised_inverse": "positivity",
        "temperature_resolution": "profile width",
    },
    "implementations.cpu.vectorized": {
        "constraint_weight": "weights",
        "gsvd": "factorisation",
        "regularisation": "grid search",
    },
    "implementations.cpu.regmap": {"broadcast_search": "grid search"},
    "implementations.cpu.regmap_search": {"search search_parallel": "grid search"},
    "implementations.cpu.batched": {
        "constraint_weight": "weights",
        "factorised": "factorisation",
        "nonnegative": "positivity",
        "resolution": "profile width",
        "Batched.fill": OTHER,
    },
    "implementations.cpu.l2": {
        "tabulate": "factorisation",
        "choose by_grid_point": "grid search",
        "invert": "positivity",
    },
    "implementations.maths.constraint": {
        "is_given loci_weight solution_weight smoothed inverse_diagonal uniform_inverse_diagonal": "weights"
    },
    "implementations.maths.factorise": {"reduced thin_svd": "factorisation"},
    "implementations.maths.discrepancy": {"grid misfit project morozov": "grid search"},
    "implementations.maths.inverse": {"solution coefficient dem": "positivity", "k_dagger middle rows": "errors"},
    "implementations.gpu.batched": {"Factors.choose": "grid search", "Factors.middle": "errors"},
    "implementations.maths.uncertainty": {
        "edem counts chisq": "errors",
        "sampling profile_peak elogt": "profile width",
    },
    "implementations.executors": {"start InWorkers.stop InProcess.stop": "pool overhead", "invert_block": OTHER},
}
TABLE = {f"{m}:{f}": stage for m, parts in _PARTS.items() for names, stage in parts.items() for f in names.split()}
"""Where each function's time goes. A function in none of them adds to the one that called it."""


def watch(solver: Solver, problem: Problem, spec: str, enough_s: float = ENOUGH_S) -> dict[str, Any]:
    """Stages of the fastest of some runs, and undisturbed runs in between; a mismatch beyond `AGREEMENT` is named."""
    counted = _counted(spec)
    if solver.method != "demreg":
        counted = f"the stages are DEMREG's, and its method is {solver.method}"
    if isinstance(counted, str):
        return {"stages": None, "stages_reason": counted}
    alone, runs = [], []
    counted(solver, problem)  # compiles what counts
    start = time.perf_counter()
    while True:
        alone.append(clock.timed_run(solver, problem)[0].total)
        runs.append(counted(solver, problem))
        number, elapsed = len(runs), time.perf_counter() - start
        if number == MOST or (number >= FEWEST and elapsed > enough_s) or elapsed * (1 + 1 / number) > BUDGET_S:
            break
    total, seconds = min(runs, key=lambda run: run[0])
    excess = sum(seconds.values()) / min(alone) - 1
    return {
        "stages": {name: seconds.get(name, 0.0) for name in STAGES if seconds.get(name)},
        "stages_total_s": total,
        "undisturbed_best_s": min(alone),
        "stages_excess": excess,
        "stages_agree": abs(excess) <= AGREEMENT,
    }


def _counted(spec: str) -> Callable[[Solver, Problem], tuple[float, Sums]] | str:
    """What counts a run of the solver, or why nothing can."""
    name = parse(spec)[0]
    if name in HANDS_ON:
        return handed_on_run
    module_name = COUNTED.get(name)
    if module_name is None:
        return hooked_run
    module = importlib.import_module(module_name)
    return module.unavailable() or (lambda solver, problem: module.stages(solver, problem)[1:])


def hooked_run(solver: Solver, problem: Problem) -> tuple[float, Sums]:
    """Seconds of one run with the hooks in place, and how they divide among the stages.

    Of several workers the mean counts; what they leave of the time that the caller waits for them is pool overhead.
    """
    stopwatch = Stopwatch(_synchroniser(solver))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        undo = [in_workers(folder, STAGES, TABLE), *stopwatch.install(TABLE)]
        try:
            with stopwatch.stage(OTHER):
                phases, _ = clock.timed_run(solver, problem)
        finally:
            for step in reversed(undo):
                step()
        mine = stopwatch.sums.pop(threading.get_ident())
        workers = [*stopwatch.sums.values(), *_sums_in(folder)]
    if workers:
        team = getattr(solver, "workers", None) or getattr(solver, "threads", None) or len(workers)
        inside = {stage: sum(each.get(stage, 0.0) for each in workers) / team for stage in STAGES}
        waiting = mine.pop(OTHER, 0.0) - sum(inside.values())
        mine = {stage: mine.get(stage, 0.0) + inside[stage] for stage in STAGES}
        mine["pool overhead"] += waiting
    return phases.total, mine


def handed_on_run(solver: Any, problem: Problem) -> tuple[float, Sums]:
    """The same of a solver that hands blocks of pixels to workers out of sight, who invert them by another solver.

    How long the workers were at it is known from the solver's facts, or else is what the inner solver takes here; that
    divides as the inner solver's time does here. The rest of the run is pool overhead.
    """
    facts: list[dict[str, float]] = []
    phases, _ = clock.timed_run(solver, problem, facts)
    inner = solver.inner(1)
    counted = _counted(inner.name)
    if isinstance(counted, str):
        return phases.total, {OTHER: phases.total}
    counted(inner, problem)  # compiles
    took, sums = counted(inner, problem)
    known = bool(facts) and "task_s" in facts[0]
    busy = (
        facts[0]["task_s"] / facts[0]["slots"] if known else took / (getattr(solver, "workers", None) or solver.threads)
    )
    scale = min(busy, phases.total) / sum(sums.values())
    inside = {stage: scale * seconds for stage, seconds in sums.items()}
    rest = max(phases.total - sum(inside.values()), 0.0)
    return phases.total, inside | {"pool overhead": inside.get("pool overhead", 0.0) + rest}


def _sums_in(folder: Path) -> list[Sums]:
    """What worker processes have left."""
    names = json.loads((folder / "stages.json").read_text())
    return [dict(zip(names, np.load(file).tolist(), strict=True)) for file in folder.glob("sums-*.npy")]


def _synchroniser(solver: Solver) -> Callable[[], None] | None:
    """For a solver on a GPU: waits for all of its device's streams. Not yet measured on any."""
    if solver.device != "gpu":
        return None
    cuda = importlib.import_module("cupy").cuda
    return lambda: cuda.Device().synchronize()  # the null stream would wait for none of `gpu.device`'s
