"""Measures one cell: every solver's process warmed up, then rounds over them in shuffled order until it is known well.

A machine drifts: it warms up, throttles, is shared. Solvers that take turns, in an order drawn anew for each round, are
all hit alike, and ratios within a round cancel what is left.
"""

import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from harness.judge import quality
from harness.judge.summary import Summary
from harness.machine import confinement, devices
from harness.measure import rounds
from harness.measure.contender import Contender
from harness.measure.handover import Original, posed
from harness.measure.plan import REFERENCE, Plan, threads_of, uses_devices
from harness.measure.rounds import Listener, Nobody, Satisfy
from harness.records.schema import Cell
from harness.workloads import problem as workload
from harness.workloads.seal import Seal
from implementations.contract import Array, Problem

__all__ = ["CellResult", "Listener", "Nobody", "measure", "measure_contenders"]
MEMORY_SHARE = 0.8
"""Share of the memory available at a cell's start that one worker may hold."""
LIMIT_VARIABLE = "DEMREG_BENCH_LIMIT_MB"
"""Environment variable that sets that limit instead."""


@dataclass
class CellResult:
    """What came of one cell."""

    original: Original
    true_dem: Array
    """(S, T) of the pixels that the first run is judged by."""
    contenders: list[Contender]
    references: dict[int, Summary]
    """Round (0: the first run) -> the baseline's solution, of all pixels or a few; none where it failed."""
    setup_s: float
    """Making the problem, starting the processes and warming them up."""
    rounds_s: float
    """Wall time of the rounds; what exceeds the solves in them is the harness's own."""
    reference: str = REFERENCE

    @property
    def problem(self) -> Problem:
        """The problem as it is."""
        return self.original.problem

    @property
    def baseline(self) -> Contender | None:
        """The baseline's contender, if it was in the cell and was timed."""
        return next((c for c in self.contenders if c.spec == self.reference and c.turns and c.ended is None), None)

    @property
    def solves_s(self) -> float:
        """Seconds inside timed solves during the rounds."""
        return sum(run.total for c in self.contenders for r, runs in c.turns.items() if r > 0 for run in runs)


def measure(cell: Cell, specs: Sequence[str], plan: Plan, scratch: Path, listener: Listener) -> CellResult:
    """Measure the solvers `specs` on one cell, the problem meanwhile lying in the folder `scratch`."""
    contenders = [Contender(spec, threads_of(spec, plan.threads), plan.max_seconds) for spec in specs]
    return measure_contenders(cell, contenders, plan, scratch, listener)


def measure_contenders(
    cell: Cell,
    contenders: list[Contender],
    plan: Plan,
    scratch: Path,
    listener: Listener,
    satisfy: Satisfy | None = None,
    judge: Path | None = None,
) -> CellResult:
    """Let contenders that haven't started take turns on one cell; all are judged by the first that is the baseline.

    Where none is, by that of the checkout `judge`, or else of the first one's checkout.
    `satisfy` marks those contenders, now and then, that are known well enough; by default, when their ratio to the
    baseline is. What goes wrong in a solver is in its contender, and nowhere else.
    """
    start, table = time.perf_counter(), plan.table()
    limit_mb = int(os.environ.get(LIMIT_VARIABLE) or confinement.memory_mb() * MEMORY_SHARE)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=scratch)))
        listener.say("generating the problem")
        given = folder / "problem"
        given.mkdir()
        secret = secrets.token_hex(16)
        original, true_dem = posed(plan.specification(cell.dataset), cell, plan.step, given, secret)
        seal = Seal(given)
        watch = stack.enter_context(devices.Watch()) if uses_devices([c.spec for c in contenders], table) else None
        for contender in contenders:
            stack.callback(contender.stop)
            listener.say(f"{contender.spec}: warming up")
            contender.start(original, [] if contender.checkout else table.words(contender.spec), limit_mb)
            contender.warm_up()
            if contender.first is not None:
                listener.warmed(contender.spec, contender.first.total)
            if rounds.spoiled(contenders, seal.touched(), contender.spec):
                break
        rounds.undisturbed(contenders, 0)
        ready = time.perf_counter()
        rng = np.random.default_rng([cell.seed, cell.pixels, cell.bins])
        how = satisfy or partial(rounds.satisfied, rel_ci=plan.rel_ci, reference=plan.reference)
        rounds.take(contenders, plan, rng, listener, how, watch, seal)
        rounds_s = time.perf_counter() - ready
        for contender in contenders:
            contender.check_clock(over=True)
            contender.stop()
            contender.keep_warming()
        rounds.spoiled(contenders, seal.broken())
        judge = judge or contenders[0].checkout
        references = {} if plan.step else _references(contenders, original, plan, folder, limit_mb, listener, judge)
        return CellResult(original, true_dem, contenders, references, ready - start, rounds_s, plan.reference)


def _references(
    contenders: list[Contender],
    original: Original,
    plan: Plan,
    folder: Path,
    limit_mb: int,
    listener: Listener,
    judge: Path | None,
) -> dict[int, Summary]:
    """The baseline's solutions of what is judged: its own where it took part, else some pixels, solved now."""
    own = next((c for c in contenders if c.spec == REFERENCE), None)
    inside = {} if own is None else own.kept
    missing = sorted({number for c in contenders if c.ended is None for number in c.kept} - inside.keys())
    if not missing or (own is not None and own.ended is not None):
        return inside
    listener.say("baseline: solving a sample for the gates")
    chosen = dict(zip(missing, quality.dealt(original.watched, len(missing)), strict=True))
    few = folder / "reference"
    few.mkdir()
    workload.save(original.some(chosen), few)
    contender = Contender(REFERENCE, 1, plan.max_seconds, judge)
    try:
        contender.start(Original(workload.read(few, mapped=False), few), [], limit_mb)
        contender.warm_up()
    finally:
        contender.stop()
    return inside if contender.summary is None else inside | original.apart(contender.summary, chosen)
