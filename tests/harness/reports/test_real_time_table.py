"""docs/scale.md's table of the kernel's rate beside an earlier commit's is what the record says."""

import json

from harness.reports.pages import real_time_table


def row(solver, bins=34, **changed):
    ratio = {"value": 0.5, "low": 0.4, "high": 0.625}
    usual = {"dataset": "aia", "pixels": 2000, "bins": bins, "solver": solver, "verdict": "faster", "code": 0}
    usual |= {"clock": "CPU", "reason": "", "ratio": ratio, "head": {"status": "ok", "pixels_per_s": 1234567.0}}
    return usual | changed


def table(tmp_path, *rows):
    heads = ["base: b5957a0 before", "head: abcdef0 after", "machine: some cores"]
    for number, solver in enumerate((real_time_table.ONE, real_time_table.TWO)):
        record = {"heads": heads, "code": 0, "rows": [row for row in rows if row["solver"] == solver]}
        (tmp_path / f"{number}.json").write_text(json.dumps(record))
    return real_time_table.text_of(tmp_path)


def test_rates_and_ratios_stand_in_the_row_of_their_bins(tmp_path):
    text = table(tmp_path, row("numba[threads=1]", 100), row("numba[threads=2]", pixels=30000), row("numba[threads=1]"))
    (line,) = [line for line in text.splitlines() if line.startswith("| aia | 34 |")]
    assert line.count("1,234,567 | 2.00x [1.60, 2.50], CPU") == 2
    (half,) = [line for line in text.splitlines() if line.startswith("| aia | 100 |")]
    assert half.endswith("| not yet measured | not yet measured |")
    assert "\n\n2,000 pixels for one thread, 30,000 for two, both commits" in text
    assert text.endswith("`base: b5957a0 before`; `head: abcdef0 after`; machine: some cores.")


def test_a_failure_and_a_ratio_that_says_nothing_are_told(tmp_path):
    failed = row("numba[threads=1]", code=32, verdict="FAILED", reason="it broke", head={"status": "error"})
    text = table(tmp_path, failed, row("numba[threads=2]", verdict="undecided: the machine was busy"))
    assert "| FAILED | it broke | 1,234,567 | undecided: the machine was busy |" in text


def test_a_slower_row_keeps_its_figures(tmp_path):
    ratio = {"value": 1.25, "low": 1.2, "high": 1.3}
    text = table(tmp_path, row("numba[threads=1]", code=8, verdict="SLOWER", ratio=ratio))
    assert "0.80x [0.77, 0.83]" in text


def test_what_has_no_record_is_not_yet_measured(tmp_path):
    assert real_time_table.NOT in real_time_table.text_of(tmp_path / "none")
