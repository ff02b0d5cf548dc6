"""What it takes from the machine: memory, phases, cores, and the distance to its limits."""

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.figures.common import Measured, by_solver, legend, panels, pixel_axis, style_of
from harness.machine import limits as machine_limits

PHASES = {
    "oneoff_s": ("one-off", "o"),
    "prepare_s": ("prepare", "^"),
    "solve_s": ("solve", "s"),
    "collect_s": ("collect", "v"),
}
SHORTEST_S = 1e-6
"""Phases below a microsecond are at the axis' left end."""


def peak_memory(data: Measured) -> Figure | str:
    """Resident memory at the highest, against map size."""
    known = data.table[data.table.peak_rss_mb.notna()]
    if known.empty:
        return "no memory was measured"
    groups = list(known.groupby("panel", sort=False))
    figure, axes = panels([str(name) for name, _ in groups], 3.0, sharey=True)
    for one, (_, rows) in zip(axes, groups, strict=True):
        for name, points in rows.groupby("solver", sort=False):
            colour, marker = style_of(str(name))
            one.plot(points.pixels, points.peak_rss_mb, marker + "-", color=colour, ms=5, lw=1.2, label=str(name))
        pixel_axis(one, rows.pixels)
        one.set_ylim(0, 1.1 * known.peak_rss_mb.max())
    axes[0].set_ylabel("peak resident memory, MB")
    legend(figure, axes)
    return figure


def phases(data: Measured) -> Figure | str:
    """One-off, prepare, solve and collect of every solver at the largest map."""
    rows = data.largest
    if rows.empty:
        return "nothing was measured"
    groups, solvers = list(rows.groupby("panel", sort=False)), list(dict.fromkeys(rows.solver))
    names = [f"{name}\n{group.pixels.iloc[0]:,} pixels" for name, group in groups]
    figure, axes = panels(names, 0.9 + 0.32 * len(solvers), sharey=True)
    for one, (_, group) in zip(axes, groups, strict=True):
        places = [solvers.index(name) for name in group.solver]
        one.hlines(places, SHORTEST_S, group[list(PHASES)].max(axis=1), color="grey", lw=0.6, alpha=0.5)
        for n, (column, (label, marker)) in enumerate(PHASES.items()):
            one.plot(group[column].clip(lower=SHORTEST_S), places, marker, color=f"C{n}", ms=6, ls="", label=label)
        by_solver(one, solvers)
        one.set(xscale="log", xlabel="seconds")
    legend(figure, axes)
    return figure


def _family(spec: str) -> str:
    """A solver without its number of threads or workers."""
    return re.sub(r"(threads|workers)=\d+,?", "", spec).replace(",]", "]").replace("[]", "")


def parallel_efficiency(data: Measured) -> Figure | str:
    """Speedup over one thread, per thread."""
    rows = data.table.assign(family=data.table.solver.map(_family))
    cell = ["run", "panel", "pixels", "family"]
    several = rows[rows.groupby(cell).threads.transform("nunique") > 1]
    several = several[several.groupby(cell).threads.transform("min") == 1]
    if several.empty:
        return "no solver was timed on one thread and on several in the same run"
    one_thread = several[several.threads == 1].set_index(cell).median_s
    several = several.set_index(cell).assign(one=one_thread).reset_index()
    several["efficiency"] = several.one / several.median_s / several.threads.astype(float)
    groups = list(several.groupby("panel", sort=False))
    figure, axes = panels([str(name) for name, _ in groups], 3.0, sharey=True)
    for one, (_, group) in zip(axes, groups, strict=True):
        for n, ((family, pixels), points) in enumerate(group.groupby(["family", "pixels"], sort=False)):
            points = points.sort_values("threads")
            one.plot(
                points.threads,
                points.efficiency,
                "osD^vP"[n % 6] + "-",
                color=f"C{n}",
                label=f"{family}, {pixels:,} pixels",
            )
        one.axhline(1, color="grey", lw=1, ls=":")
        one.set(xlabel="threads", ylim=(0, 1.15))
        one.set_xticks(sorted(several.threads.unique().astype(int)))
    axes[0].set_ylabel("speedup over one thread / threads")
    legend(figure, axes)
    return figure


def roof(figures: dict[str, Any], threads: int) -> tuple[float, float]:
    """Operations and bytes per second that so many threads sustain at most; bytes from the largest block."""
    cores = figures["machine"]["cores"]
    blocks = figures["copy_bytes_per_s"]
    return (
        machine_limits.rate(figures["flops_per_s"], threads, cores),
        machine_limits.rate(max(blocks, key=lambda block: block["bytes"]), threads, cores),
    )


def roofline(data: Measured) -> Figure | str:
    """Counted operations per second against counted operations per byte."""
    rows = data.largest[data.largest.strategy_flops.notna() & (data.largest.strategy_bytes > 0)]
    rows = rows[[bool(data.limits.get(run)) for run in rows.run]]
    if rows.empty:
        return "no run has both the machine's limits and a solver whose operations are counted"
    groups = list(rows.groupby("panel", sort=False))
    figure, axes = panels([str(name) for name, _ in groups], 3.6, sharey=True, sharex=True)
    for one, (_, group) in zip(axes, groups, strict=True):
        _roofs(one, group, data)
        for row in group.itertuples():
            colour, marker = style_of(row.solver)
            one.plot(
                row.strategy_flops / row.strategy_bytes,
                row.strategy_flops * row.pixels_per_s / 1e9,
                marker,
                color=colour,
                ms=8,
                ls="",
                label=row.solver,
            )
        one.set(xscale="log", yscale="log", xlabel="operations per byte")
    axes[0].set_ylabel("Gflop/s")
    legend(figure, axes)
    return figure


def _roofs(axes: Any, group: pd.DataFrame, data: Measured) -> None:
    intensity = np.geomspace(0.01, 1e4, 200)
    for threads in sorted(set(group.threads.astype(int))):
        flops, memory = roof(data.limits[group.run.iloc[0]], threads)
        axes.plot(intensity, np.minimum(flops, memory * intensity) / 1e9, color="grey", lw=1.3)
        name = "1 thread" if threads == 1 else f"{threads} threads"
        axes.annotate(
            name,
            (1, flops / 1e9),
            (-2, 3),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
    seen = group.strategy_flops / group.strategy_bytes
    axes.set_xlim(min(0.05, seen.min() / 2), max(1e3, seen.max() * 2))
