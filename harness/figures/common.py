"""What all figures share: what they are drawn from, their style, panels and axes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.advice.evidence import changed
from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.show.html import INK

INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
STYLE: dict[Any, Any] = {
    **dict.fromkeys(INKED, INK),
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titley": 1.0,  # or every drawing looks for ticks above it
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "demreg-bench",
    "text.parse_math": False,  # a solver's value may be a broken formula
}


HUES = (GREY, BLUE, ORANGE, GREEN, PINK, OCHRE, VIOLET, TEAL) = (
    *("#7D7D7D", "#3585C9", "#D55E00", "#00926E"),
    *("#C2578F", "#A67C00", "#8E6BD1", "#0A8FA3"),
)
"""Told apart by colour-blind eyes with the markers, and legible on white and on the page's dark ground alike."""
MARKERS = "osD^vP*X<>h"
LOOKS = {
    "baseline": (GREY, "o"),
    "numba": (VIOLET, "*"),
    "numba-float32": (TEAL, "X"),
    "l2": (OCHRE, "P"),
    "plowman": (PINK, ">"),
    "demregpy": (BLUE, "v"),
    "utu": (ORANGE, "h"),
    "emtoolkit": (GREEN, "<"),
    "vectorized": (BLUE, "s"),
    "batched": (PINK, "v"),
    "numpy-regmap": (ORANGE, "D"),
    "numba-regmap": (GREEN, "^"),
    "numba-regmap-parallel": (TEAL, "s"),
    "processes": (GREEN, "v"),
    "dask": (BLUE, "*"),
    "dask-delayed": (ORANGE, "P"),
    "cupy": (ORANGE, "s"),
    "cupy-regmap": (GREEN, "o"),
    "gpu-batched": (PINK, "s"),
    "gpu-fused": (VIOLET, "D"),
    "gpu-l2": (OCHRE, "^"),
    "published": (GREY, "s"),
    "numpy": (BLUE, "o"),
    "numba-parallel": (OCHRE, "o"),
}
"""Fixed, so that no solver changes its colour when another is added; grey is the baseline's alone, and the published
form's of a step."""
FREE = [(hue, shape) for hue in HUES for shape in MARKERS if (hue, shape) not in LOOKS.values()]
"""What the others have, by their names, and what variants have."""


MUTE = "random-response"
"""What workloads' names begin with whose counts hold no information on temperature: their errors say nothing."""
TELLING = ("aia", "solar-mix", "gaussian-response")
"""Workloads whose truth the counts can tell, the most telling first; with random responses they can't."""
COLUMNS = 3
"""Panels beside one another."""
MOST_PANELS = 18
"""In a figure; nobody reads more, and each costs as much as a hundred rows."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What figures are drawn from: rows that were measured, and what their records keep to be drawn."""

    table: pd.DataFrame
    """The tidy table's rows with status ok, and columns `panel`, what a row is drawn together with, `origin`, of
    which run it is, and `changed`, whether its solver's source is another by now. Marks are named by rows' numbers."""
    shown: dict[tuple[str, str, int, int, str], dict[str, Any]]
    """By (run, dataset, pixels, bins, solver); see `harness.judge.excerpt`."""
    limits: dict[str, dict[str, Any]]
    """By run: the machine's limits."""
    origins: tuple[dict[str, Any], ...] = ()
    """What the runs say of themselves, in the order of the table's `origin`."""

    @property
    def largest(self) -> pd.DataFrame:
        """Every panel's rows of its largest map."""
        return self.table[self.table.pixels == self.table.groupby("panel").pixels.transform("max")]

    @property
    def telling(self) -> pd.DataFrame:
        """Of the largest maps those whose truth the counts can tell; without any, those whose truth is known."""
        known = self.largest[self.largest.truth_dem_error.notna()]
        told = known[known.dataset.isin(TELLING)]
        return told if len(told) else known

    def of(self, row: Any) -> dict[str, Any]:
        """What the record of a row keeps to be drawn; empty for records from before it was kept."""
        return self.shown.get((row.run, row.dataset, row.pixels, row.bins, row.solver), {})


def style_of(solver: str) -> tuple[str, str]:
    """A solver's colour and marker, the same in every figure of every run; its variants have its colour."""
    name, _, tunables = solver.partition("[")
    form = name.rpartition(".")[2]  # of a step: step.form
    coloured = [look for look in FREE if look[0] != GREY]
    hue, marker = LOOKS.get(form) or coloured[crc32(name.encode()) % len(coloured)]
    if not tunables:
        return hue, marker
    others = [shape for each, shape in FREE if each == hue and shape != marker]
    return hue, others[crc32(tunables.encode()) % len(others)]


