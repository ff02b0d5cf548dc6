"""One solver in one cell: its process, its samples, and what became of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.judge import intervals, quality
from harness.judge.quality import Summary
from harness.measure import clock
from harness.measure.clock import Phases
from harness.measure.supervisor import Supervisor, WorkerEnded

HANG_FACTOR, HANG_FLOOR_S = 20.0, 60.0
"""An answer is waited for so many times the cell's budget, and at least so long (a first run compiles)."""
HANG_VARIABLE = "DEMREG_BENCH_HANG_S"
"""Environment variable that sets that time instead."""


@dataclass
class Contender:
    """A solver's turn-taking in a cell. Once `ended` is set, its process is gone and it takes no further turns."""

    spec: str
    threads: int
    budget_s: float
    checkout: Path | None = None
    """The folder that the worker's code is taken from; None means that of this process."""
    worker: Supervisor | None = None
    hello: dict[str, Any] = field(default_factory=dict)
    first: Phases | None = None
    """The first run on all pixels, after a few have paid the one-off costs."""
    oneoff_s: float = 0.0
    summary: Summary | None = None
    turns: dict[int, list[Phases]] = field(default_factory=dict)
    """Round -> the timed runs of that turn."""
    facts: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    """Round (0: the first run) -> what the solver itself measured of each run; nothing for most."""
    throttled: dict[int, list[str]] = field(default_factory=dict)
    """Round -> why a device ran below its clock meanwhile."""
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

    def start(self, folder: Path, plugins: Sequence[str], limit_mb: int) -> None:
        """Start the process and let it stage the problem."""
        self.worker = Supervisor(folder, self.spec, plugins, self.threads, limit_mb, self.checkout)
        self.hello = self._contained(lambda w: w.reply(self.timeout_s)) or {}

    def warm_up(self, folder: Path) -> None:
        """The first runs; the solution is kept for the gates. A run that outlasts the budget is the only one."""
        answer = self._contained(lambda w: w.ask(self.timeout_s, do="warmup"))
        if answer is None:
            return
        self.first, self.oneoff_s = Phases(*answer["phases"]), answer["oneoff_s"]
        self.facts[0] = answer.get("facts", [])
        # Taken now: what the judge's figures need in the worker afterwards is not the solver's.
        self.peak_rss_mb = max(answer["peak_rss_mb"], self.worker.peak_tree_mb if self.worker else 0.0)
        file = f"{id(self)}.npz"
        if self._contained(lambda w: w.ask(self.timeout_s, do="save", file=file)) is None:
            return
        self.summary = quality.load(folder / file)
        (folder / file).unlink()
        if self.first.total > self.budget_s:
            self.turns[0], self.satisfied = [self.first], True

    def take_turn(self, round_number: int) -> None:
        """Run the solver long enough to be timed well, and keep every run's time. A first call only calibrates."""
        answer = self._contained(lambda w: w.ask(self.timeout_s, do="run", repeats=self.repeats or 1))
        if answer is None:
            return
        samples = [Phases(*s) for s in answer["samples"]]
        if not self.repeats:
            self.repeats = clock.repeats_for(samples[0].total)
            if self.repeats > 1:
                self.take_turn(round_number)
                return
        self.turns[round_number], self.facts[round_number] = samples, answer.get("facts", [])

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        if self.worker is not None:
            self.worker.end()

    def _contained(self, action: Any) -> dict[str, Any] | None:
        if self.ended is not None:
            return None
        try:
            return action(self.worker)
        except WorkerEnded as end:
            self.ended = end
            return None

    @property
    def turn_cost(self) -> float:
        """Seconds that its last turn took."""
        return sum(run.total for run in self.turns[max(self.turns)]) if self.turns else 0.0

    def turn_seconds(self) -> dict[int, float]:
        """Round -> the turn's median run, the sample that statistics are made of: runs in a row aren't independent."""
        return {r: float(np.median([p.total for p in runs])) for r, runs in self.turns.items()}

    def phase_medians(self) -> Phases:
        """Median seconds of each phase over all runs."""
        runs = np.array([run for runs in self.turns.values() for run in runs])
        return Phases(*(float(x) for x in np.median(runs, axis=0)))

    def seconds(self) -> intervals.Estimate:
        """Median headline time with its interval."""
        return intervals.median(list(self.turn_seconds().values()))

    def speedup(self, baseline: "Contender") -> intervals.Estimate:
        """Ratio to the baseline over shared rounds; of the medians, without interval, if they share fewer than two."""
        if baseline is self:
            return intervals.Estimate(1.0, 1.0, 1.0)
        ours, theirs = self.turn_seconds(), baseline.turn_seconds()
        shared = sorted(ours.keys() & theirs.keys())
        if len(shared) < 2:
            return intervals.Estimate(baseline.seconds().value / self.seconds().value, np.nan, np.nan)
        return intervals.paired_ratio([theirs[r] for r in shared], [ours[r] for r in shared])
