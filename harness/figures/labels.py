"""Names beside what they name, so that no reader looks a colour up; and axes whose numbers can be read."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.figures.common import folded
from harness.figures.marks import mark

SIZE, WIDEST = 8.5, 34
"""Points of a name's letters, and how many stand in a line."""
PLACES = [(12, dy) for dy in (0, 12, -12)] + [(-12, 0), (12, 24), (12, -24), (-12, 12), (-12, -12), (12, 36), (12, -36)]
"""Where a name may stand, in points from its mark, the most wanted first."""
FEW_DECADES = 1.3
"""A logarithmic axis of no more has numbers between the powers of ten."""

SHORT = (5e-4, 5e4)
"""Between these an axis' numbers are written out, beyond them as powers of ten."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Label(NamedTuple):
    """A name, where its mark is in the axes' own units, its colour, and the number of the row that it names."""

    x: float
    y: float
    text: str
    colour: str
    row: int | None = None


def beside(axes: Axes, labels: Sequence[Label], lines: Sequence[float] = ()) -> None:
    """A name beside each mark, clear of other marks, names and level `lines` where there is room.

    Limits and scales are set before.
    """
    labels = [_narrow(label) for label in labels]
    size = _points(axes)
    marks = _fractions(axes, labels) * size
    taken = [np.array([x - 6, y - 6, x + 6, y + 6]) for x, y in marks]
    for y in lines:
        level = float(axes.transAxes.inverted().transform(axes.transData.transform((1.0, y)))[1]) * size[1]
        taken.append(np.array([0.0, level - 2, size[0], level + 2]))
    for label, (x, y) in sorted(zip(labels, marks, strict=True), key=lambda pair: -pair[1][0]):
        boxes = [_box(label.text, x + dx, y + dy, dx < 0) for dx, dy in PLACES]
        costs = [_overlap(box, taken) + _outside(box, size) + n for n, box in enumerate(boxes)]
        dx, dy = PLACES[int(np.argmin(costs))]
        taken.append(boxes[int(np.argmin(costs))])
        _write(axes, label, (dx, dy), "offset points", "right" if dx < 0 else "left", leader=dy != 0)


def _narrow(label: Label) -> Label:
    return label._replace(text="\n".join(folded(line, WIDEST) for line in label.text.split("\n")))


def _box(text: str, x: float, y: float, left: bool) -> Any:
    lines = text.split("\n")
    width, height = 0.58 * SIZE * max(map(len, lines)), 1.25 * SIZE * len(lines)
    return np.array([x - width * left, y - height / 2, x + width * (not left), y + height / 2])


def _overlap(box: Any, taken: Sequence[Any]) -> float:
    """Square points that a box shares with others."""
    return float(sum(np.prod(np.clip(np.minimum(box, b)[2:] - np.maximum(box, b)[:2], 0, None)) for b in taken))


def _outside(box: Any, size: Any) -> float:
    """How far a box sticks out of the axes on the left, above and below; on the right there is room."""
    return 1e3 * max(-box[0], 0) + 1e3 * max(-box[1], 0) + 1e3 * max(box[3] - size[1], 0)


def at_the_right(axes: Axes, labels: Sequence[Label]) -> None:
    """A column of names right of the axes, each as near to its line's end as the others let it, with a line to it."""
    if not labels:
        return
    labels = [_narrow(label) for label in labels]
    height = _points(axes)[1]
    ends = np.clip(_fractions(axes, labels)[:, 1], 0.0, 1.0)
    order = np.argsort(ends, kind="stable")
    gaps = [1.3 * SIZE * (labels[n].text.count("\n") + 1) / height for n in order]
    places = np.array(_apart(ends[order].tolist(), gaps))
    for n, y in zip(order, places, strict=True):
        _write(axes, labels[n]._replace(y=_clipped(axes, labels[n].y)), (1.03, y), "axes fraction", "left", leader=True)


def _apart(wanted: list[float], gaps: list[float]) -> list[float]:
    """Places, rising, so that each has its gap around it, as near to those wanted as a few sweeps bring them."""
    places = list(wanted)
    for _ in range(200):
        moved = 0.0
        for n in range(1, len(places)):
            lacking = (gaps[n - 1] + gaps[n]) / 2 - (places[n] - places[n - 1])
            if lacking > 1e-6:
                places[n - 1], places[n] = places[n - 1] - lacking / 2, places[n] + lacking / 2
                moved += lacking
        if moved < 1e-4:
            break
    return places


def _clipped(axes: Axes, y: float) -> float:
    low, high = axes.get_ylim()
    return float(np.clip(np.nan_to_num(y, nan=low), low, high))


def _points(axes: Axes) -> Any:
    """Width and height of the axes in points."""
    return np.array([axes.bbox.width, axes.bbox.height]) * 72 / axes.get_figure(root=True).dpi  # type: ignore[union-attr]


def _fractions(axes: Axes, labels: Sequence[Label]) -> Any:
    """Places of the marks in parts of the axes, (n, 2); what lies nowhere is at the lower edge."""
    data = np.array([(label.x, _clipped(axes, label.y)) for label in labels], dtype=float)
    return axes.transAxes.inverted().transform(axes.transData.transform(data))


def _write(axes: Axes, label: Label, place: Any, units: str, side: str, leader: bool) -> None:
    line = {"arrowstyle": "-", "lw": 0.6, "color": label.colour, "alpha": 0.7, "shrinkA": 1, "shrinkB": 3}
    line["relpos"] = (0 if side == "left" else 1, 0.5)  # or it crosses other names
    text: Annotation = axes.annotate(
        label.text,
        (label.x, label.y),
        place,
        textcoords=units,
        ha=side,
        va="center",
        color=label.colour,
        fontsize=SIZE,
        arrowprops=line if leader else None,
        annotation_clip=False,
    )
    if label.row is not None:
        mark(label.row, text, *filter(None, [text.arrow_patch]), values=False)


def logarithmic(axes: Axes, which: str) -> None:
    """That axis on a logarithmic scale, its numbers written out where they are short. Limits are set before."""
    axis = getattr(axes, f"{which}axis")
    getattr(axes, f"set_{which}scale")("log")
    low, high = getattr(axes, f"get_{which}lim")()
    decades = np.log10(high / low)
    powers = np.floor(np.log10(high)) - np.ceil(np.log10(low)) + 1
    few = decades < FEW_DECADES or powers < 2
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=8))
    written(axis, short=low > SHORT[0] and high < SHORT[1])


def written(axis: Axis, short: bool = False) -> None:
    """Have a logarithmic axis' numbers stand as they are, or as powers of ten; no tick is without one.

    Not in Matplotlib's own way, which needs its mathematical text: with that, a name may be a broken formula.
    """
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value) if short else _power(value)))
    axis.set_minor_locator(NullLocator())


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _power(value: float) -> str:
    if not value > 0:
        return ""
    digits, _, exponent = f"{value:.0e}".partition("e")
    power = "10" + str(int(exponent)).translate(RAISED)
    return power if digits == "1" else f"{digits}·{power}"
