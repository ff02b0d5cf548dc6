"""One self-contained HTML page: pictures, tables that sort and filter, notes. It opens from disk and loads nothing.

A page is a title, a lead, sections and a foot; `render` puts them into `page.html.j2` with the style and script
beside it. Pictures are SVG whose ink turns with the page from light to dark. What is text is escaped.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

HERE = Path(__file__).parent
INK = "#1b2430"
"""The colour of text and lines in a picture on a light page; the style sheet turns it on a dark one."""


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


class Grid(NamedTuple):
    """A table. `columns` are headings; a field whose column holds numbers is set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Datum]]
    caption: str = ""


class Section(NamedTuple):
    """A heading with paragraphs, then pictures, then tables."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()


def render(title: str, lead: str, sections: Sequence[Section], foot: Sequence[str]) -> str:
    """The page's HTML. RuntimeError, in one line, when Jinja2 is not installed."""
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
    return template.render(title=title, lead=lead, sections=sections, foot=foot, style=style, script=script)


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
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    svg = stream.getvalue()
    return Picture(slug, title, caption, svg[svg.index("<svg") :].strip())
