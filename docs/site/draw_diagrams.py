"""`python docs/site/draw_diagrams.py mermaid.min.js`: draws the pages' Mermaid diagrams, for the site, in Chromium.

GitHub draws them from their source. Mermaid itself would be several megabytes of every page that has one.
"""

import re
import shutil
import sys
from pathlib import Path

from pages import DIAGRAMS, MERMAID, drawn
from playwright.sync_api import sync_playwright

from implementations.places import ROOT

SETTINGS = {
    "startOnLoad": False,
    "theme": "neutral",
    "fontFamily": "sans-serif",
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False},
    "deterministicIds": True,
}


def main(script: str) -> None:
    """Draw each diagram, and remove pictures of earlier ones."""
    sources = [found for page in sorted(ROOT.glob("docs/*.md")) for found in MERMAID.findall(page.read_text())]
    with sync_playwright() as drive:
        browser = drive.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<html><body></body></html>")
        page.add_script_tag(path=script)
        page.evaluate("settings => mermaid.initialize(settings)", SETTINGS)
        for old in DIAGRAMS.glob("*.svg"):
            old.unlink()
        for source in sources:
            svg = page.evaluate("async source => (await mermaid.render('diagram', source)).svg", source)
            width, height = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg).groups()
            svg = svg.replace('width="100%"', f'width="{float(width):.0f}" height="{float(height):.0f}"', 1)
            drawn(source).write_text(re.sub(r"<br\s*>", "<br/>", svg) + "\n")
        browser.close()


if __name__ == "__main__":
    Path(sys.argv[1]).stat()
    main(sys.argv[1])
