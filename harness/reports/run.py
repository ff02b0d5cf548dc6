"""A run's page: what stands in its sections, from records alone."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.figures import common, gallery, headline
from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.reports import tables
from harness.show import html as show_html
from harness.show import terminal
from harness.show.html import Picture, Pointed, Section, Switch

ABOUT = """Each solver ran in processes of its own, in shuffled rounds with the others. Speedups are ratios to the
baseline in the same rounds, by CPU time where a solver has one thread; times are by the wall; 99% intervals are over
turns and processes. A gate compares what a solver gives with the baseline's (exact solvers), or holds it to what it
declares to give up (approximate ones)."""


POINT = """Point at a mark for its values and its record; click it to keep them there. Solvers are switched on and off
at the top, in figures and tables alike."""


TOLD = ("median", "speedup", "gate", "χ² med/IQR/p95", "DEM err", "px/s", "of limit", "peak MB", "n")
"""What the pointer is told of a mark; intervals stand behind their values."""


def pointed(data: common.Measured, runs: Sequence[Run], out: Path) -> dict[int, Pointed]:
    """What the figures' marks tell, by the numbers that they have."""
    found = {}
    for number, row in data.table.iterrows():
        said = terminal.cells_of(row)
        values = [
            (
                "workload",
                f"{row.dataset}, {row.pixels:,} pixels x {row.bins} bins, {terminal.threads(row.threads)}",
            )
        ]
        spread = {"median": said["±"], "speedup": said["± "]}
        values += [(name, f"{said[name]} {spread.get(name, '')}".strip()) for name in TOLD if said[name] != "–"]
        values += [("why", row.gate_reasons)] * bool(row.gate_reasons)
        found[int(number)] = Pointed(row.solver, values, tables.address(runs[row.origin], row, out))
    return found


def switches(table: pd.DataFrame) -> list[Switch]:
    """Every solver with its colour."""
    return [Switch(name, common.style_of(name)[0]) for name in dict.fromkeys(table.solver)]


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


def sections(runs: Sequence[Run], table: pd.DataFrame, pictures: Sequence[Picture], finding: str = "") -> list[Section]:
    """The page's sections, of what `rows_of` and `harness.figures.gallery.pictures` made of the runs."""
    lead = [f"{finding}."] * bool(finding) + [" ".join(ABOUT.split())]
    if len({run.provenance["machine"]["id"] for run in runs}) > 1:
        lead.append("These runs are of different machines: their times stand side by side and are compared nowhere.")
    missing, care = tables.reasons(table), tables.doubtful(table)
    told = [] if missing.rows else ["Every solver ran in every cell, and every gate passed."]
    trusted = "No test found a busy machine, a warm-up that wasn't over, drift, or turns of several kinds."
    if not (table.clock != "").any():
        trusted = "Not recorded in these runs."
    first = next((picture for picture in pictures if not picture.missing), pictures[0])
    every = "Click a heading to sort, a solver for its record."
    return [
        Section("At a glance", lead, [first], [tables.glance(table)]),
        Section("Figures", [" ".join(POINT.split())], [each for each in pictures if each is not first]),
        Section("Every row", [every], (), [tables.all_rows(table[table.status == "ok"])]),
        Section("Times to be read with care", [] if care.rows else [trusted], (), [care] if care.rows else []),
        Section("Gates, failed and skipped", told, (), [tables.gates(table)] + [missing] * bool(missing.rows)),
    ]


def page(runs: Sequence[Run], title: str, lead: str, out: Path) -> tuple[str, int]:
    """The runs' page, to be written into the folder `out`, where its figures are already; and how many there are.

    RuntimeError, in one line, without Jinja2.
    """
    show_html.template()  # before figures are drawn and written
    data, table = common.measured(runs), tables.rows_of(runs, out)
    pictures = gallery.pictures(data, out)
    parts = sections(runs, table, pictures, headline.finding(data))
    told = parts, [provenance(run) for run in runs], switches(table), pointed(data, runs, out)
    return show_html.render(title, lead, *told), sum(not picture.missing for picture in pictures)
