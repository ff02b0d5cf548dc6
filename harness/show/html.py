"""One self-contained HTML page: pictures, tables that sort and filter, notes. It opens from disk and loads nothing.

A page is a title, a lead, sections and a foot; `render` puts them into `page.html.j2` with the style and script
beside it. Pictures are SVG whose ink turns with the page from light to dark. What is text is escaped.

Pictures answer to the pointer by 150 lines of script that read the SVG itself: a library would draw every figure a
second time in a style of its own, and weigh 1 MB (Bokeh, Vega-Lite) to 4.6 MB (Plotly) in every page; without script
the picture is the picture.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

HERE = Path(__file__).parent
INK = "#1b2430"
"""The colour of text and lines in a picture on a light page; the style sheet turns it on a dark one."""


MARKED = re.compile(r'id="(row|of)-(\d+)"')


class Picture(NamedTuple):
    """A figure by its SVG; or, with `missing`, why it isn't there."""

    slug: str
    title: str
    caption: str
    svg: str = ""
    missing: str = ""


class Datum(NamedTuple):
    """One field of a table: what is read, what it sorts by (the text, if None), and how it is marked."""

    text: str
    value: float | None = None
    mark: str = ""
    """"good", "bad", "quiet" or nothing; never the only sign of what it says."""
    link: str = ""
    """Where more of it is found, relative to the page."""


class Grid(NamedTuple):
    """A table. `columns` are headings; a field whose column holds numbers is set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Datum]]
    caption: str = ""
    solvers: Sequence[str] = ()
    """Whose each row is: rows come and go with their solver's switch."""
    groups: Sequence[str] = ()
    """What each row is of: a control picks one group, the first one first. Rows of a group stand together."""
    more: Sequence[str] = ()
    """Headings of columns that are shown when they are asked for."""

    @property
    def bodies(self) -> list[tuple[str, list[tuple[str, Sequence[Datum]]]]]:
        """Every group with its rows, each with its solver."""
        groups = self.groups or [""] * len(self.rows)
        solvers = self.solvers or [""] * len(self.rows)
        found: dict[str, list[tuple[str, Sequence[Datum]]]] = {}
        for group, solver, row in zip(groups, solvers, self.rows, strict=True):
            found.setdefault(group, []).append((solver, row))
        return list(found.items())


class Switch(NamedTuple):
    """A solver that can be switched off, and its colour in the pictures."""

    solver: str
    colour: str


class Section(NamedTuple):
    """A heading with paragraphs, then pictures, then tables."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()


class Pointed(NamedTuple):
    """What a mark of a picture tells when the pointer is on it: whose it is, names and values, and its record."""

    solver: str
    values: Sequence[tuple[str, str]]
    link: str


def render(
    title: str,
    lead: str,
    sections: Sequence[Section],
    foot: Sequence[str],
    switches: Sequence[Switch] = (),
    pointed: Mapping[int, Pointed] | None = None,
) -> str:
    """The page's HTML; `pointed` by the numbers that marks have. RuntimeError, in one line, without Jinja2."""
    try:
        import jinja2
    except ImportError:
        raise RuntimeError("the page needs Jinja2 (pip install jinja2)") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    style, script = ((HERE / f"page.{kind}").read_text() for kind in ("css", "js"))
    template = environment.get_template("page.html.j2")
    parts = {"sections": sections, "foot": foot, "switches": switches, "pointed": pointed or {}}
    return template.render(title=title, lead=lead, style=style, script=script, **parts)


def picture(slug: str, title: str, caption: str, draw: Callable[[], Figure | str], style: dict[Any, Any]) -> Picture:
    """A figure, or the sentence that says why it can't be drawn. `slug` is unique on the page."""
    parts = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
    ink: dict[Any, Any] = dict.fromkeys(parts, INK)
    with mpl.rc_context({**style, **ink, "svg.hashsalt": slug}):
        figure = draw()
        return (
            Picture(slug, title, caption, missing=figure)
            if isinstance(figure, str)
            else drawn(slug, title, caption, figure)
        )


def drawn(slug: str, title: str, caption: str, figure: Figure) -> Picture:
    """A figure that is drawn already; it is closed."""
    picture = Picture(slug, title, caption, svg(figure, transparent=True))
    plt.close(figure)
    return picture


def svg(figure: Figure, transparent: bool = False) -> str:
    """A figure as SVG, whose marks say by `data-row` and `data-of` whose they are (`mark` in `harness.figures`)."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=transparent, metadata={"Date": None})
    text = stream.getvalue()
    return MARKED.sub(r'data-\1="\2"', text[text.index("<svg") :]).strip()
