"""What one cell of a solver says of a change: slower, gate violated, failed, each apart, or none of them."""

from dataclasses import dataclass
from typing import Any

from harness.judge.intervals import Estimate

SLOWER, GATE_VIOLATED, FAILED = 8, 16, 32
"""Exit codes, summed when several are found: apart from those of a wrong call (2) and a program's own error (1)."""
NO_ESTIMATE = Estimate(float("nan"), float("nan"), float("nan"))
Row = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A solver in a cell, at two commits in the same rounds. A row is None where the commit doesn't have the solver."""

    solver: str
    base: Row | None
    head: Row | None
    ratio: Estimate
    """Head's time over base's, paired by round."""
    tolerance: float

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
        return self.ratio.low > 1 + self.tolerance

    @property
    def words(self) -> str:
        """The verdict."""
        if self.code:
            found = {"FAILED": self.failed, "GATE VIOLATED": self.gate_violated, "SLOWER": self.slower}
            return ", ".join(word for word, holds in found.items() if holds)
        if self.head is None:
            return "removed"
        if self.head["status"] == "skipped":
            return "skipped"
        if not _fine(self.head):
            return "failed before, too"
        if self.base is None:
            return "new"
        if not _fine(self.base):
            return "mended"
        return self._words_of_time() + (" (gate violated before, too)" if _gate(self.head) == "fail" else "")

    def _words_of_time(self) -> str:
        if self.ratio.high < 1 / (1 + self.tolerance):
            return "faster"
        if self.ratio.low != self.ratio.low:
            return "undecided: too few rounds"
        return "same" if self.ratio.high <= 1 + self.tolerance else "undecided"

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
