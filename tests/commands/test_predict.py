"""Predicted against measured time of numba: the arithmetic, and the command on a tiny grid."""

import json
import subprocess
import sys

import pytest

from harness import predict
from harness.machine.counted_work import Shape
from harness.profiling import stages
from implementations.compiled import timed_kernel

SHAPES = [Shape(6, bins, 42, 2.0, True) for bins in (64, 300)]
KNOWN = {name: (3e-10 / n, 2e-7 * n) for n, name in enumerate(predict.COUNTS, start=1)}
"""Seconds per operation and per pixel."""


def stage_seconds(shape, pixels):
    seconds = {
        name: pixels * (each * predict.COUNTS[name](shape) + beside * (name != "grid search"))
        for name, (each, beside) in KNOWN.items()
    }
    return seconds | dict.fromkeys(predict.PER_CALL, 1e-4)


def test_costs_are_found_again_from_stages_made_of_them():
    """And so a third size is predicted exactly, one with other pixels, bins and passes too."""
    found = predict.costs([stage_seconds(shape, 1000) for shape in SHAPES], SHAPES, 1000)
    assert all(found.operation[name] == pytest.approx(each) for name, (each, _) in KNOWN.items())
    other = Shape(6, 150, 42, 3.5, True)
    assert found.seconds(other, 70) == pytest.approx(sum(stage_seconds(other, 70).values()))


def test_a_stage_that_gets_faster_with_more_bins_costs_nothing_per_operation():
    known = [stage_seconds(shape, 1000) for shape in SHAPES]
    known[1]["errors"] = known[0]["errors"] / 2
    assert predict.costs(known, SHAPES, 1000).operation["errors"] == 0.0


def test_every_counted_stage_has_a_prediction():
    """A stage that is added to the counting kernel and not here would silently be predicted as nothing."""
    assert set(predict.COUNTS) == set(timed_kernel.STAGES)
    assert set(predict.COUNTS) | set(predict.PER_CALL) == set(stages.STAGES)


@pytest.mark.slow
def test_the_command_compares_and_its_exit_code_says_what_came_out():
    words = ["--pixels", "50", "--bins", "34,90", "--rounds", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "harness.predict", *words], capture_output=True, text=True, timeout=180
    )
    report = json.loads(done.stdout)
    assert [(row["pixels"], row["bins"]) for row in report["rows"]] == [(50, 34), (50, 90)]
    assert report["worst"] == max(abs(row["ratio"] - 1) for row in report["rows"])
    assert done.returncode == (0 if report["worst"] <= predict.ALLOWED else 1)
    assert all(row["predicted_s"] > 0 and row["measured_s"] > 0 and row["passes"] >= 1 for row in report["rows"])


@pytest.mark.parametrize("given", [["--rounds", "0"], ["--pixels", "0"], ["--pixels", "many"]])
def test_bad_input_is_one_line(given):
    done = subprocess.run([sys.executable, "-m", "harness.predict", *given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
