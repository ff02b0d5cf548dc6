"""docs/solar.md has the figures of the record, or says that there are none."""

import json

from harness.reports.pages import solar_page

RECORD = {
    "created": "2026-01-02T03:04:05Z",
    "commit": "abc",
    "machine": {"cpu": "x", "cores": 2},
    "threads": 2,
    "side": 4096,
    "bins": 34,
    "load_before": 0.1,
    "seconds": {
        "kernel": [10.0, 20.0, 12.0],
        "writing": [5.0, 6.0, 7.0],
        "writing, kept": [8.0, 9.0, 7.0],
        "FITS to FITS": [14.0, 15.0, 16.0],
        "FITS to Zarr": [15.0, 16.0, 17.0],
        "1024 x 1024": [2.0, 3.0, 2.5],
    },
    "core_seconds": {
        "writing": [5.0, 6.0, 4.0],
        "FITS to FITS": [26.0, 27.0, 29.0],
        "FITS to Zarr": [28.0, 29.0, 30.0],
    },
    "least_times": 1.21,
    "peak_mb": {"FITS to FITS": 1234.0, "FITS to Zarr": 900.0, "1024 x 1024": 400.0},
    "times": {"FITS to FITS": 1.25, "FITS to Zarr": 1.5},
    "series_peak_mb": {"4": 430.0, "32": 450.0},
    "missed": ["FITS to Zarr: 1.50 times"],
}


def test_what_was_measured_stands_in_the_table(monkeypatch, tmp_path):
    monkeypatch.setattr(solar_page, "RECORD", tmp_path / "full-disc.json")
    monkeypatch.setattr(solar_page.machine_facts, "machine_label", lambda machine: machine["cpu"])
    (tmp_path / "full-disc.json").write_text(json.dumps(RECORD))
    text = solar_page.text_of()
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:6]] for line in text.splitlines()[2:8]
    }
    assert rows["4096 x 4096: the kernel alone"] == ["12.0 s (10.0 to 20.0)", "", "", ""]
    assert rows["4096 x 4096: FITS to FITS"] == ["15.0 s (14.0 to 16.0)", "27.0", "1.25", "1,234 MiB"]
    assert rows["1024 x 1024: FITS to FITS"] == ["2.5 s (2.0 to 3.0)", "", "", "400 MiB"]
    assert "would take 1.21 times the slower of the two" in text
    assert "4 sets 430 MiB, 32 sets 450 MiB" in text
    assert text.endswith("Missed: FITS to Zarr: 1.50 times.")
    assert solar_page.NOT not in text
    short = solar_page.in_short()
    assert "takes 15 s on 2 cores from file to file in 1,234 MiB,\nof which the inversion alone 12 s" in short


def test_without_a_record_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(solar_page, "RECORD", tmp_path / "none.json")
    text = solar_page.text_of()
    assert text.count(solar_page.NOT) == len(solar_page.ROWS) + 1
    assert text in solar_page.rewritten()
    assert solar_page.in_short().endswith(f": {solar_page.NOT}.")
