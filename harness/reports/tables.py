"""A run's tables: every row, gates, what is seen at a glance, what went wrong; as a page or a notebook shows them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from harness.advice.evidence import changed
from harness.figures import common
from harness.records.run import Run
from harness.records.schema import Cell
from harness.show import terminal
from harness.show.html import Datum, Grid
from harness.show.terminal import GATE_MARK, ratio, seconds

GATE_KIND = {"pass": "good", "fail": "bad", "none": "quiet"}


SIGNS = {"CPU": "CPU: the processor's time", "?": "?: doubted, see below", "n=": "n=: rounds too few for an interval"}
"""What stands behind a time."""
NUMBERS = (
    ("pixels", "pixels", "{:,.0f}"),
    ("bins", "bins", "{:.0f}"),
    ("threads", "threads", "{:.0f}"),
    ("median_s", "median", seconds),
    ("n", "n", "{:.0f}"),
    ("pixels_per_s", "pixels/s", "{:,.0f}"),
    ("speedup", "speedup", ratio),
    ("of_limit", "of limit", "{:.2%}"),
    ("peak_rss_mb", "peak MB", "{:,.0f}"),
    ("chisq_median", "χ² median", "{:.2f}"),
    ("chisq_p95", "χ² p95", "{:.2f}"),
    ("truth_dem_error", "DEM error", "{:.3f}"),
    ("cpu_s", "CPU time", seconds),
    ("oneoff_s", "one-off", seconds),
    ("peak_device_mb", "device MB", "{:,.0f}"),
    ("chisq_iqr", "χ² IQR", "{:.2f}"),
    ("truth_coverage", "coverage", "{:.2f}"),
    ("parity_dem", "parity DEM", "{:.0e}"),
    ("parity_edem", "parity edem", "{:.0e}"),
    ("hit_max_iter", "hit max_iter", "{:,.0f}"),
    ("invalid_pixels", "invalid", "{:,.0f}"),
)
"""Columns of the table of all rows: the record's, the heading, and how it is written."""
MORE = [heading for _, heading, _ in NUMBERS[12:]]
"""Those that are shown on request."""


def rows_of(runs: Sequence[Run], out: Path | None = None) -> pd.DataFrame:
    """Every row of those runs; `origin`: of which, `cell`: of what, `record`: its file, as seen from `out`."""
    table = pd.concat([run.table().assign(origin=n) for n, run in enumerate(runs)], ignore_index=True)
    sizes = [f"{r.dataset}, {r.pixels:,} pixels x {r.bins} bins" for r in table.itertuples()]
    table["cell"] = sizes
    shared = table.groupby("cell").origin.transform("nunique") > 1
    if shared.any():
        apart = common.told_apart(table[shared], runs)
        table["cell"] = table.cell.where(~shared, table.cell + ", " + table.origin.map(apart))
    edited = set(changed(table))
    table["changed"] = [pair in edited for pair in zip(table.solver, table.source, strict=True)]
    table["record"] = [address(runs[r.origin], r, out) for r in table.itertuples()]
    return table


def address(run: Run, row: Any, out: Path | None) -> str:
    """A row's record as seen from the folder `out`; "" without one."""
    path = run.path(Cell(row.dataset, row.pixels, row.bins, row.seed), row.solver)
    return quote(os.path.relpath(path, out)) if out else ""


def glance(table: pd.DataFrame) -> Grid:
    """Time, speedup, chi-squared, DEM error and gate of every solver, a cell at a time, the most telling first."""
    order = {name: n for n, name in enumerate(common.TELLING)}
    places = table.dataset.map(lambda name: order.get(name, len(order)))
    table = table.assign(place=places).sort_values(["place", "origin", "bins"], kind="stable")
    largest = table.groupby(["origin", "dataset"]).pixels.transform("max") == table.pixels
    table = pd.concat([table[largest], table[~largest]])  # at each workload's largest map first
    cells = {name: n for n, name in enumerate(dict.fromkeys(table.cell))}
    time = table.median_s.where(table.status == "ok")
    table = table.assign(number=table.cell.map(cells), time=time).sort_values(["number", "time"], kind="stable")
    lines = [_glanced(row) for _, row in table.iterrows()]
    times = " ".join(line[1].text for line in lines)
    told = [said for sign, said in SIGNS.items() if sign in times]
    told += ["†: measured with another source than the solver has now"] * bool(table.changed.any())
    return Grid(
        ("solver", "time", "speedup", "χ² median", "DEM error", "gate"),
        lines,
        "; ".join(["The fastest first; behind times and speedups the larger side of their 99% interval", *told]) + ".",
        solvers=list(table.solver),
        groups=list(table.cell),
    )


