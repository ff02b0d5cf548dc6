"""What one cell of a solver says of a change: slower, gate violated, failed, worse, each apart, or none of them."""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.judge.intervals import Estimate

SLOWER, GATE_VIOLATED, FAILED, WORSE = 8, 16, 32, 64
"""Exit codes, summed when several are found: apart from those of a wrong call (2) and a program's own error (1)."""
MORE_MEMORY, OF_COMPILING_MB = 2.0, 300.0
"""A peak so many times as high is worse, where it is higher by more than the compiler takes, in a process whose solver
isn't compiled yet."""
NO_ESTIMATE = Estimate(float("nan"), float("nan"), float("nan"))
SETTLED = ("same", "skipped")
"""Verdicts that nobody need look at."""
WITHIN = 4.0
"""Of too few rounds for an interval a time is known within this factor: a busy machine makes it longer by less."""
GATES = {
    ("fail", "fail"): " (gate violated before, too)",
    ("fail", "pass"): " (gate violated before, not any more)",
    ("fail", "none"): " (gate violated before, not judged any more)",
    ("pass", "none"): " (gate not judged any more)",
}
"""What is said of gates beside a time's verdict, by both sides' gates."""
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
                f"--tolerance must be a share from 0 to below 1, or SOLVER[@PIXELSxBINS]=SHARE, got '{word}'"
            )

    def of(row: Row) -> float:
        names = f"{row['solver']}@{row['pixels']}x{row['bins']}", row["solver"], ""
        return next(known[name] for name in names if name in known)

    return of


def check_tolerances(words: Sequence[str], rows: Iterable[Row]) -> None:
    """ValueError, in one line, when one of them is for a solver or a cell that none of the rows is of."""
    cells = {(row["solver"], row["pixels"], row["bins"]) for row in rows}
    known = {solver for solver, _, _ in cells} | {f"{solver}@{pixels}x{bins}" for solver, pixels, bins in cells}
    for name in filter(None, (word.rpartition("=")[0] for word in words)):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            raise ValueError(f"--tolerance: no row is of {name}" + (f"; nearest: {', '.join(near)}" if near else ""))


