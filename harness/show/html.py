"""One self-contained HTML page: pictures, tables that sort and filter, notes. It opens from disk and loads nothing.

A page is a title, a lead, sections and a foot; `render` puts them into `page.html.j2` with the style and script
beside it. Pictures are SVG whose ink turns with the page from light to dark. What is text is escaped.

Pictures answer to the pointer by 150 lines of script that read the SVG itself: a library would draw every figure a
second time in a style of its own, and weigh 1 MB (Bokeh, Vega-Lite) to 4.6 MB (Plotly) in every page; without script
the picture is the picture.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

HERE = Path(__file__).parent
INK = "#1b2430"
"""The colour of text and lines in a picture; the style sheet turns it on a dark page, and leaves white ground out."""
MARKED = re.compile(r'id="(row|of)-(\d+)"')
MARKERS = re.compile(r'<g id="row-(\d+(?:\.\d+)+)">(.*?)</g>', re.DOTALL)
"""Several markers of one line, each a `use`."""


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


def template() -> Any:
    """The page's template. RuntimeError, in one line, without Jinja2."""
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
    return environment.get_template("page.html.j2")


def render(
    title: str,
    lead: str,
    sections: Sequence[Section],
    foot: Sequence[str],
    switches: Sequence[Switch] = (),
    pointed: Mapping[int, Pointed] | None = None,
) -> str:
    """The page's HTML; `pointed` by the numbers that marks have. RuntimeError, in one line, without Jinja2."""
    whole = template()
    style, script = ((HERE / f"page.{kind}").read_text() for kind in ("css", "js"))
    parts = {"sections": sections, "foot": foot, "switches": switches, "pointed": pointed or {}}
    return whole.render(title=title, lead=lead, style=style, script=script, **parts)


def picture(slug: str, title: str, caption: str, drawn: Figure | str) -> Picture:
    """A figure, or the sentence that says why there is none, as a page shows it. `slug` is unique on the page."""
    if isinstance(drawn, str):
        return Picture(slug, title, caption, missing=drawn)
    plt.close(drawn)
    with mpl.rc_context({"svg.hashsalt": slug}):
        return Picture(slug, title, caption, svg(drawn))


def svg(figure: Figure) -> str:
    """A figure as SVG, whose marks say by `data-row` and `data-of` whose they are (`mark` in `harness.figures`).

    It is laid out here, once for all: a PNG made afterwards has the same layout.
    """
    if layout := figure.get_layout_engine():
        with mpl.rc_context({"text.hinting": "no_hinting"}):  # or letters are narrower here than when they are drawn
            layout.execute(figure)
        figure.set_layout_engine("none")
    stream = io.StringIO()
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
    text = stream.getvalue()
    each = MARKERS.sub(_one_by_one, text[text.index("<svg") :])
    return MARKED.sub(r'data-\1="\2"', each).strip()


def _one_by_one(line: re.Match[str]) -> str:
    """A line's markers, each with the number of its own row."""
    rows = line[1].split(".")
    head, *uses = line[2].split("<use ")
    assert len(uses) == len(rows), f"{len(rows)} marks, of which {len(uses)} are drawn"
    marks = "".join(f'<use data-row="{row}" {use}' for row, use in zip(rows, uses, strict=True))
    return f"<g>{head}{marks}</g>"
