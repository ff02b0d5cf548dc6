"""What commands print: numbers as people read them, and a run's table. NO_COLOR and plain output are respected."""

import math
import os
import re
from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.judge.clocks import OF_CPU, headline
from harness.judge.intervals import FEWEST

GATE_MARK = {"pass": "✔ pass", "fail": "✘ fail", "none": "– none"}
PLAIN_WIDTH = 100
"""Columns of output that goes to a file or a pipe, unless COLUMNS says otherwise."""
DROPPED = tuple(
    "parity,coverage,n,threads,one-off,peak MB,of limit,px/s,DEM err,± ,χ² med/IQR/p95,±,speedup".split(",")
)
"""The columns that a narrow terminal goes without, the first of them first."""
EXPLAINED = {
    "±": "±: larger side of the 99% interval, or n=, rounds too few for one",
    "χ² med/IQR/p95": "χ²: per channel, of the counts that the DEM gives, its median, spread and 95th percentile",
    "DEM err": "DEM err: median distance to the true DEM, relative",
    "of limit": "of limit: share of the speed that this machine could reach at best",
    "one-off": "one-off: import and compilation, once per process",
    "coverage": "coverage: share of bins whose true DEM lies within one edem",
    "parity": "parity: largest deviation of any output from the baseline's",
}
"""What columns mean whose heading doesn't say it."""
PARITIES = ["parity_dem", "parity_edem", "parity_elogt", "parity_chisq", "parity_dn_reg"]
CHISQ = ["chisq_median", "chisq_iqr", "chisq_p95"]
IN_FULL = {"±": "± of the median", "± ": "± of the speedup"}
NAME_SHARE = 0.3
"""Share of the width that solvers' names keep before columns are dropped for them; longer ones are folded."""
PERCENT = re.compile(r"\d+(?=%)")
GATE_STYLE = {"pass": "green", "fail": "bold red", "none": "dim"}


def console() -> Console:
    """Standard output, taking text as it comes: as wide as COLUMNS says or the terminal, or 100 where it is none."""
    asked = os.environ.get("COLUMNS", "")
    if not asked.isdecimal():
        os.environ.pop("COLUMNS", None)  # Rich takes a superscript for a digit
    made = Console(markup=False, emoji=False, highlight=False)
    if asked.isdecimal() and int(asked):
        made.width = int(asked)
    elif not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


def seconds(value: float) -> str:
    """A time in the unit that suits it, three figures; seconds up to a quarter of an hour."""
    if value >= 900:
        return f"{value / 3600:.3g} h" if value >= 5400 else f"{value / 60:.3g} min"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1 or unit == "µs":
            return f"{value * factor:.3g} {unit}"
    raise AssertionError


def threads(number: int) -> str:
    """So many threads."""
    return f"{number} thread" if number == 1 else f"{number} threads"


def ratio(value: float) -> str:
    """A speedup, three figures or whole."""
    return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"


def _spread(value: float, low: float, high: float) -> str:
    """The interval's larger side, relative to the value."""
    return f"±{max(high - value, value - low) / value:.1%}" if pd.notna(low) and pd.notna(high) else ""


def _share(value: float) -> str:
    """A share of the limit; what rounds to nothing is not nothing."""
    if pd.isna(value):
        return "–"
    return f"{value:.2%}" if value >= 5e-5 else "<0.01%"


def cells_of(row: pd.Series) -> dict[str, str]:
    """One measured row as the table's texts, by column; "" is nothing to say, "–" not measured."""

    def number(name: str, form: str) -> str:
        return format(row[name], form) if pd.notna(row[name]) else "–"

    few = f"n={row['n']}" if row["n"] < FEWEST else ""
    time, low, high = (row[name] for name in headline(row))
    worst = row[PARITIES].max()
    compared = pd.notna(row["speedup"]) and row["solver"] != "baseline"
    return {
        "solver": row["solver"],
        "median": seconds(time) + " CPU" * (headline(row) == OF_CPU) + ("?" if row["doubts"] else ""),
        "±": few or _spread(time, low, high),
        "speedup": ratio(row["speedup"]) if pd.notna(row["speedup"]) else "–",
        "± ": _spread(row["speedup"], row["speedup_low"], row["speedup_high"]) if compared else "",
        "gate": GATE_MARK[row["gate"]],
        "χ² med/IQR/p95": " ".join(number(c, ".2f") for c in CHISQ) if row[CHISQ].notna().any() else "–",
        "DEM err": number("truth_dem_error", ".3f"),
        "px/s": number("pixels_per_s", ",.0f"),
        "of limit": _share(row["of_limit"]),
        "peak MB": number("peak_rss_mb", ",.0f"),
        "one-off": seconds(row["oneoff_s"]),
        "threads": str(row["threads"]) if row["threads"] > 1 else "",
        "n": str(row["n"]),
        "coverage": number("truth_coverage", ".2f"),
        "parity": f"{worst:.0e}" if compared and pd.notna(worst) and worst < math.inf else "–",
    }


def _widths(texts: list[dict[str, str]]) -> dict[str, int]:
    """Width of every column that has anything to say."""
    names = [name for name in texts[0] if any(t[name] not in ("", "–") for t in texts)]
    return {name: max(len(name), *(len(t[name]) for t in texts)) for name in names}


