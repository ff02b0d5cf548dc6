"""What docs/trust.md says of two runs of the same code, one of them beside four busy processes (`make busy`).

`harness.reports.readme` writes it; without the runs it is "not yet measured". Whatever says that something changed is
false there.
"""

from collections import Counter
from pathlib import Path

from harness.judge.comparison import tolerances
from harness.records.run import Run
from harness.reports import origin, two_runs
from harness.show import markdown
from implementations.places import ROOT

PAGE = ROOT / "docs" / "trust.md"
QUIET, BUSY = ROOT / "results" / "reference-quiet", ROOT / "results" / "reference-busy"
TRUE = ("same", "undecided")


def text_of(quiet: Path = QUIET, busy: Path = BUSY) -> str:
    """The verdicts, counted; those that are false, one by one; and how much longer the busy run's wall times were."""
    if not (quiet.is_dir() and busy.is_dir()):
        return "Not yet measured: `make busy`."
    runs = Run.open(quiet), Run.open(busy)
    found = list(two_runs.rows(*runs, tolerances(())))
    words = Counter(each.verdict.partition(":")[0] for each in found)
    false = [each for each in found if each.verdict.partition(":")[0] not in TRUE]
    told = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
    lines = [f"{len(found)} rows: {told}. False: {len(false)}."]
    lines += [
        f"- `{each.solver}` at {each.row['pixels']} pixels: {each.verdict} {each.ratio.value:.3f}" for each in false
    ]
    longer = sorted(each.head["median_s"] / each.base["median_s"] for each in found if each.head and each.base)
    ends = f"{longer[0]:.2f} to {longer[-1]:.2f} times as long, {longer[len(longer) // 2]:.2f} in the middle of all"
    lines.append(f"By the wall, the busy run's rows took {ends}.")
    return "\n".join([*lines, "", origin.of(runs, ("numpy", "numba"))])


def rewritten() -> str:
    """The page with the figures between its markers."""
    return markdown.rewritten(PAGE.read_text(), "busy", text_of())
