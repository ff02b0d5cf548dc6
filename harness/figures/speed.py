"""How fast: runtime against pixels, speedup over the baseline."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.common import Measured, by_panel, by_solver, panels, pixel_axis, rows_high, style_of
from harness.figures.labels import SIZE, Label, at_the_right, logarithmic
from harness.figures.marks import bars, mark, mark_each
from harness.judge import intervals
from harness.show.terminal import ratio

FEWEST_SIZES = 3
"""Map sizes from which an exponent can be told: a line through two points fits whatever they are."""


def runtime_against_pixels(data: Measured) -> Figure | str:
    """Median time against map size, log-log, with fitted exponents."""
    several = data.table[data.table.groupby("panel").pixels.transform("nunique") > 1]
    if several.empty:
        return "no workload was measured at two map sizes or more"
    groups = by_panel(several)
    figure, axes = panels([name for name, _ in groups], 3.6, width=4.6)
    for one, (_, rows) in zip(axes, groups, strict=True):
        one.set_ylim(several.median_s.min() / 2, several.median_s.max() * 2)
        logarithmic(one, "y")
        pixel_axis(one, rows.pixels)
        ends = [_line(one, str(name), points) for name, points in rows.groupby("solver", sort=False)]
        at_the_right(one, ends)
        one.set_ylabel("median time, s")
    return figure


def _line(axes: Axes, name: str, points: pd.DataFrame) -> Label:
    """A solver's times with their intervals; returns its name with the exponent, at the line's end."""
    points = points.sort_values("pixels")
    colour, marker = style_of(name)
    (line,) = axes.plot(points.pixels, points.median_s, color=colour, lw=1.2)
    mark(points.index[-1], line, values=False)
    bars(axes, points, colour, [points.pixels] * 2, [points.ci_low_s, points.ci_high_s], lw=2.2, alpha=0.6)
    (marks,) = axes.plot(points.pixels, points.median_s, marker, color=colour, ms=5, label=name)
    mark_each(points.index, marks)
    last = points.iloc[-1]
    return Label(last.pixels, last.median_s, f"{name}{_exponent(points)}", colour, int(points.index[-1]))


def _exponent(points: pd.DataFrame) -> str:
    if points.pixels.nunique() < FEWEST_SIZES:
        return ""
    k = intervals.exponent(points.pixels.astype(float).tolist(), points.median_s.tolist())
    return f"  k={k.value:.2f}" + (f"±{k.high - k.value:.2f}" if np.isfinite(k.high) else "")


def speedup(data: Measured) -> Figure | str:
    """Ratio to the baseline of the same rounds, a mark for each map size."""
    rated = data.table[data.table.speedup.notna() & (data.table.solver != "baseline")]
    if rated.empty:
        return "no run measured a solver beside the baseline"
    groups = by_panel(rated)
    figure, axes = panels([name for name, _ in groups], rows_high(groups, 0.42), width=4.4)
    for one, (_, rows) in zip(axes, groups, strict=True):
        solvers = list(dict.fromkeys(rows.solver))
        for place, name in enumerate(solvers):
            _speedups(one, rows[rows.solver == name].sort_values("pixels"), place)
        by_solver(one, solvers)
        one.axvline(1, color="grey", lw=1)
        one.set_xlabel("times the baseline")
        one.set_xlim(0.7 * min(rated.speedup.min(), 1), 40 * rated.speedup.max())
        logarithmic(one, "x")
    return figure


def _speedups(axes: Axes, points: pd.DataFrame, place: int) -> None:
    colour, marker = style_of(points.solver.iloc[0])
    heights = place + np.array(offsets(len(points)))
    bars(axes, points, colour, [points.speedup_low, points.speedup_high], [heights] * 2, lw=1.5)
    sure = np.isfinite(points.speedup_low.to_numpy(float))
    for some, strength in ((sure, 1.0), (~sure, 0.35)):
        if some.any():
            (marks,) = axes.plot(points.speedup[some], heights[some], marker, color=colour, ms=5, alpha=strength)
            mark_each(points.index[some], marks)
    last = points.iloc[-1]
    right = np.nanmax([last.speedup, last.speedup_high])
    said = ratio(last.speedup) + ", gate failed" * (last.gate == "fail")
    beyond(axes, said, right, heights[-1], int(points.index[-1]))


def offsets(number: int) -> list[float]:
    """Places of so many marks above and below a row's middle."""
    return np.linspace(-0.27, 0.27, number).tolist() if number > 1 else [0.0]


def beyond(axes: Axes, text: str, x: float, y: float, row: int) -> None:
    """A number right of a mark."""
    said = axes.annotate(text, (x, y), (6, 0), textcoords="offset points", va="center", fontsize=SIZE)
    mark(row, said, values=False)