def fitting(width: int, texts: list[dict[str, str]], dropped: Sequence[str] = DROPPED) -> dict[str, int]:
    """The columns that fit, with their widths: first solvers' long names are folded, then columns dropped."""
    widths = _widths(texts)

    def over() -> int:
        return sum(widths.values()) + len(widths) - 1 - width

    widths["solver"] -= min(max(over(), 0), max(widths["solver"] - int(NAME_SHARE * width), 0))
    for name in dropped:
        if over() > 0:
            widths.pop(name, None)
    widths["solver"] = max(widths["solver"] - max(over(), 0), len("solver"))
    return widths


def say_left_out(console: Console, texts: list[dict[str, str]], shown: Iterable[str], elsewhere: str = "") -> None:
    """Which columns had no room, how wide the table is with them, and where else their figures are."""
    widths = _widths(texts)
    if missing := [IN_FULL.get(name, name) for name in widths if name not in shown]:
        needed = sum(widths.values()) + len(widths) - 1
        line = f"no room for: {', '.join(missing)} (COLUMNS={needed} shows all{elsewhere})"
        console.print(Text(line, "dim"))


def _by_method(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """A cell's rows by method, DEMREG's first."""
    return sorted(((str(name), own) for name, own in rows.groupby("method")), key=lambda pair: pair[0] != "demreg")


def show_table(console: Console, table: pd.DataFrame) -> None:
    """The measured rows, a block per cell, other methods apart, all in the same columns; below, rows that failed."""
    measured = table[table.status == "ok"]
    texts = {index: cells_of(row) for index, row in measured.iterrows()}
    widths = fitting(console.width, list(texts.values())) if texts else {}
    cells = measured.groupby(["dataset", "bins", "pixels"], sort=False)
    for (dataset, bins, pixels), method, rows in ((name, *of) for name, cell in cells for of in _by_method(cell)):
        apart = f", method {method}: another DEM, held to the fit and the truth" if method != "demreg" else ""
        console.print(Text(f"{dataset}, {pixels:,} pixel{'s' * (pixels != 1)} x {bins} bins{apart}", "bold"))
        view = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
        for name, width in widths.items():
            side = "left" if name in ("solver", "gate", "±", "± ") else "right"
            view.add_column(name, justify=side, width=width, no_wrap=name != "solver", overflow="fold")  # type: ignore[arg-type]
        for index, gate in rows.gate.items():
            view.add_row(*(Text(texts[index][n], style=GATE_STYLE[gate] if n == "gate" else "") for n in widths))
        console.print(Padding(view, (0, 0, 1, 0)))
    if texts:
        say_left_out(console, list(texts.values()), widths, "; the run's table has every figure")
        if told := [EXPLAINED[name] for name in widths if name in EXPLAINED]:
            console.print(Text("; ".join(told), "dim"))
    for _, row in measured[measured.gate == "fail"].iterrows():
        console.print(
            Text(f"✘ {row.solver}, {row.pixels} px x {row.bins} bins: {row.gate_reasons}", "red"),
            soft_wrap=not console.is_terminal,
        )
    _show_reasons(console, table[(table.status != "ok") | (table.reason != "")])
    _show_doubts(console, measured[measured.doubts != ""])
    if len(others := measured.others_cores.dropna()):
        console.print(
            f"other work had {others.median():.1f} cores during turns, {others.max():.1f} at most",
            soft_wrap=not console.is_terminal,
        )


def _show_doubts(console: Console, rows: pd.DataFrame) -> None:
    """What "?" behind a time means: each doubt with its rows, those of a kind in one line, from least to most."""
    told: dict[str, list[str]] = {}
    shares: dict[str, list[int]] = {}
    for _, row in rows.iterrows():
        for doubt in row.doubts.split("; "):
            said = doubt.partition(":")[0]
            kind = PERCENT.sub("{}", said)
            told.setdefault(kind, []).append(f"{row.solver} at {row.pixels} x {row.bins}")
            shares.setdefault(kind, []).extend(map(int, PERCENT.findall(said)))
    for kind, where in told.items():
        ends = sorted({min(shares[kind], default=0), max(shares[kind], default=0)})
        kind = kind.replace("{}", " to ".join(map(str, ends)))
        more = f" and {len(where) - 2} more" if len(where) > 2 else ""
        console.print(Text(f"? {kind}: {', '.join(where[:2])}{more}", "yellow"), soft_wrap=not console.is_terminal)
    if told:
        console.print(Text("? such times are not to be relied on; CPU: time that the solver itself used", "dim"))


def _show_reasons(console: Console, rows: pd.DataFrame) -> None:
    for (solver, status, reason), same in rows.groupby(["solver", "status", "reason"], sort=False):
        where = "all cells" if len(same) > 1 else f"{same.pixels.iloc[0]} px x {same.bins.iloc[0]} bins"
        style = "dim" if status == "skipped" else "red"
        console.print(Text(f"{solver}: {status} ({where}): {reason}", style), soft_wrap=not console.is_terminal)