def measured(runs: Sequence[Run]) -> Measured:
    """What was measured in those runs. Rows of the same workload in several runs stay apart."""
    tables = [run.table().assign(origin=n) for n, run in enumerate(runs)]
    table = pd.concat([t[t.status == "ok"] for t in tables if len(t)] or tables, ignore_index=True)
    if len(runs) > 1:
        table["run"] = table.run.where(table.run.notna(), "")
    place = table.dataset + ", " + table.bins.astype(str) + " bins"
    shared = table.groupby(place).origin.transform("nunique") > 1
    edited = set(changed(table))
    table["changed"] = [pair in edited for pair in zip(table.solver, table.source, strict=True)]
    told = told_apart(table[shared], runs)
    apart = ["\n" + told[origin] if both else "" for origin, both in zip(table.origin, shared, strict=True)]
    table["panel"] = place + pd.Series(apart, table.index, dtype=place.dtype)
    shown = {}
    for run in runs:
        for record in run.drawn():
            row = record["row"]
            key = (row["run"], row["dataset"], row["pixels"], row["bins"], row["solver"])
            shown[key] = record["shown"]
    limits = {run.provenance["run"]: run.provenance.get("limits") or {} for run in runs}
    return Measured(table, shown, limits, tuple(run.provenance for run in runs))


def told_apart(table: pd.DataFrame, runs: Sequence[Run]) -> dict[int, str]:
    """By run: what sets it apart from the others that measured the same; sizes, else machines, else dates."""
    facts = {int(origin): runs[origin].provenance for origin in table.origin.unique()}
    sizes = {origin: span(table[table.origin == origin].pixels, " pixels") for origin in facts}
    machines = {origin: machine_facts.machine_label(known["machine"]) for origin, known in facts.items()}
    days, times = ({origin: str(known["created"])[:most] for origin, known in facts.items()} for most in (10, 40))
    for told in (sizes, machines, days, times):
        if len(set(told.values())) == len(facts):
            return told
    return {origin: f"{times[origin]}, run {n}" for n, origin in enumerate(facts, 1)}


def span(values: Any, unit: str = "") -> str:
    """The least and the most of whole numbers, or the one that there is."""
    low, high = int(min(values)), int(max(values))
    return f"{low:,}{unit}" if low == high else f"{low:,} to {high:,}{unit}"


def by_panel(rows: pd.DataFrame, each: int = 1) -> list[tuple[str, pd.DataFrame]]:
    """Rows that are drawn together, in `each` axes, with their panel's name; the last says how many aren't drawn."""
    groups = [(str(name), group) for name, group in rows.groupby("panel", sort=False)]
    kept = groups[: MOST_PANELS // each]
    if len(kept) < len(groups):
        kept[-1] = f"{kept[-1][0]}; {len(groups) - len(kept)} more aren't drawn", kept[-1][1]
    return kept


def panels(
    names: Sequence[str], height: float | Sequence[float] = 3.4, width: float = 3.4, columns: int = COLUMNS
) -> tuple[Figure, list[Axes]]:
    """A titled axes for each name, `columns` beside one another; `height` in inches, of all or each of them."""
    rows, across = -(-len(names) // columns), min(len(names), columns)
    each = [height] * len(names) if isinstance(height, int | float) else list(height)
    heights = [max(each[line * across : (line + 1) * across]) for line in range(rows)]
    figure, grid = plt.subplots(
        rows,
        across,
        squeeze=False,
        figsize=(1.2 + width * across, 0.6 + sum(heights)),
        gridspec_kw={"height_ratios": heights},
    )
    axes = list(grid.flat)
    fits = int(72 * width / (0.58 * STYLE["axes.titlesize"]))
    for name, one in zip(names, axes, strict=False):
        one.set_title("\n".join(folded(line, fits) for line in name.split("\n")))
    for unused in axes[len(names) :]:
        unused.remove()
    return figure, axes[: len(names)]


def rows_high(groups: Sequence[tuple[Any, pd.DataFrame]], each: float = 0.3, more: float = 1.0) -> list[float]:
    """Inches of panels that have a row for each of their own solvers."""
    return [more + each * rows.solver.nunique() for _, rows in groups]


def pixel_axis(axes: Axes, pixels: pd.Series) -> None:
    """A logarithmic axis of map sizes, labelled at those measured whose labels don't touch."""
    sizes = sorted(pixels.unique())
    kept = sizes[-1:]
    for size in reversed(sizes[:-1]):
        if kept[0] / size >= (sizes[-1] / sizes[0]) ** 0.2:
            kept.insert(0, size)
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)  # before the scale, which can't span a single size
    axes.set(xscale="log", xlabel="pixels")
    axes.set_xticks(kept, [_short(size) for size in kept], minor=False)
    axes.set_xticks([], minor=True)


def _short(size: int) -> str:
    """A number of pixels as the axis has room for it."""
    for unit, letter in ((10**6, "M"), (10**3, "k")):
        if size % unit == 0:
            return f"{size // unit:,}{letter}"
    return f"{size:,}"


LONGEST_NAME = 30
"""Letters of a solver's name in a line of an axis' labels."""


def folded(name: str, most: int) -> str:
    """A name in lines of at most so many letters, broken at blanks and commas and before brackets where it has them."""
    lines = [""]
    words = filter(None, re.findall(r"\[?[^ ,\[]*[ ,]?", name))
    for part in (word[n : n + most] for word in words for n in range(0, len(word), most)):
        if len(lines[-1]) + len(part) > most and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def by_solver(axes: Axes, solvers: Sequence[str]) -> None:
    """A row for each solver, the first on top."""
    names = [folded(solver, LONGEST_NAME) for solver in solvers]
    axes.set_yticks(range(len(solvers)), names)
    for name, label in zip(names, axes.get_yticklabels(), strict=True):
        label.set_fontsize(7.5 if "\n" in name else STYLE["font.size"])
    axes.set_ylim(len(solvers) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
