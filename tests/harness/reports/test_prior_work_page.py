"""docs/prior-work.md: published ratios beside measured ones, and rows that say what isn't measured."""

import pandas as pd
import pytest

from harness.figures import processes
from harness.records.run import Run
from harness.reports.pages import prior_work_page as page


def table(**speedups):
    rows = [
        {"solver": solver, "pixels": 200, "bins": 200, "status": "ok", "speedup": speedup, "chisq_median": 1.2}
        for solver, speedup in {"baseline": 1.0, **speedups}.items()
    ]
    return pd.DataFrame(rows)


def test_published_speedups_stand_beside_measured_ones():
    lines = page.sweep(table(vectorized=3.72)).splitlines()
    (ours,) = [line for line in lines if line.startswith("| vectorized | 200 x 200 ")]
    assert "| 1.46x | 3.72x |" in ours  # 3.69 / 2.53 as published
    assert ours.endswith("| 1.000 |")
    (missing,) = [line for line in lines if "`cupy`" in line]
    assert missing.count("not yet measured") == 2


def test_a_fit_is_told_as_a_range_over_the_published_cpus():
    assert page._fit("vectorized") == "278.3 to 421.7"  # 100.2 / 0.36, 101.2 / 0.24


def test_a_step_without_a_run_is_not_yet_measured(tmp_path):
    text = page.step(tmp_path / "none", tmp_path / "none")
    assert "| NumPy | 12.2x | not yet measured |" in text  # 53.3 / 4.38
    assert text.count("not yet measured") == 4
    on_device = page.step(tmp_path / "none", page.DEVICE_STEPS)
    assert on_device.count("not yet measured") == 3
    assert "| CuPy | no gain | not" not in on_device
    assert on_device.endswith(f"CuPy: on {page._label(Run.open(page.DEVICE_STEPS).provenance)}.")


@pytest.mark.parametrize("part", [page.starting, page.prefetched])
def test_what_has_no_file_is_not_yet_measured(part):
    assert part(None) == "Not yet measured."


def test_start_methods_have_a_row_each():
    row = {"method": "fork", "workers": 2, "start_s": 0.006, "own_mb": 2.2, "shared_mb": 20.0}
    machine = {"cpu": "C", "cores": 2, "memory_gb": 4, "system": "S"}
    text = page.starting({"rows": [row], "machine": machine, "created": "2026-01-02T", "commit": "abc"})
    assert "| 2 | fork | 6 ms | 2 MiB | 20 MiB |" in text
    assert "commit abc" in text


def test_processes_are_drawn_over_one_process():
    rows = [{"inner": "numba", "processes": n, "gain": g, "process_rss_mb": 150.0} for n, g in ((1, 1.0), (2, 1.7))]
    figure = processes.draw(pd.DataFrame(rows), "here, commit abc")
    assert figure.get_supxlabel() == "here, commit abc"
    gains = figure.axes[0].lines[0]
    assert list(gains.get_xdata()) == [1, 2]
    assert list(gains.get_ydata()) == [1.0, 1.7]
