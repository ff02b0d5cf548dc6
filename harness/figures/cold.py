"""The first calls of a fresh process, by what they are made of."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from harness.figures.common import HUES, STYLE, style_of
from harness.figures.labels import written
from harness.figures.marks import beneath
from harness.machine.facts import machine_label
from harness.show.terminal import threads


def first_calls(record: dict[str, Any]) -> Figure:
    """A panel for each process, a bar for each call, cut into its parts' shares; above it, how long it took."""
    processes, cell = record["cold"], record["cell"]
    with mpl.rc_context(STYLE):
        figure, grid = plt.subplots(2, len(processes), squeeze=False, sharex=True, figsize=(4.2 * len(processes), 4.6))
        for (name, process), (above, below) in zip(processes.items(), grid.T, strict=True):
            calls = process["calls"]
            numbers, whole = range(1, len(calls) + 1), [sum(call.values()) for call in calls]
            above.plot(numbers, [1e3 * seconds for seconds in whole], "o-", ms=4, color=style_of(record["solver"])[0])
            above.set(yscale="log", title=name)
            written(above.yaxis)
            base = [0.0] * len(calls)
            for part, hue in zip(calls[0], (HUES[1], HUES[2], HUES[5], HUES[3]), strict=True):
                shares = [100 * call[part] / total for call, total in zip(calls, whole, strict=True)]
                below.bar(numbers, shares, bottom=base, color=hue, label=part)
                base = [low + share for low, share in zip(base, shares, strict=True)]
            below.set(xlabel="call", xticks=[1, *range(3, len(calls) + 1, 2)], ylim=(0, 100))
        grid[0, 0].set_ylabel("time, ms")
        grid[1, 0].set_ylabel("share of the call, %")
        handles, labels = grid[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
        name = f"{record['solver']}: {cell['dataset']}, {cell['pixels']} pixels x {cell['bins']} bins"
        figure.suptitle(name, fontsize=10)
        made = f"{record['created'][:10]}; commit {record['commit']}; {machine_label(record['machine'])}"
        beneath(figure, f"{made}; {threads(record['threads'])}")
        return figure
