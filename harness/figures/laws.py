"""The figure behind a recommendation: predicted times, what they were fitted to, and break-even sizes."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from harness.advice.breakeven import Leg
from harness.advice.candidates import Laws
from harness.advice.evidence import Evidence
from harness.advice.growth_law import LEVEL, Law
from harness.figures.common import STYLE, panels, style_of
from harness.figures.labels import Label, at_the_right, logarithmic
from harness.figures.marks import beneath
from harness.machine.facts import machine_label

FEWEST_PIXELS, MOST_PIXELS = 1.0, 4096.0**2
CAPTION = f"""Lines are the fitted laws, bands their {LEVEL:.0%} intervals, dots the times they were fitted to. Dotted
uprights: where another exact solver becomes the fastest. To the right of the dots everything is extrapolated."""


def predicted_times(evidence: Evidence, dataset: str, legs: Sequence[Leg]) -> Figure | str:
    """Time against pixels, log-log, a panel for each number of bins; or why there is nothing to draw."""
    laws = Laws(evidence, dataset)
    known = laws.rows.groupby(["solver", "threads"]).size().index
    fitted = {key: law for key in known if isinstance(law := laws.of(*key), Law)}
    if not fitted:
        return "No solver was measured at two map sizes or more: there is no law to draw."
    bins = sorted(laws.rows.bins.unique())
    pixels = np.geomspace(FEWEST_PIXELS, MOST_PIXELS, 100)
    with mpl.rc_context(STYLE):
        figure, axes = panels([f"{dataset}, {count} bins" for count in bins], 4.0, width=4.8)
        times, largest = laws.rows.median_s, laws.rows.pixels.max()
        limits = times.min() / 100, times.max() * max(MOST_PIXELS / largest, 2)
        for axis, count in zip(axes, bins, strict=True):
            ends = []
            axis.set(xlim=(FEWEST_PIXELS, MOST_PIXELS), ylim=limits, ylabel="time, s", xlabel="pixels")
            logarithmic(axis, "x")
            logarithmic(axis, "y")
            for (solver, threads), law in fitted.items():
                if law.refusal(count):
                    continue
                guess, name = law.predict(pixels, count), _name(solver, threads)
                colour, marker = style_of(name)
                axis.fill_between(pixels, guess.low, guess.high, color=colour, alpha=0.12, lw=0)
                axis.plot(pixels, guess.value, color=colour, lw=1.4, label=name)
                ends.append(Label(pixels[-1], float(guess.value[-1]), name, colour))
                here = law.measured.bins == count
                axis.plot(law.measured.pixels[here], law.measured.values[here], marker, color=colour, ms=4)
            for leg in legs:
                if leg.bins == count and leg.needs == "exact" and leg.from_pixels > FEWEST_PIXELS:
                    axis.axvline(leg.from_pixels, ls=":", color="0.4", lw=1)
            at_the_right(axis, ends)
        label = machine_label(evidence.machine) if "cores" in evidence.machine else str(evidence.machine["id"])
        beneath(figure, f"{label}; runs {', '.join(evidence.used)}")
    return figure


def _name(solver: str, threads: int) -> str:
    return solver if threads == 1 else f"{solver}[threads={threads}]"
