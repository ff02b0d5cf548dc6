"""The report: the command, the page in a browser with networking off, and what the page says of rows that failed."""

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
import records
from browser import opened

from harness import report
from harness.figures import common, gallery
from harness.records.run import Run
from harness.records.schema import Cell
from harness.reports import run as reports_run
from harness.reports import tables

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


WIDTHS = [
    pytest.param(1440, True),
    pytest.param(390, False),
    *(
        pytest.param(*both, marks=pytest.mark.slow)
        for both in [(1440, False), (390, True), (1100, False), (1100, True)]
    ),
]


@pytest.mark.parametrize(("width", "dark"), WIDTHS)
def test_in_a_browser_without_a_network(page, width, dark):
    """What `opened` sees beside: no error or warning on the console, nothing asked of the network."""
    with opened(page, width=width, dark=dark) as browser:
        assert browser.evaluate("document.documentElement.scrollWidth") == width, "the page itself scrolls sideways"
        boxes = [picture.bounding_box() for picture in browser.query_selector_all("figure svg")]
        assert len(boxes) >= 6
        assert all(box["width"] > 300 and box["height"] > 100 for box in boxes)
        ink = browser.evaluate("getComputedStyle(document.querySelector('figure svg [style*=\"fill: #1b2430\"]')).fill")
        paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        light, deep = (sum(map(int, c[4:-1].split(","))) for c in (ink, paper))
        assert (light > deep) == dark, "ink against paper"
        wide = "[...document.querySelectorAll('.wide')]"
        assert browser.evaluate(f"{wide}.every(e => e.tabIndex === 0 && e.getAttribute('role') === 'region')")
        assert browser.evaluate(f"{wide}.every(e => e.getAttribute('aria-label').length > 8)")
        if width == 1440:
            tables = "[...document.querySelectorAll('.wide.table')]"
            assert browser.evaluate(f"{tables}.every(e => e.scrollWidth <= e.clientWidth)"), "columns fit"


def test_a_table_scrolls_by_keys_below_its_heading_and_beside_its_names(page):
    with opened(page, width=390, height=400) as browser:
        area = browser.query_selector("section:nth-of-type(3) .wide")
        area.scroll_into_view_if_needed()
        area.focus()
        for _ in range(3):
            browser.keyboard.press("ArrowRight")
            browser.keyboard.press("ArrowDown")
        browser.wait_for_function("e => e.scrollLeft > 20 && e.scrollTop > 20", arg=area)
        browser.wait_for_timeout(300)
        place = area.bounding_box()
        corner = area.query_selector("thead th").bounding_box()
        name = area.query_selector("tbody tr:last-child th").bounding_box()
        assert abs(corner["x"] - place["x"]) < 1
        assert abs(corner["y"] - place["y"]) < 1
        assert abs(name["x"] - place["x"]) < 1


def cells(browser, table):
    """Visible rows as lists of texts, the heading first."""
    seen = "filter(e => e.offsetParent)"
    return browser.evaluate(
        f"t => [...t.rows].{seen}.map(r => [...r.cells].{seen}.map(c => c.innerText.trim()))", table
    )


def column(browser, table, name):
    heads, *rows = cells(browser, table)
    return [row[heads.index(name)] for row in rows]


def test_a_table_sorts_filters_and_shows_more(page):
    with opened(page) as browser:
        table = browser.query_selector("section:nth-of-type(3) table")
        before = column(browser, table, "pixels/s")
        button = next(b for b in table.query_selector_all("th button") if b.inner_text().strip() == "pixels/s")
        button.click()
        rising = [int(text.replace(",", "")) for text in column(browser, table, "pixels/s")]
        assert rising == sorted(rising)
        button.click()
        assert [int(t.replace(",", "")) for t in column(browser, table, "pixels/s")] == rising[::-1]
        assert len(rising) == len(before)
        browser.fill("section:nth-of-type(3) .filter input", "wrong 200")
        assert set(column(browser, table, "solver")) == {"wrong"}
        assert "parity DEM" not in cells(browser, table)[0]
        browser.check("section:nth-of-type(3) .more input")
        assert column(browser, table, "parity DEM") == ["1e-13"] * len(column(browser, table, "solver"))


