"""`invert`: six FITS files to DEM maps with WCS, errors, provenance; read back, opened by sunpy and ndcube, drawn."""

import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from aia_files import TABLE, write_set
from astropy.io import fits
from astropy.wcs import WCS

from implementations import dn2dem, invert
from implementations.aia import cubes, files, formats, grid, images, instrument, maps, products
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


@pytest.mark.parametrize("scale", [1e27, 1e-10])
def test_a_response_of_another_scale_is_refused(table, tmp_path, monkeypatch, capsys, scale):
    monkeypatch.setattr(instrument, "read_response", lambda path: (TABLE[0], TABLE[1] * scale))
    with pytest.raises(SystemExit):
        run(write_set(tmp_path), tmp_path / "dem.fits")
    assert "expected 1e-30 to 1e-20 DN cm5 s-1 px-1: is it scaled, or in another unit?" in capsys.readouterr().err


def test_the_products_are_of_the_maps(table, tmp_path):
    out = run(write_set(tmp_path), tmp_path / "dem.fits", "--bands", "5.8", "6.2", "6.9")
    with fits.open(out) as file:
        planes = {name: file[name.upper()].data for name in ("dem", "edem", "dn_reg", "chisq", "status")}
        bins = [file["TBINS"].data[name] for name in ("response", "logt", "dlogt")]
        kept = products.constrained(*(planes[name] for name in ("dem", "edem", "dn_reg", "chisq")), *bins)
        sure = np.where(kept, planes["dem"], 0)
        bands = products.in_bands(sure, ((5.8, 6.2), (6.2, 6.9)), *bins[1:])
        valid = planes["status"] != 2
        np.testing.assert_allclose(file["EM_BANDS"].data[:, valid], bands[:, valid], rtol=1e-5)
        measure = sure * products.width_k(bins[1], bins[2])[:, None, None]
        mean = (measure * 10 ** bins[1][:, None, None]).sum(axis=0) / measure.sum(axis=0)
        np.testing.assert_allclose(file["TEMPERATURE"].data[valid], mean[valid], rtol=1e-5)
        assert file["EM_BANDS"].data.shape == (2, 12, 17)
        assert [file[name].header["BUNIT"] for name in ("EM_BANDS", "TEMPERATURE")] == ["cm-5", "K"]
        np.testing.assert_allclose(bins[0], instrument.response_at(TABLE, bins[1], bins[2]), rtol=1e-12)


def test_pixels_that_lack_a_channel_are_inverted_on_request(table, tmp_path):
    def holes(channel, values, header):
        values[2, 3:6] = np.nan if channel == 94 else values[2, 3:6]
        values[2, 5] = np.nan if channel == 131 else values[2, 5]

    paths = write_set(tmp_path, change=holes)
    out = run(paths, tmp_path / "dem.fits", "--fewest-channels", "5")
    with fits.open(run(paths, tmp_path / "whole.fits")) as file:
        assert (file["STATUS"].data == 2).sum() == 3
    image = images.read_set(paths)
    edges = np.logspace(5.7, 7.4, BINS + 1)
    expected = dn2dem(image.dn, image.edn, TABLE[1], TABLE[0], edges, fewest_channels=5)
    with fits.open(out) as file:
        np.testing.assert_array_equal(file["STATUS"].data[2, 3:6], [4, 4, 2])
        np.testing.assert_allclose(np.moveaxis(file["DEM"].data, 0, -1), expected[0], rtol=1e-5)
        np.testing.assert_allclose(np.moveaxis(file["DN_REG"].data, 0, -1), expected[4], rtol=1e-5)
        assert "pixels with 5 channels or more" in " ".join(file[0].header["HISTORY"])


@pytest.mark.parametrize("asked", [0, 7])
def test_channels_that_no_set_has_are_refused(table, tmp_path, capsys, asked):
    with pytest.raises(SystemExit):
        run(write_set(tmp_path), tmp_path / "dem.fits", "--fewest-channels", asked)
    assert f"--fewest-channels must be from 1 to 6, got {asked}" in capsys.readouterr().err


