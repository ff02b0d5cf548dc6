"""The gallery: every figure that is drawn of runs, from their records alone.

`FIGURES` lists them in the order of the report. Each has a function that takes `Measured` and returns a Matplotlib
figure, or a sentence that says why there is nothing to draw. No figure averages anything over runs: where two runs
measured the same workload and number of bins, each has a panel of its own, named by what sets the runs apart.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from harness.figures import headline, machine, quality, speed
from harness.figures.common import STYLE, Measured
from harness.figures.marks import beneath, footer
from harness.records.files import replacing, write_atomically
from harness.show import html

CANNOT = (ArithmeticError, LookupError, TypeError, ValueError)
"""What drawing and layout raise of odd records."""


class Picture(NamedTuple):
    """A figure of the gallery: the function that draws it, and what a reader is told."""

    draw: Callable[[Measured], Figure | str]
    title: str
    caption: str
    key: str = ""
    """How to read it, beneath the figure: without a page about it, too."""

    @property
    def name(self) -> str:
        """Of its files and anchors: the function's."""
        return self.draw.__name__

    def of(self, data: Measured) -> Figure | str:
        """The figure with its origin beneath, or why there is none: what one can't draw must not cost the others."""
        try:
            with mpl.rc_context(STYLE):
                figure = self.draw(data) if len(data.table) else "no solver has a result in these runs"
                if isinstance(figure, Figure):
                    beneath(figure, self.key, footer(figure, data))
            return figure
        except CANNOT as error:
            plt.close()
            return _why(error)


def _why(error: Exception) -> str:
    return f"can't be drawn of these records: {type(error).__name__}: {error}"


FIGURES = (
    Picture(
        headline.speed_against_quality,
        "Speed against quality",
        "DEMs per second and core against the median error of the DEM, at the largest map of the workload whose truth "
        "the counts tell best. Hollow: a solver that failed a gate on some workload of the run. Ringed: another method "
        "than DEMREG, held to the fit and the truth and not to the baseline.",
    ),
    Picture(
        speed.runtime_against_pixels,
        "Runtime against pixels",
        "Median headline time (transfers included) with 99% intervals, of workloads that were measured at two sizes or "
        "more.",
        "k: the exponent of time ~ pixels^k, fitted to three sizes or more, with its 95% interval",
    ),
    Picture(
        speed.speedup,
        "Speedup over the baseline",
        "Ratio to the baseline in the same rounds, with 99% intervals.",
        "a mark for each map size, the largest lowest and labelled; pale: timed too seldom for an interval",
    ),
    Picture(
        quality.chisq_distribution,
        "Chi-squared",
        "Over the valid pixels of the largest map.",
        "box: quartiles and median; line: 5th to 95th percentile; diamond: the 95th; dotted: 1, a fit as good as noise",
    ),
    Picture(
        quality.dem_recovery,
        "DEM recovery",
        "True DEM (grey) and recovered DEMs of a faint, a middling and a bright pixel; vertical bars are edem, "
        "horizontal ones elogt. Solvers whose DEMs can't be told apart by eye are drawn once, with all their names.",
    ),
    Picture(
        quality.truth,
        "Distance to the truth",
        "Medians over the sampled pixels: relative error of the DEM, distance of its peak, and the share of bins "
        "whose true value lies within one edem. edem is the noise's, carried through the inverse as it was chosen: "
        "that it was chosen from the same noise, and what regularisation costs, are what is missing to 0.68.",
    ),
    Picture(
        machine.peak_memory,
        "Peak memory",
        "Resident memory of the solver's process and its children at the highest, imports and inputs included.",
        "a mark for each map size, the largest lowest and labelled",
    ),
    Picture(
        machine.phases,
        "Time by phase",
        "One-off (import, compilation, contexts), then the medians of prepare, solve and collect at the largest map.",
        "what takes less than a microsecond, or nothing, stands at one",
    ),
    Picture(
        machine.parallel_efficiency,
        "Parallel efficiency",
        "Speedup over one thread divided by the number of threads, for solvers that a run timed on several.",
    ),
    Picture(
        machine.roofline,
        "Roofline",
        "Operations that each strategy counts for itself, per second and per byte it moves, below what the machine "
        "sustained when it was measured: memory's slope and the multiply-adds' roof, on as many cores as were used.",
        "operations as each strategy counts them, by the usual formulas: what is above the roof did fewer",
    ),
)


def pictures(data: Measured, folder: Path | None = None, entries: Sequence[Picture] = FIGURES) -> list[html.Picture]:
    """Those figures as a page shows them, written into `folder` as PNG and SVG on the way; or why one isn't there.

    Each is drawn and laid out once, which is most of what a report costs.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box stands for a letter that no font has
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # names leave no room for axes
        return [_written(entry, data, folder) for entry in entries]


def _written(entry: Picture, data: Measured, folder: Path | None) -> html.Picture:
    figure, about = entry.of(data), (entry.name, entry.title, entry.caption)
    try:
        made = html.picture(*about, figure)
    except CANNOT as error:
        plt.close()
        return html.picture(*about, _why(error))
    if folder and isinstance(figure, Figure):
        write_atomically(folder / f"{entry.name}.svg", made.svg)
        with replacing(folder / f"{entry.name}.png") as whole:
            figure.set_dpi(STYLE["savefig.dpi"])
            FigureCanvasAgg(figure).print_png(whole)
    return made
