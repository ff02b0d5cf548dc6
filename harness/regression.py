"""Compare two commits of this repository in one run: is any solver slower, any gate violated, any cell failing?

`python -m harness.regression BASE [HEAD]` unpacks both and lets their solvers take turns, in an order drawn anew for
each round, so that drift of the machine hits both alike. All are judged by the base's baseline. A solver that looks
slower is measured a second time in fresh processes, and only what that run says counts. A commit from before every run
had a problem of its own is timed on one problem, and judged by its first solution.
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.judge import intervals
from harness.judge.comparison import FAILED, GATE_VIOLATED, NO_ESTIMATE, SLOWER, Comparison, Row
from harness.machine import facts
from harness.measure import cell as measure_cell
from harness.measure import record_row
from harness.measure.checkout import Checkout, check_out
from harness.measure.contender import Contender
from harness.measure.plan import Plan
from harness.records.schema import Cell
from harness.show import terminal
from harness.workloads import problem as workload
from implementations import command_line as cli

EXIT_CODES = f"""exit codes: 0 none of these; {SLOWER} slower; {GATE_VIOLATED} a gate violated; {FAILED} a cell failed;
their sum when several are so; 2 the call can't be carried out as given; 130 interrupted. What the base has already is
shown, and not counted."""
FEWEST_ROUNDS = 10
"""Before these, nothing is clear."""
DROPPED = ("peak MB", "DEM err", "base", "head", "gate")
"""The columns that a narrow terminal goes without, the first of them first."""
STYLES = {SLOWER: "yellow", GATE_VIOLATED: "bold red", FAILED: "bold red"}


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.regression", description=__doc__, epilog=EXIT_CODES, allow_abbrev=False)
    add = parser.add_argument
    add("base", metavar="BASE", help="the commit to compare with")
    add("head", metavar="HEAD", nargs="?", default="HEAD", help="the commit under question (HEAD)")
    add("--solvers", type=cli.words, help="names, by commas (all that either commit has)")
    add("--dataset", default="random-response", help="specification in datasets/ (random-response)")
    add("--pixels", type=cli.whole_numbers, default=(200,), help="map sizes, by commas (200)")
    add("--bins", type=cli.whole_numbers, default=(34, 100), help="numbers of temperature bins, by commas (34,100)")
    add(
        "--max-seconds",
        type=float,
        default=60.0,
        help="time budget of a cell's rounds, which end when all is clear (60)",
    )
    add("--tolerance", type=float, default=0.05, help="how much slower is no regression (0.05)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    given = parser.parse(arguments)
    console = terminal.console()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            match = Match(given, Path(scratch))
        except ValueError as error:
            parser.error(" ".join(str(error).split()))
        console.print(f"base: {match.base.label}", f"head: {match.head.label}", sep="\n")
        if given.head == "HEAD" and facts.commit().endswith("+"):
            console.print("(what isn't committed is not compared)")
        code = 0
        try:
            for cell in match.plan.cells():
                comparisons = match.compare(cell)
                _show(console, cell, comparisons)
                for comparison in comparisons:
                    code |= comparison.code
        except KeyboardInterrupt:
            return cli.INTERRUPTED
    console.print(f"machine: {facts.machine_label(facts.machine())}", soft_wrap=True)
    console.print(_conclusion(code))
    return code


class Match:
    """Two commits and what they are compared on. Raises ValueError, in one line, when they can't be."""

    def __init__(self, given: argparse.Namespace, scratch: Path):
        if not 0 <= given.tolerance < 1:
            raise ValueError(f"--tolerance must be at least 0 and below 1, got {given.tolerance:g}")
        self.scratch, self.tolerance = scratch, given.tolerance
        self.plan = Plan((given.dataset,), given.pixels, given.bins, max_seconds=given.max_seconds)
        workload.load(given.dataset)
        for pixels, bins in ((p, b) for p in given.pixels for b in given.bins):
            workload.check_sizes(pixels, bins)
        self.base, self.head = check_out(given.base, scratch / "base"), check_out(given.head, scratch / "head")
        self.known = {checkout: checkout.solvers() for checkout in (self.base, self.head)}
        every = list(dict.fromkeys([*self.known[self.base], *self.known[self.head]]))
        unknown = [name for name in given.solvers or () if name not in every]
        if unknown:
            raise ValueError(f"neither commit has a solver '{unknown[0]}'; known: {', '.join(every)}")
        self.solvers = list(given.solvers or every)

    def compare(self, cell: Cell) -> list[Comparison]:
        """Every solver in one cell; those that look slower, measured anew."""
        first = self._measure(cell, self.solvers)
        suspects = [comparison.solver for comparison in first if comparison.slower]
        again = {comparison.solver: comparison for comparison in self._measure(cell, suspects)} if suspects else {}
        return [again.get(comparison.solver, comparison) for comparison in first]

    def _measure(self, cell: Cell, solvers: list[str]) -> list[Comparison]:
        contenders = {
            (checkout, name): Contender(name, self.plan.threads, self.plan.max_seconds, checkout.folder)
            for checkout in (self.base, self.head)  # the base's baseline first: all are judged by it
            for name in solvers
            if name in self.known[checkout] and self.known[checkout][name]["available"]
        }
        found = {}
        if contenders:
            every = list(contenders.values())
            result = measure_cell.measure_contenders(
                cell, every, self.plan, self.scratch, measure_cell.Nobody(), self._satisfy
            )
            found = {key: record_row.row_of(contender, result) for key, contender in contenders.items()}

        def row(checkout: Checkout, name: str) -> Row | None:
            if name not in self.known[checkout]:
                return None
            reason = str(self.known[checkout][name]["reason"])
            return found.get((checkout, name)) or record_row.skipped(reason, self.plan.threads)

        return [
            Comparison(
                name,
                row(self.base, name),
                row(self.head, name),
                _ratio(contenders.get((self.base, name)), contenders.get((self.head, name))),
                self.tolerance,
            )
            for name in solvers
        ]

    def _satisfy(self, contenders: list[Contender]) -> None:
        """Let those pairs rest of which it is clear whether they are slower than tolerated."""
        for base, head in itertools.combinations(contenders, 2):
            if base.spec == head.spec and len(head.turns) >= FEWEST_ROUNDS:
                ratio, limit = _ratio(base, head), 1 + self.tolerance
                base.satisfied = head.satisfied = ratio.low > limit or ratio.high < limit
        for contender in contenders:  # one that has no partner, or lost it, has nothing to wait for
            partners = [other for other in contenders if other.spec == contender.spec and not other.ended]
            contender.satisfied |= len(partners) < 2


