"""Measures one cell: every solver's process warmed up, then rounds over them in shuffled order until it is known well.

A machine drifts: it warms up, throttles, is shared. Solvers that take turns, in an order drawn anew for each round, are
all hit alike, and ratios within a round cancel what is left.
"""

import os
import secrets
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
from harness.judge.summary import Summary
from harness.machine import confinement, devices
from harness.measure.contender import Contender
from harness.measure.handover import Original, posed
from harness.measure.plan import REFERENCE, Plan, threads_of, uses_devices
from harness.records.schema import Cell
from harness.workloads import problem as workload
from harness.workloads.seal import Seal
from implementations.contract import Array, Problem

FEWEST_ROUNDS, MOST_ROUNDS = 12, 1000
"""Rounds of a cell whose number isn't asked for."""
MEMORY_SHARE = 0.8
"""Share of the memory available at a cell's start that one worker may hold."""
LIMIT_VARIABLE = "DEMREG_BENCH_LIMIT_MB"
"""Environment variable that sets that limit instead."""
Satisfy = Callable[[list[Contender]], None]


class Listener(Protocol):
    """Is told what goes on in a cell."""

    def say(self, what: str) -> None:
        """What goes on from now on, in words."""

    def warmed(self, solver: str, run_s: float) -> None:
        """A solver is warmed up; a run takes it that many seconds."""


class Nobody:
    """Listens to nothing."""

    def say(self, what: str) -> None: ...  # noqa: D102 (see `Listener`)

    def warmed(self, solver: str, run_s: float) -> None: ...  # noqa: D102


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
) -> CellResult:
    """Let contenders that haven't started take turns on one cell; all are judged by the first that is the baseline.

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
            if _spoiled(contenders, seal.touched(), contender.spec):
                break
        _undisturbed(contenders, 0)
        ready = time.perf_counter()
        rng = np.random.default_rng([cell.seed, cell.pixels, cell.bins])
        _rounds(
            contenders,
            plan,
            rng,
            listener,
            satisfy or partial(satisfied, rel_ci=plan.rel_ci, reference=plan.reference),
            watch,
            seal,
        )
        rounds_s = time.perf_counter() - ready
        for contender in contenders:
            contender.check_clock(over=True)
            contender.stop()
            contender.keep_warming()
        _spoiled(contenders, seal.broken())
        references = {} if plan.step else _references(contenders, original, plan, folder, limit_mb, listener)
        return CellResult(original, true_dem, contenders, references, ready - start, rounds_s, plan.reference)


def _spoiled(contenders: list[Contender], changed: list[str], turn: str = "") -> bool:
    """Whether the problem's files were changed. Then no row of the cell counts: who did it can't be known."""
    when = f" while {turn} had its turn" if turn else ""
    for contender in contenders if changed else []:
        if not (contender.ended and contender.ended.reason.startswith("the problem's ")):
            contender.ended = None
            contender.fail(f"the problem's {', '.join(changed)} changed{when}: no row of this cell counts")
    return bool(changed)


def _undisturbed(contenders: list[Contender], number: int) -> bool:
    """Whether all kept still between their turns; if not, everyone's turn in that round counts for nothing."""
    disturbed = [contender for contender in contenders if contender.disturbs()]
    for contender in contenders if disturbed else []:
        if contender.turns.pop(number, None) is not None and number == 0:
            contender.satisfied = False
    return not disturbed


def _references(
    contenders: list[Contender], original: Original, plan: Plan, folder: Path, limit_mb: int, listener: Listener
) -> dict[int, Summary]:
    """The baseline's solutions of what is judged: its own where it took part, else some pixels, solved now."""
    own = next((c for c in contenders if c.spec == REFERENCE), None)
    inside = {} if own is None else own.kept
    missing = sorted({number for c in contenders if c.ended is None for number in c.kept} - inside.keys())
    if not missing or (own is not None and own.ended is not None):
        return inside
    listener.say("baseline: solving a sample for the gates")
    pixels = np.sort(np.random.default_rng().permutation(original.watched)[: quality.REFERENCE_PIXELS])
    few = folder / "reference"
    few.mkdir()
    workload.save(original.some(missing, pixels), few)
    contender = Contender(REFERENCE, 1, plan.max_seconds, contenders[0].checkout)
    try:
        contender.start(Original(workload.read(few, mapped=False), few), [], limit_mb)
        contender.warm_up()
    finally:
        contender.stop()
    return inside if contender.summary is None else inside | original.apart(contender.summary, missing, pixels)


def _rounds(
    contenders: list[Contender],
    plan: Plan,
    rng: np.random.Generator,
    listener: Listener,
    satisfy: Satisfy,
    watch: devices.Watch | None,
    seal: Seal,
) -> None:
    """Let the contenders take turns until all are satisfied, or the asked rounds are done.

    Everyone has the first round; later ones go on, as long as the budget lasts, with those whose turn fits.
    """
    start, number, counted, check = time.perf_counter(), 0, 0, FEWEST_ROUNDS
    while counted != (plan.repeats or MOST_ROUNDS):
        elapsed = time.perf_counter() - start
        for contender in contenders:
            contender.satisfied |= number > 0 and elapsed + contender.turn_cost > plan.max_seconds
        active = [c for c in contenders if c.ended is None and not c.satisfied]
        if not active:
            break
        number += 1
        judged = secrets.randbelow(number) == 0  # so that each round is as likely as any to be the last that is judged
        listener.say(f"round {number}, {elapsed:.0f} of at most {plan.max_seconds:g} s")
        for contender in _order(active, rng):
            began = time.monotonic()
            contender.take_turn(number, judged)
            on_device = watch if contender.hello.get("device", "cpu") != "cpu" else None
            if on_device and (why := on_device.reasons(began, time.monotonic())):
                contender.throttled[number] = why
            if _spoiled(contenders, seal.touched(), contender.spec):
                return
        counted += _undisturbed(contenders, number)
        if plan.repeats is None and counted == check:
            satisfy(contenders)
            check += max(1, check // 4)


def _order(contenders: list[Contender], rng: np.random.Generator) -> list[Contender]:
    """A round's order: shuffled, those of the same solver one after another, so that drift cancels in their ratio."""
    shuffled = [contenders[i] for i in rng.permutation(len(contenders))]
    places = {spec: place for place, spec in enumerate(dict.fromkeys(contender.spec for contender in shuffled))}
    return sorted(shuffled, key=lambda contender: places[contender.spec])


def satisfied(contenders: list[Contender], rel_ci: float, reference: str = REFERENCE) -> None:
    """Let those rest whose interval is narrow enough; the baseline goes on until all others rest."""
    baseline = next((c for c in contenders if c.spec == reference and c.ended is None and c.turns), None)
    for contender in contenders:
        if contender.ended is not None or not contender.turns or contender.satisfied or contender.keep_warming():
            continue
        if contender is baseline:
            continue
        compare = baseline is not None and len(baseline.turns) > 1
        estimate = contender.speedup(baseline) if compare and baseline else contender.seconds()
        contender.satisfied = estimate.half_width <= rel_ci
    if baseline is not None and all(c.satisfied or c.ended for c in contenders if c is not baseline):
        baseline.satisfied = len(contenders) > 1 or baseline.seconds().half_width <= rel_ci
