"""Records: whole or absent, and back again; damaged ones are named and left out."""

import json
import math
import multiprocessing
import os
import shutil
import signal

import pytest
import records

from harness.measure.plan import Plan
from harness.records.files import dump, write_atomically
from harness.records.run import RUN_FILE, Run
from harness.records.schema import ALWAYS, COLUMNS, MEASURED, Cell, solver_slug
from implementations.places import ROOT

CELL = Cell("random-response", 200, 34, 1)
PROVENANCE = {"grid": {"solvers": ["baseline", "b[x=1]"]}}


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", PROVENANCE)


def full_row(solver="baseline", **changed):
    rng = records.np.random.default_rng(1)
    return records.row(solver, records.slow, CELL.pixels, CELL.bins, rng, 0.0, {}) | changed


def test_a_record_comes_back_and_its_existence_means_done(run):
    assert not run.done(CELL, "baseline")
    run.add(CELL, "baseline", full_row(median_s=0.5, ci_low_s=math.nan), {"turns": {}})
    assert run.done(CELL, "baseline")
    (record,) = run.records()
    assert record["row"]["median_s"] == 0.5
    assert record["row"]["ci_low_s"] is None
    assert run.table().columns.tolist() == list(COLUMNS)


def test_a_list_of_numbers_is_a_line_and_everything_comes_back():
    value = {
        "runs": [[1.5, 2, math.inf], []],
        "text": "x[1,  2]\n [ 3,\n4]",
        "names": ["a  b", "c"],
        "of": [{"n": [1]}],
    }
    text = dump(value)
    assert json.loads(text) == value | {"runs": [[1.5, 2, "inf"], []]}
    assert len(dump({"turns": {"1": [[0.1, 0.2, 0.3]] * 50}}).splitlines()) < 60


def test_an_infinite_deviation_survives(run):
    run.add(CELL, "baseline", full_row(parity_dem=math.inf), {"turns": {}})
    assert run.table().parity_dem[0] == math.inf


def test_the_table_keeps_the_order_of_the_grid(run):
    for spec in ("b[x=1]", "baseline"):
        run.add(CELL, spec, full_row(spec), {"turns": {}})
    assert run.table().solver.tolist() == ["baseline", "b[x=1]"]


def test_an_unknown_column_is_a_bug(run):
    with pytest.raises(AssertionError, match="speed_of_light"):
        run.add(CELL, "baseline", {"speed_of_light": 1}, {})


def test_a_run_is_never_overwritten(run):
    with pytest.raises(ValueError, match="holds a run already; continue it with --resume"):
        Run.create(run.folder, PROVENANCE)


@pytest.fixture
def good(tmp_path):
    """A run of two rows, and the path of one of them."""
    run = records.write_run(
        tmp_path / "run", {"baseline": records.slow, "fast": records.fast}, pixels=(200,), bins=(34,)
    )
    return run, run.path(CELL, "fast")


def without(*keys):
    def change(path):
        record = json.loads(path.read_text())
        inner = record
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        path.write_text(json.dumps(record))

    return change


def with_value(text, of="median_s"):
    """The record's own text, another value, as JSON, in one place of it."""

    def change(path):
        record = json.loads(path.read_text())
        record["row"][of] = "HERE"
        path.write_text(json.dumps(record).replace('"HERE"', text))

    return change


def directory(path):
    path.unlink()
    path.mkdir()
    (path / "file").write_text("")


