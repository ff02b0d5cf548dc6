"""What is wrong with AIA's files is found before anything is computed, by the file's name; every kind a test."""

import shutil

import numpy as np
import pytest
from aia_files import EXPOSURE, counts, write_set
from astropy.io import fits

from implementations.aia import frames, grid, images, units
from implementations.aia.files import CHANNELS
from implementations.aia.opening import Job


def only(channel, **keys):
    """A change of one channel's header."""

    def change(at, values, header):
        if at == channel:
            header.update(keys)

    return change


def job(paths, register=False):
    return Job.of(frames.frames_of(paths), register, None)


OFF = {
    "shifted, with a correct CRPIX": ({"CRPIX1": 29.0}, r"20.00 pixels off the grid of 171 \(CRPIX1 29.0, not 9.0\)"),
    "another CRVAL": ({"CRVAL2": -96.0}, r"10.00 pixels off .*CRVAL2 -96.0, not -120.0"),
    "another CDELT": ({"CDELT1": 3.0}, r"CDELT1 3.0, not 2.4"),
    "rotated by CROTA2": ({"CROTA2": 20.0}, r"CROTA2 20.0, not None"),
    "rotated by PC": ({"PC1_2": 0.3, "PC2_1": -0.3}, r"PC1_2 0.3, not None, PC2_1 -0.3, not None"),
}


@pytest.mark.parametrize("kind", OFF)
def test_a_channel_on_another_grid_is_refused(tmp_path, kind):
    keys, message = OFF[kind]
    with pytest.raises(ValueError, match=rf"aia_00_193.fits is up to .*{message}.*--register"):
        job(write_set(tmp_path, change=only(193, **keys)))


NOWHERE = {
    "no WCS": (dict.fromkeys(("CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2")), "CTYPE1 None"),
    "SOLARX": ({"CTYPE1": "SOLARX", "CTYPE2": "SOLARY"}, "CTYPE1 SOLARX"),
    "another sky": ({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}, "CTYPE1 RA---TAN"),
    "no CDELT": ({"CDELT1": None}, "CDELT1 None"),
    "CDELT of 0": ({"CDELT1": 0.0}, "CDELT1 0.0"),
    "a unit that is none": ({"CUNIT1": "arcsecs"}, "CUNIT1 arcsecs"),
    "another unit than is meant": ({"CUNIT1": "arcmin", "CUNIT2": "arcmin"}, "CUNIT1 arcmin, .*CDELT1 2.4"),
}


@pytest.mark.parametrize("kind", NOWHERE)
@pytest.mark.parametrize("register", [False, True])
def test_an_image_of_no_place_is_refused(tmp_path, kind, register):
    keys, message = NOWHERE[kind]

    def change(channel, values, header):
        for key, value in keys.items() if channel == 193 else ():
            if value is None:
                del header[key]
            else:
                header[key] = value

    with pytest.raises(ValueError, match=rf"aia_00_193.fits doesn't say where its pixels are: .*{message}.*HPLN-TAN"):
        job(write_set(tmp_path, change=change), register)


def test_rotations_are_the_same_however_they_are_written(tmp_path):
    c, s = np.cos(np.radians(10)), np.sin(np.radians(10))
    pc = {"PC1_1": c, "PC1_2": -s, "PC2_1": s, "PC2_2": c}

    def change(channel, values, header):
        header.update({211: {f"CD{key[2:]}": 2.4 * pc[key] for key in pc}, 193: pc}.get(channel, {"CROTA2": 10.0}))
        if channel == 211:
            del header["CDELT1"], header["CDELT2"]

    job(write_set(tmp_path, change=change))


def test_the_same_grid_said_otherwise_is_the_same_grid(tmp_path):
    same = {"CRPIX1": 19.0, "CRVAL1": 324.0, "PC1_1": 1.0, "CROTA2": 0.0}
    job(write_set(tmp_path, change=only(193, **same)))


def test_half_a_pixel_is_what_level_15_keeps_to(tmp_path):
    job(write_set(tmp_path, change=only(193, CRPIX1=9.4)))
    (tmp_path / "more").mkdir()
    with pytest.raises(ValueError, match=r"up to 0.60 pixels off"):
        job(write_set(tmp_path / "more", change=only(193, CRPIX1=9.6)))