def _ratio(base: Contender | None, head: Contender | None) -> intervals.Estimate:
    """Head's time over base's; no estimate where either has none."""
    if base is None or head is None or base.ended or head.ended or not base.turns or not head.turns:
        return NO_ESTIMATE
    return base.speedup(head)


def _show(console: Console, cell: Cell, comparisons: list[Comparison]) -> None:
    """A row per solver; below, why."""
    texts = [_texts(c) for c in comparisons]
    widths = terminal.fitting(console.width, texts, DROPPED)
    title = f"{cell.dataset}, {cell.pixels} pixels x {cell.bins} bins"
    view = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in widths:
        side = "left" if name in ("solver", "gate", "verdict") else "right"
        view.add_column(name, justify=side, no_wrap=name != "solver", overflow="fold")  # type: ignore[arg-type]
    for c, text in zip(comparisons, texts, strict=True):
        style = next((STYLES[bit] for bit in (FAILED, GATE_VIOLATED, SLOWER) if c.code & bit), "")
        view.add_row(*(Text(text[name], style if name == "verdict" else "") for name in widths))
    console.print(view)
    terminal.say_left_out(console, texts, widths)
    for c in comparisons:
        if c.reason:
            console.print(Text(f"{c.solver}: {c.reason}", "red" if c.code else "dim"), soft_wrap=True)


def _texts(c: Comparison) -> dict[str, str]:
    """One comparison as the table's texts, by column."""
    return {
        "solver": c.solver,
        "base": _time(c.base),
        "head": _time(c.head),
        "head/base": _interval(c.ratio),
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
    found = {"failed": FAILED, "gate violated": GATE_VIOLATED, "slower": SLOWER}
    words = ", ".join(word for word, bit in found.items() if code & bit)
    return Text(f"{words} (exit code {code})", "bold red") if words else Text("no regression", "green")


if __name__ == "__main__":
    cli.run(main)
