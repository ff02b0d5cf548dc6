"""The report: the command, the page in a browser with networking off, and what the page says of rows that failed."""

import json
import subprocess
import sys

import pytest
import records
from browser import opened

from harness import report
from harness.figures import common, gallery
from harness.records.run import Run
from harness.records.schema import Cell
from harness.reports import run as reports_run

LAWS = {"baseline": records.slow, "fast": records.fast}


def write(folder, machine=records.MACHINE, **columns):
    """A run of which one solver crashed in a cell, one is skipped, and one's gate failed."""
    about = {
        "crashing": {"status": "crashed", "reason": "killed by signal 9 <SIGKILL>", "gate": "none"},
        "absent": {"status": "skipped", "reason": "CuPy is not installed", "gate": "none"},
        "wrong": {"gate": "fail", "gate_reasons": "dem deviates by 1e-2"},
    }
    laws = LAWS | dict.fromkeys(about, records.slow)
    run = records.write_run(folder, laws, pixels=(200, 1000), machine=machine, created=folder.name, **about | columns)
    for path in (folder / "cells").glob("*.json"):
        record = json.loads(path.read_text())
        record["row"] |= {"run": folder.name, "speedup": 3.0}
        path.write_text(json.dumps(record))
    return run


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write(out / "run")
    done = subprocess.run(
        [sys.executable, "-m", "harness.report", out / "run", "--out", out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out / report.PAGE


def test_the_page_loads_nothing_and_is_whole(page):
    text = page.read_text()
    assert "<script src" not in text
    assert "@import" not in text
    assert text.count("<figure id=") == len(gallery.FIGURES)
    assert "killed by signal 9 &lt;SIGKILL&gt;" in text
    for entry in gallery.FIGURES:
        assert (page.parent / f"{entry.name}.png").exists() == (f"{entry.title}. " in text)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_without_a_network(page, width, dark):
    with opened(page, width=width, dark=dark) as browser:
        assert browser.evaluate("document.documentElement.scrollWidth") == width, "the page itself scrolls sideways"
        boxes = [picture.bounding_box() for picture in browser.query_selector_all("figure svg")]
        assert len(boxes) >= 6
        assert all(box["width"] > 300 and box["height"] > 100 for box in boxes)
        ink = browser.evaluate("getComputedStyle(document.querySelector('figure svg [style*=\"fill: #1b2430\"]')).fill")
        paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        light, deep = (sum(map(int, c[4:-1].split(","))) for c in (ink, paper))
        assert (light > deep) == dark, "ink against paper"


def column(browser, table, name):
    heads = [head.inner_text().strip() for head in table.query_selector_all("th")]
    return [
        row.query_selector_all("td")[heads.index(name)].inner_text()
        for row in table.query_selector_all("tbody tr")
        if row.is_visible()
    ]


def test_a_table_sorts_and_filters(page):
    with opened(page) as browser:
        table = browser.query_selector("section:nth-of-type(3) table")
        before = column(browser, table, "DEM/s")
        button = next(b for b in table.query_selector_all("th button") if b.inner_text().strip() == "DEM/s")
        button.click()
        rising = [int(text.replace(",", "")) for text in column(browser, table, "DEM/s")]
        assert rising == sorted(rising)
        button.click()
        assert [int(t.replace(",", "")) for t in column(browser, table, "DEM/s")] == rising[::-1]
        assert len(rising) == len(before)
        browser.fill("section:nth-of-type(3) .filter input", "wrong 200")
        assert set(column(browser, table, "solver")) == {"wrong"}


def test_gates_are_told_by_signs_and_reasons_stand_with_their_rows(tmp_path):
    run = write(tmp_path / "run")
    grid = reports_run.glance([run.table()])
    lines = {line[0].text: [datum.text for datum in line[1:]] for line in grid.rows}
    assert lines["fast"] == ["✔ pass, 3x"] * 2
    assert lines["wrong"] == ["✘ fail, 3x"] * 2
    assert lines["absent"] == ["skipped"] * 2
    assert lines["crashing"] == ["crashed"] * 2
    whys = {line[1].text: (line[3].text, line[4].text) for line in reports_run.reasons(run.table()).rows}
    assert whys == {
        "crashing": ("crashed", "killed by signal 9 <SIGKILL>"),
        "absent": ("skipped", "CuPy is not installed"),
        "wrong": ("✘ gate failed", "dem deviates by 1e-2"),
    }


def test_machines_stand_side_by_side_and_are_not_averaged(tmp_path):
    there = records.MACHINE | {"id": "another", "cpu": "Another CPU"}
    runs = [write(tmp_path / "here"), write(tmp_path / "there", machine=there)]
    made = reports_run.sections(runs)
    assert any("different machines" in text for text in made[0].paragraphs)
    assert [line[0].text for line in made[2].grids[0].rows] == ["here"] * 12 + ["there"] * 12
    assert len(made[0].grids[0].columns) == 1 + 2 * 2
    assert common.measured(runs).table.groupby("panel").run.nunique().eq(1).all()


def test_the_newest_run_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        report.main([])
    for name in ("2026-01-02", "2026-01-01"):
        write(tmp_path / "results" / name)
    assert report.newest().name == "2026-01-02"


@pytest.mark.parametrize("what", ["nothing there", "no record"])
def test_what_cannot_be_shown_is_one_line(tmp_path, what, capsys):
    if what == "no record":
        Run.create(
            tmp_path / "r",
            {"created": "", "commit": "", "machine": records.MACHINE, "software": {}, "grid": records.GRID},
        )
    with pytest.raises(SystemExit, match="2"):
        report.main([str(tmp_path / "r"), "--out", str(tmp_path / "plots")])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert {"nothing there": "is not a run", "no record": "has no record"}[what] in message
    assert not (tmp_path / "plots").exists()


def test_a_run_in_progress_can_be_looked_at(tmp_path):
    run = write(tmp_path / "run")
    run.path(Cell("random-response", 200, 34, 1), "fast").unlink()
    assert len(reports_run.sections([run])[2].grids[0].rows) == 11