def test_one_cell_is_seen_at_a_glance_and_a_control_picks_another(page):
    with opened(page) as browser:
        table = browser.query_selector("#s1 table")
        heads, *rows = cells(browser, table)
        assert [head.split("\n")[0] for head in heads] == [
            "solver",
            "time",
            "speedup",
            "χ² median",
            "DEM error",
            "gate",
        ]
        assert {row[0]: row[-1] for row in rows} == {
            "fast": "✔ pass", "baseline": "✔ pass", "wrong": "✘ fail", "crashing": "crashed", "absent": "skipped",
        }  # fmt: skip
        assert rows[0][0] == "fast"
        assert [row[1] for row in rows[-2:]] == ["–", "–"]
        before = rows[0][1]
        browser.select_option("#s1 select", label="random-response, 200 pixels x 34 bins")
        assert cells(browser, table)[1][1] != before
        assert browser.evaluate("[...document.querySelectorAll('#s1 option')].length") == 4


def test_a_mark_tells_its_values_and_its_record_and_a_solver_is_switched_off(page):
    with opened(page) as browser:
        figure = browser.query_selector("#speedup svg")
        figure.scroll_into_view_if_needed()
        mark = figure.query_selector("use[data-row], [data-row] use")
        box = mark.bounding_box()
        browser.mouse.move(box["x"] + box["width"] / 2 + 6, box["y"] + box["height"] / 2 + 6)
        tip = browser.query_selector(".tip")
        assert tip.is_visible()
        said = tip.inner_text()
        assert "random-response" in said
        assert "±" in said
        assert "speedup\n3x" in said
        browser.mouse.click(box["x"] + 2, box["y"] + 2)
        browser.mouse.move(5, 5)
        link = tip.query_selector("a").evaluate("a => a.href")
        assert Path(url2pathname(urlparse(link).path)).is_file()
        assert Path(url2pathname(urlparse(link).path)).suffix == ".json"
        assert browser.query_selector("svg .faint")
        browser.keyboard.press("Escape")
        assert not tip.is_visible()
        assert not browser.query_selector("svg .faint"), "others come back"
        browser.click(".switches summary")
        browser.uncheck(".switches input[value=fast]")
        gone = "[...document.querySelectorAll('[data-solver=fast]')].every(e => getComputedStyle(e).display === 'none')"
        assert browser.evaluate(gone)
        assert browser.evaluate("[...document.querySelectorAll('svg [data-solver=fast]')].length") > 10
        assert browser.inner_text(".switches .count") == "4 of 5"
        assert "fast" not in column(browser, browser.query_selector("#s1 table"), "solver")


def test_without_script_everything_is_there_and_on_paper_rows_stay_whole(page):
    with opened(page, script=False) as browser:
        assert browser.query_selector("figure svg").is_visible()
        assert len(browser.query_selector_all("#s1 tbody")) == 4
        assert all(body.is_visible() for body in browser.query_selector_all("#s1 tbody"))
        assert not browser.query_selector(".switches").is_visible()
    with opened(page, width=1100) as browser:
        browser.emulate_media(media="print")
        style = "e => getComputedStyle(document.querySelector(e[0]))[e[1]]"
        assert browser.evaluate(style, ["tbody tr", "breakInside"]) == "avoid"
        assert browser.evaluate(style, [".wide.table", "overflowY"]) == "visible"
        assert browser.evaluate(style, ["thead", "display"]) == "table-header-group"
        assert browser.evaluate("document.documentElement.scrollWidth") <= 1100


def test_gates_are_told_by_signs_and_reasons_stand_with_their_rows(tmp_path):
    table = tables.rows_of([write(tmp_path / "run")])
    lines = {line[0].text: [datum.text for datum in line[1:]] for line in tables.gates(table).rows}
    assert lines["fast"] == ["✔ pass"] * 2
    assert lines["wrong"] == ["✘ fail"] * 2
    assert lines["absent"] == ["skipped"] * 2
    assert lines["crashing"] == ["crashed"] * 2
    whys = {line[1].text: (line[3].text, line[4].text) for line in tables.reasons(table).rows}
    assert whys == {
        "crashing": ("crashed", "killed by signal 9 <SIGKILL>"),
        "absent": ("skipped", "CuPy is not installed"),
        "wrong": ("✘ gate failed", "dem deviates by 1e-2"),
    }


