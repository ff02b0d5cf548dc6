"""How a cluster scales: figures from records whose times are known, and the preset against a running scheduler."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from folders import SUPPORT
from records import GRID, MACHINE, row

from harness import sweep
from harness.measure import plan
from harness.records.run import Run
from harness.records.schema import Cell
from harness.reports import scaling
from harness.show import terminal

STARTUP, SHUTDOWN = 2.0, 1.0


def add(run, solver, pixels, seconds, threads=1, workers=0):
    """A record of five rounds; a solver with workers also starts and ends them."""
    line = row(solver, lambda *_: seconds, pixels, 34, np.random.default_rng(0), 0.0, {}) | {"threads": threads}
    turn = [[STARTUP if workers else 0.0, seconds, SHUTDOWN if workers else 0.0]] * 2
    facts = {
        "slots": workers,
        "blocks": 10,
        "startup_s": STARTUP,
        "shutdown_s": SHUTDOWN,
        "wall_s": seconds,
        "task_s": 0.9 * seconds * workers,
        "bytes_sent": 1e6,
    }
    numbers = [str(n) for n in range(1, 6)]
    detail = {"turns": dict.fromkeys(numbers, turn), "facts": dict.fromkeys(["0", *numbers], [facts] * 2)}
    if not workers:
        detail["facts"] = {}
    run.add(Cell("random-response", pixels, 34, 1), solver, line, detail)


@pytest.fixture
def run(tmp_path):
    solvers = ["dask[workers=1]", "dask[workers=4]", "numba[threads=4]"]
    run = Run.create(tmp_path / "run", {"created": "", "commit": "", "machine": MACHINE, "grid": GRID})
    add(run, solvers[0], 1000, 8.0, workers=1)
    add(run, solvers[1], 1000, 2.5, workers=4)
    add(run, solvers[2], 1000, 2.0, threads=4)
    add(run, solvers[1], 4000, 10.0, workers=4)
    return run


def test_efficiencies_leave_start_and_end_of_workers_apart(run):
    table = scaling.of_run(run).set_index(["pixels", "workers"])
    assert len(table) == 3
    assert (table.startup_s == STARTUP).all()
    assert table.seconds.tolist() == [8.0, 2.5, 10.0]
    four = table.loc[1000, 4]
    assert four.strong == pytest.approx(8 / 2.5 / 4)
    assert four.strong_low <= four.strong <= four.strong_high
    assert four.beside == pytest.approx(2 / 2.5)
    assert four.beside_solver == "numba[threads=4]"
    assert table.loc[4000, 4].weak == pytest.approx(8 / 10)
    assert pd.isna(table.loc[1000, 1].strong)
    assert pd.isna(table.loc[4000, 4].beside)


@pytest.mark.parametrize(("seconds", "beside"), [(9.0, "numba[threads=4]"), (1.0, "vectorized[threads=4]")])
def test_beside_is_the_fastest_of_those_that_had_as_many_threads(run, seconds, beside):
    add(run, "vectorized[threads=4]", 1000, seconds, threads=4)
    assert scaling.of_run(run).set_index(["pixels", "workers"]).loc[1000, 4].beside_solver == beside


def test_the_overhead_of_a_block_is_what_its_worker_did_not_work(run):
    table = scaling.of_run(run).set_index(["pixels", "workers"])
    assert table.loc[1000, 4].overhead_s == pytest.approx(0.1 * 2.5 * 4 / 10)


def test_a_run_without_workers_has_no_such_table(tmp_path, capsys):
    run = Run.create(tmp_path / "run", {"created": "", "commit": "", "machine": MACHINE, "grid": GRID})
    add(run, "numba", 1000, 8.0)
    scaling.conclude(run, terminal.console())
    assert capsys.readouterr().out == ""
    assert not (run.folder / scaling.FILE).exists()


def test_the_grid_has_each_number_of_workers_on_one_map_and_on_its_share():
    five = plan.cluster(5)
    assert five.pixels == (400_000, 800_000, 1_600_000, 2_000_000)
    assert five.solvers[3] == "dask[inner=numba,workers=5]"
    assert five.solvers[7] == "numba[threads=5]"
    assert all("scheduler=s.json" in s for s in plan.cluster(2, "s.json").solvers)


@pytest.mark.slow
def test_the_preset_on_a_running_scheduler(tmp_path):
    pytest.importorskip("distributed")
    command = [sys.executable, str(SUPPORT / "cluster.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        address = cluster.stdout.readline().strip()
        call = ["--preset", "cluster", "--scheduler", address, "--pixels", "300,600", "--repeats", "1"]
        measure = [sys.executable, "-m", "harness.sweep", *call, "--out", str(tmp_path / "run")]
        said = subprocess.run(measure, capture_output=True, text=True, check=True).stdout
        cluster.stdin.close()
    table = scaling.of_run(Run.open(tmp_path / "run")).set_index(["pixels", "workers"])
    assert sorted(table.index) == [(300, 1), (300, 2), (600, 1), (600, 2)]
    assert table.strong.notna().tolist() == [False, True, False, True]
    assert table.weak.notna().tolist() == [False, False, False, True]
    assert (table.bytes_sent > 300 * 8 * (2 * 6 + 3 * 34)).all()
    assert "Workers: solar-mix, 34 bins" in said
    assert "scaling.csv" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "cluster", "--scheduler", "tcp://127.0.0.1:9"], "no scheduler with workers answers at tcp://127"),
        (["--preset", "cluster", "--scheduler", "none.json"], "scheduler file none.json is not there"),
        (["--scheduler", "tcp://127.0.0.1:9"], "--scheduler goes with --preset cluster"),
    ],
)
def test_a_scheduler_that_is_none_is_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(plan, "ANSWER_S", 0.5)
    with pytest.raises(SystemExit):
        sweep.main([*arguments, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
