"""Measures one cell: every solver's process warmed up, then rounds over them in shuffled order until it is known well.

A machine drifts: it warms up, throttles, is shared. Solvers that take turns, in an order drawn anew for each round, are
all hit alike, and ratios within a round cancel what is left.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.judge import quality
from harness.judge.quality import Summary
from harness.machine import devices
from harness.machine.facts import available_memory_mb
from harness.measure.contender import Lane
from harness.measure.plan import Plan
from harness.records.schema import Cell
from harness.workloads import problem as workload
from implementations import registry, solver_spec
from implementations.contract import Array, Problem

REFERENCE = "baseline"
FEWEST_ROUNDS = 5
MEMORY_SHARE = 0.8
"""Share of the memory available at a cell's start that one worker may hold."""
LIMIT_VARIABLE = "DEMREG_BENCH_LIMIT_MB"
"""Environment variable that sets that limit instead."""
Satisfy = Callable[[list[Lane]], None]


class Listener(Protocol):
    """Is told what goes on in a cell."""

    def say(self, what: str) -> None:
        """What goes on from now on, in words."""

    def warmed(self, solver: str, run_s: float) -> None:
        """A solver is warmed up; a run takes it that many seconds."""


class Nobody:
    """Listens to nothing."""

    def say(self, what: str) -> None:
        """See `Listener`."""

    def warmed(self, solver: str, run_s: float) -> None:
        """See `Listener`."""


@dataclass
class Measured:
    """What came of one cell."""

    problem: Problem
    true_dem: Array
    """(S, T) of the sampled pixels."""
    lanes: list[Lane]
    reference: Summary | None
    """The baseline's solution, of all sampled pixels or the first few; None where it failed."""
    setup_s: float
    """Making the problem, starting the processes and warming them up."""
    rounds_s: float
    """Wall time of the rounds; what exceeds the solves in them is the harness's own."""

    @property
    def baseline(self) -> Lane | None:
        """The baseline's lane, if it was in the cell and was timed."""
        timed = [lane for lane in self.lanes if lane.spec == REFERENCE and lane.turns and lane.ended is None]
        return timed[0] if timed else None

    @property
    def solves_s(self) -> float:
        """Seconds inside timed solves during the rounds."""
        return sum(run.total for lane in self.lanes for r, runs in lane.turns.items() if r > 0 for run in runs)


def measure(cell: Cell, specs: Sequence[str], plan: Plan, scratch: Path, listener: Listener) -> Measured:
    """Measure the solvers `specs` on one cell, the problem meanwhile lying in the folder `scratch`."""
    lanes = [Lane(spec, threads_of(spec, plan.threads), plan.max_seconds) for spec in specs]
    return measure_lanes(cell, lanes, plan, scratch, listener)


def measure_lanes(
    cell: Cell, lanes: list[Lane], plan: Plan, scratch: Path, listener: Listener, satisfy: Satisfy | None = None
) -> Measured:
    """Let lanes that haven't started take turns on one cell; the first that is the baseline is what all are judged by.

    `satisfy` marks those lanes, now and then, that are known well enough; by default, when their ratio to the baseline
    is. What goes wrong in a solver is in its lane, and nowhere else.
    """
    start = time.perf_counter()
    plugins = [Path(p) for p in plan.plugins]
    limit_mb = int(os.environ.get(LIMIT_VARIABLE) or available_memory_mb() * MEMORY_SHARE)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=scratch)))
        listener.say("generating the problem")
        sample = quality.sample_of(cell.pixels)
        workload.write(plan.specification(cell.dataset), cell.pixels, cell.bins, cell.seed, folder, sample)
        watch = stack.enter_context(devices.Watch()) if _uses_devices(lanes, plugins) else None
        for lane in lanes:
            stack.callback(lane.stop)
            listener.say(f"{lane.spec}: warming up")
            lane.start(folder, plugins, limit_mb)
            lane.warm_up(folder)
            if lane.first is not None:
                listener.warmed(lane.spec, lane.first.total)
        problem, true_dem = workload.read(folder), np.load(folder / workload.TRUE_DEM)
        reference = _reference(lanes, problem, plan, folder, limit_mb, listener)
        ready = time.perf_counter()
        rng = np.random.default_rng([cell.seed, cell.pixels, cell.bins])
        _rounds(lanes, plan, rng, listener, satisfy or partial(_satisfy, rel_ci=plan.rel_ci), watch)
        return Measured(problem, true_dem, lanes, reference, ready - start, time.perf_counter() - ready)


