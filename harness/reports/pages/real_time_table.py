"""The table of docs/scale.md of how fast `numba` is beside an earlier commit, from `make real-time`'s record."""

import json
from pathlib import Path
from typing import Any

from harness.show import markdown
from implementations.places import ROOT

RECORD = ROOT / "results" / "reference-real-time"
NOT = "not yet measured"
ONE, TWO = "numba[threads=1]", "numba[threads=2]"


def text_of(folder: Path = RECORD) -> str:
    """A row per workload and number of bins: the rate over the earlier commit's, by one thread and by two."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not runs:
        return f"The rate beside an earlier commit's: {NOT}."
    every = [row for run in runs for row in run["rows"]]
    cells: dict[tuple[str, int], dict[str, Any]] = {}
    for row in every:
        cells.setdefault((row["dataset"], row["bins"]), {})[row["solver"]] = row
    rows = [
        [name, str(bins), *(text for solver in (ONE, TWO) for text in _texts(of.get(solver)))]
        for (name, bins), of in sorted(cells.items())
    ]
    heads = ["workload", "bins", "one thread, pixels/s", "over the base's", "two threads, pixels/s", "over the base's"]
    base, head, *others = dict.fromkeys(line for run in runs for line in run["heads"])
    sizes = [" or ".join({f"{row['pixels']:,}": 0 for row in every if row["solver"] == name}) for name in (ONE, TWO)]
    return (
        f"{markdown.table(heads, rows)}\n\n{sizes[0] or 'No'} pixels for one thread, {sizes[1] or 'none'} for two, "
        f"both commits in the same rounds, with the ratio's interval "
        f"and the clock it stands on. `{base}`; `{head}`; {'; '.join(others)}."
    )


def _texts(row: dict[str, Any] | None) -> tuple[str, str]:
    """The head's rate, and how many times the base's it is, or why there is none."""
    if row is None:
        return NOT, NOT
    if not row["head"] or row["head"]["status"] != "ok" or row["ratio"]["value"] is None:
        return row["verdict"], row["reason"]
    rate, ratio = f"{row['head']['pixels_per_s']:,.0f}", row["ratio"]
    if row["verdict"].startswith("undecided: "):
        return rate, row["verdict"]
    return rate, f"{1 / ratio['value']:.2f}x [{1 / ratio['high']:.2f}, {1 / ratio['low']:.2f}], {row['clock']}"
