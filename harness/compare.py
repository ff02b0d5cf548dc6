"""Compare two runs of one machine: which rows became faster, slower or worse from A to B.

`python -m harness.compare A B` matches rows by solver, workload, size, seed and threads. Times are compared through
their ratios to the baseline of the same rounds where both runs have one, so that a machine that was busier during one
run counts for nothing; else as they are. What prints is a table for a pull request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.judge.comparison import NO_ESTIMATE, Comparison
from harness.judge.intervals import Estimate
from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.show.markdown import table
from harness.show.terminal import seconds
from implementations import command_line as cli

KEYS = ["dataset", "bins", "pixels", "seed", "solver", "threads"]
EXIT_CODES = "exit codes: 0 no regression; 1 some row is slower, worse or fails; 2 the runs can't be compared"
HEADINGS = ("", "solver", "workload", "pixels x bins", "A", "B", "time B / A", "memory B / A", "DEM error A → B", "why")


@dataclass(frozen=True)
class Change(Comparison):
    """A solver in a cell that both runs have."""

    @property
    def worse(self) -> bool:
        """The DEM's error grew beyond the tolerance, though both have a result."""
        a, b = self.error
        return bool(b > a * (1 + self.tolerance))

    @property
    def error(self) -> tuple[float, float]:
        """The DEM's distance to the truth in both runs; NaN where there is none."""
        assert self.base is not None
        assert self.head is not None
        return self.base["truth_dem_error"], self.head["truth_dem_error"]

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return ", ".join(filter(None, ("WORSE" if self.worse else "", self.words)))

    @property
    def regression(self) -> bool:
        """Slower, worse, gate violated or failed."""
        return bool(self.code) or self.worse

    @property
    def settled(self) -> bool:
        """Nothing to look at."""
        return self.verdict in ("same", "skipped")


def rows(a: Run, b: Run, tolerance: float) -> Iterator[Change]:
    """Every row that both runs have. ValueError, in one line, when they can't be compared."""
    machines = [run.provenance["machine"] for run in (a, b)]
    if not machine_facts.same(*machines):
        names = " and ".join(machine_facts.machine_label(machine) for machine in machines)
        raise ValueError(f"runs of different machines can't be compared: {a.folder} and {b.folder} are of {names}")
    both = a.table().merge(b.table(), on=KEYS, suffixes=("_a", "_b"))
    both = both[~differing(both, "workload")]
    if both.empty:
        raise ValueError(f"{a.folder} and {b.folder} have no solver, workload and size in common")
    for _, pair in both.iterrows():
        base, head = (
            {
                column.removesuffix(end): value
                for column, value in pair.items()
                if column.endswith(end) or column in KEYS
            }
            for end in ("_a", "_b")
        )
        yield Change(pair.solver, base, head, ratio(base, head), tolerance)


def differing(both: pd.DataFrame, column: str) -> pd.Series:
    """The rows whose two runs say different things there; a run from before it was kept says nothing."""
    a, b = both[f"{column}_a"], both[f"{column}_b"]
    return (a != b) & (a != "") & (b != "")


def notes(a: Run, b: Run) -> list[str]:
    """What differs between two runs that the figures may come from, a line each."""
    (facts_a, facts_b), both = (
        (run.provenance for run in (a, b)),
        a.table().merge(b.table(), on=KEYS, suffixes=("_a", "_b")),
    )
    found = []
    if unlike := machine_facts.unlike(facts_a["machine"], facts_b["machine"]):
        found.append(f"A had another part of the machine than B: {unlike}")
    before, after = facts_a["software"], facts_b["software"]
    versions = [f"{n} {before[n]}, not {after[n]}" for n in before.keys() & after.keys() if before[n] != after[n]]
    found += [f"other versions in A: {', '.join(sorted(versions))}"] if versions else []
    edited = both[differing(both, "workload")]
    names = ", ".join(edited.dataset.unique())
    found += [f"{len(edited)} rows are not compared: the workload was edited in between, {names}"] if names else []
    solvers = ", ".join(both[differing(both, "source")].solver.unique())
    found += [f"source differs: {solvers}"] if solvers else []
    for name, run in (("A", a), ("B", b)):
        commits = sorted(set(run.table().commit) - {run.provenance["commit"], ""})
        found += [f"some rows of {name} are of other commits: {', '.join(commits)}"] if commits else []
    return found


