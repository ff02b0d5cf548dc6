"""How fast: speed against quality, runtime against pixels, speedup over the baseline."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from harness.figures.common import Measured, by_solver, legend, panels, pixel_axis
from harness.judge import intervals
from harness.show.terminal import ratio


def speed_against_quality(data: Measured) -> Figure | str:
    """Pixels per second against the DEM's error, every solver a point."""
    known = data.largest[data.largest.truth_dem_error.notna()]
    if known.empty:
        return "no workload of these runs has a known truth"
    figure, axes = panels([_with_size(name, rows) for name, rows in known.groupby("panel", sort=False)], sharey=True)
    for one, (_, rows) in zip(axes, known.groupby("panel", sort=False), strict=True):
        for row in rows.itertuples():
            colour, marker = data.styles[row.solver]
            one.plot(
                row.pixels_per_s,
                row.truth_dem_error,
                marker,
                color=colour,
                ms=9,
                mew=1.5,
                ls="",
                mfc=colour if row.gate == "pass" else "none",
                label=_label(row),
            )
            if row.method != "demreg":
                one.plot(row.pixels_per_s, row.truth_dem_error, "o", color=colour, ms=17, mew=1, mfc="none")
        one.set(xscale="log", xlabel="DEM / s")
        one.xaxis.set_minor_formatter(NullFormatter())
        one.margins(x=0.15)
    axes[0].set_ylabel("median error of the DEM against the truth")
    axes[0].set_ylim(0, 1.15 * known.truth_dem_error.max())
    legend(figure, axes)
    return figure


def _label(row: Any) -> str:
    """The solver, with its method where that isn't DEMREG's, and its gate where it isn't passed."""
    said = [f"method {row.method}"] * (row.method != "demreg") + [f"gate: {row.gate}"] * (row.gate != "pass")
    return f"{row.solver} ({', '.join(said)})" if said else str(row.solver)


def _with_size(panel: object, rows: pd.DataFrame) -> str:
    return f"{panel}\n{rows.pixels.iloc[0]:,} pixels"


def runtime_against_pixels(data: Measured) -> Figure | str:
    """Median time against map size, log-log, with fitted exponents."""
    groups = list(data.table.groupby("panel", sort=False))
    figure, axes = panels([str(name) for name, _ in groups], 4.2, sharey=True)
    for one, (_, rows) in zip(axes, groups, strict=True):
        for name, points in rows.groupby("solver", sort=False):
            colour, marker = data.styles[str(name)]
            low = (points.median_s - points.ci_low_s).clip(lower=0).fillna(0)
            high = (points.ci_high_s - points.median_s).clip(lower=0).fillna(0)
            one.errorbar(
                points.pixels,
                points.median_s,
                yerr=[low, high],
                marker=marker,
                ms=5,
                lw=1.2,
                color=colour,
                capsize=2,
                label=f"{name}{_exponent(points)}",
            )
        one.set_yscale("log")
        pixel_axis(one, rows.pixels)
        one.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=7, handlelength=1.4)
    for one in axes[:: len(axes) if len(axes) < 3 else 3]:
        one.set_ylabel("median time, s")
    return figure


def _exponent(points: pd.DataFrame) -> str:
    if points.pixels.nunique() < 2:
        return ""
    k = intervals.exponent(points.pixels.astype(float).tolist(), points.median_s.tolist())
    return f"  k={k.value:.2f}" + (f"±{k.high - k.value:.2f}" if np.isfinite(k.high) else "")


def speedup(data: Measured) -> Figure | str:
    """Ratio to the baseline of the same rounds, a mark for each map size."""
    rated = data.table[data.table.speedup.notna() & (data.table.solver != "baseline")]
    if rated.empty:
        return "no run measured a solver beside the baseline"
    groups = list(rated.groupby("panel", sort=False))
    solvers = list(dict.fromkeys(rated.solver))
    figure, axes = panels([str(name) for name, _ in groups], 0.9 + 0.45 * len(solvers), sharey=True)
    for one, (_, rows) in zip(axes, groups, strict=True):
        for place, name in enumerate(solvers):
            _speedups(one, rows[rows.solver == name].sort_values("pixels"), place, data)
        by_solver(one, solvers)
        one.axvline(1, color="grey", lw=1)
        one.set(xscale="log", xlabel="times the baseline")
        one.set_xlim(0.7 * min(rated.speedup.min(), 1), 6 * rated.speedup.max())
    return figure


def _speedups(axes: Axes, points: pd.DataFrame, place: int, data: Measured) -> None:
    for row, offset in zip(points.itertuples(), np.linspace(-0.27, 0.27, len(points)), strict=True):
        colour, marker = data.styles[row.solver]
        sure = np.isfinite(row.speedup_low)
        axes.plot(row.speedup, place + offset, marker, color=colour, ms=5, mfc=colour if sure else "none")
        if sure:
            axes.plot([row.speedup_low, row.speedup_high], [place + offset] * 2, color=colour, lw=1.5)
    if len(points):
        last = points.iloc[-1]
        right = np.nanmax([last.speedup, last.speedup_high])
        axes.annotate(
            ratio(last.speedup),
            (right, place + 0.27 * (len(points) > 1)),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
