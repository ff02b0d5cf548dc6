"""One solver in one cell: its process, its samples, and what became of it."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.judge import clocks
from harness.judge.summary import Summary
from harness.judge.turns import Timed
from harness.machine import load
from harness.measure import clock, said
from harness.measure.clock import Claim, Phases
from harness.measure.handover import FIRST, Original
from harness.measure.supervisor import Supervisor, WorkerEnded
from harness.workloads.variant import SCHEME
from implementations.contract import OUTERMOST

HANG_FACTOR, HANG_FLOOR_S = 20.0, 60.0
"""An answer is waited for so many times the cell's budget, and at least so long (a first run compiles)."""
SURELY_LONG_S = 1.0
"""A first run that took so long needs no repeats in a turn."""
HANG_VARIABLE = "DEMREG_BENCH_HANG_S"
"""Environment variable that sets that time instead."""
PRACTICE = "practice"
Action = Callable[[Supervisor], dict[str, Any]]


@dataclass
class Contender(Timed):
    """A solver's turn-taking in a cell. Once `ended` is set, its process is gone and it takes no further turns."""

    budget_s: float
    checkout: Path | None = None
    """The folder that the worker's code is taken from; None means that of this process."""
    worker: Supervisor | None = None
    first: Phases | None = None
    """The first run on all pixels, after a few have paid the one-off costs."""
    oneoff_s: float = 0.0
    kept: dict[int, Summary] = field(default_factory=dict)
    """Round (0: the first run, of the problem as it is) -> a solution handed over: what the gates judge."""
    claims: dict[int | str, Claim] = field(default_factory=dict)
    """Round (0: the first run) -> how long the worker says its runs took."""
    facts: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    """Round (0: the first run) -> what the solver itself measured of each run; nothing for most."""
    spent: dict[int | str, Claim] = field(default_factory=dict)
    """Round -> CPU seconds that the worker says its runs used, and those that all its processes used meanwhile."""
    warming: dict[int, list[Phases]] = field(default_factory=dict)
    """Round -> the runs of turns that were taken for rounds, and belong to the warm-up."""
    throttled: dict[int, list[str]] = field(default_factory=dict)
    """Round -> why a device ran below its clock meanwhile."""
    processes: int = 0
    start_s: float = 0.0
    """Seconds that its last process took until it was warmed up."""
    waited_s: float = 0.0
    """Seconds of turns, and of starting anew, in which it waited for a core."""
    repeats: int = 0
    """Runs per turn; 0 until calibrated."""
    peak_rss_mb: float = 0.0
    ended: WorkerEnded | None = None
    satisfied: bool = False
    """Its interval is narrow enough, or it has had the one run that the budget allows."""

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for."""
        return float(os.environ.get(HANG_VARIABLE) or max(HANG_FACTOR * self.budget_s, HANG_FLOOR_S))

    @property
    def stages(self) -> bool:
        """Whether its worker makes a problem for every run as this harness says; an older commit's may not."""
        return bool(self.hello.get("stages") == SCHEME)

    @property
    def summary(self) -> Summary | None:
        """What is kept of the first run."""
        return self.kept.get(FIRST)

    def start(self, original: Original, plugins: Sequence[str], limit_mb: int) -> None:
        """Start the process and let it stage the problem."""
        self.began, self.given, self.original = time.perf_counter(), (original, plugins, limit_mb), original
        self.processes += 1
        self.open(plugins, limit_mb)

    def open(self, plugins: Sequence[str], limit_mb: int) -> None:
        """Have a worker, and its first words."""
        original = self.original
        self.worker = Supervisor(original.folder, self.spec, plugins, self.threads, limit_mb, self.checkout)
        self.hello = self._contained(lambda w: w.reply(self.timeout_s)) or {}
        if not self.hello.get("stages") and self.hello.get("bounds"):  # an older commit's, which declares fewer bounds
            self.hello["bounds"] |= {name: OUTERMOST[name] for name in ("edem", "elogt")}

    def warm_up(self) -> None:
        """The first runs; the solution is kept for the gates. A run that outlasts the budget is the only one."""
        began = time.perf_counter()
        answer = self._contained(lambda w: w.ask(self.timeout_s, do="warmup"), times=said.of_warm_up, runs=2)
        passed = time.perf_counter() - began
        self.start_s = time.perf_counter() - self.began
        if answer is None:
            return
        self.first, self.oneoff_s = Phases(*answer["phases"]), float(answer["oneoff_s"])
        self.facts[FIRST], self.used[FIRST] = answer.get("facts", []), said.used(answer)
        # Taken now: what is handed over needs memory in the worker that is not the solver's.
        self.peak_rss_mb = max(answer["peak_rss_mb"], self.worker.peak_tree_mb if self.worker else 0.0)
        self._keep(FIRST)
        if self.first.total > self.budget_s:
            self.turns[FIRST], self.satisfied = [self.first], True
            self.claims[FIRST] = Claim(self.first.total, passed, 1)

    def restart(self) -> None:
        """End the process, and go on in another, once it is as warm."""
        self.stop()
        self.start(*self.given)
        waited = self.waited_s
        self._contained(lambda w: w.ask(self.timeout_s, do="warmup"), times=said.of_warm_up, runs=2)
        if self.repeats > 1:
            usual, self.repeats = self.repeats, 1
            self._practise()
            self.repeats = usual
        self.start_s = time.perf_counter() - self.began
        self.waited_s = waited + (self.worker.queued_s() if self.worker else 0.0)

    def _calibrate(self) -> None:
        """Set how many runs a turn has: however short a run says it was, a tenth of what passed counts for it."""
        self.repeats = 1
        known = [self.first, *(run for runs in self.turns.values() for run in runs)]
        if any(run is not None and run.total < SURELY_LONG_S for run in known) and (claim := self._practise()):
            took = max(claim.claimed, (claim.passed - claim.waited) / 10)
            self.repeats = clock.repeats_for(took, self.threads)

    def _practise(self) -> Claim | None:
        """A turn that doesn't count."""
        done = self._turn(PRACTICE)
        self.spent.pop(PRACTICE, None)
        claim = self.claims.pop(PRACTICE, None)
        return claim if done else None

    def take_turn(self, number: int, judged: bool = False) -> None:
        """Run the solver long enough to be timed well, and keep every run's time. A first call only calibrates.

        A judged turn's kept solution is handed over afterwards; until then, nobody has said so to the worker.
        """
        if not self.repeats:
            self._calibrate()
        answer = self._turn(number)
        if answer is not None:
            self.turns[number], self.process[number] = [Phases(*s) for s in answer["samples"]], self.processes
            self.facts[number], self.used[number] = answer.get("facts", []), said.used(answer)
            if self.repeats == len(self.turns) == 1 and self.claims[number].claimed < clock.SHORTEST_TURN_S:
                self.repeats = 0  # what it was calibrated by took longer: it compiled something, say
            if judged:
                self.hand_over(number)

    def hand_over(self, number: int) -> None:
        """Have the solution that its turn in a round kept judged; harmless when it had none, or has been."""
        if self.stages and number in self.process and number not in self.kept:
            self._keep(number)

    def _turn(self, number: int | str) -> dict[str, Any] | None:
        """Stage problems that nobody has seen, then run; what the worker says must fit this process's clock."""
        how: dict[str, Any] = {"repeats": self.repeats}  # of an older commit's worker, which stages none
        if self.stages:
            seeds, keep = self.original.turn(number, self.spec, self.repeats)
            self._contained(lambda w: w.ask(self.timeout_s, do="stage", seeds=seeds, keep=keep))
            how = {}
        before, began = load.busy(), time.perf_counter()
        answer = self._contained(lambda w: w.ask(self.timeout_s, do="run", **how), lambda a: a["samples"], self.repeats)
        if answer is None or self.worker is None:
            return None
        passed, after = time.perf_counter() - began, load.busy()
        self.peak_rss_mb = max(self.peak_rss_mb, self.worker.peak_tree_mb)
        self.claims[number] = Claim(float(np.sum(answer["samples"])), passed, self.repeats, self.worker.waited_s)
        self.waited_s += self.worker.waited_s
        if used := said.used(answer):
            self.spent[number] = Claim(sum(run.cpu for run in used), self.worker.cpu_s, self.repeats)
        if isinstance(number, int):
            others = max(after.work - before.work - self.worker.cpu_s, 0.0)
            self.machine[number] = (passed, self.worker.cpu_s, others, after.stolen - before.stolen)
        self.check_clock(over=False)
        return None if self.ended else answer

    def check_clock(self, over: bool) -> None:
        """End it when the times that it claims can't be; with all that is known once its turns are over."""
        reason = clock.misfit(list(self.claims.values()), over) or clock.misfit(list(self.spent.values()), over, "CPU")
        if reason and not self.ended:
            self.fail(reason)

    def _keep(self, number: int) -> None:
        """Have the solution that the worker kept handed over."""
        with tempfile.TemporaryDirectory(dir=self.original.folder.parent) as folder:
            path = Path(folder) / "solution.npz"
            if self._contained(lambda w: w.ask(self.timeout_s, do="save", file=str(path.resolve()))) is None:
                return
            try:
                self.kept[number] = self.original.handed_over(path, number)
            except ValueError as error:
                self.fail(str(error))

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        if self.worker is not None:
            self.worker.end()

    def fail(self, reason: str) -> None:
        """End the process and the row, for what isn't in any one reply."""
        self.stop()
        self.ended, self.kept = self.ended or WorkerEnded("failed", reason), {}

    def disturbs(self) -> bool:
        """Whether it computed while others had their turns; that ends it."""
        if self.ended is None and self.worker is not None:
            try:
                self.worker.check_rest()
            except WorkerEnded as end:
                self.ended = end
                return True
        return False

    def _contained(self, action: Action, times: said.Times | None = None, runs: int = 1) -> dict[str, Any] | None:
        """The reply, with times of so many runs where some are expected; None, and `ended`, where it didn't come."""
        if self.ended is not None or self.worker is None:
            return None
        try:
            answer = action(self.worker)
        except WorkerEnded as end:
            self.ended = end
            return None
        if times is not None and not said.plausible(answer, times, runs):
            self.fail(f"replied with other than times of {runs} run(s) and a few facts of each: {answer}")
            return None
        return answer

    @property
    def turn_cost(self) -> float:
        """Seconds that a turn of it takes, by this process's clock, when it needn't wait for a core."""
        return float(np.median([each.passed - each.waited for each in self.claims.values()])) if self.claims else 0.0

    def keep_warming(self) -> bool:
        """Whether its first turns are slower than later ones; then these count for the warm-up, and it goes on."""
        times = self.turn_times(self.clock)
        first = sorted(times)[: clocks.slower_at_first(clocks.within(times, self.process))]
        for number in first:
            self.warming[number] = self.turns.pop(number)
        self.repeats = 0 if first else self.repeats
        return bool(first)