def test_a_systematic_error_is_added_to_the_noise(table, tmp_path):
    paths = write_set(tmp_path)
    out = run(paths, tmp_path / "dem.fits", "--systematic", "0.2")
    image = images.read_set(paths)
    edges = np.logspace(5.7, 7.4, BINS + 1)
    expected = dn2dem(image.dn, image.edn, TABLE[1], TABLE[0], edges, systematic=0.2)
    with fits.open(out) as file:
        np.testing.assert_allclose(np.moveaxis(file["DEM"].data, 0, -1), expected[0], rtol=1e-5)
        assert "systematic 0.2 of the counts" in " ".join(file[0].header["HISTORY"])


def test_pixels_that_are_no_fit_are_counted(table, tmp_path, capsys, monkeypatch):
    paths = write_set(tmp_path)
    run(paths, tmp_path / "dem.fits", "--systematic", "1")
    assert "no fit" not in capsys.readouterr().out
    run(paths, tmp_path / "dem.fits")
    image = images.read_set(paths)
    full = dn2dem(image.dn, image.edn, TABLE[1], TABLE[0], np.logspace(5.7, 7.4, BINS + 1), full=True)
    unfit = int((full.target > 10).sum())
    assert 0 < unfit < 204
    said = capsys.readouterr().out
    assert f"note: {unfit} of 204 pixels are no fit: their target of chi-squared was raised more than 10 times" in said
    assert "solver='plowman' fits them" in said


def no_fit_set(folder, minute=0):
    """Six files of which some pixels are no fit, some of these saturated or lacking a channel; what `dn2dem` says."""

    def spoil(channel, values, header):
        values[0, :9] = 16000.0 if channel == 193 else values[0, :9]
        values[1, :9] = np.nan if channel == 94 else values[1, :9]

    paths = write_set(folder, minute=minute, seed=minute, change=spoil)
    image = images.read_set(paths)
    edges = np.logspace(5.7, 7.4, BINS + 1)
    return paths, dn2dem(image.dn, image.edn, TABLE[1], TABLE[0], edges, fewest_channels=5, full=True)


def test_pixels_that_are_no_fit_have_a_status_of_their_own_in_every_file(table, tmp_path):
    made = [no_fit_set(tmp_path, minute) for minute in (0, 2)]
    for suffix, sets in ((".fits", made[:1]), (".zarr", made), (".asdf", made), (".fits", made)):
        out = tmp_path / f"dem{suffix}"
        run([path for paths, _ in sets for path in paths], out, "--fewest-channels", "5")
        for number, (_, full) in enumerate(sets):
            status, unfit = formats.read(out, number).status[0], (full.target > 10) & (full.status == 0)
            assert unfit[2:].sum() > 5
            np.testing.assert_array_equal(status[2:] == 5, unfit[2:])
            np.testing.assert_array_equal(status[1, :9], np.where(full.status == 0, 4 + unfit, full.status)[1, :9])
            assert (status[0, :9] == 3).all(), "their counts are wrong, whatever fits them"
    figure = drawn(out, lambda planes, header: None)
    status = next(ax for ax in figure.axes if any("no fit" in t.get_text() for t in ax.get_yticklabels()))
    assert status.get_yticklabels()[5].get_text() == f"no fit\n{np.mean(formats.read(out).status == 5):.2%}"
    figure.clear()


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
        np.testing.assert_array_equal(group["bands"][...], tree["bands"])
        np.testing.assert_array_equal(file["BANDS"].data["high"], tree["bands"][:, 1])
        np.testing.assert_array_equal(group["response"][...], file["TBINS"].data["response"])
        for name in ("dem", "edem", "elogt", "dn_reg", "chisq", "status", "em_bands", "temperature", "constrained"):
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
        assert file["DEM"].header["CRDER4"] == 0
    assert [p.name for p in sorted(tmp_path.glob("series_*.png"))] == [f"series_00{i}.png" for i in range(3)]


