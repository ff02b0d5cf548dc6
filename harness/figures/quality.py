"""How right: chi-squared, recovered DEMs, and their distance to the truth."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.common import MUTE, Measured, by_panel, by_solver, folded, panels, rows_high, style_of
from harness.figures.labels import SIZE, Label, at_the_right, logarithmic
from harness.figures.marks import mark
from harness.judge.excerpt import unpack

SCALE, TINY, DECADES = 1e15, 1e10, 3e3
"""A DEM's unit in cm-5 K-1, the faintest maximum that is drawn, and how far below its maximum a DEM is."""
MOST_BARS = 24
"""Error bars drawn of one DEM; of many bins every n-th."""
BRIGHTNESS = ("faint", "middling", "bright")
ALIKE = 0.01
"""DEMs that differ nowhere by more than this share of their maximum are one line to the eye."""
NORMAL = 0.68
"""Share of bins that lie within one standard error if noise is all that is wrong."""
Shown = dict[str, Any]


def chisq_distribution(data: Measured) -> Figure | str:
    """Percentiles of chi-squared, a row for each solver."""
    rows = data.largest[[bool(data.of(row).get("chisq_percentiles")) for row in data.largest.itertuples()]]
    if rows.empty:
        return "these records keep no percentiles of chi-squared"
    groups = by_panel(rows)
    figure, axes = panels([name for name, _ in groups], rows_high(groups), width=4.4)
    for one, (_, group) in zip(axes, groups, strict=True):
        solvers, ends = list(dict.fromkeys(group.solver)), [1.0]
        for row in group.itertuples():
            place, colour = solvers.index(row.solver), style_of(row.solver)[0]
            q = unpack(data.of(row)["chisq_percentiles"])
            ends += [q[5], q[95]]
            (line,) = one.plot([q[5], q[95]], [place] * 2, color=colour, lw=1.2)
            box = one.barh(place, q[75] - q[25], 0.55, q[25], color=colour, alpha=0.35, edgecolor=colour)
            (middle,) = one.plot([q[50]] * 2, [place - 0.27, place + 0.27], color=colour, lw=2.2)
            (most,) = one.plot(q[95], place, "D", color=colour, ms=5)
            mark(row.Index, line, *box.patches, values=False)
            mark(row.Index, middle, most)
        by_solver(one, solvers)
        one.axvline(1, color="grey", lw=1, ls=":")
        lowest = max(min(end for end in ends if end > 0), 1e-6 * max(ends))
        one.set(xlabel="χ²", xlim=(lowest / 1.3, 1.3 * max(ends)))
        logarithmic(one, "x")
    return figure


def dem_recovery(data: Measured) -> Figure | str:
    """True and recovered DEMs: a row of a faint, a middling and a bright pixel for each panel."""
    groups = [
        (name, [(row, data.of(row)) for row in rows.itertuples() if data.of(row).get("pixels")])
        for name, rows in by_panel(data.telling if len(data.telling) else data.largest, len(BRIGHTNESS))
    ]
    groups = [(name, drawn) for name, drawn in groups if drawn]
    if not groups:
        return "these records keep no pixels' DEMs"
    across = max(len(shown["pixels"]) for _, drawn in groups for _, shown in drawn)
    figure, grid = plt.subplots(
        len(groups), across, squeeze=False, figsize=(3.4 + 3.2 * across, 0.6 + 3.2 * len(groups))
    )
    for line, (name, drawn) in zip(grid, groups, strict=True):
        apart = _distinct(drawn)
        for number, one in enumerate(line):
            ends = _recovery(one, apart, number)
            kind = f"{BRIGHTNESS[number]} pixel" if across == len(BRIGHTNESS) else f"pixel {number + 1}"
            one.set_title(f"{name}: {kind}")
            one.set(xlabel="log₁₀ T / K", ylabel="DEM, cm⁻⁵ K⁻¹")
        at_the_right(line[-1], ends)
    return figure


def _distinct(drawn: Sequence[tuple[Any, Shown]]) -> list[tuple[Any, Shown, list[str]]]:
    """Solvers whose DEMs and error bars can be told apart, with the names of those that look the same; last the
    baseline's, on top."""
    groups: list[tuple[Any, Shown, list[str]]] = []
    for row, shown in sorted(drawn, key=lambda pair: pair[0].solver != "baseline"):
        same = next((names for _, other, names in groups if _alike(shown, other)), None)
        if same is None:
            groups.append((row, shown, [row.solver]))
        elif row.solver.partition("[")[0] not in same:  # a variant of one that is named already says nothing more
            same.append(row.solver)
    return groups[::-1]


