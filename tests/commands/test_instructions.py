"""Instructions by callgrind beside counted operations: what is off is told, and the committed counts are not."""

import json
import re

import pytest

from harness import instructions
from harness.instructions import Counted
from harness.machine.counted_work import STRATEGIES
from harness.reports.pages import profiling_page
from implementations.command_line import GATE_FAILED, OK


def test_the_committed_counts_are_of_all_counted_solvers_and_plausible():
    rows = [
        Counted(r["solver"], r["bins"], r["instructions"], r["operations"]) for r in profiling_page.counts()["rows"]
    ]
    replaced_search = {"numpy-regmap", "numba-regmap", "numba-regmap-parallel"}  # the baseline's own factorisation
    assert {row.solver for row in rows} == set(STRATEGIES) - replaced_search
    assert all(instructions.LEAST <= row.density <= instructions.MOST for row in rows)
    density = {(row.solver, row.bins): row.density for row in rows}
    for solver in instructions.PIXELS:
        assert density[solver, 200] > density[solver, 34], f"{solver}: what isn't arithmetic doesn't grow with the bins"
    for solver in ("numba", "numba-float32"):
        assert density[solver, 200] < 2 * density[solver, 34], f"{solver}: no interpreter's share to shrink"


@pytest.mark.parametrize(
    ("counted", "code"),
    [(1000.0, OK), (1000.0 * instructions.MOST * 1.01, GATE_FAILED), (1000.0 * instructions.LEAST * 0.99, GATE_FAILED)],
)
def test_counts_that_cannot_be_are_told_by_the_exit_code(monkeypatch, capsys, counted, code):
    monkeypatch.setattr(instructions, "unavailable", lambda: None)
    monkeypatch.setattr(instructions, "count", lambda spec, bins: Counted(spec, bins, 1000.0, counted))
    assert instructions.main(["--solvers", "numba", "--bins", "34", "--json"]) == code
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["density"] == pytest.approx(counted / 1000)


def test_without_valgrind_it_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        instructions.main([])
    assert ended.value.code == 2
    assert re.fullmatch(
        r"python -m harness.instructions: valgrind .*not found: install valgrind\n", capsys.readouterr().err
    )


def test_a_solver_that_nobody_has_counted_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(instructions, "unavailable", lambda: None)
    with pytest.raises(SystemExit):
        instructions.main(["--solvers", "dask"])
    assert "'dask'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(instructions.unavailable() is not None, reason=f"{instructions.unavailable()}")
def test_instructions_are_counted():
    """Of `l2`, whose few matrix products are known: at least its bytes must be moved, at most as counted before."""
    counted = instructions.count("l2", 34)
    assert instructions.LEAST <= counted.density <= instructions.MOST
    committed = next(r for r in profiling_page.counts()["rows"] if (r["solver"], r["bins"]) == ("l2", 34))
    assert counted.instructions == pytest.approx(committed["instructions"], rel=0.25)
