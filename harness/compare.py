"""Compare two runs of one machine: which rows became faster, slower or worse from A to B, which came and which went.

`python -m harness.compare A B` matches rows by solver, workload, size, seed and threads, and shows those that changed;
a verdict on time says by which clock. `--markdown` is for a pull request. See `harness.reports.two_runs`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.judge.comparison import TOLERANCE, TOLERANCE_HELP, Row, check_tolerances, tolerances
from harness.machine import facts as machine_facts
from harness.records.files import plain
from harness.records.run import Run
from harness.reports import matched
from harness.reports.two_runs import Change, notes, rows
from harness.show import terminal
from harness.show.markdown import as_code, cut, table
from harness.show.terminal import seconds
from implementations import command_line as cli

EXIT_CODES = "exit codes: 0 no regression; 1 some row is slower, worse or fails; 2 the runs can't be compared"
DROPPED = ("memory B / A", "DEM error", "A", "B", "by", "workload")
"""The columns that a narrow terminal goes without, the first of them first."""
SHOWN = """status reason median_s cpu_s n peak_rss_mb peak_device_mb truth_dem_error gate doubts accuracy
    leaves_out""".split()


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.compare", description=__doc__, epilog=EXIT_CODES)
    add = parser.add_argument
    add("a", type=Path, metavar="A", help="folder of the earlier run")
    add("b", type=Path, metavar="B", help="folder of the later run")
    add("--tolerance", action="append", default=[], metavar=TOLERANCE, help=TOLERANCE_HELP)
    add("--solvers", type=cli.words, help="only these, by commas")
    add("--dataset", type=cli.words, help="only these workloads, by commas")
    add("--pixels", type=cli.whole_numbers, help="only these map sizes, by commas")
    add("--bins", type=cli.whole_numbers, help="only these numbers of bins, by commas")
    add("--all", action="store_true", help="every row, not only those that changed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as Markdown, for a comment on a pull request")
    form.add_argument("--json", action="store_true", help="as JSON, every figure of both rows beside each verdict")
    return parser


def listed(found: Sequence[Change], every: bool) -> list[Change]:
    """The rows that aren't settled, or all, regressions first."""
    rows = (row for row in found if every or not row.settled)
    return sorted(rows, key=lambda r: (not r.regression, r.settled, r.verdict))


def summary(found: Sequence[Change]) -> str:
    """How many rows there are of each verdict."""
    verdicts = pd.Series([row.verdict.partition(":")[0] for row in found]).value_counts()
    return f"{len(found)} rows: " + "; ".join(f"{count} {verdict}" for verdict, count in verdicts.items())


def markdown(found: Sequence[Change], head: str = "", every: bool = False) -> str:
    """The rows that are listed, as a table, and what the rest is; fit for a comment."""
    changes = listed(found, every)
    names = _named(changes)
    texts = [
        _texts(row) | {"solver": f"`{row.solver}`{name.removeprefix(row.solver)}", "why": as_code(_why(row))}
        for row, name in zip(changes, names, strict=True)
    ]
    rows = [list(text.values()) for text in texts]
    return cut([head, table(["", *list(texts[0])[1:]], rows) if texts else "", summary(found)])


def show(console: Console, found: Sequence[Change], every: bool) -> None:
    """The same as a table for a terminal, reasons below."""
    changes = listed(found, every)
    texts = [_texts(change) | {"solver": name} for change, name in zip(changes, _named(changes), strict=True)]
    for text in texts:
        text["verdict"] = text["verdict"].partition(":")[0]  # why it is undecided stands below
    several = len({change.row["dataset"] for change in changes}) > 1
    names = terminal.fitting(console.width, texts, DROPPED[: len(DROPPED) - several]) if texts else {}
    view = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for name, width in names.items():
        side = "left" if name in ("verdict", "solver", "workload", "by") else "right"
        view.add_column(name, justify=side, width=width, no_wrap=name != "solver", overflow="fold")  # type: ignore[arg-type]
    for change, text in zip(changes, texts, strict=True):
        style = "red" if change.regression else "green" if change.verdict == "faster" else ""
        view.add_row(*(Text(text[name], style if name == "verdict" else "") for name in names))
    if texts:
        console.print(view)
        terminal.say_left_out(console, texts, names, "; --json has every figure")
    for change, text in zip(changes, texts, strict=True):
        if why := "; ".join(filter(None, (change.verdict.partition(": ")[2], _why(change)))):
            where = f"{change.row['dataset']}, " * several + text["pixels x bins"]
            console.print(Text(f"{text['solver']} at {where}: {why}", "dim"), soft_wrap=not console.is_terminal)
    console.print(summary(found), soft_wrap=not console.is_terminal)