DAMAGE = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:300]), "is not JSON from line"),
    "noise": (lambda path: path.write_bytes(bytes(range(255, 0, -1)) * 9), "is not text"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "a directory": (directory, "is not a file"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is not a file"),
    "a link to nowhere": (lambda path: (path.unlink(), path.symlink_to("nowhere")), "can't be read"),
    "a list": (lambda path: path.write_text("[]"), "expected a record"),
    "nested": (lambda path: path.write_text("[" * 10**5), "is nested without end"),
    "another schema": (lambda path: path.write_text('{"schema": 99}'), "has schema 99, expected 1"),
    "NaN": (with_value("NaN"), "holds NaN"),
    "Infinity": (with_value("-Infinity"), "holds -Infinity"),
    "too large": (with_value("1e999"), "has inf for median_s"),
    "too large, beside the result": (with_value("1e999", "ci_high_s"), "has inf for ci_high_s"),
    "a time without end": (with_value('"inf"', "cpu_s"), "has 'inf' for cpu_s"),
    "a time below zero": (with_value("-1.0", "ci_low_s"), "has -1.0 for ci_low_s"),
    "a number beyond all": (with_value("1" + 400 * "0", "of_limit"), "for of_limit"),
    "a count beyond all": (with_value("1" + 30 * "0", "n"), "for n"),
    "another cell's row": (with_value("35", "bins"), "has a row of another cell"),
    "no time": (with_value("0"), "has 0 for median_s"),
    "a word": (with_value('"fast"'), "has 'fast' for median_s"),
    "half a pixel": (with_value("0.5", "pixels"), "has 0.5 for pixels"),
    "half a character": (with_value(r'"\ud800"', "reason"), "for reason"),
    "no such status": (with_value('"fine"', "status"), "has status 'fine'"),
    "another row": (
        lambda path: shutil.copy(path.with_name(path.name.replace("fast", "baseline")), path),
        "holds the record of random-response-p200-b34-s1--baseline.json",
    ),
    "no row": (without("row"), "lacks its row"),
    "no turns": (without("turns"), "lacks the times of its turns"),
} | {f"no {key}": (without("row", key), f"for {key}") for key in MEASURED}
DAMAGE |= {f"no {key}": (without("row", key), f"lacks {key}") for key in ALWAYS}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_named_once_left_out_and_measured_anew(good, kind, capsys):
    run, path = good
    damage, why = DAMAGE[kind]
    damage(path)
    again = Run.open(run.folder)
    for _ in range(2):
        assert [record["row"]["solver"] for record in again.records()] == ["baseline"]
    assert again.table().solver.tolist() == ["baseline"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} ")
    assert why in line
    assert not again.done(CELL, "fast")
    again.add(CELL, "fast", full_row("fast"), {"turns": {}})
    assert again.done(CELL, "fast")
    assert sorted(Run.open(run.folder).table().solver) == ["baseline", "fast"]


@pytest.mark.parametrize("removed", [False, True])
def test_a_record_that_someone_changed_while_the_run_went_on_does_not_count(good, removed, capsys):
    run, path = good
    run.add(CELL, "fast", full_row("fast"), {"turns": {}})
    path.unlink() if removed else with_value("0.001")(path)
    for _ in range(2):
        assert [record["row"]["solver"] for record in run.records()] == ["baseline"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} ")
    assert removed or "was changed after it had been written; not used" in line
    assert not Run.open(run.folder).done(CELL, "fast"), "--resume measures it anew"


def test_a_record_of_no_row_of_the_grid_does_not_count(good, capsys):
    """Also one whose workload has another seed, which the grid doesn't name."""
    run, path = good
    run.asked = frozenset({run.path(CELL, "baseline"), path})
    other = Cell(CELL.dataset, CELL.pixels, CELL.bins, 2)
    Run.open(run.folder).add(other, "fast", full_row("fast", seed=2), {"turns": {}})
    forged = run.path(other, "fast")
    for _ in range(2):
        assert len(run.table()) == 2
    assert capsys.readouterr().err == f"{forged} is no row of the run's grid; not used\n"
    assert len(Run.open(run.folder).table()) == 2


def test_what_a_killed_write_left_is_no_record_and_goes(good, capsys):
    run, path = good
    left = path.with_name(f".{path.stem}.abc.json")
    shutil.copy(path, left)
    assert len(list(run.records())) == 2
    with run.scratch():
        assert not left.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in (ROOT / "results").glob("*/run.json")))
def test_committed_records_are_all_good(folder, capsys):
    run = Run.open(ROOT / "results" / folder)
    assert len(run.table()) == len(list((run.folder / "cells").iterdir())) > 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("key", ["schema", "run", "created", "commit", "machine", "software", "grid"])
def test_a_run_file_without_one_of_its_parts_is_said_in_one_line(good, key):
    run, _ = good
    without(key)(run.folder / RUN_FILE)
    with pytest.raises(ValueError, match="has record schema None" if key == "schema" else f"lacks its {key}"):
        Run.open(run.folder)


