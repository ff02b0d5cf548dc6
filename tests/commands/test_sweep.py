"""The real command, end to end: good runs, bad solvers, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from folders import BAD
from sweeps import rows_of, sweep

from harness import sweep as harness_sweep
from harness.advice import evidence
from harness.machine import facts
from harness.records.run import Run
from harness.records.schema import COLUMNS
from implementations import command_line

QUICK = ("--pixels", "8", "--bins", "12", "--max-seconds", "20", "--repeats", "3")
GOOD = "baseline,vectorized"


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "run"
    done = sweep("--solvers", GOOD, *QUICK, "--bins", "12,34", "--out", folder, "--strict", check=0)
    return folder, done.stdout


def test_a_run_has_every_row_with_every_column(good_run):
    folder, _ = good_run
    table = pd.read_csv(folder / "table.csv")
    assert table.columns.tolist() == list(COLUMNS)
    assert table[["solver", "bins"]].values.tolist() == [
        ["baseline", 12],
        ["vectorized", 12],
        ["baseline", 34],
        ["vectorized", 34],
    ]
    assert (table.status == "ok").all()
    assert (table.gate == "pass").all()
    assert (table.n == 3).all()
    needed = "oneoff_s prepare_s solve_s collect_s median_s pixels_per_s speedup peak_rss_mb chisq_median chisq_p95"
    assert (table[needed.split()] > 0).all().all()
    assert (table.parity_dem <= 1e-9).all()
    assert table.truth_dem_error.notna().all()
    assert (table.limit_s > 0).all()
    assert ((table.of_limit > 0) & (table.of_limit < 1)).all(), "nothing is faster than the machine"
    assert (table.strategy_flops > table.algorithm_flops).all()


def test_the_headline_is_the_median_turn_of_the_summed_phases(good_run):
    for record in Run.open(good_run[0]).records():
        turns = [np.median([sum(run) for run in runs]) for runs in record["turns"].values()]
        assert record["row"]["median_s"] == pytest.approx(np.median(turns), rel=1e-12)
        assert record["row"]["pixels_per_s"] == pytest.approx(8 / np.median(turns), rel=1e-12)
        solve = [run[1] for runs in record["turns"].values() for run in runs]
        assert record["row"]["solve_s"] == pytest.approx(np.median(solve), rel=1e-12)


def test_what_is_shown_names_the_machine_the_table_and_the_plots(good_run):
    folder, shown = good_run
    assert "✔ pass" in shown
    assert "machine: " in shown
    assert f"table: {folder / 'table.csv'}" in shown
    plots = [line.removeprefix("plot: ") for line in shown.splitlines() if line.startswith("plot: ")]
    assert plots
    assert all(Path(p).stat().st_size > 5000 for p in plots)


NOISY = """
import warnings
import numpy as np
from implementations.baseline import Baseline

np.log(np.zeros(1))


class Noisy(Baseline):
    name = "noisy"

    def solve(self, state):
        warnings.warn("deprecated for long", FutureWarning)
        np.ones(1) / np.zeros(1)
        return super().solve(state)
