"""What docs/trust.md says of a quiet and a busy run of the same code, of an hour of sweeps, and of machines' limits.

`harness.reports.readme` writes it; what isn't there is "not yet measured": `make busy`, `make soak`. Whatever says of
the two runs that something changed is false.
"""

import json
from collections import Counter
from pathlib import Path

import pandas as pd

from harness.judge.comparison import tolerances
from harness.machine import facts
from harness.records.run import Run
from harness.reports import origin, two_runs
from harness.show import markdown
from implementations.places import ROOT

PAGE = ROOT / "docs" / "trust.md"
QUIET, BUSY = ROOT / "results" / "reference-quiet", ROOT / "results" / "reference-busy"
SOAK = ROOT / "results" / "soak" / "soak.json"
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


def of_soak(file: Path = SOAK) -> str:
    """What the sweeping process held a quarter of the way on and at the end, and whether that grows."""
    if not file.is_file():
        return "Not yet measured: `make soak`."
    kept = json.loads(file.read_text())
    looks, grown = kept["looks"], kept["growth"]
    first, last = looks[len(looks) // 4], looks[-1]
    rows = [[name, f"{first[name]:.4g}", f"{last[name]:.4g}", "yes" if name in grown else "no"] for name in last]
    head = ("held by the sweeping process", "after a quarter", "at the end", "grows")
    told = f"{len(looks)} cells in {kept['minutes']:g} minutes, beside two busy processes. {facts.told(kept)}."
    return f"{markdown.table(head, rows, 1)}\n\n{told}"


def of_limit(results: Path = ROOT / "results") -> str:
    """The row of all committed runs that comes nearest to the machine's limit for its work."""
    tables = [pd.read_csv(file).assign(run=file.parent.name) for file in sorted(results.glob("*/table.csv"))]
    rows = pd.concat(tables, ignore_index=True)
    row = rows.loc[rows.of_limit.astype(float).idxmax()]
    return (
        f"Of all committed runs' rows, `{row.solver}` comes nearest to its machine's limit, with {row.of_limit:.0%} of "
        f"it, at {row.pixels:,} pixels x {row.bins} bins of `{row.dataset}` "
        f"([{row.run}](../results/{row.run}/table.csv))."
    )


def rewritten() -> str:
    """The page with the figures between its markers."""
    page = markdown.rewritten(PAGE.read_text(), "busy", text_of())
    page = markdown.rewritten(page, "limit", of_limit())
    return markdown.rewritten(page, "soak", of_soak())
