"""Two runs side by side: faster, slower, worse, failed, undecided; and what can't be compared."""

import json
import subprocess
import sys

import numpy as np
import pytest
import records

from harness import compare
from implementations import command_line as cli

SURE = {"speedup": 10.0, "speedup_low": 9.9, "speedup_high": 10.1}


def pair(tmp_path, a=(), b=(), **kwargs):
    columns = {"baseline": {"speedup": 1.0, "speedup_low": 1.0, "speedup_high": 1.0}}
    return [
        records.write_run(
            tmp_path / name,
            {"baseline": records.slow, "fast": records.fast},
            pixels=(200,),
            bins=(34,),
            **columns,
            fast=SURE | dict(given),
            **kwargs,
        )
        for name, given in (("a", a), ("b", b))
    ]


def verdicts(runs):
    return {row.solver: row.verdict for row in compare.rows(*runs, 0.05)}


@pytest.mark.parametrize(
    ("changed", "verdict", "regression"),
    [
        ({}, "same", False),
        ({"speedup": 8.0, "speedup_low": 7.9, "speedup_high": 8.1}, "SLOWER", True),
        ({"speedup": 12.0, "speedup_low": 11.9, "speedup_high": 12.1}, "faster", False),
        ({"speedup": 8.0, "speedup_low": 6.0, "speedup_high": 10.5}, "undecided", False),
        ({"speedup": 8.0, "speedup_low": np.nan, "speedup_high": np.nan}, "undecided: too few rounds", False),
        ({"truth_dem_error": 1.1}, "WORSE, same", True),
        ({"gate": "fail", "gate_reasons": "dem off"}, "GATE VIOLATED", True),
        ({"status": "crashed", "reason": "signal 9"}, "FAILED", True),
    ],
)
def test_what_changed_is_named(tmp_path, changed, verdict, regression):
    found = {row.solver: row for row in compare.rows(*pair(tmp_path, b=changed), 0.05)}
    assert found["fast"].verdict == verdict
    assert found["fast"].regression == regression
    assert found["baseline"].verdict == "same"


def test_a_busier_machine_is_no_regression(tmp_path):
    """All of B's times are doubled, the baseline's too."""
    a, b = pair(tmp_path, b={"median_s": 2 * records.fast(200, 34)})
    assert verdicts([a, b])["fast"] == "same"


def test_without_a_baseline_times_are_compared(tmp_path):
    def only(name, law):
        return records.write_run(tmp_path / name, {"fast": law}, pixels=(200,), bins=(34,))

    a, b = only("a", records.fast), only("b", lambda p, b: 1.3 * records.fast(p, b))
    row = next(compare.rows(a, b, 0.05))
    assert row.ratio.value == pytest.approx(1.3)
    assert row.ratio.low == pytest.approx(1.3 / np.exp(np.hypot(1, 1) * np.log(1.02 / 0.98) / 2))
    assert row.verdict == "SLOWER"


def test_the_command_prints_markdown_and_exits_by_the_verdict(tmp_path):
    pair(tmp_path, b={"speedup": 5.0, "speedup_low": 4.9, "speedup_high": 5.1})
    done = subprocess.run(
        [sys.executable, "-m", "harness.compare", tmp_path / "a", tmp_path / "b"], capture_output=True, text=True
    )
    assert done.returncode == cli.GATE_FAILED, done.stderr
    assert "| ✘ SLOWER | `fast` | random-response | 200 x 34 |" in done.stdout
    assert "2.000 [" in done.stdout
    assert "2 rows: 1 " in done.stdout
    widths = {line.count("|") for line in done.stdout.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    same = subprocess.run(
        [sys.executable, "-m", "harness.compare", tmp_path / "a", tmp_path / "a"], capture_output=True
    )
    assert same.returncode == cli.OK


def test_what_the_figures_may_come_from_is_noted(tmp_path, capsys):
    known = {"workload": "1", "source": "1", "commit": "other"}
    machine = records.MACHINE | {"affinity": "0"}
    runs = pair(tmp_path, a=known, b=known | {"workload": "2", "source": "2"}, machine=machine)
    facts = json.loads((runs[1].folder / "run.json").read_text())
    facts |= {"machine": machine | {"affinity": "0,1"}, "software": {"numpy": "9"}}
    (runs[1].folder / "run.json").write_text(json.dumps(facts))
    facts |= {"machine": machine, "software": {"numpy": "8"}}
    (runs[0].folder / "run.json").write_text(json.dumps(facts))
    assert compare.main([str(run.folder) for run in runs]) == cli.OK
    shown = capsys.readouterr().out
    assert "note: A had another part of the machine than B: cores 0, not 0,1" in shown
    assert "note: other versions in A: numpy 8, not 9" in shown
    assert "note: 1 rows are not compared: the workload was edited in between, random-response" in shown
    assert "note: source differs: fast" in shown
    assert shown.count("are of other commits: other") == 2
    assert "1 rows: 1 same" in shown, "the baseline's, which says nothing of its source"


def test_processors_of_one_name_that_differ_are_not_compared(tmp_path):
    a, b = pair(tmp_path)
    b.provenance["machine"] = records.MACHINE | {"cpu_numbers": "another"}
    with pytest.raises(ValueError, match="different machines"):
        list(compare.rows(a, b, 0.05))


@pytest.mark.parametrize("what", ["machine", "cells", "nothing"])
def test_what_cannot_be_compared_is_one_line(tmp_path, what, capsys):
    records.write_run(tmp_path / "a", {"fast": records.fast})
    if what != "nothing":
        machine = records.MACHINE | {"id": "another"} if what == "machine" else records.MACHINE
        records.write_run(
            tmp_path / "b", {"fast": records.fast}, bins=(34,) if what == "machine" else (77,), machine=machine
        )
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(tmp_path / "a"), str(tmp_path / "b")])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert {"machine": "different machines", "cells": "in common", "nothing": "is not a run"}[what] in message
