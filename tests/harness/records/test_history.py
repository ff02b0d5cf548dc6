"""The history of commits: what is read of asv's results, which steps are marked, and the page in a browser."""

import json
import subprocess
import sys

import pytest
from browser import opened

from harness import report
from harness.records import history
from harness.reports import history as report_of

MACHINE = {
    "machine": "some-box",
    "cpu": "Some CPU",
    "num_cpu": "2",
    "ram": "24 GB",
    "os": "Linux",
    "arch": "x86_64",
    "version": 1,
}
COLUMNS = [
    "result",
    "params",
    "version",
    "started_at",
    "duration",
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
]
PARAMS = [["'baseline'", "'fast'", "'absent'"], ["50"], ["34"]]
BEFORE = AFTER = 4


def level(before, after, n=10, spread=0.01):
    """(value, low, high, n) at each commit, one level before and another from there on."""
    values = [before] * BEFORE + [after] * AFTER
    return [(value, value * (1 - spread), value * (1 + spread), n) for value in values]


def write(folder, machine=MACHINE, notes=(), **metrics):
    """asv's results: each metric's course for the solver `fast`, the baseline's staying at 1."""
    here = folder / machine["machine"]
    here.mkdir(parents=True)
    (here / "machine.json").write_text(json.dumps(machine))
    (folder / "benchmarks.json").write_text("{}")
    for i in range(BEFORE + AFTER):
        results = {}
        for metric, course in metrics.items():
            columns = [list(column) for column in zip((1.0, 0.99, 1.01, 10), course[i], [None] * 4, strict=True)]
            value, low, high, n = columns
            results[f"solvers.Solver.{metric}"] = [value, PARAMS, "1", 0, 1.0, low, high, value, value, [1] * 3, n]
        commit = f"{i:x}" * 40
        stored = {"commit_hash": commit, "date": i * 1000, "result_columns": COLUMNS, "results": results}
        # The file names are in the reverse order of the dates.
        (here / f"{15 - i:x}{commit[:7]}-py.json").write_text(json.dumps(stored))
    (folder / "notes").mkdir(exist_ok=True)
    facts = {"commit": "7" * 12, "created": "2026-01-01"}
    lines = "".join(json.dumps(line) + "\n" for line in (facts, *notes))
    (folder / "notes" / f"{machine['machine']}.jsonl").write_text(lines)
    return folder


def test_points_are_in_the_order_of_the_commits_and_intervals_need_rounds(tmp_path):
    write(tmp_path / "many", time_solve=level(1.0, 2.0, n=8))
    points = history.read(tmp_path / "many").points
    fast = points[points.solver == "fast"]
    assert list(fast.commit) == [f"{i}" * 8 for i in range(8)]
    assert list(fast.value) == [1.0] * 4 + [2.0] * 4
    assert (fast.low < fast.value).all()
    assert (fast.high > fast.value).all()
    assert "absent" not in set(points.solver)
    write(tmp_path / "few", time_solve=level(1.0, 2.0, n=7))
    few = history.read(tmp_path / "few").points
    assert few[few.solver == "fast"].low.isna().all()


