"""Records: whole or absent, and back again."""

import json
import math

import pytest

from harness.records.files import write_atomically
from harness.records.run import RUN_FILE, Run
from harness.records.schema import COLUMNS, Cell, solver_slug

CELL = Cell("random-response", 10, 34, 1)
PROVENANCE = {"grid": {"solvers": ["baseline", "b[x=1]"]}}


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", PROVENANCE)


def test_a_record_comes_back_and_its_existence_means_done(run):
    assert not run.done(CELL, "baseline")
    run.add(
        CELL, "baseline", {"solver": "baseline", "median_s": 0.5, "ci_low_s": math.nan, "status": "ok"}, {"turns": {}}
    )
    assert run.done(CELL, "baseline")
    (record,) = run.records()
    assert record["row"]["median_s"] == 0.5
    assert record["row"]["ci_low_s"] is None
    assert Run.open(run.folder).table().columns.tolist() == list(COLUMNS)


def test_an_infinite_deviation_survives(run):
    run.add(CELL, "baseline", {"solver": "baseline", "parity_dem": math.inf}, {})
    assert run.table().parity_dem[0] == math.inf


def test_the_table_keeps_the_order_of_the_grid(run):
    for spec in ("b[x=1]", "baseline"):
        run.add(CELL, spec, {"solver": spec, "dataset": "d", "pixels": 1, "bins": 3, "seed": 0}, {})
    assert run.table().solver.tolist() == ["baseline", "b[x=1]"]


def test_an_unknown_column_is_a_bug(run):
    with pytest.raises(AssertionError, match="speed_of_light"):
        run.add(CELL, "baseline", {"speed_of_light": 1}, {})


def test_a_run_is_never_overwritten(run):
    with pytest.raises(ValueError, match="holds a run already; continue it with --resume"):
        Run.create(run.folder, PROVENANCE)


def test_what_is_no_run_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="is not a run"):
        Run.open(tmp_path)
    (tmp_path / RUN_FILE).write_text(json.dumps({"schema": 99}))
    with pytest.raises(ValueError, match="schema 99, expected 1"):
        Run.open(tmp_path)


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


def test_slugs_tell_specs_apart():
    specs = ["numba", "numba[threads=2]", "numba[threads=1]", "dask[inner=numba,workers=2]"]
    assert len({solver_slug(s) for s in specs}) == len(specs)
    assert all("/" not in solver_slug(s) for s in [*specs, "dask[scheduler=tcp://127.0.0.1:8786]"])
