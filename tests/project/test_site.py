"""The documentation site: every page has its place, says what the code says, builds without a warning, and opens."""

import ast
import importlib.util
import re
import subprocess
import sys
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser
import pytest

from harness.cli import COMMANDS
from harness.measure import record_row
from harness.records import schema
from harness.workloads import specification
from implementations import registry
from implementations.places import ROOT

DOCS, SITE = ROOT / "docs", ROOT / "docs" / "site"
PAGES = sorted(
    [*DOCS.glob("*.md"), *ROOT.glob("*.md"), ROOT / "datasets" / "README.md", ROOT / "results" / "README.md"]
)
WIDTHS = (1440, 1100, 390)
UNREACHABLE = """[...document.querySelectorAll('.bd-article *')]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
    .filter(e => e.tabIndex < 0).map(e => e.tagName + '.' + e.className)"""
LOOKED_AT = (
    "README",
    "docs/start",
    "docs/records",
    "docs/results",
    "docs/architecture",
    "docs/site/api",
    "docs/site/commands",
    "notebooks/02_quality",
    "notebooks/05_dem_of_aia",
)


def of_site(name):
    """A module of docs/site, which is no package."""
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(page, heading):
    """Cells of the table whose first heading that is, without the marks of code."""
    lines = (DOCS / page).read_text().split(f"\n| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(page, heading):
    return [row[0].strip("`") for row in rows(page, heading)]


def test_every_page_has_its_place():
    listed = "\n".join(path.read_text() for path in SITE.glob("*.md")) + of_site("pages").TOCTREE
    patterns = re.findall(r"^(?:[^|\n]+<)?(?:\.\./|docs/)([^/\s>]+)>?$", listed, re.MULTILINE)
    for page in DOCS.glob("*.md"):
        assert any(fnmatch(page.stem, pattern) for pattern in patterns), (
            f"{page.name} stands in no toctree of docs/site"
        )


def test_every_diagram_is_drawn():
    pages = of_site("pages")
    wanted = {pages.drawn(found) for page in PAGES for found in pages.MERMAID.findall(page.read_text())}
    assert wanted
    assert wanted == set(pages.DIAGRAMS.glob("*.svg")), "make diagrams"


def slugs(text):
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_to_a_heading(page):
    for path, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in slugs(target.read_text()), f"{path}#{anchor}"


def test_the_first_dem_is_what_the_page_says(capsys):
    text = (DOCS / "start.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    assert f"prints `{capsys.readouterr().out.strip()}`" in text


def kind(column):
    if column == "external":
        return "true or false"
    return "text" if column in schema.WORDS else "whole number" if column in schema.COUNTS else "number"


def test_the_page_on_records_is_the_schema():
    told = {row[0].strip("`"): row[1:] for row in rows("records.md", "column")}
    assert list(told) == list(schema.COLUMNS)
    assert {name: row[0] for name, row in told.items()} == {name: kind(name) for name in schema.COLUMNS}
    there = {name: row[1] for name, row in told.items()}
    assert [name for name in there if there[name] == "always"] == [c for c in schema.COLUMNS if c in schema.ALWAYS]
    assert {name for name in there if there[name] == "with a result"} == set(schema.MEASURED)
    assert re.findall(r"`(\w+)`", told["status"][-1]) == list(schema.STATUSES)
    assert re.findall(r"`(\w+)`", told["gate"][-1]) == list(schema.GATES)
    assert f"The schema's number is {schema.SCHEMA}." in (DOCS / "records.md").read_text()


def test_the_page_on_records_names_what_stands_beside_a_row():
    tree = ast.parse(Path(record_row.__file__).read_text())
    (made,) = [node for node in tree.body if getattr(node, "name", "") == "detail_of"]
    (kept,) = [node.value for node in ast.walk(made) if isinstance(node, ast.Return)]
    told = {name for row in rows("records.md", "key") for name in re.findall(r"`(\w+)`", row[0])}
    assert told == {key.value for key in kept.keys}


def test_the_page_on_solvers_is_the_registry():
    table = registry.Registry()
    described = [table.describe(name) for name in registry.IN_REPO]
    told = [[row[0].strip("`"), *row[1:3]] for row in rows("solvers.md", "solver")]
    assert told == [[each["name"], each["device"], each["accuracy"]] for each in described]
    assert all(f"`{name}`" in (DOCS / "solvers.md").read_text() for name in registry.PEERS)


def test_the_page_on_workloads_is_the_specifications():
    assert sorted(names("workloads.md", "workload")) == specification.names()
    tables = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows("workloads.md", "generator")}
    lists = {"gaussian-response": ["component"], "aia-response": ["component"], "aia-image": ["crop"]}
    assert tables == {name: [*known, *lists.get(name, [])] for name, known in specification.TABLES.items()}
    text = (DOCS / "workloads.md").read_text()
    for name in specification.names():
        spec = specification.load(name)
        low, high = spec["temperature"]["logt_range"]
        assert re.search(rf"^\| `{name}` \| {low} to {high} \|", text, re.MULTILINE)
        for component in spec.tables.get("component", [])[1:]:
            assert f"{component['share']:.0%} {component['name']}" in text
    crops = [
        crop["name"] for crop in specification.parse((ROOT / "datasets" / "aia-image.toml").read_text(), "")["crop"]
    ]
    assert all(f"`{crop}`" in text for crop in crops)


class Links(HTMLParser):
    """What a page links to and loads, and the names that links may lead to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.names = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.names |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("script", "img", "iframe", "source", "link") and given.get("rel") not in ("search", "canonical"):
            self.loaded += [given[key] for key in ("src", "href") if given.get(key)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c", str(SITE)]
    done = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), str(ROOT), str(folder / "html")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(built):
    """Without the theme's templates; with the committed page, which is for downloading."""
    found = [path for path in built.rglob("*.html") if "_static" not in path.parts]
    assert [path.name for path in found if "_downloads" in path.parts] == ["report.html"]
    return {path: Links(path.read_text()) for path in found}


def test_every_page_is_there_and_every_command_tells_its_options(built):
    for page in DOCS.glob("*.md"):
        assert (built / "docs" / f"{page.stem}.html").exists()
    told = (built / "docs" / "site" / "commands.html").read_text()
    for module in COMMANDS.values():
        assert re.search(rf"usage: (?:<span[^>]*>)*python -m {module}\b", told), module
    api = (built / "docs" / "site" / "api.html").read_text()
    assert all(
        f'id="implementations.{name}"' in api for name in ("dn2dem", "demmap", "contract.Solver", "pixel.Spread")
    )


def test_its_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(built, pages):
    assert len(pages) > 25
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert link in page.links, f"{path.name} loads {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{path.relative_to(built)}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].names, f"{path.relative_to(built)}: {link}"


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_its_pages_open_at_every_width_without_a_word(built, width, dark):
    for name in LOOKED_AT:
        with browser.opened(built / f"{name}.html", width=width, dark=dark) as page:
            wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert wide <= seen, f"{name} scrolls sideways"
            assert page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
            assert page.evaluate(UNREACHABLE) == [], f"{name}: what scrolls, the keyboard can't get to"
            hidden = page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)")
            assert hidden == [], name
