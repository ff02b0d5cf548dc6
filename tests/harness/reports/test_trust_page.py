"""What the page says of a quiet and a busy run: every verdict, and those that are false by name."""

import json

import records

from harness.reports.pages import trust_page


def test_false_verdicts_are_named_and_counted(tmp_path):
    def run(name, **times):
        laws = {solver: lambda pixels, bins, s=seconds: s for solver, seconds in times.items()}
        cpu = {s: {"cpu_s": t, "cpu_low_s": 0.99 * t, "cpu_high_s": 1.01 * t, "source": "1"} for s, t in times.items()}
        records.write_run(tmp_path / name, laws, pixels=(200,), bins=(34,), **cpu)
        return tmp_path / name

    quiet = run("quiet", baseline=1.0, fast=0.1, faster=0.01)
    told = trust_page.text_of(quiet, run("busy", baseline=1.0, fast=0.2, faster=0.01))
    assert "3 rows: 1 SLOWER, 2 same. False: 1." in told
    assert "- `fast` at 200 pixels: SLOWER 2.000" in told
    assert "1.00 to 2.00 times as long" in told
    assert "False: 0." in trust_page.text_of(quiet, run("again", baseline=1.0, fast=0.1, faster=0.01))


def test_the_page_is_what_the_committed_runs_say():
    assert trust_page.PAGE.read_text() == trust_page.rewritten(), "make readme"


def test_without_runs_it_is_not_yet_measured(tmp_path):
    assert trust_page.text_of(tmp_path / "a", tmp_path / "b").startswith("Not yet measured")


def test_what_an_hour_of_sweeps_holds_is_told_and_what_grows(tmp_path):
    looks = [{"MB": 100.0 + place, "handles": 9.0, "threads": 2.0, "children": 0.0} for place in range(8)]
    kept = {"machine": records.MACHINE, "commit": "abc", "minutes": 60.0, "looks": looks, "growth": {"MB": 5.0}}
    (tmp_path / "soak.json").write_text(json.dumps(kept))
    told = trust_page.of_soak(tmp_path / "soak.json")
    assert "| MB | 102 | 107 | yes |" in told
    assert "| handles | 9 | 9 | no |" in told
    assert "8 cells in 60 minutes" in told
    assert trust_page.of_soak(tmp_path / "none.json").startswith("Not yet measured")
