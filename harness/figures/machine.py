"""What it takes from the machine: memory, phases, cores, and the distance to its limits."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.figures.common import Measured, by_panel, by_solver, panels, rows_high, style_of
from harness.figures.labels import SIZE, Label, at_the_right, beside, logarithmic
from harness.figures.marks import bars, mark, mark_each
from harness.figures.speed import beyond, offsets
from harness.machine import limits as machine_limits
from harness.show.terminal import threads

PHASES = {
    "oneoff_s": ("one-off", "o"),
    "prepare_s": ("prepare", "^"),
    "solve_s": ("solve", "s"),
    "collect_s": ("collect", "v"),
}
MAIN = "solve_s"
SHORTEST_S = 1e-6
"""Phases below a microsecond are at the axis' left end."""


def peak_memory(data: Measured) -> Figure | str:
    """Resident memory at the highest, a mark for each map size."""
    known = data.table[data.table.peak_rss_mb.notna()]
    if known.empty:
        return "no memory was measured"
    groups = by_panel(known)
    figure, axes = panels([name for name, _ in groups], rows_high(groups, 0.38), width=4.4)
    for one, (_, rows) in zip(axes, groups, strict=True):
        solvers = list(dict.fromkeys(rows.solver))
        for place, name in enumerate(solvers):
            points = rows[rows.solver == name].sort_values("pixels")
            colour, marker = style_of(str(name))
            heights = place + np.array(offsets(len(points)))
            (marks,) = one.plot(points.peak_rss_mb, heights, marker, color=colour, ms=5)
            mark_each(points.index, marks)
            last = points.iloc[-1].peak_rss_mb
            beyond(one, f"{last:,.0f}", last, heights[-1], int(points.index[-1]))
        by_solver(one, solvers)
        one.set_xlabel("peak resident memory, MB")
        one.set_xlim(known.peak_rss_mb.min() / 1.5, 2.2 * known.peak_rss_mb.max())
        logarithmic(one, "x")
    return figure


def phases(data: Measured) -> Figure | str:
    """One-off, prepare, solve and collect of every solver at the largest map."""
    rows = data.largest
    if rows.empty:
        return "nothing was measured"
    groups = by_panel(rows)
    figure, axes = panels(_at_largest(groups), rows_high(groups, 0.28, 1.2), width=4.4)
    for one, (_, group) in zip(axes, groups, strict=True):
        solvers = list(dict.fromkeys(group.solver))
        for row in group.itertuples():
            place, colour = solvers.index(row.solver), style_of(row.solver)[0]
            spans = {name: max(getattr(row, name), SHORTEST_S) for name in PHASES}
            (line,) = one.plot([SHORTEST_S, max(spans.values())], [place] * 2, color="grey", lw=0.6, alpha=0.5)
            mark(row.Index, line, values=False)
            for name, (_, shape) in PHASES.items():
                strength = 1.0 if name == MAIN else 0.5
                mark(row.Index, *one.plot(spans[name], place, shape, color=colour, alpha=strength, ms=6))
        by_solver(one, solvers)
        one.set_xlabel("seconds")
        one.set_xlim(SHORTEST_S / 2, 2 * max(rows[list(PHASES)].max()))
        logarithmic(one, "x")
    shapes = [
        Line2D([], [], ls="", marker=shape, color="grey", alpha=1.0 if name == MAIN else 0.5, label=label)
        for name, (label, shape) in PHASES.items()
    ]
    figure.legend(handles=shapes, loc="outside upper left", ncols=len(shapes))
    return figure


def _at_largest(groups: Sequence[tuple[Any, pd.DataFrame]]) -> list[str]:
    """Panels' names with the map size, by which runs are told apart where it does."""
    sizes = [f"{rows.pixels.iloc[0]:,} pixels" for _, rows in groups]
    names = [f"{name.partition(chr(10))[0]}\n{size}" for (name, _), size in zip(groups, sizes, strict=True)]
    whole = [f"{name}\n{size}" for (name, _), size in zip(groups, sizes, strict=True)]
    return [long if names.count(name) > 1 else name for name, long in zip(names, whole, strict=True)]


def _family(spec: str) -> str:
    """A solver without its number of threads or workers."""
    return re.sub(r"(threads|workers)=\d+,?", "", spec).replace(",]", "]").replace("[]", "")


def efficiency(rows: pd.DataFrame) -> list[pd.Series]:
    """One thread's time (columns `..._one`) over a row's and its threads; its interval, to which both times' add."""
    value = rows.median_s_one / rows.median_s / rows.threads.astype(float)
    of_one, of_row = (
        [np.log(rows[f"ci_{side}_s{end}"] / rows[f"median_s{end}"]).abs() for side in ("low", "high")]
        for end in ("_one", "")
    )
    low, high = np.hypot(of_one[0], of_row[1]), np.hypot(of_one[1], of_row[0])
    return [value, value * np.exp(-low), (value * np.exp(high)).where(rows.threads > 1, np.nan)]


