"""How fast: runtime against pixels, speedup over the baseline."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.common import Measured, by_solver, panels, pixel_axis, style_of
from harness.judge import intervals
from harness.show.terminal import ratio


def runtime_against_pixels(data: Measured) -> Figure | str:
    """Median time against map size, log-log, with fitted exponents."""
    groups = list(data.table.groupby("panel", sort=False))
    figure, axes = panels([str(name) for name, _ in groups], 4.2, sharey=True)
    for one, (_, rows) in zip(axes, groups, strict=True):
        for name, points in rows.groupby("solver", sort=False):
            colour, marker = style_of(str(name))
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
            _speedups(one, rows[rows.solver == name].sort_values("pixels"), place)
        by_solver(one, solvers)
        one.axvline(1, color="grey", lw=1)
        one.set(xscale="log", xlabel="times the baseline")
        one.set_xlim(0.7 * min(rated.speedup.min(), 1), 6 * rated.speedup.max())
    return figure


def _speedups(axes: Axes, points: pd.DataFrame, place: int) -> None:
    if points.empty:
        return
    colour, marker = style_of(points.solver.iloc[0])
    places = place + np.linspace(-0.27, 0.27, len(points))
    sure = np.isfinite(points.speedup_low.to_numpy(dtype=float))
    axes.plot(points.speedup[sure], places[sure], marker, color=colour, ms=5)
    axes.plot(points.speedup[~sure], places[~sure], marker, color=colour, ms=5, mfc="none")
    axes.hlines(places[sure], points.speedup_low[sure], points.speedup_high[sure], colour, lw=1.5)
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
