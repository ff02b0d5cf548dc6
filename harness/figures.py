"""Figures of a run, from its tidy table alone."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "demreg-bench",
}
MARKERS = "osD^vP*X<>hp"


def _style_of(table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and marker of every solver, the same in all figures of a run."""
    colours = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]
    names = list(dict.fromkeys(table.solver))
    return {name: (colours[i % 10], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure, axes = plt.subplots(1, count, figsize=(1.8 + 3.6 * count, 4.0), sharey=True, squeeze=False)
    return figure, list(axes[0])


def speed_against_quality(table: pd.DataFrame) -> Figure:
    """Pixels per second against the DEM's error, every solver a point, at each number of bins' largest map."""
    largest = table[table.pixels == table.groupby(["dataset", "bins"]).pixels.transform("max")]
    groups = list(largest.groupby(["dataset", "bins"], sort=False))
    figure, panels = _panels(len(groups))
    styles = _style_of(table)
    for axes, ((dataset, bins), rows) in zip(panels, groups, strict=True):
        for row in rows.itertuples():
            colour, marker = styles[row.solver]
            passed = row.gate == "pass"
            axes.plot(
                row.pixels_per_s, row.truth_dem_error, marker, color=colour, ms=9, mfc=colour if passed else "none",
                label=f"{row.solver}" + ("" if passed else f" (gate: {row.gate})"),
            )  # fmt: skip
        axes.set(xscale="log", xlabel="DEM / s", title=f"{dataset}\n{rows.pixels.iloc[0]} pixels x {bins} bins")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.15)
    panels[0].set_ylabel("median error of the DEM against the truth")
    panels[0].set_ylim(0, 1.15 * largest.truth_dem_error.max())
    _shared_legend(figure, panels)
    return figure


def runtime_against_pixels(table: pd.DataFrame) -> Figure:
    """Median time against map size, log-log, a panel per dataset and number of bins."""
    groups = list(table.groupby(["dataset", "bins"], sort=False))
    figure, panels = _panels(len(groups))
    styles = _style_of(table)
    for axes, ((dataset, bins), rows) in zip(panels, groups, strict=True):
        for name, points in rows.groupby("solver", sort=False):
            colour, marker = styles[str(name)]
            low = (points.median_s - points.ci_low_s).clip(lower=0).fillna(0)
            high = (points.ci_high_s - points.median_s).clip(lower=0).fillna(0)
            axes.errorbar(
                points.pixels, points.median_s, yerr=[low, high], marker=marker, color=colour, capsize=2, label=name
            )
        axes.set(yscale="log", xlabel="pixels", title=f"{dataset}, {bins} bins")
        sizes = sorted(rows.pixels.unique())
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)  # before the scale, which can't span a single size
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axes.set_xticks([], minor=True)
    panels[0].set_ylabel("median time, s (transfers included)")
    _shared_legend(figure, panels)
    return figure


def _shared_legend(figure: Figure, panels: list[Axes]) -> None:
    labels = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(labels.values(), labels.keys(), loc="outside right center")


def write_figures(table: pd.DataFrame, folder: Path, note: str) -> list[Path]:
    """Every figure of a table as PNG and SVG in `folder`, `note` (the machine) beneath each. Returns the PNGs."""
    measured = table[table.status == "ok"]
    written = []
    with mpl.rc_context(STYLE):
        for draw, rows in (
            (speed_against_quality, measured[measured.truth_dem_error.notna()]),  # of real images there is no truth
            (runtime_against_pixels, measured),
        ):
            if rows.empty:
                continue
            figure = draw(rows)
            figure.supxlabel(note, fontsize=8, alpha=0.7)
            for suffix in ("svg", "png"):
                path = folder / f"{draw.__name__}.{suffix}"
                figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
            written.append(path)
            plt.close(figure)
    return written
