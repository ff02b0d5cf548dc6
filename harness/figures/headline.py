"""The first figure: what a solver's speed buys, on the workload of a run that says most."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.common import MUTE, TELLING, Measured, folded, panels, span, style_of
from harness.figures.labels import Label, beside, logarithmic
from harness.figures.marks import mark
from harness.show.terminal import ratio, threads

NOTHING = "its counts hold no information on temperature: the error says nothing of a solver"


def speed_against_quality(data: Measured) -> Figure | str:
    """DEM per second and core against the DEM's error, every solver a point with its name."""
    rows = _rows(data)
    if rows.empty:
        return "no row of these runs has an error of the DEM"
    figure, (axes,) = panels([""], 4.6, width=7.6)
    title = _finding(rows) or f"{rows.dataset.iloc[0]}: speed against the DEM's error"
    figure.suptitle(folded(title, 70), fontsize=13, fontweight="bold")
    axes.set_title(folded(_below(rows), 110), fontsize=8.5, alpha=0.8)
    for row in rows.itertuples():
        _point(axes, row)
    axes.set_xlabel("DEM / s and core: faster to the right")
    mute = rows.dataset.iloc[0].startswith(MUTE)
    axes.set_ylabel("median error of the DEM" + ": lower is nearer to the truth" * (not mute))
    axes.set_xlim(rows.rate.min() / 2.2, rows.rate.max() * 3.5)
    spread = max(np.ptp(rows.truth_dem_error), 0.2 * rows.truth_dem_error.max())
    axes.set_ylim(max(0, rows.truth_dem_error.min() - 0.35 * spread), rows.truth_dem_error.max() + 0.45 * spread)
    logarithmic(axes, "x")
    names = [(row, _label(row), style_of(row.solver)[0]) for row in rows.itertuples()]
    beside(axes, [Label(row.rate, row.truth_dem_error, text, hue, row.Index) for row, text, hue in names])
    return figure


def _point(axes: Axes, row: Any) -> None:
    """A solver's mark: hollow where a gate failed, ringed where it is another method."""
    colour, shape = style_of(row.solver)
    fill, place = "none" if row.failed else colour, (row.rate, row.truth_dem_error)
    (point,) = axes.plot(*place, shape, color=colour, ms=10, mew=1.6, ls="", mfc=fill, alpha=0.9, label=row.solver)
    mark(row.Index, point)
    if row.method != "demreg":
        mark(row.Index, *axes.plot(*place, "o", color=colour, ms=18, mew=1, mfc="none"), values=False)


def _rows(data: Measured) -> pd.DataFrame:
    """The largest map's rows of the most telling workload, with valid pixels per second and core.

    `failed`: a gate wasn't passed on any workload of these runs.
    """
    known = data.telling
    if known.empty:
        return known
    order = known.dataset.map(lambda name: TELLING.index(name) if name in TELLING else len(TELLING))
    known = known.assign(order=order).sort_values(["order", "bins"], kind="stable")
    rows = known[known.panel == known.panel.iloc[0]]
    failed = set(data.table[data.table.gate == "fail"].solver)
    valid = rows.pixels - rows.invalid_pixels.astype(float).fillna(0.0)
    rate = valid / rows.median_s / rows.threads
    rows = rows.assign(rate=rate, failed=rows.solver.isin(failed), base=rows.solver.str.partition("[")[0])
    bare = rows[rows.solver == rows.base].base
    return rows[(rows.solver == rows.base) | ~rows.base.isin(bare)]  # variants only where the plain one wasn't run


def finding(data: Measured) -> str:
    """What the figure says, in words: for a screen too narrow for it. "" where no exact solver passed everywhere."""
    rows = _rows(data)
    return _finding(rows) if len(rows) else ""


def _finding(rows: pd.DataFrame) -> str:
    """The fastest solver that computes all the baseline does, and passes everywhere; "" where none does."""
    same = rows[(rows.accuracy == "exact") & ~rows.failed & rows.speedup.notna() & (rows.solver != "baseline")]
    whole = same[same.leaves_out.fillna("") == ""]
    if whole.empty:
        return ""
    best = whole.loc[whole.rate.idxmax()]
    return f"{best.solver}: {ratio(best.speedup).removesuffix('x')} times the baseline, same answer, with error bars"


def _label(row: Any) -> str:
    """The solver, with what sets it apart."""
    said = [f"method {row.method}"] * (row.method not in ("demreg", row.solver)) + ["peer"] * bool(row.external)
    said += ["no error bars"] * ("edem" in str(row.leaves_out).split())
    return "\n".join([str(row.solver), ", ".join(said)] if said else [str(row.solver)])


def _below(rows: pd.DataFrame) -> str:
    """What was measured, and what marks mean."""
    row, most = rows.iloc[0], int(rows.threads.max())
    hollow = "; hollow: a gate failed on some workload" if rows.failed.any() else ""
    of_threads = threads(most) if rows.threads.min() == most else f"{span(rows.threads)} threads"
    ringed = "; ringed: another method than DEMREG" if (rows.method != "demreg").any() else ""
    mute = f"; {NOTHING}" * row.dataset.startswith(MUTE)
    return f"{row.dataset}, {row.pixels:,} pixels x {row.bins} bins, {of_threads}{hollow}{ringed}{mute}"
