"""The commands behind docs/scale.md, small."""

import json

import pytest

from harness.reports.pages import scale_page
from harness.upkeep.experiments import chunks, scheduling


def test_blocks_that_wait_are_scheduled_in_bounded_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scale_page, "core_seconds_per_pixel", lambda: 1e-5)
    asked = ["--blocks", "40,80", "--threads", "2", "--pixels", "1000", "--out", str(tmp_path)]
    assert scheduling.main(asked) == 0
    got = json.loads((tmp_path / scale_page.SCHEDULING.name).read_text())
    assert [run["blocks"] for run in got["runs"]] == [40, 80]
    assert got["wait_s"] == pytest.approx(0.01)
    for run in got["runs"]:
        assert run["seconds"] >= run["blocks"] * 0.01 / 4
        assert 0 < run["busy"] <= 1
        assert run["scheduler_s_per_block"] > 0
        assert len(run["memory_mb"]) >= 10
    assert "a block" in capsys.readouterr().out


def test_layouts_are_timed_and_weighed(tmp_path, capsys):
    asked = ["--shape", "32,64", "--chunks", "512,2048", "--rounds", "1", "--scratch", str(tmp_path)]
    assert chunks.main([*asked, "--out", str(tmp_path)]) == 0
    layouts = json.loads((tmp_path / scale_page.CHUNKS.name).read_text())["layouts"]
    assert len(layouts) == 2 * 3 * 2
    size = {(one["chunk"], one["codec"], one["dtype"]): one["bytes_per_pixel"] for one in layouts}
    outputs = 8 * (3 * 34 + 6 + 1) + 1
    assert outputs < size[2048, "none", "float64"] < 1.2 * outputs
    assert size[2048, "none", "float32"] < 0.6 * size[2048, "none", "float64"]
    assert size[2048, "zstd", "float64"] < size[2048, "none", "float64"]
    assert "| 2,048 | zstd | float32 |" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [["--shape", "3"], ["--rounds", "0"], ["--chunks", "0"]])
def test_chunks_refuses_what_it_cannot_do(asked, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        chunks.main([*asked, "--out", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") <= 3
