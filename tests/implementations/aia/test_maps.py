"""`invert`: six FITS files to DEM maps with WCS, errors, provenance; read back, opened by sunpy and ndcube, drawn."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from aia_files import TABLE, write_set
from astropy.io import fits
from astropy.wcs import WCS

from implementations import invert
from implementations.aia import files, images, instrument
from implementations.aia.maps import width_k
from implementations.contract import Problem
from implementations.maths import response
from implementations.registry import Registry

BINS = 9


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A made-up response in place of the file."""
    monkeypatch.setattr(instrument, "read_response", lambda path: TABLE)
    monkeypatch.setattr(files, "response_file", lambda: tmp_path / "table.dat")


def run(paths, out, *options):
    assert invert.main([*map(str, paths), "-o", str(out), "--bins", str(BINS), *map(str, options)]) == 0
    return out


@pytest.fixture
def one(table, tmp_path):
    """Maps of one set, one of whose pixels is bad."""

    def spoil(channel, values, header):
        if channel == 94:
            values[3, 4] = -1.0

    paths = write_set(tmp_path, change=spoil)
    return paths, run(paths, tmp_path / "dem.fits", "--solver", "baseline")


def test_the_maps_are_the_solvers_outputs_in_place(one):
    paths, out = one
    image = images.read_set(paths)
    logt, dlogt = response.bins_of(np.logspace(5.7, 7.4, BINS + 1))
    rmatrix = response.response_matrix(TABLE[1], TABLE[0], logt, dlogt)
    expected = (
        Registry()
        .create("baseline")
        .run(Problem(image.dn.reshape(-1, 6), image.edn.reshape(-1, 6), rmatrix, logt, dlogt))
    )
    with fits.open(out) as file:
        sigma = 2 * np.sqrt(2 * np.log(2))
        for name, values in (
            ("DEM", expected.dem * 1e15),
            ("EDEM", expected.edem * 1e15),
            ("ELOGT", expected.elogt / sigma),
            ("DN_REG", expected.dn_reg),
        ):
            at_pixels = np.moveaxis(file[name].data, 0, -1).reshape(12 * 17, -1)
            np.testing.assert_allclose(at_pixels, values, rtol=1e-6)
        assert file["STATUS"].data[3, 4] == 2
        assert not file["DEM"].data[:, 3, 4].any()
        assert (file["STATUS"].data == 2).sum() == 1
        np.testing.assert_allclose(file["TBINS"].data["logt"], logt)


def test_units_place_and_provenance(one):
    _, out = one
    with fits.open(out) as file:
        header = file["DEM"].header
        assert (header["BUNIT"], file["ELOGT"].header["BUNIT"]) == ("cm-5 K-1", "")
        wcs = WCS(header)
        lon, lat, logt = wcs.pixel_to_world_values(8.0, 5.5, 2)
        assert np.array([lon, lat]) * 3600 == pytest.approx([300.0, -120.0])
        assert logt == pytest.approx(file["TBINS"].data["logt"][2])
        history = " ".join(header["HISTORY"])
        for said in ("demreg-bench", "solver baseline", "max_iter=10", "table.dat", "aia_00_335.fits"):
            assert said in history
        assert header["DSUN_OBS"] == 1.47e11


def test_all_formats_hold_the_same(table, tmp_path):
    asdf, zarr = pytest.importorskip("asdf"), pytest.importorskip("zarr")
    paths = write_set(tmp_path)
    for suffix in (".fits", ".zarr", ".asdf"):
        run(paths, tmp_path / f"dem{suffix}")
    with fits.open(tmp_path / "dem.fits") as file, asdf.open(tmp_path / "dem.asdf") as tree:
        group = zarr.open_group(str(tmp_path / "dem.zarr"), mode="r")
        for name in ("dem", "edem", "elogt", "dn_reg", "chisq", "status"):
            expected = file[name.upper()].data
            np.testing.assert_array_equal(group[name][...], expected)
            np.testing.assert_array_equal(tree[name]["data"], expected)
            assert group[name].attrs["unit"] == tree[name]["unit"] == file[name.upper()].header["BUNIT"]
            assert "CTYPE1" in group[name].attrs["header"]


