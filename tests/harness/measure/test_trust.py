"""No liar passes: every way of winning without solving what was given ends in a failed gate or row that says why."""

import os
from types import SimpleNamespace

import pytest
import records
from folders import PLUGINS
from problems import problem
from sweeps import rows_of, sweep

from harness import sweep as command
from harness.measure import record_row
from harness.measure.plan import Plan
from harness.measure.sweep import Sweep
from harness.records.run import Run

LIARS = PLUGINS / "liars.py"
CAUGHT = {
    "returns-none": ("failed", "collect returned None, expected"),
    "returns-zeros": ("ok", "in round 1, and not in all before: dem: deviates from the baseline by 1"),
    "keeps-its-answer": ("ok", "in round 1, and not in all before: dem: deviates"),
    "wrong-later": (
        "ok",
        "in round 1, and not in all before: edem: deviates from the baseline by 1e-06, at most 1e-09",
    ),
    "solved-in-init": ("ok", "in round 1, and not in all before: dem: deviates"),
    "solved-in-available": ("ok", "in round 1, and not in all before: dem: deviates"),
    "solved-at-import": ("ok", "in round 1, and not in all before: dem: deviates"),
    "memoises-in-a-file": ("ok", "in round 1, and not in all before: dem: deviates"),
    "caches-pixels": ("ok", "in round 1, and not in all before: dem: deviates"),
    "lazy-arrays": ("failed", "solution's dem is a Lazy, expected plain NumPy arrays"),
    "promises": ("failed", "solution's dem is a Promise, expected plain NumPy arrays"),
    "lazy-solutions": ("failed", "solution is a LazySolution, expected plain NumPy arrays in a plain Solution"),
    # by what was seen first: on a busy machine it isn't filled in before the turn has ended
    "filled-in-later": (
        "failed",
        ("was changed after the clock had stopped", "computed between its turns", "its times can't be: it claims"),
    ),
    "known-sample": ("ok", "dem: deviates from the baseline by 1"),
    "one-pixel": ("ok", "dem: deviates"),
    "one-pixel-approximately": ("ok", "chisq: isn't what its dem gives in"),
    "reuses-its-memory": ("failed", "dem, edem, chisq, dn_reg of a solution changed when the next problem was solved"),
    "keeps-by-place": ("ok", ", and not in all before: dem: deviates"),
    "patches-numpys-random": ("failed", "the solver changed its input dn"),
    "changes-inputs": ("failed", "the solver changed its input dn"),
    "patches-its-clock": ("failed", "its times can't be: it claims"),
    "flatters-itself": ("ok", "chisq: isn't what its dem gives in 20 pixels"),
    "invents-uncertainties": ("ok", "edem: 1e-06 to 1e-06 times the baseline's"),
    "hides-its-status": ("ok", "status: isn't what its dem and its counts call for"),
    "returns-the-truth": ("ok", "nothing recovers it better than 0.2 times"),
}
HONEST = ("baseline", "vectorized", "patches-time")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("liars") / "run"
    names = ",".join(["baseline", *CAUGHT, "patches-time", "vectorized"])
    grid = ("--pixels", "20", "--bins", "12", "--repeats", "4", "--max-seconds", "60")
    own = {"TMPDIR": str(tmp_path_factory.mktemp("temporary"))}  # where one of them keeps a file between its workers
    sweep("--plugin", LIARS, "--solvers", names, *grid, "--out", folder, "--strict", check=4, env=os.environ | own)
    return rows_of(folder)


@pytest.mark.parametrize("solver", CAUGHT)
def test_a_liar_is_caught_and_how_is_said(run, solver):
    status, reason = CAUGHT[solver]
    row = run.loc[solver]
    assert (row.status, row.gate) == (status, "fail" if status == "ok" else "none"), row.reason
    said = row.gate_reasons if status == "ok" else row.reason
    assert any(each in said for each in ([reason] if isinstance(reason, str) else reason)), said


@pytest.mark.parametrize("solver", HONEST)
def test_those_beside_it_are_none_the_worse(run, solver):
    row = run.loc[solver]
    assert (row.status, row.gate) == ("ok", "pass"), (row.reason, row.gate_reasons)
    assert int(row.n) == 4


@pytest.mark.parametrize(
    ("solver", "limit_s", "traffic_s", "status"),
    [
        ("baseline", 1e-9, 2.5, "ok"),
        ("baseline", 2.5, 1e-9, "failed"),
        ("l2", 2.5, 1e-9, "ok"),
        ("l2", 2.5, 2.5, "failed"),
    ],
)
def test_nobody_is_faster_than_the_machine(solver, limit_s, traffic_s, status, tmp_path, monkeypatch, capsys):
    """An approximate solver may do less work than the algorithm needs, but must move the same bytes."""
    monkeypatch.setattr(record_row, "limit", lambda *_: {"limit_s": limit_s, "of_limit": 0.5})
    monkeypatch.setattr(record_row, "traffic_s", lambda *_: traffic_s)
    small = ["--pixels", "8", "--bins", "12", "--repeats", "2", "--solvers", solver]
    code = command.main([*small, "--out", str(tmp_path / "run")])
    row = rows_of(tmp_path / "run").loc[solver]
    assert (code, row.status) == ((0, "ok") if status == "ok" else (3, "failed"))
    assert ("for work that takes this machine 2.5 s at best" in str(row.reason)) == (status == "failed")


def test_a_row_that_nobody_asked_for_is_not_in_the_table(tmp_path, capsys):
    """A solver may put records beside those of the run: of another size, workload, seed or solver."""
    plan = Plan(pixels=(200,), bins=(34,), solvers=("baseline",), seed=1)
    laws = {"baseline": records.slow, "fast": records.fast}
    run = records.write_run(tmp_path / "run", laws, pixels=(200, 1000), bins=(34,))
    Sweep(plan, plan.table(), run, {})
    (row,) = run.table().to_dict("records")
    assert (row["solver"], row["pixels"], row["bins"]) == ("baseline", 200, 34)
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert len(Run.open(run.folder).table()) == 1


def test_traffic_takes_its_time():
    quick, slow = ({"core": {"best": rate}, "all": {"best": rate}} for rate in (1e9, 1e8))
    machine = {"machine": {"cores": 1}, "flops_per_s": quick, "divisions_per_s": quick}
    machine["copy_bytes_per_s"] = [{"bytes": 1e9, **slow}]
    contender, measured = SimpleNamespace(threads=1), SimpleNamespace(problem=problem(20))
    assert record_row.traffic_s(contender, measured, machine, {"algorithm_bytes": 1e3}) == pytest.approx(20 * 1e3 / 1e8)
