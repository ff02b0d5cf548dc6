"""The full frame's command on a tiny frame: what it measures, and that a wrong output is found."""

import json

import numpy as np
import pytest
import zarr

pytest.importorskip("zarr")

from harness.upkeep import full_frame, mapfile
from implementations.contract import OUTPUTS

SMALL = ["--bins", "12", "--solver", "numba"]


def test_a_small_frame_is_inverted_watched_and_compared(tmp_path, capsys):
    assert full_frame.main(["--shape", "20,30", *SMALL, "--out", str(tmp_path), "--scratch", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / full_frame.FILE).read_text())
    assert figures["pixels"] == 600
    assert figures["differing"] == []
    assert figures["compared"] == list(OUTPUTS)
    assert 50 < figures["peak_mb"] < full_frame.LIMIT_MB  # Python with NumPy and Numba, at least
    assert figures["seconds"] > 0
    assert "differing from numba's: nothing" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == [full_frame.FILE]


def test_a_single_bit_off_is_found(tmp_path):
    from implementations.large_maps import inversion

    source, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    mapfile.write(source, "solar-mix", (6, 10), 12)
    assert inversion.invert_store(source, target, "numba", 1, 12, full_frame.LOGT) == 0
    assert full_frame._differing(source, target, 12) == []
    edem = zarr.open_group(target, mode="r+")["edem"]
    edem[5, 9, 3] = np.nextafter(edem[5, 9, 3], np.inf)
    assert full_frame._differing(source, target, 12) == ["edem"]


def test_no_room_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        full_frame.main(["--shape", "9000000,1000", *SMALL, "--out", str(tmp_path), "--scratch", str(tmp_path)])
    said = capsys.readouterr().err
    assert "GB free for a map of rows,columns (9000000, 1000)" in said
    assert said.count("\n") == 1