def test_a_time_series_has_a_time_axis(table, tmp_path):
    paths = [path for minute in (0, 2, 4) for path in write_set(tmp_path, minute=minute, seed=minute)]
    out = run(paths[::-1], tmp_path / "series.fits", "--plot", tmp_path / "series.png")
    alone = run(paths[6:12], tmp_path / "alone.fits")
    with fits.open(out) as file, fits.open(alone) as second:
        assert file["DEM"].data.shape == (3, BINS, 12, 17)
        np.testing.assert_array_equal(file["DEM"].data[1], second["DEM"].data)
        assert list(file["TIMES"].data["time"])[2] == "2014-01-01T00:04:02.12"
        assert WCS(file["DEM"].header).pixel_to_world_values(0, 0, 0, 2)[3] == pytest.approx(240.0)
    assert [p.name for p in sorted(tmp_path.glob("series_*.png"))] == [f"series_00{i}.png" for i in range(3)]


def test_the_plot_shows_every_bin_and_the_bad_pixels(one, tmp_path, monkeypatch):
    from implementations.aia import plot

    drawn = []
    monkeypatch.setattr(plot.plt, "close", drawn.append)
    run(one[0], tmp_path / "again.fits", "--plot", tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size > 20_000
    (figure,) = drawn
    axes = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert next(title for title in axes if title.startswith("log T")) == "log T 5.70 to 5.89"
    assert len(axes) == BINS + 3
    (shown,) = axes["log T 5.70 to 5.89"].images
    assert np.isnan(np.ma.filled(shown.get_array(), np.nan)[3, 4]), "what wasn't inverted is grey"
    with fits.open(tmp_path / "again.fits") as file:
        dem = file["DEM"].data
        logt, dlogt = file["TBINS"].data["logt"], file["TBINS"].data["dlogt"]
    hotter = np.ma.filled(axes["EM-weighted log T"].images[0].get_array(), np.nan)
    positive = (dem >= 0).all(axis=0) & (dem > 0).any(axis=0)
    measure = dem[:, positive].T * width_k(logt, dlogt)
    expected = np.log10(measure @ 10.0**logt / measure.sum(axis=1))
    assert len(expected) > 30
    np.testing.assert_allclose(hotter[positive], expected, atol=1e-5)
    figure.clear()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "dem.txt"], "must end in one of .fits, .zarr, .asdf"),
        (["-o", "dem.fits", "--solver", "nunba"], "unknown solver 'nunba'; nearest known: numba"),
        (["-o", "dem.fits", "--bins", "2"], "--bins must be from 3 to 1000"),
        (["-o", "dem.fits", "--logt", "7", "6"], "--logt rise within 3 to 10"),
    ],
)
def test_a_bad_call_is_one_line(table, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        invert.main([*map(str, write_set(tmp_path)), *arguments])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


OPENED = """
import sys, warnings
import astropy.units as u
import numpy as np
import sunpy.map
from astropy.io import fits
from astropy.wcs import WCS
from ndcube import NDCube

with fits.open(sys.argv[1]) as file:
    dem, header = file["DEM"].data, file["DEM"].header
    cube = NDCube(dem, wcs=WCS(header), unit=u.Unit(header["BUNIT"]))
    flat = sunpy.map.Map(file["CHISQ"].data, file["CHISQ"].header)
assert cube.unit == u.Unit("cm-5 K-1"), cube.unit
assert [t for t in cube.wcs.world_axis_physical_types if t] [:2] == [
    "custom:pos.helioprojective.lon", "custom:pos.helioprojective.lat"], cube.wcs.world_axis_physical_types
places = cube[3].axis_world_coords()[0]
there = flat.pixel_to_world(8 * u.pix, 5.5 * u.pix)
assert abs(there.Tx.to_value("arcsec") - 300) < 1e-6 and abs(there.Ty.to_value("arcsec") + 120) < 1e-6, there
assert flat.date.isot.startswith("2014-01-01T00:00:02"), flat.date
assert abs(flat.observer_coordinate.radius.to_value("m") - 1.47e11) < 1e3
print(places.shape, flat.dimensions)
"""


@pytest.mark.skipif(
    not (find_spec("sunpy") and find_spec("ndcube")), reason="needs sunpy and ndcube: pip install 'demreg-bench[peers]'"
)
def test_sunpy_and_ndcube_open_the_cube(one):
    done = subprocess.run([sys.executable, "-c", OPENED, one[1]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(12, 17)" in done.stdout
