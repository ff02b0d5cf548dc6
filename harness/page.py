"""One self-contained HTML page: pictures, tables that sort and filter, notes. It opens from disk and loads nothing.

A page is a title, a lead, sections and a foot; `render` puts them into `report.html.j2` with the style and script
beside it. Pictures are SVG, once for a light and once for a dark page. What is text is escaped.
"""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

HERE = Path(__file__).parent
THEMES = {"light": "#1b2430", "dark": "#dfe5ec"}
"""The colour of text and lines in a picture for each kind of page."""


class Picture(NamedTuple):
    """A figure, by its SVG for a light page and for a dark one; or, with `missing`, why it isn't there."""

    slug: str
    title: str
    caption: str
    light: str = ""
    dark: str = ""
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
        raise RuntimeError("the page needs Jinja2 (pip install 'demreg-bench[report]')") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["data_uri"] = _data_uri
    style, script = ((HERE / f"report.{kind}").read_text() for kind in ("css", "js"))
    template = environment.get_template("report.html.j2")
    return template.render(title=title, lead=lead, sections=sections, foot=foot, style=style, script=script)


def picture(slug: str, title: str, caption: str, draw: Callable[[], Figure | str], style: dict[Any, Any]) -> Picture:
    """A figure drawn for both kinds of page, or the sentence that says why it can't be."""
    images = {}
    for theme, ink in THEMES.items():
        colours: dict[Any, Any] = dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), ink
        )
        with mpl.rc_context({**style, **colours, "svg.hashsalt": f"{slug}-{theme}"}):
            figure = draw()
            if isinstance(figure, str):
                return Picture(slug, title, caption, missing=figure)
            images[theme] = _svg(figure)
    return Picture(slug, title, caption, **images)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    return stream.getvalue()


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