@pytest.mark.parametrize("value", [None, "x", [], {}])
@pytest.mark.parametrize("key", ["cores", "memory_gb", "usable_cores"])
def test_a_machine_of_no_numbers_is_said_in_one_line(tmp_path, key, value):
    run = records.write_run(tmp_path / "run", {"fast": records.fast})
    facts = json.loads((run.folder / RUN_FILE).read_text())
    facts["machine"][key] = value
    (run.folder / RUN_FILE).write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=f"lacks its {key}"):
        Run.open(run.folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"grid": {"solvers": [{}]}},
        {"machine": records.MACHINE | {"cpu_numbers": [1]}},
        {"machine": records.MACHINE | {"devices": 1}},
        *({key: "x"} for key in ("devices", "limits", "workloads", "load", "named", "plugin_sources")),
    ],
)
def test_a_run_file_of_something_else_is_said_in_one_line(tmp_path, changed):
    run = records.write_run(tmp_path / "run", {"fast": records.fast})
    (run.folder / RUN_FILE).write_text(json.dumps(json.loads((run.folder / RUN_FILE).read_text()) | changed))
    with pytest.raises(ValueError, match=r"is not a run: run\.json lacks its \w+$"):
        Run.open(run.folder)


GRID_OF_NONE = [("pixels", None), ("bins", [[]]), ("threads", "x"), ("rel_ci", {}), ("bins", "34"), ("datasets", "abc")]
GRID_OF_NONE += [("pixels", {"a": 1}), ("step", 5), ("threads", None)]


def test_half_a_character_in_a_run_file_is_said_in_one_line(tmp_path):
    run = records.write_run(tmp_path / "run", {"fast": records.fast})
    facts = json.loads((run.folder / RUN_FILE).read_text())
    (run.folder / RUN_FILE).write_text(json.dumps(facts | {"commit": "\ud800", "limits": None}))
    with pytest.raises(ValueError, match=r"is not a run: run\.json holds half a character"):
        Run.open(run.folder)


@pytest.mark.parametrize(("key", "value"), GRID_OF_NONE)
def test_a_grid_that_no_sweep_writes_is_said_in_one_line(key, value):
    with pytest.raises(ValueError, match=r"^the grid of a run holds something else than a sweep writes: .+$"):
        Plan.from_json(Plan().to_json() | {key: value})


@pytest.mark.parametrize("kind", ["cut short", "noise", "empty", "a directory", "a list", "NaN"])
def test_a_damaged_run_file_is_said_in_one_line(good, kind):
    path = good[0].folder / RUN_FILE
    if kind == "NaN":
        path.write_text('{"schema": NaN}')
    else:
        DAMAGE[kind][0](path)
    with pytest.raises(ValueError, match=r"is not a run: run\.json (is|holds) "):
        Run.open(path.parent)


def test_what_is_no_run_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="is not a run"):
        Run.open(tmp_path)
    (tmp_path / RUN_FILE).write_text(json.dumps({"schema": 99}))
    with pytest.raises(ValueError, match="schema 99, expected 1"):
        Run.open(tmp_path)


def test_a_folder_without_cells_has_no_rows_and_gets_them_back(good):
    run, _ = good
    shutil.rmtree(run.folder / "cells")
    again = Run.open(run.folder)
    assert again.table().empty
    with again.scratch():
        again.add(CELL, "fast", full_row("fast"), {"turns": {}})
    assert again.table().solver.tolist() == ["fast"]


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can't be written"):
        Run.create(tmp_path / "file" / "run", PROVENANCE)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, "old")
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def own(folder, ready):
    with Run(folder, {}).owned():
        ready.set()
        signal.pause()


def test_a_folder_has_one_owner_and_the_lock_dies_with_it(run):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    owner = spawn.Process(target=own, args=(run.folder, ready))
    owner.start()
    assert ready.wait(60)
    with pytest.raises(ValueError, match=f"run is being measured by process {owner.pid}"), run.owned():
        pass
    owner.kill()
    owner.join()
    with run.owned():
        assert (run.folder / ".lock").read_text() == str(os.getpid())
        with run.scratch(), pytest.raises(ValueError, match=str(os.getpid())), run.owned():
            pass
    assert not (run.folder / ".lock").exists()


def test_slugs_tell_specs_apart():
    specs = ["numba", "numba[threads=2]", "numba[threads=1]", "dask[inner=numba,workers=2]"]
    assert len({solver_slug(s) for s in specs}) == len(specs)
    assert all("/" not in solver_slug(s) for s in [*specs, "dask[scheduler=tcp://127.0.0.1:8786]"])


def test_what_is_dumped_has_no_infinity():
    assert json.loads(dump({"a": [math.inf, -math.inf, math.nan]})) == {"a": ["inf", "-inf", None]}
