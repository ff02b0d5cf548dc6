"""A run's page: what stands in its sections, from records alone."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from harness.figures import common, gallery
from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.show import html as show_html
from harness.show.html import Datum, Grid, Section
from harness.show.terminal import GATE_MARK, ratio, seconds

GATE_KIND = {"pass": "good", "fail": "bad", "none": "quiet"}


ABOUT = """Each solver ran in processes of its own, in shuffled rounds with the others. Speedups are ratios to the
baseline in the same rounds; 99% intervals are over turns and processes. A gate compares all five outputs with the
baseline's (exact solvers), or holds a solver to what it declares to give up (approximate ones)."""


NUMBERS = (
    ("pixels", "pixels", "{:,.0f}"),
    ("bins", "bins", "{:.0f}"),
    ("threads", "threads", "{:.0f}"),
    ("median_s", "median", seconds),
    ("cpu_s", "CPU time", seconds),
    ("n", "n", "{:.0f}"),
    ("pixels_per_s", "DEM/s", "{:,.0f}"),
    ("speedup", "speedup", ratio),
    ("of_limit", "of limit", "{:.2%}"),
    ("oneoff_s", "one-off", seconds),
    ("peak_rss_mb", "peak MB", "{:,.0f}"),
    ("peak_device_mb", "device MB", "{:,.0f}"),
    ("chisq_median", "χ² median", "{:.2f}"),
    ("chisq_iqr", "χ² IQR", "{:.2f}"),
    ("chisq_p95", "χ² p95", "{:.2f}"),
    ("truth_dem_error", "DEM error", "{:.3f}"),
    ("truth_coverage", "coverage", "{:.2f}"),
    ("parity_dem", "parity DEM", "{:.0e}"),
    ("parity_edem", "parity edem", "{:.0e}"),
    ("hit_max_iter", "hit max_iter", "{:,.0f}"),
    ("invalid_pixels", "invalid", "{:,.0f}"),
)
"""Columns of the table of all rows: the record's, the heading, and how it is written."""


def glance(tables: Sequence[pd.DataFrame]) -> Grid:
    """Gates: a row for each solver, a column for each workload and number of bins, over all their sizes."""
    table = pd.concat(tables, ignore_index=True)
    table["cell"] = table.dataset + ", " + table.bins.astype(str) + " bins" + _of_run(table)
    cells, solvers = list(dict.fromkeys(table.cell)), list(dict.fromkeys(table.solver))
    lines = [
        [Datum(name), *(_verdict(table[(table.solver == name) & (table.cell == cell)]) for cell in cells)]
        for name in solvers
    ]
    return Grid(("solver", *cells), lines, "Gates, over all map sizes; with the speedup at the largest that was timed.")


def _of_run(table: pd.DataFrame) -> pd.Series:
    return "" if table.run.nunique() == 1 else " (" + table.run.astype(str) + ")"


def _verdict(rows: pd.DataFrame) -> Datum:
    if rows.empty:
        return Datum("")
    measured = rows[rows.status == "ok"]
    if measured.empty:
        return Datum(rows.status.iloc[0], mark="quiet" if rows.status.iloc[0] == "skipped" else "bad")
    gates = set(measured.gate)
    gate = next(g for g in ("fail", "none", "pass") if g in gates)
    speedup = measured.sort_values("pixels").speedup.iloc[-1]
    return Datum(GATE_MARK[gate] + (f", {ratio(speedup)}" if pd.notna(speedup) else ""), mark=GATE_KIND[gate])


def all_rows(table: pd.DataFrame) -> Grid:
    """Every measured row."""
    columns = [column for column in NUMBERS if table[column[0]].notna().any()]
    words = ["solver", "dataset"] if table.run.nunique() == 1 else ["run", "solver", "dataset"]
    lines = []
    for _, row in table.iterrows():
        numbers = [_number(row[name], form) for name, _, form in columns]
        lines.append([*(Datum(row[w]) for w in words), Datum(GATE_MARK[row.gate], mark=GATE_KIND[row.gate]), *numbers])
    return Grid((*words, "gate", *(heading for _, heading, _ in columns)), lines)


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


def provenance(run: Run) -> str:
    """Machine, commit, versions, BLAS and threads of a run, in a sentence or two."""
    facts = run.provenance
    pools = {
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} thread{'s' * (pool['num_threads'] != 1)})"
        for record in run.drawn()
        for pool in record["hello"].get("threadpools", ())
    }
    software = ", ".join(f"{name} {version}" for name, version in facts["software"].items() if version)
    return (
        f"Run {facts['run']}, {facts['created']}, commit {facts['commit'][:12] or 'unknown'}: "
        f"{machine_facts.machine_label(facts['machine'])}; {software}; "
        f"BLAS and thread pools: {', '.join(sorted(pools)) or 'not recorded'}; "
        f"{facts['grid']['threads']} thread(s) a solver unless a row says otherwise."
    )


def sections(runs: Sequence[Run]) -> list[Section]:
    """The page's sections."""
    tables = [run.table() for run in runs]
    table = pd.concat(tables, ignore_index=True)
    data = common.measured(runs)
    pictures = [
        show_html.picture(entry.name, entry.title, entry.caption, partial(entry.of, data), common.STYLE)
        for entry in gallery.FIGURES
    ]
    missing = reasons(table)
    lead = [" ".join(ABOUT.split())]
    if len({run.provenance["machine"]["id"] for run in runs}) > 1:
        lead.append("These runs are of different machines: their times stand side by side and are compared nowhere.")
    if missing.rows:
        last = Section("Failed and skipped", (), (), [missing])
    else:
        last = Section("Failed and skipped", ["Every solver ran in every cell, and every gate passed."])
    care = doubtful(table)
    trusted = "No test found a busy machine, a warm-up that wasn't over, drift, or turns of several kinds."
    if not (table.clock != "").any():
        trusted = "Not recorded in these runs."
    return [
        Section("At a glance", lead, [pictures[0]], [glance(tables)]),
        Section("Figures", (), pictures[1:]),
        Section("Every row", ["Click a heading to sort."], (), [all_rows(table[table.status == "ok"])]),
        Section("Times to be read with care", [] if care.rows else [trusted], (), [care] if care.rows else []),
        last,
    ]
