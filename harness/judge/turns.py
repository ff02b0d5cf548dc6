"""A solver's turns, and what they say of it: by which clock they count, its time, its ratio to another."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from harness.judge import clocks, intervals


@dataclass
class Timed:
    """Turns of one solver. A run's wall time is that of three phases; what it used begins with its CPU time."""

    spec: str
    threads: int
    hello: dict[str, Any] = field(default_factory=dict, kw_only=True)
    turns: dict[int, list[Any]] = field(default_factory=dict, kw_only=True)
    """Round -> the timed runs of that turn."""
    used: dict[int, list[Any]] = field(default_factory=dict, kw_only=True)
    """Round (0: the first run) -> what each run used; nothing where the system, or an older worker, doesn't say."""
    machine: dict[int, tuple[float, float, float, float]] = field(default_factory=dict, kw_only=True)
    """Round -> seconds of that turn, of its processes' CPU time, of all cores' work for others, stolen by the host."""
    process: dict[int, int] = field(default_factory=dict, kw_only=True)
    """Round -> which of its processes, one after another, had that turn."""

    @property
    def clock(self) -> str:
        """By which clock its turns count."""
        return clocks.clock(self.turns, self.used, self.threads, self.hello.get("device", "cpu"))

    def turn_times(self, clock: str = clocks.WALL) -> dict[int, float]:
        """Round -> seconds by that clock of the turn's middle run; of whole turns, what a run takes on average."""
        if clock == clocks.WHOLE:
            return {r: self.machine[r][1] / len(runs) for r, runs in self.turns.items() if r in self.machine}
        return clocks.cpu(self.turns, self.used) if clock == clocks.CPU else clocks.seconds(self.turns)

    def seconds(self, clock: str = clocks.WALL) -> intervals.Estimate:
        """Median time of a run, by default on the wall, with its interval."""
        times = self.turn_times(clock)
        return intervals.time(list(times.values()), [self.process.get(r, 0) for r in times])

    def turns_of_a_process(self, start_s: float, turn_s: float) -> float:
        """Turns after which another process tells more than further ones would; few where it has had none yet."""
        times = self.turn_times(self.clock)
        labels = [self.process.get(r, 0) for r in times]
        return intervals.turns_of_a_process(list(times.values()), labels, start_s, turn_s) if times else 1.0

    def clock_beside(self, other: Self) -> str:
        """The clock that a ratio of the two stands on. An older commit's worker doesn't say what its runs used."""
        if self.clock == other.clock:
            return self.clock
        silent = any(each.hello and not any(each.used.values()) for each in (self, other))
        alone = all(each.threads == 1 and each.hello.get("device", "cpu") == "cpu" for each in (self, other))
        return clocks.WHOLE if silent and alone else clocks.WALL

    def speedup(self, baseline: Self) -> intervals.Estimate:
        """Ratio to the baseline over shared rounds; of the medians, without interval, if they share fewer than two."""
        if baseline is self:
            return intervals.Estimate(1.0, 1.0, 1.0)
        clock = self.clock_beside(baseline)
        ours, theirs = self.turn_times(clock), baseline.turn_times(clock)
        shared = sorted(ours.keys() & theirs.keys())
        if len(shared) < 2:
            return intervals.Estimate(baseline.seconds(clock).value / self.seconds(clock).value, np.nan, np.nan)
        pairs = [(self.process.get(r, 0), baseline.process.get(r, 0)) for r in shared]
        return intervals.paired_ratio([theirs[r] for r in shared], [ours[r] for r in shared], pairs)
