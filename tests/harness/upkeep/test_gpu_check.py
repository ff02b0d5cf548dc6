"""`make gpu-check` where there is no device, and its steps with solvers of the host in the device's place."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import records
from rich.console import Console

from harness.measure.plan import PRESETS
from harness.records.run import Run
from harness.records.schema import Cell
from harness.upkeep import gpu_check
from implementations import command_line as cli
from implementations.places import ROOT
from implementations.registry import Registry
from implementations.solver_spec import parse

NO_DEVICE = Registry().unavailable("gpu-batched")


@pytest.mark.skipif(not NO_DEVICE, reason="a device is here")
def test_without_a_device_it_is_one_line_with_the_reason(tmp_path):
    command = ["make", "gpu-check", f"PYTHON={sys.executable}", f"ARGS=--out {tmp_path}"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=clean)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert said == [
        f"python -m harness.upkeep.gpu_check: nothing to check: {NO_DEVICE}; "
        "expected a machine with an NVIDIA device and CuPy"
    ]
    assert list(tmp_path.iterdir()) == []


def test_every_solver_on_a_device_is_in_the_preset_and_every_step_can_be_planned():
    table = Registry()
    on_device = {n for n in table.names() if table.describe(n)["device"] == "gpu"}
    assert {parse(spec)[0] for spec in PRESETS["gpu"].solvers} >= on_device | {"baseline"}
    for asked in gpu_check.STEPS.values():
        assert gpu_check.sweep.main([*asked.split(), "--dry-run"]) == cli.OK


def small(monkeypatch):
    """The steps, tiny and without a device; the tests marked `gpu` replaced by none."""
    few = "--dataset solar-mix --pixels 40 --bins 12 --repeats 1 --solvers"
    monkeypatch.setattr(gpu_check, "STEPS", {"gates": f"{few} baseline,batched", "map": f"{few} batched,gpu-fused"})
    monkeypatch.setattr(gpu_check, "gpu_tests", lambda console: cli.OK)


def test_steps_leave_runs_and_a_table_of_aims(monkeypatch, tmp_path, capsys):
    small(monkeypatch)
    monkeypatch.setattr(gpu_check, "AIMS", (*gpu_check.AIMS, gpu_check.Aim("map", "batched", "median_s", 60.0)))
    assert gpu_check.check(tmp_path / "gpu-none", Console()) == cli.OK
    assert {row["row"]["gate"] for row in Run.open(tmp_path / "gpu-none-gates").records()} == {"pass"}
    aims = pd.read_csv(tmp_path / "gpu-none-aims.csv")
    assert list(aims.reached) == ["not measured"] * 4 + ["reached"]
    assert aims.measured.notna().sum() == 1
    assert "not measured" in capsys.readouterr().out


def test_a_failed_gate_or_test_is_the_exit_code(monkeypatch, tmp_path):
    small(monkeypatch)
    bad = ROOT / "tests" / "plugins" / "bad.py"
    name = "five-percent-off"
    monkeypatch.setattr(
        gpu_check, "STEPS", {"gates": f"--plugin {bad} --pixels 30 --bins 12 --repeats 1 --solvers baseline,{name}"}
    )
    assert gpu_check.check(tmp_path / "gpu-none", Console(quiet=True)) == cli.GATE_FAILED
    monkeypatch.setattr(gpu_check, "STEPS", {})
    monkeypatch.setattr(gpu_check, "gpu_tests", lambda console: cli.CELL_FAILED)
    assert gpu_check.check(tmp_path / "other", Console(quiet=True)) == cli.CELL_FAILED


def test_a_run_that_is_there_is_not_overwritten(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Registry, "describe", lambda self, name: {"available": True})
    monkeypatch.setattr(gpu_check.devices, "facts", lambda: [{"name": "NVIDIA H200"}])
    (tmp_path / "gpu-h200-map").mkdir()
    with pytest.raises(SystemExit) as end:
        gpu_check.main(["--out", str(tmp_path)])
    assert end.value.code == cli.USAGE
    assert "gpu-h200-map exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "folder"), [("NVIDIA H100 80GB HBM3", "h100-80gb-hbm3"), ("Tesla T4", "tesla-t4"), ("NVIDIA H200", "h200")]
)
def test_a_devices_name_names_a_folder(name, folder):
    assert gpu_check.slug(name) == folder


def test_figures_of_an_aim_are_of_the_timed_runs_and_valid_pixels(tmp_path):
    run = Run.create(tmp_path / "run", {"grid": {"solvers": ["gpu-fused"]}})
    row = records.row("gpu-fused", lambda pixels, bins: 2.0, 1000, 34, np.random.default_rng(1), 0.0, {})
    facts = {"0": [{"kernel_s": 99.0}], "1": [{"kernel_s": 0.5}], "2": [{"kernel_s": 0.25}], "3": [{"kernel_s": 0.2}]}
    turns = {number: [[0.0, 2.0, 0.0]] for number in ("1", "2", "3")}
    run.add(
        Cell("solar-mix", 1000, 34, 1),
        "gpu-fused",
        {**row, "dataset": "solar-mix", "invalid_pixels": 100},
        {"turns": turns, "facts": facts},
    )
    slow, fast = (gpu_check.Aim("map", "gpu-fused", "kernel", limit) for limit in (4000.0, 3000.0))
    assert gpu_check.measured(run, slow) == 900 / 0.25
    assert not slow.reached(3600)
    assert fast.reached(3600)
    assert gpu_check.measured(run, gpu_check.Aim("map", "gpu-fused", "median_s", 3.0)) == 2.0
    assert gpu_check.measured(run, gpu_check.Aim("map", "gpu-batched", "median_s", 3.0)) is None