def test_a_channel_of_another_time_is_refused(tmp_path):
    paths = write_set(tmp_path, change=only(94, **{"DATE-OBS": "2014-01-01T03:00:02.12"}))
    with pytest.raises(ValueError, match=r"94 has no image beside .*00_171.fits of .*: the next is .*094.fits, 3.0 h"):
        frames.frames_of(paths)


def series(folder, minutes=(0, 2, 4, 6)):
    return [path for minute in minutes for path in write_set(folder, minute=minute, seed=minute)]


@pytest.mark.parametrize("lost", [0, 2, 6])
def test_a_series_with_a_gap_names_the_image_without_a_partner(tmp_path, lost):
    paths = [path for path in series(tmp_path) if path.name != f"aia_{lost:02d}_094.fits"]
    with pytest.raises(ValueError, match=rf"94 has no image beside .*aia_{lost:02d}_171.fits"):
        frames.frames_of(paths)


def test_a_series_that_lacks_171_is_named_by_what_is_there(tmp_path):
    paths = [path for path in series(tmp_path) if path.name != "aia_02_171.fits"]
    with pytest.raises(ValueError, match=r"171 has no image beside .*aia_02_094.fits"):
        frames.frames_of(paths)


def test_a_gap_in_each_of_two_channels_isnt_made_good_by_the_other(tmp_path):
    lost = {"aia_02_094.fits", "aia_04_335.fits"}
    with pytest.raises(ValueError, match=r"94 has no image beside .*aia_02_171.fits"):
        frames.frames_of([path for path in series(tmp_path) if path.name not in lost])


def test_a_cycle_of_12_seconds_keeps_its_sets_together(tmp_path):
    paths = []
    for cycle in range(4):
        (tmp_path / str(cycle)).mkdir()

        def timed(channel, values, header, cycle=cycle):
            header["DATE-OBS"] = f"2014-01-01T00:00:{12 * cycle + 2 * CHANNELS.index(channel):02d}.12"

        paths += write_set(tmp_path / str(cycle), change=timed)
    sets = frames.frames_of(paths[::-1])
    assert [{frame.path.parent.name for frame in one} for one in sets] == [{"0"}, {"1"}, {"2"}, {"3"}]
    without = [path for path in paths if path.name != "aia_00_335.fits" or path.parent.name != "1"]
    with pytest.raises(ValueError, match=r"335 has no image beside .*1/aia_00_171.fits"):
        frames.frames_of(without)


def test_two_regions_of_one_time_are_refused_before_anything_is_read(tmp_path):
    (tmp_path / "other").mkdir()
    paths = write_set(tmp_path) + write_set(tmp_path / "other", shape=(5, 6))
    with pytest.raises(ValueError, match=r"aia_00_094.fits and .*aia_00_094.fits are of one time"):
        frames.frames_of(paths)


def test_a_file_that_is_given_twice_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"00_094.fits is given twice"):
        frames.frames_of(write_set(tmp_path) * 2)


def test_two_regions_of_two_times_are_refused(tmp_path):
    away = write_set(tmp_path, minute=2, change=lambda channel, values, header: header.update(CRVAL1=-500.0))
    with pytest.raises(ValueError, match=r"02_171.fits is of another region than .*00_171.fits, 333 pixels away"):
        job(write_set(tmp_path) + away)


def test_a_series_of_two_shapes_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match=r"aia_02_171.fits has shape \(12, 18\), expected that of .*00_171"):
        job(write_set(tmp_path) + write_set(tmp_path, (12, 18), minute=2))


def test_a_time_that_is_none_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"193.fits has DATE-OBS 'yesterday', expected a time like"):
        frames.frames_of(write_set(tmp_path, change=only(193, **{"DATE-OBS": "yesterday"})))


COUNTS = ["", *"DN|dn|Dn|DN / pix|DN/pixel|ct / pixel|ct|count|counts|Counts / pixel|adu".split("|")]
RATES = [
    *"DN/s|DN / s|DN s-1|DN s^-1|DN s**-1|DN.s-1|DN / (s pix)|DN/(pix s)|DN/(s*pix)|DN/pixel/s|DN/s/pix".split("|"),
    *"DN s-1 pix-1|DN s-1 px-1|DN/SEC|DN/PIX/S|DN/second|ct / s|ct s-1|counts/sec|count/pix/sec|adu/s".split("|"),
    *"1 / s|1/s|s-1|1 / (pix s)".split("|"),
]


