"""The full disc's command: what its figures are of, and that what is missed is said."""

import json

import numpy as np
import pytest
from aia_files import counts, write_set
from astropy.io import fits

from harness.upkeep import full_disc
from implementations.aia import files, frames, grid


def figures(kernel=(10.0, 20.0, 12.0), writing=(5.0, 30.0, 6.0), whole=(12.0, 33.0, 13.2), **changed):
    seconds = {"kernel": [*kernel], "writing": [*writing], "FITS to FITS": [*whole], "1024 x 1024": [3.0, 3.5, 9.0]}
    return {
        "seconds": seconds,
        "times": {"FITS to FITS": full_disc.times(seconds, "FITS to FITS")},
        "peak_mb": {"FITS to FITS": 900.0},
        "series_peak_mb": {4: 500.0, 32: 510.0},
    } | changed


def test_the_ratio_is_to_the_slower_of_the_two_in_the_same_round():
    assert figures()["times"] == {"FITS to FITS": pytest.approx(1.1)}
    assert full_disc.missed(figures()) == []


def test_the_least_ratio_is_that_of_cores_that_never_wait():
    seconds = {"kernel": [10.0, 8.0, 10.0], "writing": [6.0, 16.0, 7.0]}
    assert full_disc.least_times(seconds, [6.0, 6.0, 8.0]) == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"whole": (14.0, 42.0, 16.8)}, "FITS to FITS: 1.40 times"),
        ({"peak_mb": {"FITS to Zarr": 2600.0}}, "FITS to Zarr: 2600 MiB"),
        ({"series_peak_mb": {4: 500.0, 32: 600.0}}, "32 sets: 1.20 times the memory of 4"),
    ],
)
def test_what_is_missed_is_said(changed, said):
    assert full_disc.missed(figures(**changed)) == [said]
    assert f"missed: {said}" in full_disc.said({**figures(**changed), "missed": [said]})


def test_every_round_has_each_once_in_another_order():
    order = []
    what = {name: lambda name=name: (order.append(name), (1.0, 2.0))[1] for name in "abcd"}
    measured = full_disc.in_turns(what, 6)
    assert {name: len(each) for name, each in measured.items()} == dict.fromkeys("abcd", 6)
    assert all(found[:2] == (1.0, 2.0) and found[2] >= 0 for each in measured.values() for found in each)
    rounds = ["".join(order[i : i + 4]) for i in range(0, 24, 4)]
    assert {"".join(sorted(one)) for one in rounds} == {"abcd"}
    assert len(set(rounds)) > 2


def test_the_enlarged_disc_is_the_same_sun_on_one_grid(tmp_path, monkeypatch):
    monkeypatch.setattr(full_disc, "REAL", 12)
    (tmp_path / "large").mkdir()
    given = write_set(tmp_path, (12, 12))
    large = full_disc.enlarged(given, tmp_path / "large", 48)
    (one,) = frames.frames_of(large)
    grid.check(one)
    assert one[0].shape == (48, 48)
    values = fits.getdata(large[2])
    assert values.dtype.newbyteorder("=") == np.float32
    assert values.mean() / 2.0 == pytest.approx(counts((12, 12))[..., 2].mean(), rel=0.02)
    small, big = (grid.wcs_of(fits.getheader(path)) for path in (given[2], large[2]))
    for corner in ((0.0, 0.0), (11.0, 5.0)):  # the middle of a pixel is where it was
        there = [4 * x + 1.5 for x in corner]
        assert big.all_pix2world([there], 0) == pytest.approx(small.all_pix2world([corner], 0))


def test_a_series_is_the_disc_a_minute_later_each(tmp_path):
    paths = full_disc.later(write_set(tmp_path), tmp_path, 3)
    times = [one[frames.REFERENCE].time[:19] for one in frames.frames_of(paths)]
    assert times == ["2014-01-01T00:00:02", "2014-01-01T00:01:02", "2014-01-01T00:02:02"]


@pytest.mark.parametrize("asked", [["--side", "1000"], ["--rounds", "0"]])
def test_a_bad_call_is_one_line(tmp_path, capsys, asked):
    with pytest.raises(SystemExit):
        full_disc.main([*asked, "--out", str(tmp_path)])
    assert "--side must be a multiple of 1024 and --rounds at least 1" in capsys.readouterr().err


def test_writing_alone_leaves_nothing(tmp_path):
    told: list[int] = []
    assert full_disc.writing_alone(tmp_path / "bytes", 1_000_000, lambda path, place, size: told.append(size)) > 0
    assert sum(told) >= 1_000_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_disc_as_it_is(tmp_path):
    try:
        files.image_set(files.DISC_SET)
    except files.MissingError as error:
        pytest.skip(str(error))
    code = full_disc.main(["--side", "1024", "--rounds", "1", "--out", str(tmp_path), "--scratch", str(tmp_path)])
    record = json.loads((tmp_path / full_disc.FILE).read_text())
    assert code == (1 if record["missed"] else 0)
    assert set(record["peak_mb"]) == {"FITS to FITS", "FITS to Zarr", "1024 x 1024"}
    assert record["series_peak_mb"]["32"] < 1.1 * record["series_peak_mb"]["4"]
    assert [path.name for path in tmp_path.iterdir()] == [full_disc.FILE]
