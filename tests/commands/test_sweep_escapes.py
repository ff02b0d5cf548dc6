"""A sweep with solvers that get at what isn't theirs: the others' rows are whole, or say that they don't count."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from folders import PLUGINS
from sweeps import rows_of, sweep

QUICK = ("--pixels", "8", "--bins", "12", "--max-seconds", "20", "--plugin", PLUGINS / "escapes.py")


def test_escapes_end_their_own_rows_and_no_other(tmp_path):
    names = "baseline,junk,floods,forges,daemons,busy-child,unprintable,kills-keeper,knows-truth,no-time,vectorized"
    sweep(*QUICK, "--solvers", names, "--repeats", "3", "--out", tmp_path / "run", check=3)
    rows = rows_of(tmp_path / "run")
    ended = rows[rows.status != "ok"]
    assert sorted(ended.index) == sorted(
        "junk floods forges busy-child unprintable kills-keeper knows-truth no-time".split()
    )
    assert rows.reason["no-time"].startswith("its times can't be: ")
    assert rows.reason["knows-truth"].startswith("RuntimeError: 0 file(s) of the truth")
    assert (rows.gate[["baseline", "vectorized", "daemons"]] == "pass").all()
    assert (rows.n[rows.status == "ok"].astype(int) == 3).all()
    for record in (tmp_path / "run" / "cells").iterdir():
        assert record.stat().st_size < 1 << 20
        json.loads(record.read_text(encoding="utf-8"))


def test_a_changed_problem_fails_every_row_of_the_cell(tmp_path):
    for number, (solver, file) in enumerate([("overwrites", "dn.npy"), ("replaces", "edn.npy")]):
        folder = tmp_path / str(number)
        sweep(*QUICK, "--solvers", f"baseline,{solver},vectorized", "--repeats", "3", "--out", folder, check=3)
        rows = rows_of(folder)
        assert (rows.status == "failed").all()
        expected = f"the problem's {file} changed while {solver} had its turn: no row of this cell counts"
        assert (rows.reason == expected).all()


def test_a_solve_of_no_time_makes_no_large_record(tmp_path):
    folder = tmp_path / "run"
    sweep(*QUICK, "--solvers", "baseline,no-time", "--repeats", "4", "--out", folder)
    (record,) = [path for path in (folder / "cells").iterdir() if "no-time" in path.name]
    turns = json.loads(record.read_text())["turns"]
    assert 1 < max(map(len, turns.values())) <= 200  # as many as the calibrating run's own time on the wall asks for
    assert record.stat().st_size < 40 << 20


@pytest.mark.parametrize(("number", "after_s"), [(signal.SIGINT, 0.5), (signal.SIGTERM, 5), (signal.SIGKILL, 5)])
def test_an_ended_sweep_leaves_no_process(tmp_path, number, after_s):
    given = [*QUICK, "--solvers", "baseline,daemons,own-session", "--rel-ci", "0.0001", "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "harness.sweep", *map(str, given)]
    ours = {"ESCAPES_OF": str(tmp_path)}
    with subprocess.Popen(
        command, env={**os.environ, **ours}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        time.sleep(after_s)
        run.send_signal(number)
        run.wait(timeout=20)
    deadline = time.monotonic() + 5
    while (left := _with(ours)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def _with(variables):
    """Processes that have these variables in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if variables.items() <= process.environ().items() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
