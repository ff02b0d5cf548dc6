"""The first calls of a fresh process, by what they are made of."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from harness.figures.common import HUES, STYLE


def first_calls(processes: dict[str, Any], title: str) -> Figure:
    """A panel for each process, a bar for each call, cut into its parts' shares; above it, how long it took."""
    with mpl.rc_context(STYLE):
        figure, grid = plt.subplots(2, len(processes), squeeze=False, sharex=True, figsize=(4.2 * len(processes), 4.6))
        for (name, process), (above, below) in zip(processes.items(), grid.T, strict=True):
            calls = process["calls"]
            numbers, whole = range(1, len(calls) + 1), [sum(call.values()) for call in calls]
            above.plot(numbers, [1e3 * seconds for seconds in whole], "o-", ms=4, color=HUES[0])
            above.set(yscale="log", title=name)
            base = [0.0] * len(calls)
            for part, hue in zip(calls[0], (HUES[1], HUES[2], HUES[5], HUES[3]), strict=True):
                shares = [100 * call[part] / total for call, total in zip(calls, whole, strict=True)]
                below.bar(numbers, shares, bottom=base, color=hue, label=part)
                base = [low + share for low, share in zip(base, shares, strict=True)]
            below.set(xlabel="call", xticks=[1, *range(3, len(calls) + 1, 2)], ylim=(0, 100))
        grid[0, 0].set_ylabel("time, ms")
        grid[1, 0].set_ylabel("share of the call, %")
        handles, labels = grid[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle(title, fontsize=10)
        return figure
