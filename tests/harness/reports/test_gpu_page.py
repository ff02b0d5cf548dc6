"""docs/gpu.md: what a device's records say, and that they keep what the page claims of them."""

import pytest

from harness.records import files
from harness.records.run import Run
from harness.reports.pages import gpu_page as page


def test_every_exact_solver_on_a_device_is_within_rounding_of_the_baseline():
    table = Run.open(page.PARITY).table()
    exact = table[(table.device == "gpu") & (table.accuracy == "exact")]
    assert len(exact) == 4
    for output in page.OUTPUTS:
        assert (exact[f"parity_{output}"] <= 1e-9).all()
    lines = page.parity().splitlines()
    for row in table.itertuples():
        (line,) = [line for line in lines if line.startswith(f"| `{row.solver}` |")]
        assert f"| {row.parity_dem:.1e} |" in line
        assert f"| {row.gate} |" in line


def test_a_step_is_told_with_how_it_ended_and_the_last_that_it_said():
    lines = page.checks().splitlines()
    ended = {step["step"]: step for step in files.load(page.CHECKS)["steps"]}
    for name, line in zip(page.CHECKED, sorted(lines[2:], key=lambda x: page.CHECKED.index(x.split()[1])), strict=True):
        assert f"| {name} | {ended[name]['ended']} |" in line
    assert page._last(["one", "===== two =====", "", "====="]) == "two"


def test_rates_are_pixels_over_seconds_and_name_their_machine():
    got = files.load(page.RATES)
    lines = page.rates().splitlines()
    for row, line in zip(got["rows"], lines[2:], strict=False):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:2] == [f"`{row['solver']}`", f"{row['pixels']:,} x {row['bins']}"]
        assert float(cells[3]) == pytest.approx(row["pixels"] / row["wall_s"] / 1e6, rel=0.01)
        assert float(cells[4]) == pytest.approx(row["pixels"] / row["kernel_s"] / 1e6, rel=0.01)
    assert got["machine"]["devices"][0] in lines[-1]


def test_a_time_without_an_interval_says_how_often_it_was_taken():
    text = page.beside_cores()
    for row in Run.open(page.BINS).table().itertuples():
        (line,) = [x for x in text.splitlines() if x.startswith(f"| `{row.solver}` | {row.pixels:,} x {row.bins} |")]
        assert ("(n=" in line) == (row.ci_low_s != row.ci_low_s)
