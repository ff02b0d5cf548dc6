"""How good the predictions are: measured sizes against laws fitted without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.advice.candidates import Laws
from harness.advice.evidence import gather
from harness.advice.growth_law import LEVEL, Law

WITHIN = 0.30
"""What a prediction may be off by, relative to the measured time."""


@dataclass(frozen=True)
class Trial:
    """One measured time and what was predicted of it; `why` says why nothing was, or is ""."""

    solver: str
    threads: int
    dataset: str
    pixels: int
    bins: int
    measured_s: float
    predicted_s: float = float("nan")
    low_s: float = float("nan")
    high_s: float = float("nan")
    why: str = ""
    between: bool = False
    """Whether map size and bins lie within those that it was predicted from; else it is an extrapolation."""

    @property
    def error(self) -> float:
        """Relative to the measured time."""
        return self.predicted_s / self.measured_s - 1

    @property
    def good(self) -> bool:
        """Whether the prediction is near enough."""
        return abs(self.error) <= WITHIN


def trials(runs: Sequence[Path], machine: dict[str, Any], held_out: Path | None) -> list[Trial]:
    """Every row of the run `held_out`, predicted from the other runs; without it, every row from all but its own size.

    ValueError where a run can't be read or there is nothing to predict from.
    """
    known = gather(runs, machine, leave=[held_out] if held_out else [])
    if known.measured.empty:
        raise ValueError(f"no records of this machine ({machine['id']}) to predict from")
    asked = gather([held_out], machine).measured if held_out else known.measured
    asked = asked[asked.median_s.notna()]
    if asked.empty:
        raise ValueError(f"{held_out} has no measured rows of this machine ({machine['id']})")
    whole = {name: Laws(known, name) for name in asked.dataset.unique()}
    found = []
    for _, row in asked.iterrows():
        laws = whole[row.dataset] if held_out else Laws(known.without(row), row.dataset)
        found.append(_trial(row, laws.of(row.solver, row.threads)))
    return found


def _trial(row: Any, law: Law | str) -> Trial:
    facts = (row.solver, int(row.threads), row.dataset, int(row.pixels), int(row.bins), float(row.median_s))
    why = law if isinstance(law, str) else law.refusal(row.bins)
    if why or isinstance(law, str):
        return Trial(*facts, why=why)
    value, low, high = (float(x) for x in law.predict(row.pixels, row.bins))
    return Trial(*facts, value, low, high, between=law.reach(row.pixels, row.bins) == (1.0, 1.0))


def worst(found: Sequence[Trial]) -> dict[str, float]:
    """The largest error, without sign, of every solver that something was predicted of."""
    errors: dict[str, float] = {}
    for trial in found:
        if not trial.why:
            name = f"{trial.solver}, {trial.threads} thread(s)"
            errors[name] = max(errors.get(name, 0.0), abs(trial.error))
    return errors


def tally(found: Sequence[Trial]) -> str:
    """How many predictions were good, between the measured sizes and beyond them, and how many intervals held."""
    made = [trial for trial in found if not trial.why]
    parts = []
    for where, those in (
        ("between measured sizes", [t for t in made if t.between]),
        ("beyond them", [t for t in made if not t.between]),
    ):
        if those:
            parts.append(f"{sum(t.good for t in those)} of {len(those)} {where}")
    inside = sum(t.low_s <= t.measured_s <= t.high_s for t in made)
    return (
        f"{sum(t.good for t in made)} of {len(made)} predictions within {WITHIN:.0%} of the measured time"
        f"{' (' + ', '.join(parts) + ')' if parts else ''}; {inside} of {len(made)} measured times within the "
        f"{LEVEL:.0%} interval; {len(found) - len(made)} sizes can't be predicted"
    )


def passed(found: Sequence[Trial]) -> bool:
    """Whether something was predicted, and all of it well."""
    predicted = [trial for trial in found if not trial.why]
    return bool(predicted) and all(trial.good for trial in predicted)
