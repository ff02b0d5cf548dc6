"""Monte Carlo of error bars: what the command writes, and that bars too short are seen."""

from dataclasses import replace

import numpy as np
import pytest
from problems import problem

from harness.records import files
from harness.upkeep import coverage
from implementations.cpu.l2 import L2
from implementations.cpu.plowman import Plowman

FEW = ["--pixels", "6", "--draws", "30", "--bins", "14", "--dataset", "gaussian-response,lines-8"]


def test_the_command_writes_and_draws(tmp_path, capsys):
    out, drawn = tmp_path / "new" / "coverage.json", tmp_path / "coverage.svg"
    assert coverage.main([*FEW, "--out", str(out), "--draw", str(drawn), "--solvers", "l2,plowman"]) == 0
    rows = files.load(out)["rows"]
    assert [(row["solver"], row["dataset"]) for row in rows] == [
        (solver, dataset) for dataset in ("gaussian-response", "lines-8") for solver in ("l2", "plowman")
    ]
    assert all(0 < row["noise"] < 1 and 0 <= row["truth"] < 1 and row["bias"] > 0 for row in rows)
    assert capsys.readouterr().out.count("noise 0.") == 4
    assert b"30 draws of the noise; 14 bins; 2" in drawn.read_bytes()
    again = tmp_path / "again.svg"
    coverage.main([*FEW, "--out", str(out), "--draw", str(again), "--solvers", "l2,plowman"])
    assert again.read_bytes() == drawn.read_bytes()


class Half(Plowman):
    name = "half"

    def collect(self, state, solution):
        whole = super().collect(state, solution)
        return replace(whole, edem=whole.edem / 2)


class Without(Plowman):
    name = "without"

    def collect(self, state, solution):
        whole = super().collect(state, solution)
        return replace(whole, edem=whole.edem * np.nan)


def test_bars_too_short_cover_less_and_none_cover_nothing():
    of, truth = coverage.narrow_lines(8, 6, 14)
    full, half, without = (coverage.of(solver, of, truth, 100, 1) for solver in (Plowman(), Half(), Without()))
    assert half.noise < 0.45 < 0.6 < full.noise
    assert half.scatter == pytest.approx(2 * full.scatter)
    assert np.isnan(without.noise)
    assert without.dem_error == full.dem_error


def test_agreement_is_of_pixels_that_both_fit():
    of = problem(40)
    same = coverage.agreement(of, Plowman(), Plowman())
    assert same["apart_p95"] == 0
    assert 0.8 < same["both"] <= 1
    other = coverage.agreement(of, Plowman(), L2())
    assert other["apart_median"] > 0.02


@pytest.mark.parametrize(
    "wrong", [["--draws", "1"], ["--dataset", "lines-0"], ["--pixels", "0"], ["--solvers", "nobody"]]
)
def test_a_wrong_call_is_one_line_and_writes_nothing(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit):
        coverage.main([*FEW, "--out", str(tmp_path / "x.json"), *wrong])
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err.count("\n") <= 1
