"""What the harness takes between solves: the page says what was measured, and it is measured as a sweep's turns are."""

import json

import pytest

from harness.upkeep.experiments import overhead


def test_the_page_has_the_table_of_what_is_kept():
    assert overhead.table(json.loads(overhead.KEPT.read_text())) in overhead.PAGE.read_text()


def test_what_it_comes_to_is_said_for_long_and_short_solves():
    rows = [
        {"solve_s": solve, "share": share, "plain_loop": plain}
        for solve, share, plain in [(0.005, 0.1, 0.06), (0.2, 0.05, 0.02), (0.0049, 0.3, 0.0), (1e-4, 0.6, 0.1)]
    ]
    assert overhead.summary(rows) == (
        "Beside solves of 5 ms and more: 2.0% to 6.0% in a plain loop, and 3.0% to 4.0% beyond it. "
        "Beside shorter ones: 0.0% to 10.0% in a plain loop, and 30.0% to 50.0% beyond it."
    )


def test_turns_take_longer_than_what_is_timed_in_them():
    row = overhead.beside("vectorized", 3, turns=2)
    assert 0 < row["share_low"] <= row["share"] <= row["share_high"]
    assert row["runs"] > 1
    assert row["solve_s"] > 0


def test_a_solver_that_fails_is_named():
    with pytest.raises(RuntimeError, match="nonesuch"):
        overhead.beside("nonesuch", 3, turns=1)