def test_the_plot_shows_every_bin_and_the_bad_pixels(one, tmp_path, monkeypatch):
    from implementations.aia.figures import maps as plot

    drawn = []
    monkeypatch.setattr(plot.plt, "close", drawn.append)
    run(one[0], tmp_path / "again.fits", "--plot", tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size > 20_000
    (figure,) = drawn
    axes = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    coldest = "log T 5.70 to 5.89 (0.5 to 0.77 MK)"
    assert next(title for title in axes if title.startswith("log T")) == coldest
    assert len(axes) == BINS + 3
    (shown,) = axes[coldest].images
    assert np.isnan(np.ma.filled(shown.get_array(), np.nan)[3, 4]), "what wasn't inverted is grey"
    with fits.open(tmp_path / "again.fits") as file:
        temperature = file["TEMPERATURE"].data
    hotter = np.ma.filled(axes["EM-weighted T of constrained bins"].images[0].get_array(), np.nan)
    np.testing.assert_allclose(hotter, temperature / 1e6, rtol=1e-6)
    assert figure.get_suptitle().endswith("\nsolver numba, 9 bins of log T 5.70 to 7.40, response table.dat")
    assert mpl.image.imread(tmp_path / "maps.png").shape[1] > 1800, "150 dots an inch"
    figure.clear()


def drawn(path, change):
    """The figure of written maps, after a change to them."""
    from implementations.aia.figures import maps as plot

    made = formats.read(path)
    planes, header = {name: np.array(getattr(made, name)) for name in maps.PLANES}, made.header.copy()
    change(planes, header)
    return plot.draw(replace(made, **planes, headers=(header,)))


def test_hatches_saturated_pixels_and_the_limb(one):
    def change(planes, header):
        planes["edem"][0, 4:, :, :8] = 1e30
        planes["status"][0, 5, 6] = 3
        header["RSUN_OBS"] = 310.0

    figure = drawn(one[1], change)
    axes = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    hot = next(ax for title, ax in axes.items() if title.startswith("log T 7.2"))
    (hatched,) = [shape for shape in hot.collections if getattr(shape, "hatches", None) == ["////"]]
    assert hatched.get_paths()[0].get_extents().xmax >= 7
    assert all(len(ax.images) == 2 for ax in axes.values()), "a colour of their own in every map"
    assert all(len(ax.lines) == 2 for ax in axes.values()), "the limb"
    names = [text.get_text() for legend in figure.findobj(mpl.legend.Legend) for text in legend.get_texts()]
    assert names == ["less than half from constrained bins", "not inverted", "saturated"]
    status = next(ax for ax in figure.axes if any("saturated" in t.get_text() for t in ax.get_yticklabels()))
    names = ["ok", "DEM < 0", "invalid", "saturated", "channels lacking", "no fit"]
    assert [t.get_text().split("\n")[0] for t in status.get_yticklabels()] == names
    plain = drawn(one[1], lambda planes, header: header.pop("RSUN_OBS", None))
    assert not any(ax.lines for ax in plain.axes if ax.get_title())
    for each in (figure, plain):
        each.clear()


def test_saturated_pixels_have_a_status_of_their_own(table, tmp_path, capsys):
    def flaring(channel, values, header):
        if channel == 193:
            values[2, 3:6] = 16000.0
        if channel == 94:
            values[2, 5] = -1.0

    out = run(write_set(tmp_path, change=flaring), tmp_path / "dem.fits")
    with fits.open(out) as file:
        assert file["STATUS"].data[2, 3:6].tolist() == [3, 3, 2]
        assert (file["STATUS"].data == 3).sum() == 2
        assert (file["DEM"].data[:, 2, 3:5] > 0).any(axis=0).all(), "inverted all the same"
    said = capsys.readouterr().out
    assert "note: 3 pixels are within 10% of full scale in some channel" in said
    assert "2 saturated" in said


def test_a_moving_pointing_is_kept_for_each_time(table, tmp_path):
    paths = [
        path
        for minute in (0, 2, 4)
        for path in write_set(tmp_path, minute=minute, change=lambda c, v, h, m=minute: h.update(CRVAL1=300.0 + 3 * m))
    ]
    for suffix in (".fits", ".zarr", ".asdf"):
        out = run(paths, tmp_path / f"series{suffix}")
        for number, expected in enumerate((300.0, 306.0, 312.0)):
            one = formats.read(out, number)
            assert one.times == (f"2014-01-01T00:{2 * number:02d}:02.12",)
            lon, lat = grid.wcs_of(one.header).pixel_to_world_values(8.0, 5.5)
            assert (lon * 3600, lat * 3600) == pytest.approx((expected, -120.0))
            assert one.header["DSUN_OBS"] == 1.47e11
    with fits.open(tmp_path / "series.fits") as file:
        assert file["TIMES"].data["CRVAL1"].tolist() == [300.0, 306.0, 312.0]


def test_maps_are_read_as_they_were_written(table, tmp_path):
    paths = [path for minute in (0, 2) for path in write_set(tmp_path, minute=minute, seed=minute)]
    first = formats.read(run(paths, tmp_path / "dem.fits"), 1)
    assert first.dem.shape == (1, BINS, 12, 17)
    assert first.temperature.shape == (1, 12, 17)
    assert len(first.bands) == 3
    for suffix in (".zarr", ".asdf"):
        other = formats.read(run(paths, tmp_path / f"dem{suffix}"), 1)
        for name in (*maps.PLANES, "logt", "dlogt", "response", "bands"):
            np.testing.assert_array_equal(getattr(first, name), getattr(other, name))
    with pytest.raises(ValueError, match=r"dem.fits has times 0 to 1, not 2"):
        formats.read(tmp_path / "dem.fits", 2)


def test_strips_and_threads_change_no_bit(table, tmp_path, monkeypatch):
    paths = write_set(tmp_path, (40, 30))
    whole = run(paths, tmp_path / "whole.fits").read_bytes()
    monkeypatch.setattr(maps, "STRIP", 90)
    monkeypatch.setattr(maps, "PIECE", 64)
    monkeypatch.setattr(maps, "FIRST_PIECE", 16)
    for threads in (1, 2):
        run(paths, tmp_path / "strips.fits", "--threads", threads)
        got = (tmp_path / "strips.fits").read_bytes()
        names = [name.upper() for name in maps.PLANES]
        with fits.open(tmp_path / "whole.fits") as one, fits.open(tmp_path / "strips.fits") as other:
            for name in names:
                np.testing.assert_array_equal(one[name].data, other[name].data)
        assert len(got) == len(whole)
        run(paths, tmp_path / "strips.zarr", "--threads", threads)
        np.testing.assert_array_equal(
            formats.read(tmp_path / "strips.zarr").dem, formats.read(tmp_path / "whole.fits").dem
        )


@pytest.mark.parametrize("suffix", [".fits", ".zarr", ".asdf"])
def test_nothing_half_written_is_left(table, tmp_path, monkeypatch, suffix):
    paths, folder = write_set(tmp_path), tmp_path / "out"
    folder.mkdir()
    kept = run(paths, folder / f"dem{suffix}")
    before = formats.read(kept).dem
    monkeypatch.setattr(maps.Inversion, "strip", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(paths, kept)
    assert [path.name for path in folder.iterdir()] == [f"dem{suffix}"], "the one that was there, whole"
    np.testing.assert_array_equal(formats.read(kept).dem, before)


def test_a_disk_without_room_is_refused_first(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(formats.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1000))
    with pytest.raises(SystemExit):
        run(write_set(tmp_path), tmp_path / "dem.fits")
    assert "dem.fits needs 0.0 GB, its disk has 0.0 free" in capsys.readouterr().err
    assert not (tmp_path / "dem.fits.partial").exists()


def test_fits_files_are_as_the_standard_has_them(table, tmp_path):
    out = run(write_set(tmp_path), tmp_path / "dem.fits")
    with fits.open(out, checksum=True) as file:
        file.verify("exception")
        assert file[0].header["EXTEND"]
        assert [hdu.name for hdu in file] == [*(name.upper() for name in maps.PLANES), "TBINS", "BANDS", "TIMES"]
    assert out.stat().st_size % 2880 == 0


def test_progress_says_when_a_kernel_is_compiled(capsys):
    from numba.core import event

    with invert._progress(10) as done:
        bar = done.__closure__
        progress = next(cell.cell_contents for cell in bar if hasattr(cell.cell_contents, "tasks"))
        with event.trigger_event("numba:compile"):
            assert progress.tasks[0].description == "compiling"
        assert progress.tasks[0].description == "DEM"
        done(4)
        assert progress.tasks[0].completed == 4


def test_channels_aside_are_refused_or_registered(table, tmp_path, capsys):
    paths = write_set(tmp_path, change=lambda c, v, h: h.update(CRPIX1=9.0 + 2 * (c == 193)))
    with pytest.raises(SystemExit):
        run(paths, tmp_path / "dem.fits")
    assert "193.fits is up to 2.00 pixels off the grid of 171" in capsys.readouterr().err
    assert not (tmp_path / "dem.fits").exists()
    run(paths, tmp_path / "dem.fits", "--register")
    assert "note: 1 images registered to the grid of 171" in capsys.readouterr().out
    with fits.open(tmp_path / "dem.fits") as file:
        assert (file["STATUS"].data[:, -2:] == 2).all(), "what 193 didn't see isn't inverted"
        assert "registered" in " ".join(file[0].header["HISTORY"])


def test_degradation_is_applied_or_noted_in_the_file(table, tmp_path, capsys):
    paths, got = write_set(tmp_path), []
    for options, said in (([], "not corrected"), (["--degradation"], "corrected")):
        run(paths, tmp_path / "dem.fits", *options)
        assert f"(degradation_v8); {said}" in capsys.readouterr().out
        with fits.open(tmp_path / "dem.fits") as file:
            history = " ".join(file[0].header["HISTORY"])
            assert "335 0.36" in history
            got.append(np.median(file["DN_REG"].data[5]))
    assert got[1] == pytest.approx(got[0] / 0.36, rel=0.1), "what the DEM gives in 335"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "dem.txt"], "must end in one of .fits, .zarr, .asdf"),
        (["-o", "dem.fits", "--solver", "nunba"], "unknown solver 'nunba'; nearest known: numba"),
        (["-o", "dem.fits", "--bins", "2"], "--bins must be from 3 to 1000"),
        (["-o", "dem.fits", "--threads", "0"], "--threads must be at least 1, got 0"),
        (["-o", "dem.fits", "--logt", "7", "6"], "--logt rise within 3 to 10"),
        (["-o", "dem.fits", "--systematic", "-1"], "--systematic must be a share of the counts from 0 to 1, 0.2"),
        (["-o", "dem.fits", "--systematic", "20"], "0.2 for 20%, got 20"),
        (
            ["-o", "dem.fits", "--bands", "7", "6"],
            "bands must be rising edges within the bins, log T 5.7 to 7.4, got 7 6",
        ),
        (["-o", "nowhere/dem.fits"], "nowhere/dem.fits can't be written: there is no folder nowhere"),
        (["--output", "nowhere/dem.zarr"], "nowhere/dem.zarr can't be written: there is no folder nowhere"),
        (["-o", "dem.fits", "--plot", "maps.doc"], "--plot maps.doc must end in one of .png, .pdf, .svg"),
        (["-o", "dem.fits", "--plot", "nowhere/dem.png"], "nowhere/dem.png can't be written: there is no folder"),
        (["-o", "dem.fits", "--degradation", "nowhere.txt"], "nowhere.txt can't be read as a table"),
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


