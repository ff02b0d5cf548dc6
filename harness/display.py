"""What a sweep shows while it runs and when it ends. Plain lines where there is no terminal; NO_COLOR is respected."""

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from harness.record import Cell
from harness.stats import FEWEST

GATE_MARK = {"pass": "✔ pass", "fail": "✘ fail", "none": "– none"}
PLAIN_WIDTH = 100
"""Columns of output that goes to a file or a pipe."""
GATE_STYLE = {"pass": "green", "fail": "bold red", "none": "dim"}


def console() -> Console:
    """Standard output: as wide as the terminal, or 100 columns where it is none."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=PLAIN_WIDTH)


class Display:
    """A live progress bar on a terminal, a line per finished row elsewhere."""

    def __init__(self, console: Console, weights: dict[Cell, float]):
        self.console, self.weights = console, weights
        self.live = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("[dim]{task.fields[what]}", justify="left"),
            console=console, disable=not self.live, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("sweep", total=sum(weights.values()) or 1.0, what="")
        self._cell = ""
        self._started = time.monotonic()

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        self._cell = f"{cell.dataset} {cell.pixels} px x {cell.bins} bins"
        if not self.live:
            self.console.print(
                f"[{time.monotonic() - self._started:6.1f} s] {self._cell}", highlight=False, markup=False
            )

    def say(self, what: str) -> None:
        """What is going on in it."""
        self._bar.update(self._task, what=f"{self._cell}: {what}")

    def cell_done(self, cell: Cell, rows: Sequence[dict[str, Any]]) -> None:
        """A cell's rows are recorded."""
        self._bar.advance(self._task, self.weights.get(cell, 0.0))
        for row in rows:
            if row["status"] == "ok":
                outcome = f"{seconds(row['median_s'])}, gate {row['gate']}"
            else:
                outcome = f"{row['status']}: {row['reason']}"
            if not self.live or row["status"] not in ("ok", "skipped") or row["gate"] == "fail":
                self.console.print(f"    {row['solver']}: {outcome}", highlight=False, markup=False, soft_wrap=True)


def seconds(value: float) -> str:
    """A time in the unit that suits it, three figures or whole seconds."""
    if value >= 1000:
        return f"{value:,.0f} s"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1 or unit == "µs":
            return f"{value * factor:.3g} {unit}"
    raise AssertionError


def _spread(value: float, low: float, high: float) -> str:
    """The interval's larger side, relative to the value."""
    return f" ±{max(high - value, value - low) / value:.1%}" if pd.notna(low) and pd.notna(high) else ""


def ratio(value: float) -> str:
    """A speedup, three figures or whole."""
    return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"


def cells_of(row: pd.Series) -> dict[str, str]:
    """One measured row as the table's texts, the least important columns last."""

    def number(name: str, form: str) -> str:
        return format(row[name], form) if pd.notna(row[name]) else "–"

    few = f" n={row['n']}" if row["n"] < FEWEST else ""
    speedup = "–"
    if pd.notna(row["speedup"]):
        interval = _spread(row["speedup"], row["speedup_low"], row["speedup_high"])
        speedup = ratio(row["speedup"]) + interval * (row["solver"] != "baseline")
    return {
        "solver": row["solver"],
        "median": seconds(row["median_s"]) + (few or _spread(row["median_s"], row["ci_low_s"], row["ci_high_s"])),
        "speedup": speedup,
        "gate": GATE_MARK[row["gate"]],
        "χ² med/IQR/p95": " ".join(number(c, ".2f") for c in ("chisq_median", "chisq_iqr", "chisq_p95")),
        "DEM err": number("truth_dem_error", ".3f"),
        "px/s": number("pixels_per_s", ",.0f"),
        "of limit": f"{row['of_limit']:.2%}" if pd.notna(row["of_limit"]) else "–",
        "peak MB": number("peak_rss_mb", ".0f"),
    }


def fitting(console: Console, texts: list[dict[str, str]]) -> list[str]:
    """The columns that fit the console's width, dropped from the least important end."""
    names = list(texts[0])
    while len(names) > 3:
        widths = [max(len(name), *(len(t[name]) for t in texts)) for name in names]
        if sum(widths) + len(names) <= console.width:
            break
        names.pop()
    return names


def show_table(console: Console, table: pd.DataFrame) -> None:
    """The measured rows, a block per cell; failed and skipped rows with their reasons below."""
    measured = table[table.status == "ok"]
    for (dataset, bins, pixels), rows in measured.groupby(["dataset", "bins", "pixels"], sort=False):
        texts = [cells_of(row) for _, row in rows.iterrows()]
        names = fitting(console, texts)
        view = Table(
            title=f"{dataset}, {pixels} pixels x {bins} bins", title_justify="left", box=None, padding=(0, 1, 0, 0)
        )
        for name in names:
            view.add_column(name, justify="left" if name in ("solver", "gate") else "right", no_wrap=True)
        for text, gate in zip(texts, rows.gate, strict=True):
            view.add_row(*(Text(text[n], style=GATE_STYLE[gate] if n == "gate" else "") for n in names))
        console.print(view)
    failed_gates = measured[measured.gate == "fail"]
    for _, row in failed_gates.iterrows():
        console.print(Text(f"✘ {row.solver}, {row.pixels} px x {row.bins} bins: {row.gate_reasons}", "red"))
    _show_reasons(console, table[table.status != "ok"])


def _show_reasons(console: Console, rows: pd.DataFrame) -> None:
    for (solver, status, reason), same in rows.groupby(["solver", "status", "reason"], sort=False):
        where = "all cells" if len(same) > 1 else f"{same.pixels.iloc[0]} px x {same.bins.iloc[0]} bins"
        console.print(Text(f"{solver}: {status} ({where}): {reason}", "dim" if status == "skipped" else "red"))
