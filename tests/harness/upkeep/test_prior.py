"""The commands behind docs/prior-work.md: start methods, and reading ahead."""

import json
import subprocess

import clones
import pytest

from harness.upkeep import track
from harness.upkeep.experiments import prefetch, starting


def test_workers_say_when_they_are_ready_and_what_they_hold(tmp_path):
    out = tmp_path / "out"
    assert starting.main(["--workers", "1", "--rounds", "1", "--out", str(out)]) == 0
    rows = {row["method"]: row for row in json.loads((out / starting.FILE).read_text())["rows"]}
    assert set(rows) == set(starting.METHODS)
    assert rows["fork"]["start_s"] < rows["spawn"]["start_s"]
    assert rows["fork"]["own_mb"] < rows["spawn"]["own_mb"], "a fork shares its parent's pages"


def test_starting_takes_whole_numbers_of_workers_and_rounds(capsys):
    with pytest.raises(SystemExit):
        starting.main(["--rounds", "0"])
    assert "must be at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_reading_ahead_is_timed_on_and_off(tmp_path):
    pytest.importorskip("zarr")
    words = ["--shape", "64,64", "--rounds", "3", "--solvers", "batched", "--out", str(tmp_path)]
    assert prefetch.main(words) == 0
    (row,) = json.loads((tmp_path / prefetch.FILE).read_text())["rows"]
    assert {name: len(each) for name, each in row["rounds_s"].items()} == {"on": 3, "off": 3}
    assert 1 <= row["most"] <= 3
    assert prefetch.AHEAD["on"] == prefetch.stream.AHEAD


def test_results_of_one_machine_and_notes_are_copied_and_the_newer_stays(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    for name in ("here", "there", "notes"):
        (source / name).mkdir(parents=True)
        (source / name / "x.json").write_text("old")
    track.copy(source, target, "here")
    assert sorted(path.name for path in target.iterdir()) == ["here", "notes"]
    (target / "here" / "x.json").write_text("newer")
    track.copy(source, target, "here")
    assert (target / "here" / "x.json").read_text() == "newer"


def test_asv_called_by_hand_takes_the_name_that_results_are_kept_under(tmp_path, monkeypatch):
    machine = pytest.importorskip("asv.machine")
    monkeypatch.setenv("HOME", str(tmp_path))
    name = track._describe_machine()
    assert machine.Machine.load().machine == name


def stored(folder, commit, date, seconds):
    """asv's file of one commit: one solver's time, with its interval and rounds."""
    columns = [
        "result",
        "params",
        "version",
        "started_at",
        "duration",
        "stats_ci_99_a",
        "stats_ci_99_b",
        "stats_repeat",
    ]
    params = [["'numba'"], ["50"], ["34"]]
    values = [[seconds], params, "1", 0, 1.0, [seconds * 0.99], [seconds * 1.01], [10]]
    made = {"commit_hash": commit, "date": date, "result_columns": columns}
    made["results"] = {"solvers.Solver.time_solve": values}
    (folder / f"{commit[:8]}-env.json").write_text(json.dumps(made))


@pytest.mark.parametrize(
    ("after", "code", "said"), [(1.3, 1, "worse: numba, 50 pixels x 34 bins"), (1.02, 0, "0 changes")]
)
def test_commits_are_judged_by_the_rule_of_each_metric(after, code, said, tmp_path, monkeypatch, capsys):
    clones.need_git()
    old, new = subprocess.check_output(["git", "rev-list", "-2", "HEAD"], cwd=track.ROOT, text=True).split()[::-1]
    here = tmp_path / "here"
    here.mkdir()
    (here / "machine.json").write_text(json.dumps({"machine": "here", "version": 1}))
    stored(here, old, 1, 1.0)
    stored(here, new, 2, after)
    monkeypatch.setattr(track, "WORKED", tmp_path)
    assert track.judge("here", "HEAD") == code
    out = capsys.readouterr().out
    assert said in out
    assert f"between {old[:8]} and {new[:8]}" in out
