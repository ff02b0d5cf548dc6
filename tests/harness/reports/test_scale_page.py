"""docs/scale.md is what the records say."""

import json

import pytest

from harness.reports.pages import scale_page


def test_costs_are_the_rate_times_the_pixels(monkeypatch):
    monkeypatch.setattr(scale_page, "core_seconds_per_pixel", lambda: 2e-6)
    kernel = next(line for line in scale_page.costs().splitlines() if "of the kernel" in line)
    assert kernel.split("|")[2].strip() == f"{2e-6 * 4096**2 * 7200 / 3600:.0f}"
    assert "keeps 2.8 cores" in scale_page.real_time()


def test_bytes_of_maps_are_those_that_files_have():
    assert scale_page.bytes_per_pixel() == 4 * (34 * 3 + 6 + 1 + 3 + 1 + 1) + 1


def test_what_has_no_record_is_not_yet_measured(monkeypatch, tmp_path):
    for name in ("FULL_DISC", "CHUNKS", "SCHEDULING"):
        monkeypatch.setattr(scale_page, name, tmp_path / "none.json")
    monkeypatch.setattr(scale_page, "DISC", tmp_path / "none")
    texts = [scale_page.costs(), scale_page.real_time(), scale_page.chunk_table(), scale_page.scheduling()]
    assert all(scale_page.NOT in text for text in texts)
    with pytest.raises(ValueError, match="make peers makes one"):
        scale_page.core_seconds_per_pixel()


def test_the_least_block_is_fifty_times_what_scheduling_costs(monkeypatch, tmp_path):
    run = {"blocks": 10, "seconds": 1.0, "scheduler_s_per_block": 1e-3, "worker_s_per_block": 5e-4, "busy": 0.9}
    got = {"runs": [run | {"memory_mb": [100.0, 101.0]}], "processes": 2, "threads": 4, "pixels": 1000, "wait_s": 2e-3}
    made = {"created": "2026-01-01", "commit": "abc", "load_before": 0.1, "machine": {"cpu": "x", "cores": 2}}
    (tmp_path / "s.json").write_text(json.dumps(got | made))
    monkeypatch.setattr(scale_page, "SCHEDULING", tmp_path / "s.json")
    monkeypatch.setattr(scale_page.machine_facts, "machine_label", lambda machine: "x")
    said = scale_page.scheduling()
    assert "from 37,500 pixels on" in said  # 1.5 ms is 2% of 75 ms, of 2 us a pixel
    assert "keeps 2 cores of `numba` busy" in said
    assert "100 to 101 MiB" in said
