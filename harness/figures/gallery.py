"""The gallery: every figure that is drawn of runs, from their records alone, and what all of them share.

`FIGURES` lists them in the order of the report. Each has a function that takes `Measured` and returns a Matplotlib
figure, or a sentence that says why there is nothing to draw. No figure averages anything over runs: where two runs
measured the same workload and number of bins, each has a panel of its own that names it.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.records.run import Run

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
MARKERS = "osD^vP*X<>hp"
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
    def styles(self) -> dict[str, tuple[Any, str]]:
        """Colour and marker of every solver, the same in all figures."""
        colours = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]
        names = list(dict.fromkeys(self.table.solver))
        return {name: (colours[i % 10], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}

    @property
    def largest(self) -> pd.DataFrame:
        """Every panel's rows of its largest map."""
        return self.table[self.table.pixels == self.table.groupby("panel").pixels.transform("max")]

    def of(self, row: Any) -> dict[str, Any]:
        """What the record of a row keeps to be drawn; empty for records from before it was kept."""
        return self.shown.get((row.run, row.dataset, row.pixels, row.bins, row.solver), {})


class Entry(NamedTuple):
    """A figure of the gallery: the module and name of the function, and what a reader is told."""

    module: str
    name: str
    title: str
    caption: str

    @property
    def draw(self) -> Callable[[Measured], Figure | str]:
        """The function that draws it."""
        return getattr(importlib.import_module(self.module), self.name)


def _gallery(module: str, rows: Iterable[tuple[str, str, str]]) -> list[Entry]:
    return [Entry(f"harness.figures.{module}", *row) for row in rows]


FIGURES: tuple[Entry, ...] = (
    *_gallery("speed", [
        ("speed_against_quality", "Speed against quality",
         "DEMs per second against the median error of the DEM, at each panel's largest map. Right is faster, down is "
         "nearer to the truth; a hollow marker is a solver whose gate did not pass."),
        ("runtime_against_pixels", "Runtime against pixels",
         "Median headline time (transfers included) with 99% intervals. k is the fitted exponent, time ~ pixels^k, "
         "with its 95% interval where there are three sizes or more."),
        ("speedup", "Speedup over the baseline",
         "Ratio to the baseline in the same rounds, with 99% intervals; one mark a map size, the largest lowest and "
         "labelled. A hollow mark was timed too seldom for an interval."),
    ]),
    *_gallery("quality", [
        ("chisq_distribution", "Chi-squared",
         "Over the valid pixels of the largest map: box from the 25th to the 75th percentile with the median, line "
         "from the 5th to the 95th, diamond at the 95th."),
        ("dem_recovery", "DEM recovery",
         "True DEM (grey) and recovered DEMs of a faint, a middling and a bright pixel; vertical bars are edem, "
         "horizontal ones elogt. Exact solvers that pass their gate agree with the baseline and are drawn once."),
        ("truth", "Distance to the truth",
         "Medians over the sampled pixels: relative error of the DEM, distance of its peak, and the share of bins "
         "whose true value lies within one standard error (of noise alone, so it can lie far below 0.68)."),
    ]),
    *_gallery("machine", [
        ("peak_memory", "Peak memory",
         "Resident memory of the solver's process and its children at the highest, imports and inputs included."),
        ("phases", "Time by phase",
         "One-off (import, compilation, contexts), then the medians of prepare, solve and collect at the largest map."),
        ("parallel_efficiency", "Parallel efficiency",
         "Speedup over one thread divided by the number of threads, for solvers that a run timed on several."),
        ("roofline", "Roofline",
         "Operations that each strategy counts for itself, per second and per byte it moves, below what the machine "
         "sustained when it was measured: memory's slope and the multiply-adds' roof, on as many cores as were used."),
    ]),
)  # fmt: skip


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
        for record in run.records():
            row = record["row"]
            key = (row["run"], row["dataset"], row["pixels"], row["bins"], row["solver"])
            shown[key] = record.get("shown") or {}
    limits = {run.provenance["run"]: run.provenance.get("limits") or {} for run in runs}
    return Measured(table, shown, limits)


def panels(names: Sequence[str], height: float = 3.4, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    """A titled axes for each name, `COLUMNS` beside one another."""
    rows, across = -(-len(names) // COLUMNS), min(len(names), COLUMNS)
    figure, grid = plt.subplots(
        rows, across, squeeze=False, figsize=(1.9 + 3.4 * across, 0.5 + height * rows), **kwargs
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


def draw_all(data: Measured, entries: Sequence[Entry] = FIGURES) -> Iterator[tuple[Entry, Figure]]:
    """Those figures that there is something to draw for. Close each when it is used."""
    for entry in entries:
        with mpl.rc_context(STYLE):
            figure = entry.draw(data)
            if isinstance(figure, Figure):
                yield entry, figure


def write_figures(runs: Sequence[Run], folder: Path, note: str, entries: Sequence[Entry] = FIGURES) -> list[Path]:
    """Figures of those runs as PNG and SVG in `folder`, `note` (the machine) beneath each. Returns the PNGs."""
    written: list[Path] = []
    for entry, figure in draw_all(measured(runs), entries):
        figure.supxlabel(note, fontsize=8, alpha=0.7)
        for suffix in ("svg", "png"):
            path = folder / f"{entry.name}.{suffix}"
            figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
        written.append(path)
        plt.close(figure)
    return written