@pytest.mark.parametrize(
    ("metric", "course", "kind"),
    [
        ("time_solve", level(1.0, 1.2), "worse"),
        ("time_solve", level(1.2, 1.0), "better"),
        ("time_solve", level(1.0, 1.2, spread=0.2), None),  # the intervals meet
        ("time_solve", level(1.0, 1.2, n=5), None),  # there is no interval
        ("time_solve", level(1.0, 1.04, spread=0.001), None),  # too small
        ("track_time_to_baseline", level(0.010, 0.013), "worse"),
        ("track_time_to_baseline", level(0.010, 0.011), None),
        ("track_time_to_baseline", level(0.010, 0.020, n=7), None),
        ("track_oneoff", level(1.0, 1.3), None),
        ("track_oneoff", [(1.0, 1.0, 1.0, 1)] * 7 + [(2.0, 2.0, 2.0, 1)], None),  # only the last commit
        ("track_oneoff", level(1.0, 2.0), "worse"),
        ("track_dem_error", level(0.9, 1.0), "worse"),
        ("track_gate_violation", level(0.0, 1.0), "worse"),
        ("track_worst_parity", level(1e-14, 1e-12), None),  # rounding
        ("track_worst_parity", level(1e-8, 1e-3), "worse"),
    ],
)
def test_a_step_is_marked_where_it_is_clear(tmp_path, metric, course, kind):
    pytest.importorskip("asv", reason="asv is not installed")
    rounds = {"time_solve": level(1.0, 1.0, n=course[0][3])}
    found = history.read(write(tmp_path, **rounds | {metric: course})).steps
    assert [(s.solver, s.commit, s.worse) for s in found.itertuples()] == (
        [("fast", f"{BEFORE}" * 8, kind == "worse")] if kind else []
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two machines; on one the solver became slower, and its gate broke."""
    pytest.importorskip("asv", reason="asv is not installed")
    folder = tmp_path_factory.mktemp("history")
    note = {
        "solver": "fast",
        "pixels": 50,
        "bins": 34,
        "status": "ok",
        "reason": "",
        "gate": "fail",
        "gate_reasons": "dem deviates by <1e-2>",
    }
    skipped = note | {"solver": "absent", "status": "skipped", "gate": "none", "reason": "CuPy is not installed"}
    write(
        folder,
        notes=[note, skipped],
        time_solve=level(0.001, 0.0012),
        track_time_to_baseline=level(0.01, 0.02),
        peakmem_solve=level(2**28, 2**28),
        track_chisq_median=level(1.5, 1.5),
        track_gate_violation=level(0.0, 1.0),
    )
    write(folder, machine=MACHINE | {"machine": "another", "cpu": "Another CPU"}, time_solve=level(1.0, 1.0))
    return folder


def test_the_tables_say_what_changed_and_what_has_no_figures(folder):
    another, _, _, box, steps, newest, missing = report_of.sections(history.read(folder))
    assert another.title == "Another CPU, 2 cores, 24 GB, Linux x86_64"
    assert [picture.title for picture in another.pictures if picture.missing] == ["Memory", "Quality"]
    assert box.paragraphs[0].startswith("8 commits, 00000000 to 77777777")
    rows = [[datum.text for datum in row] for row in steps.grids[0].rows]
    assert rows == [
        ["44444444", "time, s", "fast", "50", "34", "0.001", "0.0012", "1.2", "▲ worse"],
        ["44444444", "time / the baseline's", "fast", "50", "34", "0.01", "0.02", "2", "▲ worse"],
        ["44444444", "gate violated", "fast", "50", "34", "0", "1", "–", "▲ worse"],
    ]
    latest = [[datum.text for datum in row] for row in newest.grids[0].rows]
    assert newest.title == "At 77777777"
    assert latest[1][:8] == ["fast", "50", "34", "✘ fail", "1.2 ms", "1.19 ms to 1.21 ms", "10", "50x"]
    assert [[datum.text for datum in row][:3] for row in missing.grids[0].rows] == [
        ["fast", "gate fail", "dem deviates by <1e-2>"],
        ["absent", "skipped", "CuPy is not installed"],
    ]


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    command = [sys.executable, "-m", "harness.report", "--history", folder, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"page: {out / report_of.PAGE}" in done.stdout
    return out / report_of.PAGE


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_without_a_network(page, width):
    with opened(page, width=width, dark=width == 390) as browser:
        assert browser.evaluate("document.documentElement.scrollWidth") == width, "the page itself scrolls sideways"
        boxes = [picture.bounding_box() for picture in browser.query_selector_all("figure svg")]
        assert len(boxes) == 4  # three of one machine, one of the other
        assert all(box["width"] > 300 and box["height"] > 100 for box in boxes)
        assert browser.query_selector("#some-box-Time").is_visible()
        shown = browser.inner_text("main")
        assert "Steps: 2 for the worse" in shown
        assert "dem deviates by <1e-2>" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--history", "{}"], "holds no results of airspeed velocity"), (["{}", "--history"], "--history takes no RUN")],
)
def test_what_cannot_be_shown_is_one_line(tmp_path, arguments, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        report.main([word.format(tmp_path) for word in arguments] + ["--out", str(tmp_path / "plots")])
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (tmp_path / "plots").exists()


def test_the_committed_history_names_its_machine_and_nothing_private():
    found = history.read()
    assert found.points.commit.nunique() >= 3
    assert all("cores" in described for described in found.machines.values())
    for path in history.FOLDER.rglob("*.json*"):
        assert not any(word in path.read_text() for word in ("/tmp/", "/home/", "/root/", "://")), path


def test_changes_between_two_commits_go_by_the_rule_of_each_metric(tmp_path):
    def course(before, after, n=10):
        return level(before, after, n)

    write(
        tmp_path, time_solve=course(1.0, 1.2), track_oneoff=course(1.0, 3.0), track_time_to_baseline=course(0.5, 0.55)
    )
    points = history.read(tmp_path).points
    changed = history.changes(points)
    assert [(step.solver, step.metric, step.worse) for step in changed.itertuples()] == [("fast", "time_solve", True)]


def test_intervals_that_meet_are_no_change(tmp_path):
    write(tmp_path, time_solve=level(1.0, 1.2, spread=0.15))
    assert history.changes(history.read(tmp_path).points).empty
