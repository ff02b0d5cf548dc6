"""What the harness takes between solves: the page says what was measured, and it is measured as a sweep's turns are."""

import json

import pytest

from harness.upkeep.experiments import overhead


def test_the_page_has_the_table_of_what_is_kept():
    assert overhead.table(json.loads(overhead.KEPT.read_text())) in overhead.PAGE.read_text()


def test_turns_take_longer_than_what_is_timed_in_them():
    row = overhead.beside("vectorized", 3, turns=2)
    assert 0 < row["share_low"] <= row["share"] <= row["share_high"]
    assert row["runs"] > 1
    assert row["solve_s"] > 0


def test_a_solver_that_fails_is_named():
    with pytest.raises(RuntimeError, match="nonesuch"):
        overhead.beside("nonesuch", 3, turns=1)