def test_the_time_axis_of_a_series_is_as_exact_as_its_header_says(table, tmp_path):
    paths = [path for minute in (0, 2, 5) for path in write_set(tmp_path, minute=minute)]
    header = fits.getheader(run(paths, tmp_path / "series.fits"), "DEM")
    moments = [WCS(header).pixel_to_world(0, 0, 0, number)[-1].isot for number in range(3)]
    assert moments == [f"2014-01-01T00:{time}.120" for time in ("00:02", "02:32", "05:02")]
    assert header["CRDER4"] == pytest.approx(30.0), "the second is half a minute from where even steps have it"


@pytest.mark.parametrize("suffix", [".fits", ".zarr", ".asdf"])
@pytest.mark.skipif(not find_spec("ndcube"), reason="needs ndcube: pip install 'demreg-bench[peers]'")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cubes_have_world_values_on_every_axis(table, tmp_path, suffix):
    pytest.importorskip(suffix[1:] if suffix != ".fits" else "astropy")
    paths = [
        path
        for minute in (0, 2, 5)
        for path in write_set(
            tmp_path, minute=minute, change=lambda c, v, h, m=minute: h.update(CRVAL1=300.0 + 1.5 * m)
        )
    ]
    series, alone = run(paths, tmp_path / f"series{suffix}"), run(paths[:6], tmp_path / f"alone{suffix}")
    cube = cubes.cube(alone)
    (logt,) = cube.axis_world_coords_values(0)
    np.testing.assert_allclose(logt.value, np.linspace(5.7, 7.4, 2 * BINS + 1)[1::2])
    (kelvin,) = cube.axis_world_coords("temperature", wcs=cube.extra_coords)
    np.testing.assert_allclose(kelvin.to_value("K"), 10**logt.value)
    assert (str(cube.unit), cube.uncertainty.array.shape) == ("1 / (K cm5)", cube.shape)
    many = cubes.cube(series)
    assert many.array_axis_physical_types[0] == ("time",)
    np.testing.assert_allclose(many.axis_world_coords_values(0)[0].to_value("s"), [0, 120, 300])
    times = [f"2014-01-01T00:0{minute}:02.120" for minute in (0, 2, 5)]
    assert many.axis_world_coords(0)[0].isot.tolist() == times
    np.testing.assert_allclose(many.axis_world_coords_values(1)[0].value, logt.value)
    later = many[1:, 2]
    assert later.meta["pointing"]["CRVAL1"].tolist() == [303.0, 307.5]
    assert later.meta["times"].tolist() == [time[:-1] for time in times[1:]]
    assert [c.value.tolist() for c in cubes.cube(alone, "em_bands").axis_world_coords_values(0)] == [[1, 2, 3]]
    with pytest.raises(ValueError, match="has no temprature, expected one of chisq, constrained, dem, "):
        cubes.cube(alone, "temprature")


@pytest.mark.skipif(not find_spec("ndcube"), reason="needs ndcube: pip install 'demreg-bench[peers]'")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_plain_ndcube_has_them_too_once_astropy_knows_the_axes(one):
    from ndcube import NDCube

    with fits.open(one[1]) as file:
        dem, header = file["DEM"].data, file["DEM"].header
    cubes.register()
    cubes.register()
    (logt,) = NDCube(dem, wcs=WCS(header)).axis_world_coords_values(0)
    np.testing.assert_allclose(logt.value, np.linspace(5.7, 7.4, 2 * BINS + 1)[1::2])


def test_a_file_that_is_no_cube_is_one_line(tmp_path):
    pytest.importorskip("ndcube")
    for name, message in (("a.txt", "must end in one of .fits, .zarr, .asdf"), ("a.fits", "a.fits isn't there")):
        with pytest.raises(ValueError, match=message):
            cubes.cube(tmp_path / name)