def _glanced(row: pd.Series) -> list[Datum]:
    name = Datum(row.solver + " †" * row.changed, link=row.record)
    if row.status != "ok":
        why = Datum(row.status, mark="quiet" if row.status == "skipped" else "bad")
        return [name, *[Datum("–")] * 4, why]
    said = terminal.cells_of(row)
    return [
        name,
        Datum(f"{said['median']} {said['±']}", row.median_s),
        Datum(f"{said['speedup']} {said['± ']}", None if pd.isna(row.speedup) else row.speedup),
        _number(row.chisq_median, "{:.2f}"),
        _number(row.truth_dem_error, "{:.3f}"),
        _gate(row.gate),
    ]


def _gate(gate: str) -> Datum:
    return Datum(GATE_MARK[gate], mark=GATE_KIND[gate])


def gates(table: pd.DataFrame) -> Grid:
    """Gates: a row for each solver, a column for each workload and number of bins, over all their sizes."""
    place = table.dataset + ", " + table.bins.astype(str) + " bins"
    columns, solvers = list(dict.fromkeys(place)), list(dict.fromkeys(table.solver))
    lines = [
        [Datum(name), *(_verdict(table[(table.solver == name) & (place == column)]) for column in columns)]
        for name in solvers
    ]
    return Grid(("solver", *columns), lines, "Gates, over all map sizes and runs.", solvers=solvers)


def _verdict(rows: pd.DataFrame) -> Datum:
    if rows.empty:
        return Datum("")
    measured = rows[rows.status == "ok"]
    if measured.empty:
        return Datum(rows.status.iloc[0], mark="quiet" if rows.status.iloc[0] == "skipped" else "bad")
    return _gate(next(g for g in ("fail", "none", "pass") if g in set(measured.gate)))


def all_rows(table: pd.DataFrame) -> Grid:
    """Every measured row."""
    columns = [column for column in NUMBERS if table[column[0]].notna().any()]
    several = ["run"] if table.run.nunique() > 1 else []
    lines = []
    for _, row in table.iterrows():
        numbers = [_number(row[name], form) for name, _, form in columns]
        name = Datum(row.solver, link=row.record)
        lines.append([name, Datum(row.dataset), _gate(row.gate), *numbers, *(Datum(row[word]) for word in several)])
    headings = [heading for _, heading, _ in columns] + several
    more = [heading for heading in headings if heading in (*MORE, "run")]
    return Grid(("solver", "workload", "gate", *headings), lines, solvers=list(table.solver), more=more)


def _number(value: Any, form: Any) -> Datum:
    if pd.isna(value):
        return Datum("–")
    return Datum(form.format(value) if isinstance(form, str) else form(value), float(value))


def reasons(table: pd.DataFrame) -> Grid:
    """Rows without a result, and gates that failed, each with its reason."""
    rows = table[(table.status != "ok") | (table.gate == "fail")]
    lines = []
    for (run, solver, dataset, status), same in rows.groupby(["run", "solver", "dataset", "status"], sort=False):
        for why, those in same.groupby(same.gate_reasons if status == "ok" else same.reason, sort=False):
            sizes = ", ".join(f"{r.pixels} x {r.bins}" for r in those.itertuples())
            what = Datum("✘ gate failed" if status == "ok" else status, mark="quiet" if status == "skipped" else "bad")
            lines.append(
                [Datum(run), Datum(solver), Datum(dataset), what, Datum(why, mark="long"), Datum(sizes, mark="long")]
            )
    return Grid(("run", "solver", "workload", "what", "why", "pixels x bins"), lines)


def doubtful(table: pd.DataFrame) -> Grid:
    """Rows whose times are to be read with care, and why; by which clock their speedup counts."""
    lines = [
        [
            Datum(r.run),
            Datum(r.solver),
            Datum(r.dataset),
            Datum(f"{r.pixels} x {r.bins}"),
            Datum(r.clock),
            Datum(r.doubts, mark="long"),
        ]
        for r in table[(table.status == "ok") & (table.doubts != "")].itertuples()
    ]
    return Grid(("run", "solver", "workload", "pixels x bins", "speedup by", "why"), lines)
