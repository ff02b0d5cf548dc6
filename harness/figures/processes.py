"""Figure of processes beside one another on the cores: how much faster several are than one, and each one's memory."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from harness.figures.common import style_of
from harness.figures.marks import beneath


def draw(table: pd.DataFrame, origin: str) -> Figure:
    """Two panels from the rows of `harness.reports.contention.of_run`, a line for each inner solver.

    Parameters
    ----------
    table
        Columns inner, processes, gain, process_rss_mb.
    origin
        Where the rows are from.
    """
    figure, (gains, memory) = plt.subplots(1, 2, figsize=(8.6, 3.6))
    counts = sorted(table.processes.unique())
    for inner, rows in table.groupby("inner"):
        colour, marker = style_of(str(inner))
        gains.plot(rows.processes, rows.gain, color=colour, marker=marker, label=str(inner))
        memory.plot(rows.processes, rows.process_rss_mb, color=colour, marker=marker)
    gains.plot(counts, counts, color="0.6", ls=":", label="as many times one process")
    for axes in (gains, memory):
        axes.set(xscale="log", xlabel="processes")
        axes.set_xticks(counts, [str(count) for count in counts], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_ylim(bottom=0)
    gains.set_ylabel("pixels per second over one process")
    gains.set_ylim(top=1.3 * max(table.gain.max(), 1.0))
    memory.set_ylabel("resident memory of a process, MB")
    gains.legend()
    beneath(figure, origin)
    return figure
