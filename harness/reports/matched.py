"""Rows of two runs, matched; and in words what sets two runs apart of which no row can be."""

from collections.abc import Iterable, Sequence
from typing import Any

from harness.judge.comparison import Row
from harness.measure.plan import Plan
from harness.records.run import Run

KEYS = ("dataset", "bins", "pixels", "seed", "solver", "threads")
Key = tuple[Any, ...]
MOST_NAMES = 20
"""That a note lists."""


def edited(before: dict[Key, Row], after: dict[Key, Row]) -> set[Key]:
    """Rows of both whose workload isn't the same any more."""
    return {key for key in before.keys() & after.keys() if differ(before[key], after[key], "workload")}


def baselines(a: Run, b: Run, *sides: dict[Key, Row]) -> list[dict[Key, Row]]:
    """Of each side's rows the baselines by cell, as either run names them. ValueError when a run's grid is none."""
    references = set()
    for run in (a, b):
        try:
            references.add(Plan.from_json(run.provenance["grid"]).reference)
        except ValueError as error:
            raise ValueError(f"{run.folder}: {error}") from error
    return [{key[:4]: row for key, row in side.items() if row["solver"] in references} for side in sides]


def apart(before: dict[Key, Row], after: dict[Key, Row], edited: set[Key]) -> str:
    """What sets two runs apart that have no row in common: a workload that was edited, or the keys they differ in."""
    if edited:
        return f"the workload was edited in between, {some(key[0] for key in edited)}"
    if not before or not after:
        return f"{'B' if before else 'A'} has no record that can be used"
    there, here = ([set(column) for column in zip(*keys, strict=True)] for keys in (before, after))
    differing = [
        f"{name} {some(a)} in A, {some(b)} in B" for name, a, b in zip(KEYS, there, here, strict=True) if not a & b
    ]
    return "; ".join(differing) or "no solver of both has a workload, size, seed and threads that both have"


def some(names: Iterable[Any], most: int = MOST_NAMES) -> str:
    """Names by commas, the first of them where they are many."""
    known = list(dict.fromkeys(map(str, names)))
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def by_key(run: Run) -> dict[Key, Row]:
    """A run's rows by what they are of."""
    records: list[Row] = run.table().to_dict("records")
    return {tuple(row[name] for name in KEYS): row for row in records}


def differ(a: Row, b: Row, column: str) -> bool:
    """Whether two rows say different things there; one from before it was kept says nothing."""
    return bool(a[column] and b[column] and a[column] != b[column])


def versions(a: Run, b: Run, of: Sequence[str] = ()) -> list[str]:
    """Packages of which the runs have other versions; of those named only what both runs say."""
    old, new = a.provenance["software"], b.provenance["software"]
    either = {name: (old.get(name, "none"), new.get(name, "none")) for name in sorted(old | new)}
    return [
        f"{name} {mine}, not {other}"
        for name, (mine, other) in either.items()
        if mine != other and (not of or (name in of and "none" not in (mine, other)))
    ]