"""


def test_a_solvers_warnings_never_reach_the_user(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    given = ("--plugin", tmp_path / "noisy.py", "--solvers", "baseline,noisy")
    done = sweep(*given, *QUICK, "--repeats", "1", "--out", tmp_path / "run", check=0)
    assert rows_of(tmp_path / "run").gate["noisy"] == "pass"
    assert done.stderr == ""
    assert "Warning" not in done.stdout


def test_raw_times_and_threads_stay_in_the_records(good_run):
    for record in Run.open(good_run[0]).records():
        assert len(record["turns"]) == 3
        assert all(len(run) == 3 for runs in record["turns"].values() for run in runs)
        assert {pool["num_threads"] for pool in record["hello"]["threadpools"]} <= {1}


def test_a_finished_run_resumed_changes_nothing(good_run):
    folder, _ = good_run
    before = {p: p.read_bytes() for p in (folder / "cells").iterdir()}
    sweep("--resume", folder, check=0)
    assert {p: p.read_bytes() for p in (folder / "cells").iterdir()} == before


def test_terminated_while_the_lock_goes_back_ends_without_a_traceback(tmp_path, monkeypatch):
    owned = Run.owned

    @contextmanager
    def late(run):
        with owned(run):
            yield
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    monkeypatch.setattr(Run, "owned", late)
    call = ["--solvers", "vectorized", "--pixels", "1", "--bins", "3", "--repeats", "1", "--out", str(tmp_path / "run")]
    assert harness_sweep.main(call) == 143
    assert (tmp_path / "run" / "table.csv").exists()


@pytest.mark.slow
def test_options_of_the_algorithm_are_cells_of_their_own(tmp_path):
    folder = tmp_path / "run"
    options = ("--nmu", "42,100", "--gloci", "1")
    sweep("--solvers", "numpy-regmap", *QUICK, "--repeats", "1", *options, "--out", folder, "--strict", check=0)
    records = {record["cell"]["dataset"]: record for record in Run.open(folder).records()}
    assert records.keys() == {"random-response[gloci=1]", "random-response[nmu=100,gloci=1]"}
    for name, record in records.items():
        assert record["options"] | {"gloci": 1, "nmu": 100 if "nmu" in name else 42} == record["options"]
        assert record["row"]["gate"] == "pass"
    assert len({record["row"]["workload"] for record in records.values()}) == 2
    sweep("--resume", folder, *options, check=0)
    assert "is of another grid: its datasets are" in sweep("--resume", folder, "--nmu", "42", check=2).stderr
    assert "is of another grid: its datasets are" in sweep("--resume", folder, "--gloci", "0", check=2).stderr


def test_a_step_is_measured_as_solvers_are(tmp_path):
    folder = tmp_path / "run"
    asked = ("--step", "regularisation", "--solvers", "published,numpy,cupy", "--nmu", "100", *QUICK)
    shown = sweep(*asked, "--out", folder, "--strict", check=0).stdout
    assert "regularisation.numpy" in shown
    table = rows_of(folder)
    assert table.status.drop("regularisation.cupy").eq("ok").all()
    assert table.gate.drop("regularisation.cupy").eq("pass").all()
    assert table.loc["regularisation.published", "speedup"] == "1.0"
    assert float(table.loc["regularisation.numpy", "speedup"]) > 1
    assert (table.dataset == "random-response[nmu=100]").all()
    assert int(table.loc["regularisation.numpy", "compared_pixels"]) == 8
    sweep("--resume", folder, check=0)
    assert Run.open(folder).provenance["grid"]["step"] == "regularisation"
    assert evidence.gather([folder], facts.machine()).left_out == [f"{folder}: of the step regularisation alone"]


@pytest.fixture(scope="module")
def bad_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad") / "run"
    names = "baseline,hangs,raises,aborts,bloats,asks-too-much,wrong-shape,not-a-number,five-percent-off,"
    names += "invents-errors,other-problem,unavailable,vectorized"
    limits = {**os.environ, "DEMREG_BENCH_HANG_S": "15", "DEMREG_BENCH_LIMIT_MB": "1500"}
    done = sweep("--plugin", BAD, "--solvers", names, *QUICK, "--out", folder, "--strict", check=4, env=limits)
    return rows_of(folder), done.stdout


@pytest.mark.parametrize(
    ("solver", "status", "reason"),
    [
        ("hangs", "timeout", "no answer within 15 s; killed"),
        ("raises", "failed", "RuntimeError: no convergence in the second line either"),
        ("aborts", "crashed", "SIGABRT"),
        ("bloats", "out_of_memory", "more than its limit of 1500 MB"),
        ("asks-too-much", "out_of_memory", "Unable to allocate"),
        ("wrong-shape", "failed", "solution's dem has shape (12, 2), expected (2, 12)"),
        ("unavailable", "skipped", "no such device"),
    ],
)
def test_a_solver_that_fails_ends_its_own_row(bad_run, solver, status, reason):
    rows, shown = bad_run
    assert rows.status[solver] == status
    assert reason in rows.reason[solver]
    assert reason[:20] in shown


@pytest.mark.parametrize(
    ("solver", "output"),
    [("not-a-number", "edem"), ("five-percent-off", "dem"), ("invents-errors", "edem"), ("other-problem", "dem")],
)
def test_a_wrong_solution_fails_its_gate_and_the_output_is_named(bad_run, solver, output):
    rows, shown = bad_run
    assert rows.status[solver] == "ok"
    assert rows.gate[solver] == "fail"
    assert f"{output}: deviates from the baseline" in rows.gate_reasons[solver]
    assert f"✘ {solver}" in shown


@pytest.mark.parametrize("solver", ["baseline", "vectorized"])
def test_all_other_rows_are_complete(bad_run, solver):
    rows, _ = bad_run
    assert rows.gate[solver] == "pass"
    assert int(rows.n[solver]) == 3


def test_a_fault_of_what_is_being_ended_is_none_of_the_sweeps(tmp_path, monkeypatch, capsys):
    def stopped(self, console):
        try:
            raise command_line.Stopped(signal.SIGTERM)
        finally:
            os.close(-1)

    monkeypatch.setattr(harness_sweep.Sweep, "measure_all", stopped)
    code = harness_sweep.main(["--solvers", "baseline", *QUICK, "--out", str(tmp_path / "run")])
    assert code == command_line.TERMINATED
    assert "terminated; continue with --resume" in capsys.readouterr().out


def test_exit_codes_tell_gates_from_cells(tmp_path):
    common = ("--plugin", BAD, *QUICK)
    sweep(*common, "--solvers", "baseline,five-percent-off", "--out", tmp_path / "a", check=0)
    sweep(*common, "--solvers", "baseline,five-percent-off", "--out", tmp_path / "b", "--strict", check=1)
    sweep(*common, "--solvers", "baseline,raises", "--out", tmp_path / "c", "--strict", check=3)


def test_without_the_baseline_the_gates_still_have_a_reference(tmp_path):
    sweep("--solvers", "vectorized", *QUICK, "--out", tmp_path / "run", "--strict", check=0)
    row = rows_of(tmp_path / "run").loc["vectorized"]
    assert row.gate == "pass"
    assert row.speedup == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--solvers", "basline"], "unknown solver 'basline'; nearest known: baseline"),
        (["--dataset", "random-respons"], "unknown dataset 'random-respons'; nearest known: random-response"),
        (["--pixel", "5"], "unknown option '--pixel'; nearest known: --pixels"),
        (["--preset", "fast"], "invalid choice: 'fast'"),
        (["--pixels", "0"], "--pixels must be whole numbers from 1"),
        (["--pixels", "-3"], "--pixels must be whole numbers from 1"),
        (["--pixels", "99999999999999"], "--pixels must be whole numbers from 1"),
        (["--pixels", "many"], "expected whole numbers separated by commas, got 'many'"),
        (["--bins", "2"], "--bins must be whole numbers from 3"),
        (["--threads", "0"], "--threads must be from 1"),
        (["--repeats", "0"], "--repeats must be from 1"),
        (["--max-seconds", "-1"], "--max-seconds must be > 0"),
        (["--rel-ci", "7"], "--rel-ci must be between 0 and 1"),
        (["--solvers", "baseline,baseline"], "names something twice"),
        (["--solvers", "baseline[workers=0]"], "workers must be a whole number of at least 1"),
        (["--plugin", "/nowhere.py"], "is not a file"),
        (["--step", "svd"], "unknown step 'svd'; nearest known: "),
        (["--step", "weights", "--solvers", "nunpy"], "unknown solver 'weights.nunpy'; nearest known: weights.numpy"),
        (["--nmu", "1"], "nmu must be a whole number from 2 to 100000, got 1"),
        (["--gloci", "11"], "gloci is a mask of 2 channels, expected 6"),
        (["--reg-tweak", "-1"], "reg_tweak must be a finite number > 0, got -1.0"),
        (["--out", "/proc/nothing"], "can't be written"),
        (["--resume", "/nowhere"], "is not a run"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, arguments, message):
    done = sweep(*arguments, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, check=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_resume_of_another_grid_or_machine_is_refused(good_run, capsys):
    folder, _ = good_run

    def refused(*words):
        with pytest.raises(SystemExit, match="2"):
            harness_sweep.main(["--resume", *map(str, words)])
        return capsys.readouterr().err

    assert "is of another grid: its pixels are (8,), not (9,)" in refused(folder, "--pixels", "9")
    other = folder.parent / "other"
    other.mkdir()
    for change, message in (
        ({"machine": {"id": "0", "cpu": "Another CPU"}}, "is of another machine: Another CPU"),
        ({"machine": {"cpu_numbers": "another"}}, "is of another machine"),
        ({"machine": {"affinity": "777"}}, "was measured with another part of the machine: cores 777, not "),
        ({"workloads": {"random-response": "0"}}, "the workload random-response was edited since"),
    ):
        facts = json.loads((folder / "run.json").read_text())
        for key, changed in change.items():
            facts[key] |= changed
        (other / "run.json").write_text(json.dumps(facts))
        said = refused(other)
        assert message in said
        assert len(said.splitlines()) == 1


def test_an_edited_plugin_is_not_resumed_and_a_row_says_what_commit_it_is_of(tmp_path):
    plugin, folder = tmp_path / "own.py", tmp_path / "run"
    code = "from implementations.cpu.vectorized import Vectorized\n\n\nclass Own(Vectorized):\n    name = 'own'\n"
    plugin.write_text(code)
    sweep("--plugin", plugin, "--solvers", "own", *QUICK, "--out", folder, check=0)
    (record,) = Run.open(folder).records()
    assert record["origin"]["machine"]["affinity"]
    assert record["origin"]["software"]["numpy"] == np.__version__
    assert record["row"]["workload"]
    facts = json.loads((folder / "run.json").read_text()) | {"commit": "before"}
    (folder / "run.json").write_text(json.dumps(facts))
    next((folder / "cells").iterdir()).write_text("")
    done = sweep("--resume", folder, check=0)
    assert "is empty; not used" in done.stderr
    assert "commit was before, is " in done.stdout
    (again,) = Run.open(folder).records()
    assert again["row"]["commit"] == record["row"]["commit"] != "before"
    assert again["row"]["source"] == record["row"]["source"] != ""
    plugin.write_text(f"{code}\n    spare = 1\n")
    assert "the plugin with the solver own was edited since" in sweep("--resume", folder, check=2).stderr


def test_a_run_in_which_nothing_could_run_has_no_figures_and_no_traceback(tmp_path):
    common = ("--plugin", BAD, *QUICK, "--solvers")
    assert "Traceback" not in sweep(*common, "unavailable", "--out", tmp_path / "a", check=0).stderr
    assert "Traceback" not in sweep(*common, "raises", "--out", tmp_path / "b", check=3).stderr
    assert rows_of(tmp_path / "a").status["unavailable"] == "skipped"


def test_ctrl_c_while_the_libraries_are_imported_is_one_line():
    process = subprocess.Popen([sys.executable, "-m", "harness.sweep"], stderr=subprocess.PIPE, text=True)
    imported = lambda: "numpy" in Path(f"/proc/{process.pid}/maps").read_text()  # noqa: E731
    while not imported():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")


def test_listing_as_json_has_the_stated_keys():
    rows = json.loads(sweep("--list", "--json", check=0).stdout)
    keys = {"name", "device", "accuracy", "method", "external", "available", "reason", "fault", "tunables"}
    assert all(set(row) == keys for row in rows)
    assert {"baseline", "vectorized"} <= {row["name"] for row in rows}


def test_a_dry_run_writes_nothing(tmp_path):
    done = sweep("--dry-run", cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, check=0)
    assert "4 cells" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_console_script_runs_the_same_commands():
    script = Path(sys.executable).with_name("demreg-bench")
    listed = subprocess.run([script, "list", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(listed.stdout) == json.loads(sweep("--list", "--json").stdout)
    unknown = subprocess.run([script, "swep"], capture_output=True, text=True)
    assert (unknown.returncode, "nearest known: sweep" in unknown.stderr) == (2, True)


def test_an_interrupted_run_says_how_to_go_on_and_leaves_no_process(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "harness.sweep", "--plugin", str(BAD), "--solvers", "baseline,hangs", *QUICK),
            *("--out", str(folder)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    while not (folder / "run.json").exists():
        time.sleep(0.1)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"interrupted; continue with --resume {folder}" in shown.replace("\n", "")
    assert not _workers_of(folder)
    assert not list((folder / "cells").iterdir())


@pytest.mark.slow  # the fault schedules kill runs in the ordinary tests, too
@pytest.mark.parametrize("kills", [3, 20])
def test_a_run_killed_at_any_moment_is_resumed_whole(tmp_path, kills):
    """SIGKILL to the sweep's process group again and again; the final table has every row once."""
    folder = tmp_path / "run"
    grid = ("--solvers", GOOD, "--pixels", "2,4,6", "--bins", "6,8,10", "--max-seconds", "20", "--repeats", "3")
    for kill in range(kills):
        arguments = ("--resume", folder) if (folder / "run.json").exists() else (*grid, "--out", folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.sweep", *map(str, arguments)],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(1.0 + 3.0 * ((kill * 0.618) % 1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in folder.glob("cells/[!.]*"):
            json.loads(path.read_text())
    arguments = ("--resume", folder) if (folder / "run.json").exists() else (*grid, "--out", folder)
    sweep(*arguments, check=0)
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == 18
    assert not table.duplicated(["solver", "pixels", "bins"]).any()
    assert (table.status == "ok").all()
    assert (table.gate == "pass").all()
    assert sorted(p.name for p in folder.iterdir()) == ["cells", "plots", "run.json", "table.csv"]
    assert not [p for p in (folder / "cells").iterdir() if p.name.startswith(".")], "no half-written file is left"
    assert not _workers_of(folder), "no orphan is left"


def _workers_of(folder):
    """Processes still working on the run in `folder`, five seconds after it ended."""
    deadline = time.monotonic() + 5
    left = True
    while left and time.monotonic() < deadline:
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        left = [line for line in lines if "harness.measure.worker" in line and str(folder) in line]
        time.sleep(0.1)
    return left


def test_a_run_in_a_folder_named_from_where_one_stands(tmp_path):
    """As without --out, when it is results/TIME-PRESET."""
    sweep("--solvers", "baseline,batched", *QUICK, "--out", "results/run", "--strict", cwd=tmp_path, check=0)
    rows = rows_of(tmp_path / "results" / "run")
    assert (rows.status == "ok").all()