@pytest.mark.parametrize("unit", COUNTS)
def test_spellings_of_counts(unit):
    assert units.of_counts(unit) == (1.0, False)


@pytest.mark.parametrize("unit", RATES)
def test_spellings_of_counts_per_second(unit):
    assert units.of_counts(unit) == (1.0, True)


@pytest.mark.parametrize(("unit", "factor"), [("ct/ms", 1000.0), ("DN/min", 1 / 60), ("10 DN/s", 10.0)])
def test_other_units_of_time_are_converted(tmp_path, unit, factor):
    def change(channel, values, header):
        values /= header["EXPTIME"] * factor
        header["BUNIT"] = unit

    got = images.read_set(write_set(tmp_path, change=change)).dn
    assert got == pytest.approx(counts((12, 17)), rel=1e-12)


@pytest.mark.parametrize("unit", ["photon", "electron / s", "K", "DN / arcsec2", "DN s", "1", "W m-2", "DN per second"])
def test_what_is_no_unit_of_counts_is_refused(tmp_path, unit):
    with pytest.raises(ValueError, match=r"00_193.fits has BUNIT .*, expected DN or DN/s, or another unit of"):
        job(write_set(tmp_path, change=only(193, BUNIT=unit)))


def test_xposure_is_the_exposure(tmp_path):
    def renamed(channel, values, header):
        header["XPOSURE"] = header.pop("EXPTIME")

    (tmp_path / "both").mkdir()
    one = images.read_set(write_set(tmp_path, change=renamed))
    assert one.exposure == pytest.approx(EXPOSURE)
    assert one.dn == pytest.approx(counts((12, 17)), rel=1e-12)
    both = images.read_set(write_set(tmp_path / "both", change=only(171, XPOSURE=1.9)))
    assert both.exposure[2] == 1.9
    assert any("171.fits: EXPTIME is 2.0, XPOSURE 1.9 s, which is used" in remark for remark in both.remarks)


@pytest.mark.parametrize("value", [None, 0.0, -1.0, np.pi * 0, "long"])
def test_without_an_exposure_the_file_is_named(tmp_path, value):
    def change(channel, values, header):
        if channel == 193 and value is None:
            del header["EXPTIME"]
        elif channel == 193:
            header["EXPTIME"] = value

    with pytest.raises(ValueError, match=r"193.fits has EXPTIME .* and no XPOSURE, expected seconds > 0"):
        job(write_set(tmp_path, change=change))


NOTED = {
    "quality": (only(335, QUALITY=1073741824), "335.fits: QUALITY is 0x40000000, not 0"),
    "dark by its type": (only(335, IMG_TYPE="DARK"), "335.fits: IMG_TYPE is DARK: not an image of the Sun"),
    "an exposure in ms": (only(335, EXPTIME=2900.0), "335.fits: an exposure of 2900 s: AIA's take a few seconds"),
    "level 1": (only(335, LVL_NUM=1.0), "level 1: the channels are not aligned"),
    "a rate without its exposure": (
        only(335, BUNIT="DN/s", EXPTIME=1.0),
        "335.fits: DN/s with an exposure of exactly 1 s: if that isn't the camera's, neither are the errors",
    ),
}


@pytest.mark.parametrize("kind", NOTED)
def test_what_a_header_says_is_noted(tmp_path, kind):
    change, remark = NOTED[kind]
    (said,) = [one for one in job(write_set(tmp_path, change=change)).remarks if "sensitivity" not in one]
    assert remark in said