def parallel_efficiency(data: Measured) -> Figure | str:
    """Speedup over one thread, per thread."""
    rows = data.table.assign(family=data.table.solver.map(_family), number=data.table.index)
    cell = ["run", "panel", "pixels", "family"]
    several = rows[rows.groupby(cell).threads.transform("nunique") > 1]
    several = several[several.groupby(cell).threads.transform("min") == 1]
    if several.empty:
        return "no solver was timed on one thread and on several in the same run"
    one_thread = several[several.threads == 1].set_index(cell)[["median_s", "ci_low_s", "ci_high_s"]]
    several = several.join(one_thread.add_suffix("_one"), on=cell)
    several = several.assign(**dict(zip(("efficiency", "low", "high"), efficiency(several), strict=True)))
    groups = by_panel(several)
    figure, axes = panels([name for name, _ in groups], 3.4, width=4.8)
    for one, (_, group) in zip(axes, groups, strict=True):
        top = max(1.15, 1.1 * several.efficiency.max())
        one.set(xlabel="threads", ylim=(0, top), ylabel="speedup over one thread / threads")
        ends = []
        for n, ((family, pixels), points) in enumerate(group.groupby(["family", "pixels"], sort=False)):
            points, (colour, shape) = points.sort_values("threads"), style_of(family)
            (line,) = one.plot(points.threads, points.efficiency, color=colour, ls=("-", "--", ":", "-.")[n % 4])
            last = points.iloc[-1]
            mark(last.number, line, values=False)
            known = points.set_index("number")
            bars(one, known, colour, [known.threads] * 2, [known.low, known.high], lw=2.2, alpha=0.5)
            (marks,) = one.plot(points.threads, points.efficiency, shape, color=colour)
            mark_each(points.number, marks)
            ends.append(Label(last.threads, last.efficiency, f"{family},\n{pixels:,} pixels", colour, last.number))
        one.axhline(1, color="grey", lw=1, ls=":")
        at_the_right(one, ends)
        one.set_xticks(sorted(several.threads.unique().astype(int)))
    return figure


def roof(figures: dict[str, Any], number: int) -> tuple[float, float]:
    """Operations and bytes per second that so many threads sustain at most; bytes from the largest block."""
    cores = figures["machine"]["cores"]
    blocks = figures["copy_bytes_per_s"]
    return (
        machine_limits.rate(figures["flops_per_s"], number, cores),
        machine_limits.rate(max(blocks, key=lambda block: block["bytes"]), number, cores),
    )


def roofline(data: Measured) -> Figure | str:
    """Counted operations per second against counted operations per byte."""
    rows = data.largest[data.largest.strategy_flops.notna() & (data.largest.strategy_bytes > 0)]
    rows = rows[[bool(data.limits.get(run)) for run in rows.run]]
    if rows.empty:
        return "no run has both the machine's limits and a solver whose operations are counted"
    rows = rows.assign(
        intensity=rows.strategy_flops / rows.strategy_bytes, rate=rows.strategy_flops * rows.pixels_per_s / 1e9
    )
    groups = by_panel(rows)
    figure, axes = panels(_at_largest(groups), 3.6, width=4.2)
    for one, (_, group) in zip(axes, groups, strict=True):
        roofs = _roofs(one, group, data)
        one.set_xlim(min(0.05, rows.intensity.min() / 2), max(1e3, rows.intensity.max() * 2))
        one.set_ylim(rows.rate.min() / 2, 1.8 * max(one.get_ylim()[1], rows.rate.max()))
        logarithmic(one, "x")
        logarithmic(one, "y")
        names = []
        for row in group.itertuples():
            colour, shape = style_of(row.solver)
            mark(row.Index, *one.plot(row.intensity, row.rate, shape, color=colour, ms=7))
            names.append(Label(row.intensity, row.rate, row.solver, colour, row.Index))
        beside(one, names, roofs)
        one.set(xlabel="operations per byte", ylabel="Gflop/s")
    return figure


def _roofs(axes: Any, group: pd.DataFrame, data: Measured) -> list[float]:
    """Draw them, and return their heights, in Gflop/s."""
    intensity, heights = np.geomspace(0.01, 1e4, 200), []
    for number in sorted(set(group.threads.astype(int))):
        flops, memory = roof(data.limits[group.run.iloc[0]], number)
        axes.plot(intensity, np.minimum(flops, memory * intensity) / 1e9, color="grey", lw=1.3)
        axes.annotate(
            threads(number),
            (1, flops / 1e9),
            (3, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=SIZE,
            color="grey",
        )
        heights.append(flops / 1e9)
    return heights
