"""docs/steps.md: the prior assignment's row and the sentence on parallel are what the committed runs say."""

import re

import pandas as pd
import pytest

from harness.records.run import Run
from harness.reports.pages import steps_page


def test_the_row_has_every_form_with_its_ratio():
    table, whole = steps_page.tables()
    lines = {line.split("|")[1].strip(): line for line in steps_page.row().splitlines() if line.startswith("| ")}
    assert set(steps_page.FORMS) < set(lines)
    for name, (form, solver) in steps_page.FORMS.items():
        for rows, which in ((table, form), (whole, solver)):
            row = steps_page._one(rows, which, 1, steps_page.NMU)
            assert (f"{row.speedup:.3g}x" if row.status == "ok" else row.reason) in lines[name]
    assert "12.2x (4.38 ms)" in lines["NumPy"]


def test_what_was_measured_passed_its_gate():
    for folder in (steps_page.STEP, steps_page.WHOLE):
        table = Run.open(folder).table()
        assert set(table.status) <= {"ok", "skipped"}
        assert (table[table.status == "ok"].gate == "pass").all()
        assert (table[table.status == "skipped"].device == "gpu").all()


def made(times):
    """Rows of the two forms at one pixel and at several sizes: (pixels, nmu) -> (plain, parallel) seconds."""
    plain, team = (steps_page.FORMS[name][0] for name in ("Numba", "Numba parallel+fastmath"))
    rows = [
        {
            "form": form,
            "pixels": pixels,
            "nmu": nmu,
            "status": "ok",
            "others_cores": 1.5,
            "median_s": t,
            "ci_low_s": 0.9 * t,
            "ci_high_s": 1.1 * t,
        }
        for (pixels, nmu), pair in times.items()
        for form, t in zip((plain, team), pair, strict=True)
    ]
    return pd.DataFrame(rows), None


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({(1, 500): (1.0, 2.0), (10, 500): (10.0, 10.5), (100, 500): (100.0, 60.0)}, "From 50,000 points on"),
        (
            {(1, 500): (1.0, 2.0), (10, 500): (10.0, 5.0), (100, 500): (100.0, 101.0)},
            "sizes measured is it surely faster. Other work had 1.5 of",
        ),
        ({(1, 500): (1.0, 1.1), (10, 500): (10.0, 5.0)}, "do not tell the two apart. From 5,000 points on"),
    ],
)
def test_from_what_size_on_parallel_is_faster_is_read_off_the_intervals(times, said, monkeypatch):
    monkeypatch.setattr(steps_page, "tables", lambda: made(times))
    assert said in steps_page.parallel()
    assert ("less work than waking a thread" in steps_page.parallel()) == (times[1, 500][1] > 1.5)


def test_the_page_is_what_the_runs_say():
    assert steps_page.rewritten() == steps_page.PAGE.read_text()
    assert re.search(r"commit [0-9a-f]{7,}", steps_page.row())