def threads_of(spec: str, threads: int) -> int:
    """Threads of a solver: its own tunable where it names one, else those of the sweep; at least one a worker."""
    given = solver_spec.parse(spec)[1]
    return max(int(given.get("threads") or threads), int(given.get("workers") or 1))


def _reference(
    lanes: list[Lane], problem: Problem, plan: Plan, folder: Path, limit_mb: int, listener: Listener
) -> Summary | None:
    """The baseline's solution: of all sampled pixels where it is in the cell, else of the first of them."""
    inside = [lane for lane in lanes if lane.spec == REFERENCE]
    if inside:
        return inside[0].summary
    listener.say("baseline: solving a sample for the gates")
    pixels = quality.sample_of(problem.sizes[0])[: quality.REFERENCE_PIXELS]
    few = folder / "reference"
    few.mkdir()
    workload.save(problem.take(pixels), few)
    lane = Lane(REFERENCE, 1, plan.max_seconds, lanes[0].checkout)
    try:
        lane.start(few, [], limit_mb)
        lane.warm_up(few)
    finally:
        lane.stop()
    return None if lane.summary is None else quality.placed(lane.summary, pixels, problem.sizes[0])


def _uses_devices(lanes: list[Lane], plugins: list[Path]) -> bool:
    """Whether some lane's solver computes elsewhere than on this machine's processor."""
    table = registry.Registry(plugins)
    return any(table.describe(solver_spec.parse(lane.spec)[0])["device"] != "cpu" for lane in lanes)


def _rounds(
    lanes: list[Lane],
    plan: Plan,
    rng: np.random.Generator,
    listener: Listener,
    satisfy: Satisfy,
    watch: devices.Watch | None,
) -> None:
    """Let the lanes take turns until all are satisfied, or the asked rounds are done.

    The first round is every lane's by right; later ones go on, as long as the budget lasts, with those whose turn fits.
    """
    start, number, check = time.perf_counter(), 0, FEWEST_ROUNDS
    while number != plan.repeats:
        elapsed = time.perf_counter() - start
        for lane in lanes:
            lane.satisfied |= number > 0 and elapsed + lane.turn_cost > plan.max_seconds
        active = [lane for lane in lanes if lane.ended is None and not lane.satisfied]
        if not active:
            break
        number += 1
        listener.say(f"round {number}, {elapsed:.0f} of at most {plan.max_seconds:g} s")
        for lane in _order(active, rng):
            began = time.monotonic()
            lane.take_turn(number)
            elsewhere = lane.hello.get("device", "cpu") != "cpu"
            if watch and elsewhere and (why := watch.reasons(began, time.monotonic())):
                lane.throttled[number] = why
        if plan.repeats is None and number == check:
            satisfy(lanes)
            check += max(1, check // 4)


def _order(lanes: list[Lane], rng: np.random.Generator) -> list[Lane]:
    """A round's order: shuffled, lanes of the same solver one after another, so that drift cancels in their ratio."""
    shuffled = [lanes[i] for i in rng.permutation(len(lanes))]
    places = {spec: place for place, spec in enumerate(dict.fromkeys(lane.spec for lane in shuffled))}
    return sorted(shuffled, key=lambda lane: places[lane.spec])


def _satisfy(lanes: list[Lane], rel_ci: float) -> None:
    """Let those rest whose interval is narrow enough; the baseline goes on until all others rest."""
    baseline = next((lane for lane in lanes if lane.spec == REFERENCE and lane.ended is None and lane.turns), None)
    for lane in lanes:
        if lane is baseline or lane.ended is not None or not lane.turns or lane.satisfied:
            continue
        compare = baseline is not None and len(baseline.turns) > 1
        estimate = lane.speedup(baseline) if compare and baseline else lane.seconds()
        lane.satisfied = estimate.half_width <= rel_ci
    if baseline is not None and all(lane.satisfied or lane.ended for lane in lanes if lane is not baseline):
        baseline.satisfied = len(lanes) > 1 or baseline.seconds().half_width <= rel_ci
