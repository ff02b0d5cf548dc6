"""What tells whose a mark of a figure is, and what a figure is drawn of."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.figures.common import Measured, span
from harness.machine import facts as machine_facts


def mark(row: int, *artists: Artist, values: bool = True) -> None:
    """Say whose artists are, by a row's number: a page's pointer finds its values by that, a footer what was drawn.

    Without `values` they only come and go with the row's solver, as names and lines do.
    """
    for artist in artists:
        artist.set_gid(f"{'row' if values else 'of'}-{row}")


def mark_each(rows: Sequence[int], line: Line2D) -> None:
    """Say so of each marker of a line: one artist of many markers costs a figure little more than one of one."""
    line.set_gid("row-" + ".".join(map(str, rows)))


def bars(axes: Axes, points: pd.DataFrame, colour: str, x: Sequence[Any], y: Sequence[Any], **look: Any) -> None:
    """A solver's intervals from (x, y) to (x, y), pairs of columns; those whose ends aren't known are left out."""
    ends = np.array([[x[0], y[0]], [x[1], y[1]]], dtype=float).transpose(2, 0, 1)
    known = ends[np.isfinite(ends).all((1, 2))]
    if len(known):
        drawn = LineCollection(list(known), colors=colour, capstyle="projecting", **look)
        mark(int(points.index[-1]), drawn, values=False)
        axes.add_collection(drawn)


POINTS_AN_INCH, SMALL, A_LETTER = 72, 8, 0.58
"""The size of the text below a figure, in points, and how wide its letters are, in sizes."""


def beneath(figure: Figure, *texts: str) -> None:
    """Write below a figure how it is read and what it is of, in lines that fit."""
    fits = int(figure.get_figwidth() * POINTS_AN_INCH / (SMALL * A_LETTER))
    lines = [textwrap.fill(text, fits) for text in texts if text]
    figure.supxlabel("\n".join(lines), fontsize=SMALL, alpha=0.7)


def footer(figure: Figure, data: Measured) -> str:
    """Date, commit, machine, n and threads of all that is drawn in a figure, in a line."""
    gids = {str(artist.get_gid()) for axes in figure.axes for artist in axes.get_children()}
    marked = [gid.partition("-")[2].split(".") for gid in gids if gid.startswith(("row-", "of-"))]
    numbers = sorted({int(number) for numbers in marked for number in numbers})
    rows = data.table.loc[numbers] if numbers else data.table
    if rows.empty:
        return ""
    known = [data.origins[origin] for origin in rows.origin.unique()]
    days = sorted({str(each["created"])[:10] for each in known})
    commits = [str(name)[:12] for name in dict.fromkeys(rows.commit) if name]
    said = [" to ".join(dict.fromkeys((days[0], days[-1])))]
    said += [f"commit{'s' * (len(commits) > 1)} {', '.join(commits)}"] if commits else []
    said += dict.fromkeys(machine_facts.machine_label(each["machine"]) for each in known)
    one = rows.threads.max() == 1
    said += [f"n = {span(rows.n)}", f"{span(rows.threads)} thread{'s' * (not one)}"]
    edited = dict.fromkeys(rows.solver[rows.changed])
    said += [f"source changed since: {', '.join(edited)}"] if edited else []
    return "; ".join(said)