def test_signs_at_a_glance_are_explained_where_they_stand(tmp_path):
    one = records.write_run(tmp_path / "one", {"fast": records.fast}, (200,), (34,))
    said = tables.glance(tables.rows_of([one])).caption
    assert "CPU" not in said
    assert "?" not in said
    cpu = {"cpu_s": 1.0, "cpu_low_s": 0.9, "cpu_high_s": 1.1, "doubts": "busy machine: waited"}
    run = records.write_run(tmp_path / "run", {"fast": records.fast}, (200,), (34,), fast=cpu)
    said = tables.glance(tables.rows_of([run])).caption
    assert "; CPU: the processor's time; ?: doubted, see below." in said


def test_a_page_of_runs_without_a_result_says_why_there_is_no_figure(tmp_path):
    run = records.write_run(tmp_path / "run", {"fast": records.fast}, fast={"status": "failed", "reason": "no luck"})
    made = sections([run])
    assert made[0].pictures[0].missing == "no solver has a result in these runs"


def test_the_first_figure_that_can_be_drawn_leads(tmp_path):
    unknown = {"truth_dem_error": np.nan}
    run = records.write_run(tmp_path / "run", {"fast": records.fast}, fast=unknown)
    pictures = gallery.pictures(common.measured([run]), entries=gallery.FIGURES[:2])
    made = reports_run.sections([run], tables.rows_of([run]), pictures)
    assert [list(section.pictures) for section in made[:2]] == [[pictures[1]], [pictures[0]]]


@pytest.mark.parametrize("name", ["cut-off[by=$\\frac$]", "cut-off[by=$x_$y]", "模型", "a" * 90])
def test_any_name_of_a_solver_is_drawn(tmp_path, name, recwarn):
    row = {"speedup": 3.0, "speedup_low": 2.9, "speedup_high": 3.1, "truth_coverage": 0.4, "truth_peak_logt_error": 0.1}
    laws = {"baseline": records.slow, name: records.fast}
    run = records.write_run(tmp_path / "named", laws, **{name.partition("[")[0]: row})
    pictures = gallery.pictures(common.measured([run]), tmp_path)
    drawn = [picture for picture in pictures if not picture.missing]
    assert len(drawn) >= 5
    assert not [picture.missing for picture in pictures if "can't be drawn" in picture.missing]
    assert not [each for each in recwarn if "Glyph" in str(each.message)]


def sections(runs):
    """Of the page, with its first figure alone."""
    pictures = gallery.pictures(common.measured(runs), entries=gallery.FIGURES[:1])
    return reports_run.sections(runs, tables.rows_of(runs), pictures)


def test_machines_stand_side_by_side_and_are_not_averaged(tmp_path):
    there = records.MACHINE | {"id": "another", "cpu": "Another CPU"}
    runs = [write(tmp_path / "here"), write(tmp_path / "there", machine=there)]
    made = sections(runs)
    assert any("different machines" in text for text in made[0].paragraphs)
    assert [line[-1].text for line in made[2].grids[0].rows] == ["here"] * 12 + ["there"] * 12
    groups = list(dict.fromkeys(made[0].grids[0].groups))
    assert len(groups) == 2 * 4
    assert sum("Another CPU" in group for group in groups) == 4
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
    assert len(sections([run])[2].grids[0].rows) == 11


@pytest.mark.slow
def test_a_row_more_costs_at_most_5_ms(tmp_path):
    """CPU time of the whole command; beside what a report costs at all. It was 28 ms."""
    spent = {}
    for number in (20, 120):
        sizes = tuple(range(100, 100 + number))
        laws = dict.fromkeys(("baseline", "numba", "l2", "batched", "vectorized"), records.slow)
        run = records.write_run(tmp_path / str(number), laws, sizes, (34, 200))
        before = time.process_time()
        assert report.main([str(run.folder)]) == 0
        spent[10 * number] = time.process_time() - before
    assert spent[1200] - spent[200] <= 1000 * 0.005
