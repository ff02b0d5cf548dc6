"""`make gpu-check` where there is no device, and its steps with solvers of the host in the device's place."""

import json
import os
import subprocess
import sys
import tarfile

import numpy as np
import psutil
import pytest
import records
from rich.console import Console

from harness import sweep
from harness.measure.cell import LIMIT_VARIABLE
from harness.measure.plan import PRESETS
from harness.records.run import Run
from harness.records.schema import Cell
from harness.upkeep import gpu_check, gpu_steps, gpu_tasks
from harness.upkeep.gpu_steps import PARTS, Step
from implementations import command_line as cli
from implementations.places import ROOT
from implementations.registry import Registry
from implementations.solver_spec import parse

NO_DEVICE = Registry().unavailable("gpu-batched")
QUIET = Console(quiet=True)
FEW = "--dataset solar-mix --pixels 40 --bins 12 --repeats 1 --strict --solvers"


@pytest.fixture
def as_if_here(monkeypatch):
    """As if a device were here, for steps that need none."""
    monkeypatch.setattr(gpu_steps.Registry, "unavailable", lambda self, spec: "")


def python(name, code, needs_s=1.0):
    return Step(name, (sys.executable, "-c", code), needs_s)


def found(prefix):
    return {each["step"]: each for each in json.loads(prefix.with_name(f"{prefix.name}.json").read_text())["steps"]}


@pytest.mark.skipif(not NO_DEVICE, reason="a device is here")
@pytest.mark.parametrize("part", PARTS)
def test_without_a_device_a_part_runs_to_its_end_and_each_step_says_why_not(part, tmp_path):
    command = ["make", "gpu-check", f"PYTHON={sys.executable}", f"ARGS=--part {part} --out {tmp_path}"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=clean)
    assert "Error 3" in done.stderr
    steps = found(tmp_path / f"gpu-{part}")
    assert list(steps) == [step.name for step in PARTS[part]]
    for name, step in steps.items():
        assert step["ended"] == "not run"
        assert step["reason"] == NO_DEVICE or step["reason"].endswith("is not found")
        assert f"not run: {name}, {step['reason']}" in done.stdout
    assert done.stdout.count("not measured: ") == sum(aim.run in steps for aim in gpu_check.AIMS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"gpu-{part}.json", f"gpu-{part}.tar.gz"]


def test_every_solver_on_a_device_is_in_the_preset_and_every_sweep_can_be_planned():
    table = Registry()
    on_device = {n for n in table.names() if table.describe(n)["device"] == "gpu"}
    assert {parse(spec)[0] for spec in PRESETS["gpu"].solvers} >= on_device | {"baseline"}
    planned = 0
    for step in (step for steps in PARTS.values() for step in steps if "harness.sweep" in step.command):
        words = step.command[step.command.index("harness.sweep") + 1 : step.command.index("--out")]
        assert sweep.main([*words, "--dry-run"]) == cli.OK
        planned += 1
    assert planned >= 11
    parity = next(step for step in PARTS["correctness"] if step.name == "parity")
    assert {parse(spec)[0] for spec in parity.command[4].split(",")} == on_device | {"baseline"}


def test_aims_are_of_what_is_measured():
    steps = {step.name: " ".join(step.command) for step in PARTS["speed"]}
    for aim in gpu_check.AIMS:
        assert aim.solver in steps[aim.run]
        assert f"--pixels {aim.pixels} " in steps[aim.run]
        assert f"--bins {aim.bins} " in steps[aim.run]
    assert list(steps)[-1] == "batched"


def test_what_is_found_is_there_after_each_step(as_if_here, tmp_path):
    looked = (
        f"import json; (first,) = json.load(open({str(tmp_path / 'gpu-x.json')!r}))['steps']; print(first['ended'])"
    )
    steps = [python("first", "print('as such')"), python("second", looked)]
    assert gpu_check.check(steps, tmp_path / "gpu-x", QUIET) == cli.OK
    first, second = found(tmp_path / "gpu-x").values()
    assert (first["ended"], first["said"]) == ("ok", ["as such"])
    assert second["said"] == ["ok"]
    with tarfile.open(tmp_path / "gpu-x.tar.gz") as packed:
        assert packed.getnames() == ["gpu-first.log", "gpu-second.log"]


