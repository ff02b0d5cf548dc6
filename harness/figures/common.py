"""What all figures share: what they are drawn from, and their style, panels, axes and legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.records.run import Run
from implementations.registry import IN_REPO, PEERS

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "demreg-bench",
}


HUES = ("#7D7D7D", "#3585C9", "#D55E00", "#00926E", "#C2578F", "#A67C00", "#8E6BD1", "#0A8FA3")
"""Told apart by colour-blind eyes with the markers, and legible on white and on the page's dark ground alike."""
MARKERS = "osD^vP*X<>h"
KNOWN = (*IN_REPO, *PEERS)


TELLING = ("aia", "solar-mix", "gaussian-response")
"""Workloads whose truth the counts can tell, the most telling first; with random responses they can't."""
COLUMNS = 3
"""Panels beside one another."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What figures are drawn from: rows that were measured, and what their records keep to be drawn."""

    table: pd.DataFrame
    """The tidy table's rows with status ok, and a column `panel`: what a row is drawn together with."""
    shown: dict[tuple[str, str, int, int, str], dict[str, Any]]
    """By (run, dataset, pixels, bins, solver); see `harness.judge.excerpt`."""
    limits: dict[str, dict[str, Any]]
    """By run: the machine's limits."""

    @property
    def largest(self) -> pd.DataFrame:
        """Every panel's rows of its largest map."""
        return self.table[self.table.pixels == self.table.groupby("panel").pixels.transform("max")]

    @property
    def telling(self) -> pd.DataFrame:
        """Of the largest maps those whose truth the counts can tell; without any, those whose truth is known."""
        known = self.largest[self.largest.truth_dem_error.notna()]
        told = known[known.dataset.isin(TELLING)]
        return told if len(told) else known

    def of(self, row: Any) -> dict[str, Any]:
        """What the record of a row keeps to be drawn; empty for records from before it was kept."""
        return self.shown.get((row.run, row.dataset, row.pixels, row.bins, row.solver), {})


def style_of(solver: str) -> tuple[str, str]:
    """A solver's colour and marker, the same in every figure of every run; its variants have its colour."""
    name, _, tunables = solver.partition("[")
    place = KNOWN.index(name) if name in KNOWN else len(KNOWN) + crc32(name.encode())
    return HUES[place % len(HUES)], MARKERS[(place + crc32(tunables.encode()) * bool(tunables)) % len(MARKERS)]


def measured(runs: Sequence[Run]) -> Measured:
    """What was measured in those runs. Rows of the same workload in several runs stay apart."""
    tables = [run.table() for run in runs]
    table = pd.concat([t[t.status == "ok"] for t in tables if len(t)] or tables, ignore_index=True)
    if len(runs) > 1:
        table["run"] = table.run.where(table.run.notna(), "")
    place = table.dataset + ", " + table.bins.astype(str) + " bins"
    shared = table.groupby(place).run.transform("nunique") > 1
    table["panel"] = place.where(~shared, place + "\n" + table.run)
    shown = {}
    for run in runs:
        for record in run.drawn():
            row = record["row"]
            key = (row["run"], row["dataset"], row["pixels"], row["bins"], row["solver"])
            shown[key] = record["shown"]
    limits = {run.provenance["run"]: run.provenance.get("limits") or {} for run in runs}
    return Measured(table, shown, limits)


def panels(names: Sequence[str], height: float = 3.4, width: float = 3.4, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    """A titled axes for each name, `COLUMNS` beside one another."""
    rows, across = -(-len(names) // COLUMNS), min(len(names), COLUMNS)
    figure, grid = plt.subplots(
        rows, across, squeeze=False, figsize=(1.9 + width * across, 0.5 + height * rows), **kwargs
    )
    axes = list(grid.flat)
    for name, one in zip(names, axes, strict=False):
        one.set_title(name)
    for unused in axes[len(names) :]:
        unused.remove()
    return figure, axes[: len(names)]


def pixel_axis(axes: Axes, pixels: pd.Series) -> None:
    """A logarithmic axis of map sizes, labelled at those measured whose labels don't touch."""
    sizes = sorted(pixels.unique())
    kept = sizes[-1:]
    for size in reversed(sizes[:-1]):
        if kept[0] / size >= (sizes[-1] / sizes[0]) ** 0.22:
            kept.insert(0, size)
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)  # before the scale, which can't span a single size
    axes.set(xscale="log", xlabel="pixels")
    axes.set_xticks(kept, [f"{size:,}" for size in kept], minor=False)
    axes.set_xticks([], minor=True)


def by_solver(axes: Axes, solvers: Sequence[str]) -> None:
    """A row for each solver, the first on top."""
    axes.set_yticks(range(len(solvers)), solvers)
    axes.set_ylim(len(solvers) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels."""
    found = {label: handle for one in axes for handle, label in zip(*one.get_legend_handles_labels(), strict=True)}
    if found:
        figure.legend(found.values(), found.keys(), loc="outside right center")