def test_a_frame_as_dark_as_a_dark_frame_is_noted(tmp_path):
    def dark(channel, values, header):
        if channel == 131:
            values[:] = np.random.default_rng(1).normal(0.0, 1.2, values.shape) - 0.1

    remarks = images.read_set(write_set(tmp_path, (80, 90), change=dark)).remarks
    assert remarks == ("aia_00_131.fits: as dark as a dark frame: not an image of the Sun",)


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ({"CRPIX1": 11.5, "CRPIX2": 7.25}, lambda y, x: (y + 0.75, x + 2.5)),
        ({"CDELT1": 2.0, "CDELT2": 2.0}, lambda y, x: (5.5 + (y - 5.5) * 1.2, 8.0 + (x - 8.0) * 1.2)),
        (
            {"CROTA2": 10.0},
            lambda y, x: (
                5.5 + np.cos(np.pi / 18) * (y - 5.5) - np.sin(np.pi / 18) * (x - 8.0),
                8.0 + np.cos(np.pi / 18) * (x - 8.0) + np.sin(np.pi / 18) * (y - 5.5),
            ),
        ),
    ],
    ids=["shifted", "scaled", "rotated"],
)
def test_registering_puts_pixels_where_the_wcs_has_them(tmp_path, keys, at):
    """A linear image is what linear interpolation can't get wrong."""
    plane = lambda y, x: 100.0 + 3.0 * y + 2.0 * x  # noqa: E731

    def change(channel, values, header):
        if channel == 193:
            values[:] = plane(*np.mgrid[:12, :17])
            header.update(keys)

    one = frames.frames_of(write_set(tmp_path, change=change))[0]
    placed = grid.placings(one)
    assert [placing is None for placing in placed] == [True] * 3 + [False] + [True] * 2
    with images.Reading(one, placings=placed) as reading:
        whole = reading.rows(slice(None)).values[3]
        parts = np.concatenate([reading.rows(slice(y, y + 5)).values[3] for y in (0, 5, 10)])
    y, x = at(*np.mgrid[:12, :17])
    inside = (y >= 0) & (y <= 11) & (x >= 0) & (x <= 16)
    assert 60 < inside.sum() < 12 * 17
    np.testing.assert_allclose(whole[inside], plane(y, x)[inside], atol=2e-3)
    assert np.isnan(whole[~inside]).mean() > 0.9
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_the_example_of_20_pixels_is_put_right_by_registering(tmp_path):
    """The 193 image of a window 20 pixels aside: its columns are those of the others again."""
    (tmp_path / "wide").mkdir(), (tmp_path / "aside").mkdir()
    wide = write_set(tmp_path / "wide", (12, 60))
    paths = []
    for path, channel in zip(wide, CHANNELS, strict=True):
        with fits.open(path) as file:
            header, first = file[0].header, 20 if channel == 193 else 0
            header["CRPIX1"] -= first
            paths.append(tmp_path / "aside" / path.name)
            fits.PrimaryHDU(file[0].data[:, first : first + 40], header).writeto(paths[-1])
    one = frames.frames_of(paths)[0]
    with images.Reading(one, placings=grid.placings(one)) as reading:
        dn = reading.rows(slice(None)).counts().dn.reshape(12, 40, 6)
    np.testing.assert_allclose(dn[:, 20:, 3], counts((12, 60))[:, 20:40, 3], rtol=1e-9)
    assert np.isnan(dn[:, :20, 3]).all(), "what 193 didn't see"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"CDELT1": 0.6, "CDELT2": 0.6}, "has pixels 0.25 times as large as those of 171: rebin it first"),
        ({"CRVAL1": 900.0}, r"is of another part of the Sun than 171 \(CRVAL1 900.0, not 300.0\)"),
    ],
)
def test_what_registering_cant_do_is_refused(tmp_path, keys, message):
    with pytest.raises(ValueError, match=f"aia_00_193.fits {message}"):
        job(write_set(tmp_path, change=only(193, **keys)), register=True)


def test_a_file_cut_short_is_named_when_it_is_read(tmp_path):
    paths = write_set(tmp_path, (40, 50))
    paths[1].write_bytes(paths[1].read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"aia_00_131.fits can't be read as FITS"):
        images.read_set(paths)


def test_compressed_images_are_read_as_plain_ones(tmp_path):
    (tmp_path / "packed").mkdir()
    plain, packed = write_set(tmp_path), []
    for path in plain:
        with fits.open(path) as file:
            packed.append(tmp_path / "packed" / path.name)
            whole = np.round(file[0].data).astype(np.int16)
            fits.CompImageHDU(whole, file[0].header, compression_type="RICE_1").writeto(packed[-1])
        fits.PrimaryHDU(whole, fits.getheader(path)).writeto(path, overwrite=True)
    shutil.copy(packed[2], tmp_path / "kept.fits")
    assert np.array_equal(images.read_set(packed).dn, images.read_set(plain).dn)
