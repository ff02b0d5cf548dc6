"""A cell's rounds: who has a turn when, in which process, and when enough is known.

A machine drifts: it warms up, throttles, is shared. Solvers that take turns, in an order drawn anew for each round, are
all hit alike, and ratios within a round cancel what is left. What rounds can't cancel is that two processes of the same
code differ for as long as they live, by their layout in memory: so solvers are started anew now and then, while the
budget allows it, and intervals are over their processes (`harness.judge.intervals`).
"""

import secrets
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from harness.machine import devices
from harness.measure.contender import Contender
from harness.measure.plan import REFERENCE, Plan
from harness.workloads.seal import Seal

FEWEST_ROUNDS, MOST_ROUNDS = 12, 1000
"""Rounds of a cell whose number isn't asked for."""
FEWEST_OF_A_PROCESS, SHARE = 2, 0.2
"""Rounds of a process that say by how much turns differ; and what share of a cell's budget its rounds take at most, so
that there are several processes."""
LONGER = 3
"""On a busy machine a cell takes so many times its budget at most: till then, what is waited for a core isn't of it."""
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


def spoiled(contenders: list[Contender], changed: list[str], turn: str = "") -> bool:
    """Whether the problem's files were changed. Then no row of the cell counts: who did it can't be known."""
    when = f" while {turn} had its turn" if turn else ""
    for contender in contenders if changed else []:
        if not (contender.ended and contender.ended.reason.startswith("the problem's ")):
            contender.ended = None
            contender.fail(f"the problem's {', '.join(changed)} changed{when}: no row of this cell counts")
    return bool(changed)


def undisturbed(contenders: list[Contender], number: int) -> bool:
    """Whether all kept still between their turns; if not, everyone's turn in that round counts for nothing."""
    disturbed = [contender for contender in contenders if contender.disturbs()]
    for contender in contenders if disturbed else []:
        if contender.turns.pop(number, None) is not None and number == 0:
            contender.satisfied = False
    return not disturbed


def take(
    contenders: list[Contender],
    plan: Plan,
    rng: np.random.Generator,
    listener: Listener,
    satisfy: Satisfy,
    watch: devices.Watch | None,
    seal: Seal,
) -> None:
    """Let the contenders take turns until all are satisfied, or the asked rounds are done.

    Everyone has the first round; later ones go on, as long as the budget lasts, with those whose turn fits. Judged are
    rounds that are drawn, and the last one of each process: a solver that is right at first only never passes.
    """
    start, number, counted, check, since, before = time.perf_counter(), 0, 0, FEWEST_ROUNDS, 0.0, 0
    active: list[Contender] = []
    while True:
        elapsed, had = _unhindered(time.perf_counter() - start, contenders), active
        for contender in contenders:
            contender.satisfied |= number > 0 and elapsed + contender.turn_cost > plan.max_seconds
        over = counted == (plan.repeats or MOST_ROUNDS)
        active = [] if over else [c for c in contenders if c.ended is None and not c.satisfied]
        anew = plan.repeats is None and bool(active) and number > before
        anew = anew and _due(active, number - before, elapsed - since, elapsed, plan.max_seconds)
        if anew or len(active) < len(had):
            listener.say("handing over what is judged")
            for contender in had:
                contender.hand_over(number)
        if not active:
            break
        if anew:
            listener.say("fresh processes")
            for contender in active:
                contender.restart()
            since, before = _unhindered(time.perf_counter() - start, contenders), number
        number += 1
        judged = secrets.randbelow(number) == 0  # so that each round is as likely as any to be the last that is judged
        listener.say(f"round {number}, {elapsed:.0f} of at most {plan.max_seconds:g} s")
        if not _have_turns(_order(active, rng), number, judged, watch, seal):
            return
        counted += undisturbed(contenders, number)
        if plan.repeats is None and counted == check:
            satisfy(contenders)
            check += max(1, check // 4)


def _unhindered(passed: float, contenders: list[Contender]) -> float:
    """Seconds of those that passed in which the contenders didn't wait for others to leave a core."""
    return max(passed - sum(contender.waited_s for contender in contenders), passed / LONGER)


def _have_turns(
    contenders: list[Contender], number: int, judged: bool, watch: devices.Watch | None, seal: Seal
) -> bool:
    """Whether all had a turn, and left the problem's files as they were."""
    for contender in contenders:
        began = time.monotonic()
        contender.take_turn(number, judged)
        on_device = watch if contender.hello.get("device", "cpu") != "cpu" else None
        if on_device and (why := on_device.reasons(began, time.monotonic())):
            contender.throttled[number] = why
        if spoiled(contenders, seal.touched(), contender.spec):
            return False
    return True


def _due(active: list[Contender], count: int, took: float, elapsed: float, budget: float) -> bool:
    """Whether all are started anew, after so many rounds in their processes that took so long.

    After as many as make the intervals narrowest, or a share of the budget, two at least, while as many fit into it
    once more.
    """
    cost, round_s = sum(contender.start_s for contender in active), took / count
    best = np.median([contender.turns_of_a_process(cost, round_s) for contender in active])
    enough = max(min(best * round_s, max(SHARE * budget, cost)), FEWEST_OF_A_PROCESS * round_s)
    return bool(took >= enough and elapsed + cost + took <= budget)


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
