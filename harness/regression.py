"""Compare two commits of this repository in one run: is any solver slower, any gate violated, any cell failing?

`python -m harness.regression BASE [HEAD]` unpacks both and lets their solvers take turns, in an order drawn anew for
each round, so that drift of the machine hits both alike. All are judged by the base's baseline. A solver whose time
looks changed is measured a second time in fresh processes, and only what both say counts. A commit that doesn't make
every run a problem of its own, or makes another than this one, is timed on one problem, and judged by its first
solution; that is said.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.judge import intervals
from harness.judge.comparison import (
    FAILED,
    GATE_VIOLATED,
    SETTLED,
    SLOWER,
    TOLERANCE,
    TOLERANCE_HELP,
    WORSE,
    Comparison,
    Row,
    check_tolerances,
    tolerances,
)
from harness.machine import facts
from harness.measure.plan import Plan, threads_of
from harness.records.files import plain
from harness.records.schema import Cell, solver_slug
from harness.reports.checkout import check_out
from harness.reports.two_commits import Match
from harness.show import markdown, terminal
from harness.workloads import problem as workload
from implementations import command_line as cli

EXIT_CODES = f"""exit codes: 0 none of these; {SLOWER} slower; {GATE_VIOLATED} a gate violated; {FAILED} a cell failed;
{WORSE} a DEM's error grew, or memory doubled; their sum when several are so; 2 the call can't be carried out as given;
130 interrupted. What the base has already is shown, and not counted."""
DROPPED = ("peak MB", "DEM err", "base", "head", "by", "gate")
"""The columns that a narrow terminal goes without, the first of them first."""
STYLES = {FAILED: "bold red", GATE_VIOLATED: "bold red", WORSE: "bold red", SLOWER: "yellow"}


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.regression", description=__doc__, epilog=EXIT_CODES)
    add = parser.add_argument
    add("base", metavar="BASE", help="the commit to compare with")
    add("head", metavar="HEAD", nargs="?", default="HEAD", help="the commit under question (HEAD)")
    add("--solvers", type=cli.words, help="names, by commas (all that either commit has)")
    add(
        "--dataset",
        dest="datasets",
        type=cli.words,
        default=("random-response",),
        help="of datasets/, by commas (random-response)",
    )
    add("--pixels", type=cli.whole_numbers, default=(200,), help="map sizes, by commas (200)")
    add("--bins", type=cli.whole_numbers, default=(34, 100), help="numbers of temperature bins, by commas (34,100)")
    add(
        "--max-seconds",
        type=float,
        default=60.0,
        help="time budget of a cell's rounds, which end when all is clear (60)",
    )
    add("--tolerance", action="append", default=[], metavar=TOLERANCE, help=TOLERANCE_HELP)
    add("--changed", action="store_true", help="only the rows that changed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as Markdown, for a comment on a pull request")
    form.add_argument("--json", action="store_true", help="as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    given = parser.parse(arguments)
    told = given.json or given.markdown
    console = terminal.console()
    found: list[tuple[Cell, Comparison]] = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            match = _match(given, Path(scratch))
        except ValueError as error:
            parser.error(" ".join(str(error).split()))
        heads = [f"base: {match.base.label}", f"head: {match.head.label}"]
        if given.head == "HEAD" and facts.commit().endswith("+"):
            heads.append("(what isn't committed is not compared)")
        if not told:
            console.print(*heads, sep="\n")
        try:
            for cell in match.plan.cells():
                comparisons = match.compare(cell)
                found += [
                    (cell, comparison) for comparison in comparisons if not (given.changed and _settled(comparison))
                ]
                if not told:
                    _show(console, cell, [comparison for where, comparison in found if where == cell])
        except KeyboardInterrupt:
            return cli.INTERRUPTED
    code = 0
    for _, comparison in found:
        code |= comparison.code
    below = [*match.notes(), f"machine: {facts.machine_label(facts.machine())}"]
    heads += below
    if given.json:
        print(json.dumps(plain({"heads": heads, "code": code, "rows": [_data(*each) for each in found]}), indent=1))
    elif given.markdown:
        print(_markdown(heads, found, _conclusion(code).plain))
    else:
        console.print(*below, sep="\n", soft_wrap=not console.is_terminal)
        console.print(_conclusion(code))
    return code


def _match(given: argparse.Namespace, scratch: Path) -> Match:
    """What is asked for. ValueError, in one line, when it can't be carried out."""
    tolerance = tolerances(given.tolerance)
    plan = Plan(given.datasets, given.pixels, given.bins, max_seconds=given.max_seconds)
    for name in given.datasets:
        workload.check_source(workload.load(name))
    for pixels, bins in ((p, b) for p in given.pixels for b in given.bins):
        workload.check_sizes(pixels, bins)
    for spec in given.solvers or ():
        threads_of(spec, plan.threads)
    if len(set(map(solver_slug, given.solvers or ()))) != len(given.solvers or ()):
        raise ValueError(f"--solvers names something twice: {', '.join(given.solvers)}")
    base, head = check_out(given.base, scratch / "base"), check_out(given.head, scratch / "head")
    match = Match(base, head, plan, tolerance, scratch, given.solvers or ())
    sizes = itertools.product(match.solvers, given.pixels, given.bins)
    check_tolerances(given.tolerance, (dict(zip(("solver", "pixels", "bins"), each, strict=True)) for each in sizes))
    return match


