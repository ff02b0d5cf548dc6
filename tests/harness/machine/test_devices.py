"""What is made of the device tool's answers: a stand-in for the tool, with text as its manual and its users show it."""

import json
import os
import stat
import sys
import time

import pytest
from sweeps import sweep

from harness.machine import devices
from harness.machine import facts as machine_facts
from harness.measure import record_row
from harness.measure.clock import Phases
from harness.measure.contender import Contender

TWO = "NVIDIA H100 80GB HBM3, 535.104.05, 81559, 1980, 345, 2619\nTesla T4, 535.104.05, 15360, 1590, [N/A], 5000\n"
TOOL = """#!{python}
import sys, time
asked = sys.argv[1].removeprefix("--query-gpu=").split(",")
if "clocks_event_reasons.active" in asked and {old}:
    print("Field \\"clocks_event_reasons.active\\" is not a valid field to query.")
    sys.exit(2)
if asked[0] == "name":
    print("NVIDIA H100 80GB HBM3, 535.104.05, 81559, 1980, 345, 2619")
while asked[0] != "name":
    print("{mask}", flush=True)
    if "-lms" not in sys.argv:
        break
    time.sleep(0.01)
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    def install(mask="0x0000000000000000", old=False):
        path = tmp_path / "nvidia-smi"
        path.write_text(TOOL.format(python=sys.executable, mask=mask, old=old))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_each_line_is_a_device():
    first, second = devices.parse_facts(TWO)
    assert first == {
        "name": "NVIDIA H100 80GB HBM3",
        "driver": "535.104.05",
        "memory_mb": 81559.0,
        "clock_max_mhz": 1980.0,
        "clock_mhz": 345.0,
        "clock_memory_mhz": 2619.0,
    }
    assert second["clock_mhz"] is None


@pytest.mark.parametrize("text", ["", "No devices were found\n", "NVIDIA-SMI has failed because it couldn't\n"])
def test_what_is_no_device_is_none(text):
    assert devices.parse_facts(text) == []


@pytest.mark.parametrize(
    ("mask", "reasons"),
    [
        ("0x0000000000000000", []),
        ("0x0000000000000001", []),  # idle
        ("0x0000000000000002", []),  # clocks set by choice
        ("0x0000000000000004", ["software power cap"]),
        ("0x00000000000001FF", list(devices.REASONS.values())),
        ("[Not Supported]", []),
        ("", []),
    ],
)
def test_a_mask_is_read_bit_by_bit(mask, reasons):
    assert devices.parse_reasons(mask + "\n") == reasons


@pytest.mark.parametrize("old", [False, True])
def test_a_watch_knows_when_a_device_throttled(tool, old):
    tool("0x0000000000000024", old)
    before = time.monotonic()
    with devices.Watch() as watch:
        while not watch.seen:
            time.sleep(0.01)
        during = time.monotonic()
    assert watch.reasons(before, during) == ["software power cap", "software thermal slowdown"]
    assert watch.reasons(before - 2, before - 1) == []
    assert watch._tool.returncode is not None


def test_without_the_tool_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.facts() == []
    with devices.Watch() as watch:
        assert watch.reasons(0, time.monotonic()) == []


def test_a_machine_with_another_device_is_another_machine(monkeypatch):
    ids = {}
    for name in ("", "NVIDIA A100", "NVIDIA H200"):
        monkeypatch.setattr(machine_facts.devices, "facts", lambda name=name: [{"name": name}] if name else [])
        facts = machine_facts.machine()
        ids[facts["id"]] = machine_facts.machine_label(facts)
    assert len(ids) == 3
    assert [next((n for n in ("A100", "H200") if n in label), "") for label in ids.values()] == ["", "A100", "H200"]


def test_a_throttled_turn_marks_the_row():
    contender = Contender("gpu", 1, 1.0)
    contender.turns = {1: [Phases(1, 1, 1)], 2: [Phases(1, 1, 1)], 3: [Phases(1, 1, 1)]}
    assert record_row.throttling(contender) == ""
    contender.throttled = {2: ["software power cap"], 3: ["hardware slowdown", "software power cap"], 9: ["of no turn"]}
    assert record_row.throttling(contender) == "device throttled in 2 of 3 turns: hardware slowdown, software power cap"


PLUGIN = '''
from implementations.baseline import Baseline

class Pretends(Baseline):
    """The baseline, saying that it is on a device."""

    name, device = "pretends", "gpu"

    def facts(self, state):
        return {"upload_s": 0.25, "kernel_s": 0.5, "download_s": 0.125, "peak_device_mb": 77.0}
'''


@pytest.mark.slow
def test_a_device_solvers_own_facts_and_the_throttling_are_recorded(tool, tmp_path):
    tool("0x0000000000000008")
    (tmp_path / "plugin.py").write_text(PLUGIN)
    folder = tmp_path / "run"
    done = sweep(
        "--plugin",
        tmp_path / "plugin.py",
        "--solvers",
        "baseline,pretends",
        "--pixels",
        "300",
        "--bins",
        "20",
        "--repeats",
        "2",
        "--out",
        folder,
        check=0,
    )
    records = {
        r["row"]["solver"]: r for r in (json.loads(path.read_text()) for path in (folder / "cells").glob("*.json"))
    }
    record = records["pretends"]
    assert record["row"]["peak_device_mb"] == 77
    assert records["baseline"]["row"]["peak_device_mb"] is None
    assert set(record["facts"]) == {"0", "1", "2"}
    assert all(run["kernel_s"] == 0.5 for runs in record["facts"].values() for run in runs)
    assert record["throttled"]["1"] == ["hardware slowdown"]
    assert records["baseline"]["throttled"] == {}
    assert "pretends: ok" in done.stdout
    assert "device throttled in 2 of 2 turns: hardware slowdown" in done.stdout
    provenance = json.loads((folder / "run.json").read_text())
    assert provenance["devices"][0]["driver"] == "535.104.05"
    assert "H100" in provenance["machine"]["devices"][0]