def test_runs_come_back_and_aims_are_judged_as_they_are_known(as_if_here, monkeypatch, tmp_path, capsys):
    aims = [gpu_check.Aim("map", name, 40, 12, "median_s", 60.0) for name in ("batched", "gpu-fused")]
    monkeypatch.setattr(gpu_check, "AIMS", aims)
    step = gpu_steps._sweep("map", f"{FEW} baseline,batched", 1.0)
    assert gpu_check.check([step], tmp_path / "gpu-x", Console()) == cli.OK
    assert [aim["verdict"] for aim in found(tmp_path / "gpu-x")["map"]["aims"]] == ["reached", "not measured"]
    assert "reached: batched, 40 pixels x 12 bins: at most " in capsys.readouterr().out
    with tarfile.open(tmp_path / "gpu-x.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    assert {row["row"]["gate"] for row in Run.open(tmp_path / "gpu-map").records()} == {"pass"}


def test_a_failed_gate_or_step_is_the_exit_code(as_if_here, tmp_path):
    bad = ROOT / "tests" / "plugins" / "bad.py"
    gate = gpu_steps._sweep("gates", f"--plugin {bad} {FEW} baseline,five-percent-off", 1.0)
    broken = python("broken", "import sys; print('no good'); sys.exit(7)")
    assert gpu_check.check([gate, python("fine", "")], tmp_path / "a", QUIET) == cli.GATE_FAILED
    assert gpu_check.check([broken, python("fine", "")], tmp_path / "b", QUIET) == cli.CELL_FAILED
    assert found(tmp_path / "b")["broken"]["said"] == ["no good"]
    assert found(tmp_path / "b")["fine"]["ended"] == "ok"
    assert gpu_check.exit_code([{"ended": "failed", "exit_code": 1}, {"ended": "failed", "exit_code": 7}]) == 4
    assert gpu_check.exit_code([{"ended": "not run"}]) == cli.CELL_FAILED


@pytest.mark.parametrize("deaf", [False, True])
def test_a_step_out_of_time_is_ended_and_the_rest_is_skipped_with_a_word(as_if_here, monkeypatch, tmp_path, deaf):
    monkeypatch.setattr(gpu_check, "PART_S", 4.0)
    monkeypatch.setattr(gpu_steps, "END_S", 1.0)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if deaf else "import time\n"
    steps = [python("slow", f"{code}print('so far', flush=True); time.sleep(60)"), python("late", "", needs_s=30.0)]
    assert gpu_check.check(steps, tmp_path / "gpu-x", QUIET) == cli.CELL_FAILED
    slow, late = found(tmp_path / "gpu-x").values()
    assert slow["ended"] == "out of time"
    assert slow["said"][0] == "so far"
    assert slow["seconds"] < 30
    assert late["ended"] == "not run"
    assert late["reason"].endswith("s are left, and it needs 30")


def test_a_step_that_may_take_some_of_the_time_leaves_the_rest(as_if_here, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_steps, "END_S", 1.0)
    slow = Step("slow", (sys.executable, "-c", "import time; time.sleep(60)"), 1.0, most_s=2.5)
    assert gpu_check.check([slow, python("late", "")], tmp_path / "gpu-x", QUIET) == cli.CELL_FAILED
    assert [step["ended"] for step in found(tmp_path / "gpu-x").values()] == ["out of time", "ok"]
    contract = next(step for step in PARTS["correctness"] if step.name == "contract")
    assert contract.most_s < gpu_check.PART_S / 3
    assert {"-x", "default"} <= set(contract.command)


def test_workers_may_take_their_share_of_all_memory(monkeypatch):
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    assert int(gpu_steps.environment()[LIMIT_VARIABLE]) == int(psutil.virtual_memory().total / 2**20 * 0.8)
    monkeypatch.setenv(LIMIT_VARIABLE, "123")
    assert gpu_steps.environment()[LIMIT_VARIABLE] == "123"


def test_what_is_there_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "gpu-speed.json").write_text("{}")
    with pytest.raises(SystemExit) as end:
        gpu_check.main(["--part", "speed", "--out", str(tmp_path)])
    assert end.value.code == cli.USAGE
    assert "gpu-speed.json exists" in capsys.readouterr().err


def test_tasks_print_what_they_found_or_one_line(capsys):
    assert gpu_tasks.main(["solve", "batched", "30", "12"]) == cli.OK
    assert sum(json.loads(capsys.readouterr().out)["status"]) == 30
    assert gpu_tasks.main(["touch", "0.6", "30"]) == cli.OK
    assert json.loads(capsys.readouterr().out)["bytes"] == 2 * gpu_tasks.PIECE
    assert gpu_tasks.main(["solve", "no-such", "30", "12"]) == cli.CELL_FAILED
    assert "no-such" in capsys.readouterr().err


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

    def aim(figure, limit, solver="gpu-fused", pixels=1000):
        return gpu_check.Aim("map", solver, pixels, 34, figure, limit)

    assert gpu_check.measured(run, aim("kernel", 4000.0)) == 900 / 0.25
    assert not aim("kernel", 4000.0).reached(3600)
    assert aim("kernel", 3000.0).reached(3600)
    assert gpu_check.measured(run, aim("median_s", 3.0)) == 2.0
    assert gpu_check.measured(run, aim("median_s", 3.0, "gpu-batched")) is None
    assert gpu_check.measured(run, aim("median_s", 3.0, pixels=2000)) is None
