"""Sphinx's settings for the documentation site. The sources are the checkout's own pages, as GitHub shows them too.

`make docs` builds it into build/site. Nothing is asked of the network when a page is looked at.
"""

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

project = "demreg-bench"
author = "demreg-bench's authors"
copyright = "demreg-bench's authors, BSD-3-Clause"
extensions = ["myst_nb", "numpydoc", "pages", "sphinx.ext.autodoc"]

root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "notebooks/*.ipynb", "datasets/README.md", "results/README.md"]
exclude_patterns = [".*", "**/.*", "build", "dist", "harness", "implementations", "plots", "results/[!R]*", "tests"]
highlight_language = "bash"  # of indented code; what is fenced says its own

myst_heading_anchors = 3
nb_execution_mode = "off"  # outputs are committed: make notebooks
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # docstrings say types, shapes and units in words
numpydoc_show_class_members = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

templates_path = ["templates"]
html_additional_pages = {"index": "redirect.html"}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["static"]
html_theme = "pydata_sphinx_theme"
html_title = "demreg-bench"
html_theme_options = {
    "footer_end": [],
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
}


def unlink_records(app: Any, error: Exception | None) -> None:
    """Take the links to records out of the committed page's copy: these lie beside it in a checkout alone."""
    for page in Path(app.outdir, "_downloads").glob("*/report.html"):
        text = re.sub(r'<a href="\.\./results/[^"]*">([^<]*)</a>', r"\1", page.read_text(encoding="utf-8"))
        page.write_text(re.sub(r'"\.\./results/[^"]*"', '""', text), encoding="utf-8")


def setup(app: Any) -> None:
    """Of Sphinx."""
    app.connect("build-finished", unlink_records)
