"""How right: chi-squared, recovered DEMs, and their distance to the truth."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.common import Measured, by_solver, legend, panels, style_of
from harness.judge.excerpt import unpack

SCALE, TINY, DECADES = 1e15, 1e10, 3e3
"""A DEM's unit in cm-5 K-1, the faintest maximum that is drawn, and how far below its maximum a DEM is."""
MOST_BARS = 24
"""Error bars drawn of one DEM; of many bins every n-th."""


def chisq_distribution(data: Measured) -> Figure | str:
    """Percentiles of chi-squared, a row for each solver."""
    rows = data.largest[[bool(data.of(row).get("chisq_percentiles")) for row in data.largest.itertuples()]]
    if rows.empty:
        return "these records keep no percentiles of chi-squared"
    groups, solvers = list(rows.groupby("panel", sort=False)), list(dict.fromkeys(rows.solver))
    figure, axes = panels([str(name) for name, _ in groups], 0.9 + 0.32 * len(solvers), sharey=True)
    for one, (_, group) in zip(axes, groups, strict=True):
        for row in group.itertuples():
            place, colour = solvers.index(row.solver), style_of(row.solver)[0]
            q = unpack(data.of(row)["chisq_percentiles"])
            one.plot([q[5], q[95]], [place] * 2, color=colour, lw=1.2)
            one.barh(place, q[75] - q[25], 0.55, q[25], color=colour, alpha=0.35, edgecolor=colour)
            one.plot([q[50]] * 2, [place - 0.27, place + 0.27], color=colour, lw=2.2)
            one.plot(q[95], place, "D", color=colour, ms=5)
        by_solver(one, solvers)
        one.axvline(1, color="grey", lw=1, ls=":")
        one.set(xlabel="χ²", xlim=(0, None))
    return figure


def dem_recovery(data: Measured) -> Figure | str:
    """True and recovered DEMs: a row of a faint, a middling and a bright pixel for each panel."""
    groups = [
        (str(name), rows)
        for name, rows in (data.telling if len(data.telling) else data.largest).groupby("panel", sort=False)
        if any(data.of(row).get("pixels") for row in rows.itertuples())
    ]
    if not groups:
        return "these records keep no pixels' DEMs"
    across = max(len(data.of(row).get("pixels", ())) for _, rows in groups for row in rows.itertuples())
    figure, grid = plt.subplots(
        len(groups), across, squeeze=False, figsize=(1.9 + 3.2 * across, 0.5 + 2.7 * len(groups)), sharex="row"
    )
    for line, (name, rows) in zip(grid, groups, strict=True):
        drawn = [(row, data.of(row)) for row in _distinct(rows)]
        for one, number in zip(line, range(across), strict=True):
            _recovery(one, drawn, number)
        line[0].set_ylabel(f"{name}\nDEM, cm⁻⁵ K⁻¹", fontsize=9)
    for one in grid[-1]:
        one.set_xlabel("log₁₀ T / K")
    legend(figure, list(grid.flat))
    return figure


def _distinct(rows: pd.DataFrame) -> list[Any]:
    """Every other solver, then, on top, one of the exact ones that pass their gate: the baseline if it is there."""
    same = rows[(rows.accuracy == "exact") & (rows.gate == "pass")]
    same = same.sort_values("solver", key=lambda names: names != "baseline", kind="stable")
    others = rows[~rows.index.isin(same.index)]
    return [*others.itertuples(), *same.head(1).itertuples()]


def _recovery(axes: Axes, drawn: list[tuple[Any, dict[str, Any]]], number: int) -> None:
    best = TINY
    for row, shown in drawn:
        if number >= len(shown.get("pixels", ())):
            continue
        logt, example = unpack(shown["logt"]), shown["pixels"][number]
        dem, edem, elogt, truth = (unpack(example[name]) for name in ("dem", "edem", "elogt", "truth"))
        dem, edem, truth = (SCALE * values for values in (dem, edem, truth))
        if row is drawn[0][0]:
            axes.set_title(f"pixel {example['pixel']:,}", fontsize=9)
            if np.isfinite(truth).any():
                axes.fill_between(logt, truth, step="mid", color="grey", alpha=0.35, lw=0, label="truth")
        colour, marker = style_of(row.solver)
        bars = slice(None, None, -(-len(logt) // MOST_BARS))
        axes.plot(logt, dem, color=colour, lw=1.1 if len(logt) <= 2 * MOST_BARS else 0.5)
        axes.errorbar(
            logt[bars],
            dem[bars],
            edem[bars],
            elogt[bars] / 2,
            marker,
            color=colour,
            ms=3.2,
            lw=0,
            elinewidth=0.6,
            label=f"{row.solver} and all exact" if row.accuracy == "exact" and row.gate == "pass" else row.solver,
        )
        best = max(best, np.nanmax(dem), np.nanmax(np.nan_to_num(truth)))
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(best / DECADES, 3 * best)  # bins at or below zero lie under the axis


def truth(data: Measured) -> Figure | str:
    """Error, distance of the peak and coverage, a row for each solver, a mark for each panel."""
    known = data.telling
    if known.empty:
        return "no workload of these runs has a known truth"
    solvers, names = list(dict.fromkeys(known.solver)), list(dict.fromkeys(known.panel))
    figures = {
        "truth_dem_error": "relative error of the DEM",
        "truth_peak_logt_error": "distance of the peak, dex",
        "truth_coverage": "truth within one edem",
    }
    figure, axes = panels(list(figures.values()), 0.9 + 0.4 * len(solvers), sharey=True)
    markers = "osD^vP*X<>hp"
    for one, column in zip(axes, figures, strict=True):
        for n, (_, rows) in enumerate(known.groupby("panel", sort=False)):
            offset = 0.5 * (n + 0.5) / len(names) - 0.25
            places = [solvers.index(name) + offset for name in rows.solver]
            label = names[n].replace("\n", ", ")
            one.plot(
                rows[column],
                places,
                markers[n % len(markers)],
                color=plt.get_cmap("viridis")(n / len(names)),
                ms=6,
                ls="",
                label=label,
            )
        by_solver(one, solvers)
        one.set_xlim(0, 1.1 * np.fmax(known[column].max(), 1e-3))
    axes[2].axvline(0.68, color="grey", lw=1, ls=":")
    axes[2].set_xlim(0, 1)
    legend(figure, axes)
    return figure