def _named(changes: Sequence[Change]) -> list[str]:
    """Their solvers, with the threads and seeds by which rows of one solver differ."""
    keys = ("threads", "seed")
    values = {(change.solver, key): set[Any]() for change in changes for key in keys}
    for change in changes:
        for key in keys:
            values[change.solver, key].add(change.row[key])
    return [
        ", ".join([each.solver, *(f"{key} {each.row[key]}" for key in keys if len(values[each.solver, key]) > 1)])
        for each in changes
    ]


def _why(change: Change) -> str:
    """What a program or a gate says of B, and what either row doubts of its own time."""
    doubts = [f"{name}: {row['doubts']}" for name, row in (("A", change.base), ("B", change.head)) if row]
    return "; ".join(filter(None, (change.reason, *(doubt for doubt in doubts if doubt[3:]))))


def _texts(change: Change) -> dict[str, str]:
    base, head, row = change.base, change.head, change.row
    times = [_time(each, change.clock) for each in (base, head)]
    ratio = change.ratio
    interval = f" [{ratio.low:.3f}, {ratio.high:.3f}]" if np.isfinite(ratio.low) else ""
    timed = base is not None and head is not None and np.isfinite(ratio.value)
    a, b = change.error
    return {
        "verdict": ("✘ " if change.regression else "") + change.verdict,
        "solver": change.solver,
        "workload": row["dataset"],
        "pixels x bins": f"{row['pixels']} x {row['bins']}",
        "A": times[0],
        "B": times[1],
        "time B / A": f"{ratio.value:.3f}{interval}" if timed else "–",
        "by": change.clock or "–",
        "memory B / A": _quotient(head, base, "peak_rss_mb") if timed and base and head else "–",
        "DEM error": f"{a:.3f} → {b:.3f}" if pd.notna(a) and pd.notna(b) else "–",
    }


def _quotient(head: Row, base: Row, name: str) -> str:
    return f"{head[name] / base[name]:.2f}" if base[name] else "–"


def _time(row: Row | None, clock: str) -> str:
    if row is None:
        return "–"
    if row["status"] != "ok":
        return str(row["status"])
    return seconds(row["cpu_s" if clock == "CPU" else "median_s"]) + "?" * bool(row["doubts"])


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
        tolerance, every = tolerances(given.tolerance), pd.concat([run.table() for run in runs])
        check_tolerances(given.tolerance, every.to_dict("records"))
        found = list(rows(*runs, tolerance, _chosen(given, every)))
        if not found:
            raise ValueError(_why_none(*runs, _chosen(given, every)))
    except ValueError as error:
        parser.error(" ".join(str(error).split()))
    said = notes(*runs)
    if given.json:
        print(json.dumps(plain(as_json(listed(found, given.all), runs, said)), indent=1, default=_number))
    elif given.markdown:
        print(markdown(found, "\n".join(_head(runs, said)), given.all))
    else:
        console = terminal.console()
        for line in _head(runs, said):
            console.print(line, soft_wrap=not console.is_terminal)
        show(console, found, given.all)
    return cli.GATE_FAILED if any(row.regression for row in found) else cli.OK


def _why_none(a: Run, b: Run, chosen: Callable[[Row], bool]) -> str:
    """Why no row is compared of those that are asked for."""
    after = matched.by_key(b)
    edited = [after[key]["dataset"] for key in matched.edited(matched.by_key(a), after) if chosen(after[key])]
    if edited:
        return f"the workload was edited in between, {matched.some(edited)}: nothing else is asked for"
    return "no row is of the solvers and cells asked for"


def _head(runs: Sequence[Run], said: Sequence[str]) -> list[str]:
    """Which runs they are, of what machine, and what else differs."""
    lines = [
        f"{name}: {facts['run']}, commit {facts['commit'][:12] or 'unknown'}, {facts['created']}"
        for name, facts in zip("AB", (run.provenance for run in runs), strict=True)
    ]
    machine = machine_facts.machine_label(runs[0].provenance["machine"])
    return [*lines, f"machine: {machine}", *(f"note: {note}" for note in said)]


def _chosen(given: Any, every: pd.DataFrame) -> Callable[[Row], bool]:
    """Whether a row is asked for. ValueError, in one line, when no row is of something that is."""
    asked = {"solver": given.solvers, "dataset": given.dataset, "pixels": given.pixels, "bins": given.bins}
    for name, wanted in asked.items():
        known = list(dict.fromkeys(every[name]))
        if unknown := [one for one in wanted or () if one not in known]:
            raise ValueError(f"no row's {name} is {unknown[0]}; there are: {', '.join(map(str, known))}")
    return lambda row: all(row[name] in wanted for name, wanted in asked.items() if wanted)


def _number(value: Any) -> Any:
    """A NumPy number as Python's; what isn't known is null."""
    return None if pd.isna(value) else value.item()


if __name__ == "__main__":
    cli.run(main)