def _alike(a: Shown, b: Shown) -> bool:
    if len(a["pixels"]) != len(b["pixels"]):
        return False
    for one, other in zip(a["pixels"], b["pixels"], strict=True):
        most = np.nanmax(np.abs(unpack(one["dem"])))
        for name in ("dem", "edem"):
            x, y = unpack(one[name]), unpack(other[name])
            if x.shape != y.shape or not np.allclose(x, y, rtol=0, atol=ALIKE * most, equal_nan=True):
                return False
    return True


def _recovery(axes: Axes, drawn: list[tuple[Any, Shown, list[str]]], number: int) -> list[Label]:
    """One pixel's DEMs; returns what is written at their ends."""
    best, ends = TINY, []
    for row, shown, names in drawn:
        if number >= len(shown["pixels"]):
            continue
        logt, example = unpack(shown["logt"]), shown["pixels"][number]
        dem, edem, elogt, truth = (unpack(example[name]) for name in ("dem", "edem", "elogt", "truth"))
        dem, edem, truth = (SCALE * values for values in (dem, edem, truth))
        if row is drawn[0][0] and np.isfinite(truth).any():
            axes.fill_between(logt, truth, step="mid", color="grey", alpha=0.35, lw=0)
            ends.append(Label(logt[-1], float(truth[-1]), "truth", "grey"))
        colour, shape = style_of(row.solver)
        (line,) = axes.plot(logt, dem, color=colour, lw=1.1 if len(logt) <= 2 * MOST_BARS else 0.5)
        bars = slice(None, None, -(-len(logt) // MOST_BARS))
        some = logt[bars], dem[bars], edem[bars], elogt[bars] / 2
        points, _, errors = axes.errorbar(*some, shape, color=colour, ms=3.2, lw=0, elinewidth=0.6)
        mark(row.Index, line, points)
        mark(row.Index, *errors, values=False)
        said = folded(", ".join(names), 24)
        ends.append(Label(logt[-1], float(dem[-1]), said, colour, row.Index))
        best = max(best, np.nanmax(dem), np.nanmax(np.nan_to_num(truth)))
    axes.set_ylim(best / DECADES, 3 * best)  # bins at or below zero lie under the axis
    logarithmic(axes, "y")
    return ends


def truth(data: Measured) -> Figure | str:
    """Error, distance of the peak and coverage: a row of panels for each workload, in them one for each solver."""
    known = data.telling
    if known.empty:
        return "no row of these runs has an error of the DEM"
    quantities = {
        "truth_dem_error": "relative error of the DEM",
        "truth_peak_logt_error": "distance of the peak, dex",
        "truth_coverage": "truth within one edem",
    }
    groups = by_panel(known, len(quantities))
    about = [f"{name} (no information on temperature)" if name.startswith(MUTE) else name for name, _ in groups]
    names = [name.replace("\n", ", ") for name in about for _ in quantities]
    heights = [high for high in rows_high(groups) for _ in quantities]
    figure, axes = panels(names, heights, width=4.4, columns=len(quantities))
    for n, (_, rows) in enumerate(groups):
        for one, (column, said) in zip(axes[3 * n : 3 * n + 3], quantities.items(), strict=True):
            most = 1.0 if column == "truth_coverage" else 1.15 * np.fmax(known[column].max(), 1e-3)
            _distances(one, rows, column, most)
            one.set_xlabel(said)
        axes[3 * n + 2].axvline(NORMAL, color="grey", lw=1, ls=":")
        axes[3 * n + 2].annotate(
            "a standard\nerror of a\nnormal\ndistribution", (NORMAL, 1), (-3, -2),
            xycoords=("data", "axes fraction"), textcoords="offset points", ha="right", va="top",
            fontsize=SIZE, color="grey",
        )  # fmt: skip
    return figure


def _distances(axes: Axes, rows: pd.DataFrame, column: str, most: float) -> None:
    solvers = list(dict.fromkeys(rows.solver))
    for row in rows.itertuples():
        colour, shape = style_of(row.solver)
        value, place = getattr(row, column), solvers.index(row.solver)
        if np.isfinite(value):
            mark(row.Index, *axes.plot(value, place, shape, color=colour, ms=7))
        else:
            said = axes.annotate(
                "not computed", (0, place), (4, 0), textcoords="offset points", va="center", color="grey"
            )
            said.set_fontsize(SIZE)
            mark(row.Index, said, values=False)
    by_solver(axes, solvers)
    axes.set_xlim(-0.03 * most, most)