@dataclass(frozen=True)
class Comparison:
    """A solver in a cell, before and after. A row is None where that side doesn't have the solver."""

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
    between: float = 0.0
    """By what share the same code may differ between the two sides."""

    @property
    def code(self) -> int:
        """What the change is blamed for: nothing that the base has already, and no time where either has none."""
        rest = GATE_VIOLATED * self.gate_violated + FAILED * self.failed
        return SLOWER * self.slower + rest + WORSE * (self.worse or self.heavier)

    @property
    def failed(self) -> bool:
        """The head has no result, though it should have one, and the base has, or doesn't have the solver."""
        return self.head is not None and not _fine(self.head) and self._was_fine

    @property
    def _was_fine(self) -> bool:
        """The base has a result, or didn't have the solver, for all that is known."""
        return _fine(self.base) if self.base is not None else not self.doubt

    @property
    def gate_violated(self) -> bool:
        """The head violates its gate, and the base doesn't."""
        known = self.base is not None or not self.doubt
        return known and _gate(self.head) == "fail" and _gate(self.base) != "fail"

    @property
    def error(self) -> tuple[float, float]:
        """The DEM's distance to the truth on both sides; NaN where there is none."""
        return self._both("truth_dem_error")

    @property
    def worse(self) -> bool:
        """The DEM's error grew beyond the tolerance or isn't known any more, or an output, or exactness, is gone."""
        a, b = self.error
        fewer = not _left_out(self.head) <= _left_out(self.base) or bool(self._looser)
        return self._measured and (fewer or (a == a and not b <= a * (1 + self.tolerance)))

    @property
    def heavier(self) -> bool:
        """The peak of memory, the host's or a device's, is a multiple of what it was."""
        peaks = [self._both(name) for name in ("peak_rss_mb", "peak_device_mb")]
        return self._measured and any(b >= MORE_MEMORY * a and b - a > OF_COMPILING_MB for a, b in peaks)

    @property
    def _measured(self) -> bool:
        return self.base is not None and self.head is not None and self.base["status"] == self.head["status"] == "ok"

    def _both(self, column: str) -> tuple[float, float]:
        values = [None if row is None else row.get(column) for row in (self.base, self.head)]
        a, b = (math.nan if value is None else float(value) for value in values)
        return a, b

    @property
    def slower(self) -> bool:
        """The whole interval lies beyond the tolerance."""
        return self._known.low > 1 + self.tolerance and not self.doubt

    @property
    def changed(self) -> bool:
        """It is slower or faster, whether that is tolerated or not: the interval doesn't hold 1."""
        known = self._known
        return not (self.doubt or known.low <= 1 <= known.high or math.isnan(known.low))

    @property
    def _known(self) -> Estimate:
        return bounded(self.ratio, self.between)

    @property
    def words(self) -> str:
        """The verdict."""
        words = {"WORSE": self.worse, "MORE MEMORY": self.heavier, self._words(): True}
        return ", ".join(word for word, holds in words.items() if holds)

    def _words(self) -> str:
        found = {"FAILED": self.failed, "GATE VIOLATED": self.gate_violated, "SLOWER": self.slower}
        if any(found.values()):
            return ", ".join(word for word, holds in found.items() if holds)
        if self.doubt and (self.base is None or self.head is None):
            return self._words_of_time()
        if self.head is None:
            return "removed"
        if self.head["status"] == "skipped":
            before = self.base is not None and self.base["status"] == "ok"
            return "no result any more: skipped" if before else "skipped"
        if not _fine(self.head):
            return "failed before, too"
        if self.base is None or self.base["status"] == "skipped":
            return "new"
        if not _fine(self.base):
            return "mended"
        gates = _gate(self.base), _gate(self.head)
        return self._words_of_time() + GATES.get(gates, "")

    def _words_of_time(self) -> str:
        if self.doubt:
            return f"undecided: {self.doubt}"
        if self.changed:
            return "slower" if self.ratio.value > 1 else "faster"
        if math.isnan(self.ratio.low):
            return "undecided: too few rounds"
        within = 1 / (1 + self.tolerance) <= self.ratio.low and self.ratio.high <= 1 + self.tolerance
        return "same" if within else "undecided"

    @property
    def reason(self) -> str:
        """Why there is no result, what the gate says, and what is gone; "" where there is nothing to say."""
        if self.head is None:
            return ""
        said = [str(self.head.get("reason") or self.head.get("gate_reasons") or "")]
        if self._measured:
            (a, b), gone = self.error, sorted(_left_out(self.head) - _left_out(self.base))
            said += [f"doesn't give {', '.join(gone)} any more"] if gone else []
            said += ["the DEM's error isn't known any more"] if a == a and b != b else []
            said += [self._looser]
        return "; ".join(filter(None, said))

    @property
    def _looser(self) -> str:
        """That it was held to the gate of exact solvers, and isn't any more."""
        was, now = ("" if row is None else str(row.get("accuracy") or "") for row in (self.base, self.head))
        return f"it was exact, and is {now} now" if was == "exact" and now not in ("", "exact") else ""


def _fine(row: Row) -> bool:
    """Nothing went wrong: there is a result, or there needn't be one."""
    return row["status"] in ("ok", "skipped")


def bounded(ratio: Estimate, between: float = 0.0) -> Estimate:
    """A ratio with its interval, or with how far it may be off where there were too few rounds for one."""
    far = WITHIN * (1 + between)
    return Estimate(ratio.value, ratio.value / far, ratio.value * far) if math.isnan(ratio.low) else ratio


def _left_out(row: Row | None) -> set[str]:
    """Outputs that a solver doesn't give."""
    said = None if row is None else row.get("leaves_out")
    return set(said.split()) if isinstance(said, str) else set()


def _gate(row: Row | None) -> str:
    return "none" if row is None else str(row["gate"])