def ratio(base: dict[str, object], head: dict[str, object]) -> Estimate:
    """Time of B over time of A; relative errors of the two add in quadrature."""
    if not base["status"] == head["status"] == "ok":
        return NO_ESTIMATE
    normalised = base["solver"] != "baseline" and pd.notna(base["speedup"]) and pd.notna(head["speedup"])
    names = ("speedup", "speedup_low", "speedup_high") if normalised else ("median_s", "ci_low_s", "ci_high_s")
    (a, a_low, a_high), (b, b_low, b_high) = (np.log([float(row[n]) for n in names]) for row in (base, head))  # type: ignore[arg-type]
    middle, half = b - a, np.hypot((a_high - a_low) / 2, (b_high - b_low) / 2)
    if normalised:
        middle = -middle
    return Estimate(*(float(np.exp(x)) for x in (middle, middle - half, middle + half)))


def markdown(found: Sequence[Change]) -> str:
    """The rows that aren't settled, regressions first, as a table, and what the rest is."""
    changed = sorted((row for row in found if not row.settled), key=lambda row: (not row.regression, row.verdict))
    verdicts = pd.Series([row.verdict for row in found]).value_counts()
    summary = f"{len(found)} rows: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    return f"{table(HEADINGS, [_cells(row) for row in changed])}\n\n{summary}" if changed else summary


def _cells(row: Change) -> list[str]:
    base, head = row.base, row.head
    assert base is not None
    assert head is not None
    times = [seconds(r["median_s"]) if r["status"] == "ok" else r["status"] for r in (base, head)]
    interval = f" [{row.ratio.low:.3f}, {row.ratio.high:.3f}]" if np.isfinite(row.ratio.low) else ""
    a, b = row.error
    return [
        ("✘ " if row.regression else "") + row.verdict,
        f"`{row.solver}`",
        head["dataset"],
        f"{head['pixels']} x {head['bins']}",
        *times,
        f"{row.ratio.value:.3f}{interval}" if np.isfinite(row.ratio.value) else "–",
        f"{head['peak_rss_mb'] / base['peak_rss_mb']:.2f}" if np.isfinite(row.ratio.value) else "–",
        f"{a:.3f} → {b:.3f}" if pd.notna(a) and pd.notna(b) else "–",
        row.reason,
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison and return the exit code."""
    parser = cli.Parser("harness.compare", description=__doc__, epilog=EXIT_CODES)
    parser.add_argument("a", type=Path, metavar="A", help="folder of the earlier run")
    parser.add_argument("b", type=Path, metavar="B", help="folder of the later run")
    parser.add_argument(
        "--tolerance", type=float, default=0.05, help="how much slower or worse is no regression (0.05)"
    )
    given = parser.parse(arguments)
    try:
        runs = Run.open(given.a), Run.open(given.b)
        found = list(rows(*runs, given.tolerance))
    except ValueError as error:
        parser.error(" ".join(str(error).split()))
    for name, run in zip("AB", runs, strict=True):
        facts = run.provenance
        print(f"{name}: {facts['run']}, commit {facts['commit'][:12] or 'unknown'}, {facts['created']}")
    print(f"machine: {machine_facts.machine_label(runs[0].provenance['machine'])}")
    print(*(f"note: {note}" for note in notes(*runs)), "", markdown(found), sep="\n")
    return cli.GATE_FAILED if any(row.regression for row in found) else cli.OK


if __name__ == "__main__":
    cli.run(main)