def _settled(comparison: Comparison) -> bool:
    return comparison.words in (*SETTLED, "failed before, too")


def _data(cell: Cell, c: Comparison) -> dict[str, Any]:
    """One comparison as data."""
    named = {"dataset": cell.dataset, "pixels": cell.pixels, "bins": cell.bins, "seed": cell.seed, "solver": c.solver}
    figures = {"verdict": c.words, "code": c.code, "clock": c.clock, "ratio": c.ratio._asdict(), "reason": c.reason}
    return named | figures | {"tolerance": c.tolerance, "base": c.base, "head": c.head}


def _markdown(heads: list[str], found: list[tuple[Cell, Comparison]], conclusion: str) -> str:
    """What a comment on a pull request may hold."""
    texts = [
        {"pixels x bins": f"{cell.pixels} x {cell.bins}", **_texts(c), "why": markdown.as_code(c.reason)}
        for cell, c in found
    ]
    table = markdown.table(list(texts[0]), [list(text.values()) for text in texts]) if texts else ""
    return markdown.cut(["\n\n".join(heads), table, conclusion])


def _show(console: Console, cell: Cell, comparisons: list[Comparison]) -> None:
    """A row per solver; below, why."""
    if not comparisons:
        return
    texts = [_texts(c) for c in comparisons]
    widths = terminal.fitting(console.width, texts, DROPPED)
    title = f"{cell.dataset}, {cell.pixels} pixels x {cell.bins} bins"
    view = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in widths:
        side = "left" if name in ("solver", "gate", "verdict") else "right"
        view.add_column(name, justify=side, no_wrap=name != "solver", overflow="fold")  # type: ignore[arg-type]
    for c, text in zip(comparisons, texts, strict=True):
        style = next((style for bit, style in STYLES.items() if c.code & bit), "")
        view.add_row(*(Text(text[name], style if name == "verdict" else "") for name in widths))
    console.print(view)
    terminal.say_left_out(console, texts, widths)
    for c in comparisons:
        if c.reason:
            console.print(
                Text(f"{c.solver}: {c.reason}", "red" if c.code else "dim"), soft_wrap=not console.is_terminal
            )


def _texts(c: Comparison) -> dict[str, str]:
    """One comparison as the table's texts, by column."""
    return {
        "solver": c.solver,
        "base": _time(c.base),
        "head": _time(c.head),
        "head/base": _interval(c.ratio),
        "by": c.clock or "–",
        "peak MB": _change(c, "peak_rss_mb", ".0f"),
        "DEM err": _change(c, "truth_dem_error", ".3f"),
        "gate": terminal.GATE_MARK[c.head["gate"]] if c.head else "–",
        "verdict": c.words,
    }


def _time(row: Row | None) -> str:
    if row is None:
        return "–"
    return terminal.seconds(row["median_s"]) if row["status"] == "ok" else row["status"]


def _interval(ratio: intervals.Estimate) -> str:
    if ratio.value != ratio.value:
        return "–"
    return f"{ratio.value:.3f}" + (f" [{ratio.low:.3f}, {ratio.high:.3f}]" if ratio.low == ratio.low else "")


def _change(comparison: Comparison, column: str, form: str) -> str:
    """A figure at both commits; once where it reads the same."""
    values = [row.get(column) if row else None for row in (comparison.base, comparison.head)]
    texts = ["–" if value is None else format(value, form) for value in values]
    return texts[0] if texts[0] == texts[1] else " → ".join(texts)


def _conclusion(code: int) -> Text:
    found = {"failed": FAILED, "gate violated": GATE_VIOLATED, "worse": WORSE, "slower": SLOWER}
    words = ", ".join(word for word, bit in found.items() if code & bit)
    return Text(f"{words} (exit code {code})", "bold red") if words else Text("no regression", "green")


if __name__ == "__main__":
    cli.run(main)
