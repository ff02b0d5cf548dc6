"""Compare two runs of one machine: which rows became faster, slower or worse from A to B, which came and which went.

`python -m harness.compare A B` matches rows by solver, workload, size, seed and threads. What prints is Markdown for a
pull request, of the rows that changed; a verdict on time says by which clock. See `harness.reports.two_runs`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.judge.comparison import TOLERANCE, TOLERANCE_HELP, Row, tolerances
from harness.machine import facts as machine_facts
from harness.records.files import plain
from harness.records.run import Run
from harness.reports.two_runs import Change, notes, rows
from harness.show.markdown import cut, table
from harness.show.terminal import seconds
from implementations import command_line as cli
from implementations import solver_spec

EXIT_CODES = "exit codes: 0 no regression; 1 some row is slower, worse or fails; 2 the runs can't be compared"
HEADINGS = ("", "solver", "workload", "pixels x bins", "A", "B", "time B / A", "by", "memory B / A", "DEM error", "why")
SHOWN = ("status", "reason", "median_s", "cpu_s", "n", "peak_rss_mb", "truth_dem_error", "gate", "doubts")


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.compare", description=__doc__, epilog=EXIT_CODES, allow_abbrev=False)
    add = parser.add_argument
    add("a", type=Path, metavar="A", help="folder of the earlier run")
    add("b", type=Path, metavar="B", help="folder of the later run")
    add("--tolerance", action="append", default=[], metavar=TOLERANCE, help=TOLERANCE_HELP)
    add("--solvers", type=lambda s: tuple(solver_spec.split(s)), help="only these, by commas")
    add("--dataset", dest="dataset", type=lambda s: tuple(solver_spec.split(s)), help="only these workloads, by commas")
    add("--pixels", type=cli.whole_numbers, help="only these map sizes, by commas")
    add("--bins", type=cli.whole_numbers, help="only these numbers of bins, by commas")
    add("--all", action="store_true", help="every row, not only those that changed")
    add("--json", action="store_true", help="as JSON, every figure of both rows beside each verdict")
    return parser


def markdown(found: Sequence[Change], head: str = "", every: bool = False) -> str:
    """The rows that aren't settled, or all, regressions first, as a table, and what the rest is; fit for a comment."""
    listed = sorted(
        (r for r in found if every or not r.settled), key=lambda r: (not r.regression, r.settled, r.verdict)
    )
    verdicts = pd.Series([row.verdict for row in found]).value_counts()
    summary = f"{len(found)} rows: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    return cut([head, table(HEADINGS, [_cells(row) for row in listed]) if listed else "", summary])


def _cells(change: Change) -> list[str]:
    base, head, row = change.base, change.head, change.row
    times = [_time(each, change.clock) for each in (base, head)]
    ratio = change.ratio
    interval = f" [{ratio.low:.3f}, {ratio.high:.3f}]" if np.isfinite(ratio.low) else ""
    timed = base is not None and head is not None and np.isfinite(ratio.value)
    a, b = change.error
    return [
        ("✘ " if change.regression else "") + change.verdict,
        f"`{change.solver}`",
        row["dataset"],
        f"{row['pixels']} x {row['bins']}",
        *times,
        f"{ratio.value:.3f}{interval}" if timed else "–",
        change.clock or "–",
        f"{head['peak_rss_mb'] / base['peak_rss_mb']:.2f}" if timed and base and head else "–",
        f"{a:.3f} → {b:.3f}" if pd.notna(a) and pd.notna(b) else "–",
        change.reason,
    ]


def _time(row: Row | None, clock: str) -> str:
    if row is None:
        return "–"
    return seconds(row["cpu_s" if clock == "CPU" else "median_s"]) if row["status"] == "ok" else str(row["status"])


def as_json(found: Sequence[Change], runs: Sequence[Run], said: Sequence[str]) -> dict[str, Any]:
    """All that is known of the comparison."""

    def one(change: Change) -> dict[str, Any]:
        row = change.row
        return {name: row[name] for name in ("solver", "dataset", "pixels", "bins", "seed", "threads")} | {
            "verdict": change.verdict,
            "regression": change.regression,
            "tolerance": change.tolerance,
            "clock": change.clock,
            "ratio": change.ratio._asdict(),
            "a": change.base and {name: change.base[name] for name in SHOWN},
            "b": change.head and {name: change.head[name] for name in SHOWN},
        }

    sides = {
        name: {key: run.provenance[key] for key in ("run", "commit", "created")}
        for name, run in zip("ab", runs, strict=True)
    }
    machine = machine_facts.machine_label(runs[0].provenance["machine"])
    return sides | {"machine": machine, "notes": list(said), "rows": [one(change) for change in found]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison and return the exit code."""
    parser = _parser()
    given = parser.parse(arguments)
    try:
        runs = Run.open(given.a), Run.open(given.b)
        found = list(rows(*runs, tolerances(given.tolerance), _chosen(given)))
        if not found:
            raise ValueError("no row is of the solvers and cells asked for")
    except ValueError as error:
        parser.error(" ".join(str(error).split()))
    said = notes(*runs)
    if given.json:
        listed = found if given.all else [row for row in found if not row.settled]
        print(json.dumps(plain(as_json(listed, runs, said)), indent=1, default=_number))
    else:
        lines = [f"machine: {machine_facts.machine_label(runs[0].provenance['machine'])}"]
        for name, facts in zip("BA", (run.provenance for run in runs[::-1]), strict=True):
            lines.insert(0, f"{name}: {facts['run']}, commit {facts['commit'][:12] or 'unknown'}, {facts['created']}")
        print(markdown(found, "\n".join([*lines, *(f"note: {note}" for note in said)]), given.all))
    return cli.GATE_FAILED if any(row.regression for row in found) else cli.OK


def _chosen(given: Any) -> Callable[[Row], bool]:
    """Whether a row is asked for."""
    asked = {"solver": given.solvers, "dataset": given.dataset, "pixels": given.pixels, "bins": given.bins}
    return lambda row: all(row[name] in wanted for name, wanted in asked.items() if wanted)


def _number(value: Any) -> Any:
    """A NumPy number as Python's; what isn't known is null."""
    return None if pd.isna(value) else value.item()


if __name__ == "__main__":
    cli.run(main)
