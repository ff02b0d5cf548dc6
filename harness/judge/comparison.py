"""What one cell of a solver says of a change: slower, gate violated, failed, each apart, or none of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.judge.intervals import Estimate

SLOWER, GATE_VIOLATED, FAILED = 8, 16, 32
"""Exit codes, summed when several are found: apart from those of a wrong call (2) and a program's own error (1)."""
NO_ESTIMATE = Estimate(float("nan"), float("nan"), float("nan"))
SETTLED = ("same", "skipped")
"""Verdicts that nobody need look at."""
Row = dict[str, Any]
Tolerance = Callable[[Row], float]
TOLERANCE = "[SOLVER[@PIXELSxBINS]=]SHARE"
TOLERANCE_HELP = "how much slower or worse is no regression (0.05); again for a solver, or one of its cells"


def tolerances(words: Sequence[str]) -> Tolerance:
    """The tolerance of a row. ValueError, in one line, when a word isn't SHARE, SOLVER=SHARE or SOLVER@PxB=SHARE."""
    known: dict[str, float] = {"": 0.05}
    for word in words:
        name, _, share = word.rpartition("=")
        try:
            known[name] = float(share)
        except ValueError:
            known[name] = math.nan
        if not 0 <= known[name] < 1:
            raise ValueError(
                f"--tolerance must be a share from 0 to below 1, or SOLVER[@PIXELSxBINS]=SHARE, got {word}"
            )

    def of(row: Row) -> float:
        names = f"{row['solver']}@{row['pixels']}x{row['bins']}", row["solver"], ""
        return next(known[name] for name in names if name in known)

    return of


@dataclass(frozen=True)
class Comparison:
    """A solver in a cell, at two commits in the same rounds. A row is None where the commit doesn't have the solver."""

    solver: str
    base: Row | None
    head: Row | None
    ratio: Estimate
    """Head's time over base's, paired by round."""
    tolerance: float
    clock: str = ""
    """What the ratio stands on, where it is known."""
    doubt: str = ""
    """Why nothing can be said of times, where nothing can."""

    @property
    def code(self) -> int:
        """What the change is blamed for: nothing that the base has already, and no time where either has none."""
        return SLOWER * self.slower + GATE_VIOLATED * self.gate_violated + FAILED * self.failed

    @property
    def failed(self) -> bool:
        """The head has no result, though it should have one, and the base has, or doesn't have the solver."""
        return self.head is not None and not _fine(self.head) and (self.base is None or _fine(self.base))

    @property
    def gate_violated(self) -> bool:
        """The head violates its gate, and the base doesn't."""
        return _gate(self.head) == "fail" and _gate(self.base) != "fail"

    @property
    def slower(self) -> bool:
        """The whole interval lies beyond the tolerance."""
        return self.ratio.low > 1 + self.tolerance and not self.doubt

    @property
    def changed(self) -> bool:
        """It is slower or faster, whether that is tolerated or not: the interval doesn't hold 1."""
        return not (self.doubt or self.ratio.low <= 1 <= self.ratio.high or self.ratio.low != self.ratio.low)

    @property
    def words(self) -> str:
        """The verdict."""
        if self.code:
            found = {"FAILED": self.failed, "GATE VIOLATED": self.gate_violated, "SLOWER": self.slower}
            return ", ".join(word for word, holds in found.items() if holds)
        if self.head is None:
            return "removed"
        if self.head["status"] == "skipped":
            return (
                SETTLED[1] if self.base is None or self.base["status"] == "skipped" else "no result any more: skipped"
            )
        if not _fine(self.head):
            return "failed before, too"
        if self.base is None or self.base["status"] == "skipped":
            return "new"
        if not _fine(self.base):
            return "mended"
        gates = _gate(self.base) == "fail", _gate(self.head) == "fail"
        also = {(True, True): " (gate violated before, too)", (True, False): " (gate violated before, not any more)"}
        return self._words_of_time() + also.get(gates, "")

    def _words_of_time(self) -> str:
        if self.doubt:
            return f"undecided: {self.doubt}"
        if self.ratio.low != self.ratio.low:
            return "undecided: too few rounds"
        if self.changed:
            return "slower" if self.ratio.value > 1 else "faster"
        within = 1 / (1 + self.tolerance) <= self.ratio.low and self.ratio.high <= 1 + self.tolerance
        return "same" if within else "undecided"

    @property
    def reason(self) -> str:
        """Why there is no result, or what the gate says; "" where there is nothing to say."""
        if self.head is None:
            return ""
        return str(self.head.get("reason") or self.head.get("gate_reasons") or "")


def _fine(row: Row) -> bool:
    """Nothing went wrong: there is a result, or there needn't be one."""
    return row["status"] in ("ok", "skipped")


def _gate(row: Row | None) -> str:
    return "none" if row is None else str(row["gate"])
