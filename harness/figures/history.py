"""Figures of the history: each metric of each cell over the commits, every solver a line, its steps marked."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.common import STYLE, style_of
from harness.figures.labels import Label, at_the_right, written
from harness.figures.marks import beneath
from harness.records.history import METRICS, History

LOGARITHMIC = ("time_solve", "track_time_to_baseline", "track_oneoff", "track_worst_parity")
"""Metrics of which factors count; zeros, as of the baseline's deviation from itself, are not drawn."""
GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS.values()))
WORSE, BETTER = "#c0392b", "#2e8b57"


def caption(history: History, machine: str, group: str) -> str:
    """What the figure shows, and how many steps are marked in it."""
    steps = history.steps[(history.steps.machine == machine) & history.steps.metric.isin(_metrics(group))]
    worse = int(steps.worse.sum()) if len(steps) else 0
    found = history.caveat or f"Steps: {worse} for the worse (▲), {len(steps) - worse} for the better (▼)"
    return f"{group} of every solver over the commits, the newest on the right; rising means worse. {found}."


def draw(history: History, machine: str, group: str) -> Figure | str:
    """Time, memory or quality on one machine; a sentence where none of it was measured."""
    points = history.points[history.points.machine == machine]
    steps = history.steps[history.steps.machine == machine]
    names = [name for name in _metrics(group) if (points.metric == name).any()]
    if not names:
        return "none of its quantities was measured"
    with mpl.rc_context(STYLE):
        figure = _grid(points, steps, names)
        commits = list(dict.fromkeys(points.commit))
        beneath(figure, f"{history.machines[machine]}; commits {' to '.join(dict.fromkeys((commits[0], commits[-1])))}")
        return figure


def _metrics(group: str) -> list[str]:
    return [name for name, metric in METRICS.items() if metric.group == group]


def _grid(points: pd.DataFrame, steps: pd.DataFrame, names: list[str]) -> Figure:
    """A row per metric, a column per cell."""
    cells = sorted({(row.bins, row.pixels) for row in points.itertuples()})
    commits = list(dict.fromkeys(points.commit))
    solvers = list(dict.fromkeys(points.solver))
    figure, grid = plt.subplots(
        len(names),
        len(cells),
        squeeze=False,
        sharex=True,
        sharey="row",
        figsize=(2.4 + 2.9 * len(cells), 1.0 + 2.6 * len(names)),
    )
    for axes_row, name in zip(grid, names, strict=True):
        for axes, (bins, pixels) in zip(axes_row, cells, strict=True):
            inside = {"metric": name, "bins": bins, "pixels": pixels}
            _panel(axes, _only(points, inside), _only(steps, inside), commits, solvers)
            if name == names[0]:
                axes.set_title(f"{pixels} pixels x {bins} bins", fontsize=10)
            if name in LOGARITHMIC and (_only(points, inside).value > 0).any():
                axes.set_yscale("log")
                written(axes.yaxis)
        axes_row[0].set_ylabel(METRICS[name].title, fontsize=9)
    if "track_gate_violation" in names:
        grid[names.index("track_gate_violation")][0].set(ylim=(-0.1, 1.1), yticks=(0, 1), yticklabels=("no", "yes"))
    for axes in grid.flat:
        axes.tick_params(labelbottom=True, labelleft=True)
    for axes, name in zip(grid[:, -1], names, strict=True):
        bins, pixels = cells[-1]
        _name(axes, _only(points, {"metric": name, "bins": bins, "pixels": pixels}), commits)
    return figure


def _name(axes: Axes, points: pd.DataFrame, commits: list[str]) -> None:
    """Every solver's name right of the panel, where its line ends."""
    last = points[points.value.notna()].groupby("solver", sort=False).last().reset_index()
    last = last[last.value > 0] if axes.get_yscale() == "log" else last
    at_the_right(
        axes, [Label(commits.index(r.commit), r.value, r.solver, style_of(r.solver)[0]) for r in last.itertuples()]
    )


def _only(table: pd.DataFrame, values: dict[str, object]) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[column] == value for column, value in values.items()])]


def _panel(axes: Axes, points: pd.DataFrame, steps: pd.DataFrame, commits: list[str], solvers: list[str]) -> None:
    place = {commit: i for i, commit in enumerate(commits)}
    for solver in solvers:
        line = points[points.solver == solver]
        x, (colour, marker) = line.commit.map(place), style_of(solver)
        axes.plot(x, line.value, marker + "-", color=colour, ms=3.5, lw=1, label=solver)
        axes.fill_between(x, line.low.fillna(line.value), line.high.fillna(line.value), color=colour, alpha=0.15, lw=0)
    for step in steps.itertuples():
        colour, marker = (WORSE, "^") if step.worse else (BETTER, "v")
        value = points[(points.solver == step.solver) & (points.commit == step.commit)].value
        axes.plot([place[step.commit]], value, marker, color=colour, ms=9, mfc="none", mew=1.6)
    axes.set_xticks(range(len(commits)), commits, rotation=90, fontsize=7, family="monospace")
    axes.tick_params(axis="y", labelsize=8)
