"""Counts of verdicts and their rates with intervals, beside what is aimed at; the table of them, and the picture."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import binomtest

from harness.figures.common import BLUE, GREEN, GREY, MARKERS, ORANGE, span
from harness.figures.marks import beneath
from harness.proof.trials import COMMANDS, REPORTED, Trial
from harness.show import markdown

LEVEL = 0.95
"""Confidence of a rate's interval (Clopper and Pearson)."""
MOST_ALARMS = 0.01
LEAST_SEEN = {(0.02, 0): 0.8, (0.02, 4): 0.6, (0.05, 0): 0.95, (0.05, 4): 0.95, (0.1, 0): 0.99, (0.1, 4): 0.99}
"""Aims: false alarms, and the share of a slowness that is seen, by its size and the burners."""
SURE = 0.01
"""An aim counts as missed when chance would bring as few, or as many false alarms, as seldom as this."""


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """A row for each command, load and planted share: verdicts, those that saw it, the rate, interval, magnitude."""
    rows = []
    kept = [t for t in trials if t["kind"] not in REPORTED and "failed" not in t]
    judged = pd.DataFrame(kept) if kept else pd.DataFrame(columns=["command", "burners", "more"])
    for (command, burners, more), same in judged.groupby(["command", "burners", "more"], sort=False):
        found, n = int(same.seen.sum()), len(same)
        interval = binomtest(found, n).proportion_ci(LEVEL, method="exact")
        ratio = same.ratio.median() if "ratio" in same else math.nan
        rows.append(
            [
                command,
                burners,
                more,
                n,
                found,
                found / n,
                interval.low,
                interval.high,
                int(_withheld(same).sum()),
                ratio,
                _aim(command, more, burners),
            ]
        )
    columns = "command burners more n seen rate low high withheld ratio aim".split()
    order = {name: place for place, name in enumerate((*COMMANDS, "gates"))}
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values(["burners", "command", "more"], key=lambda c: c.map(order) if c.name == "command" else c)


def _withheld(trials: pd.DataFrame) -> pd.Series:
    """Verdicts that the interval would have given, had nothing been said against the machine."""
    if "low" not in trials:
        return trials.seen & False
    return ~trials.seen & ((trials.low > 1) | ((trials.high < 1) & (trials.more == 0)))


def _aim(command: str, more: float, burners: int) -> float:
    if command == "gates":
        return 1.0 if more else 0.0
    return MOST_ALARMS if not more else LEAST_SEEN.get((more, burners), math.nan)


def missed(row: Any) -> bool:
    """Whether a row's rate is surely not what is aimed at."""
    if math.isnan(row.aim):
        return False
    if row.command == "gates":
        return bool(row.rate != row.aim)
    side = "less" if row.more else "greater"
    return bool(binomtest(int(row.seen), int(row.n), row.aim, alternative=side).pvalue < SURE)


def as_markdown(frame: pd.DataFrame) -> str:
    """The table for a page."""
    head = ("load", "command", "planted", "verdicts", "seen", "rate [95% interval]", "reads as", "aim")
    lines = []
    for row in frame.itertuples():
        planted = (
            ("nothing" if not row.more else "a fault in one output") if row.command == "gates" else f"{row.more:.0%}"
        )
        if not row.more:
            planted = "nothing (false alarms)"
        aim = (
            "–"
            if math.isnan(row.aim)
            else f"{'at least' if row.more else 'at most'} {row.aim:.0%}{' ✘' if missed(row) else ''}"
        )
        lines.append(
            [
                f"{row.burners} burners" if row.burners else "as it was",
                row.command,
                planted,
                str(row.n),
                f"{row.seen} ({row.withheld} withheld)" if row.withheld else str(row.seen),
                f"{row.rate:.1%} [{row.low:.1%}, {row.high:.1%}]",
                f"{row.ratio - 1:+.1%}" if row.ratio == row.ratio else "–",
                aim,
            ]
        )
    return markdown.table(head, lines, 3)


def in_short(frame: pd.DataFrame) -> str:
    """What is seen of verdicts, as counts: a column for each load and command."""
    columns = [(n, command) for n in sorted(frame.burners.unique()) for command in COMMANDS]
    head = ["planted", *(f"{command}{f', {n} burners' * bool(n)}" for n, command in columns)]
    found = {(row.burners, row.command, row.more): f"{row.seen}/{row.n}" for row in frame.itertuples()}
    shares = sorted(set(frame[frame.command.isin(COMMANDS)].more) & {0.0, *(share for share, _ in LEAST_SEEN)})
    names = [f"{share:.0%}" if share else "nothing" for share in shares]
    lines = [
        [name, *(found.get((*column, share), "–") for column in columns)]
        for name, share in zip(names, shares, strict=True)
    ]
    return markdown.table(head, lines, 1)


def picture(frame: pd.DataFrame, origin: str) -> Figure:
    """The share that is seen against what was planted, with its interval, beside what is aimed at; by load."""
    loads = sorted(frame.burners.unique())
    figure, axes = plt.subplots(
        1, len(loads), figsize=(4.5 * len(loads), 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    shares = sorted(set(frame[frame.command.isin(COMMANDS)].more))
    for axis, burners in zip(axes[0], loads, strict=True):
        for place, command in enumerate(COMMANDS):
            same = frame[(frame.command == command) & (frame.burners == burners)]
            error = [(same.rate - same.low).clip(lower=0), (same.high - same.rate).clip(lower=0)]
            axis.errorbar(
                [shares.index(more) + 0.2 * (place - 1) for more in same.more],
                100 * same.rate,
                100 * pd.DataFrame(error).to_numpy(),
                fmt=MARKERS[place],
                color=(BLUE, ORANGE, GREEN)[place],
                capsize=3,
                label=command,
            )
        aims = {shares.index(more): _aim(COMMANDS[0], more, burners) for more in shares}
        axis.hlines(
            [100 * aim for aim in aims.values()],
            [place - 0.4 for place in aims],
            [place + 0.4 for place in aims],
            color=GREY,
            label="aim: below for nothing, above for the rest",
        )
        axis.set_xticks(range(len(shares)), [f"{share:.0%}" if share else "nothing" for share in shares])
        axis.tick_params(labelleft=True)
        axis.set(title=f"{burners} burners" if burners else "as it was", xlabel="planted slowness")
    axes[0][0].set_ylabel("verdicts that say so, %")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(COMMANDS) + 1)
    counts = frame[frame.command.isin(COMMANDS)].n
    beneath(figure, f"lines: 95% intervals of {span(counts)} verdicts; {origin}")
    return figure
