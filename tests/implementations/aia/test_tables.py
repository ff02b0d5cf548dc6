"""Responses of any instrument's from files, and AIA's loss of sensitivity."""

import warnings

import numpy as np
import pytest
from aia_files import TABLE, TABLE_LOGT, write_set
from astropy import units as u
from astropy.table import QTable
from astropy.time import Time

from implementations.aia import degradation, frames, images, instrument, response_file
from implementations.aia.degradation import Degradation
from implementations.aia.files import CHANNELS
from implementations.aia.opening import Job

NAMES = tuple(f"A{channel}" for channel in CHANNELS)


def npz(path, names=NAMES):
    np.savez(path, logt=TABLE_LOGT, tresp=TABLE[1], channels=names)


def csv(path, names=NAMES):
    rows = [",".join(map(repr, map(float, (t, *values)))) for t, values in zip(TABLE_LOGT, TABLE[1], strict=True)]
    path.write_text("\n".join(["# made up", f"logt,{','.join(names)}", *rows]))


def ecsv(path, names=NAMES, unit=u.DN * u.cm**5 / u.s / u.pix):
    columns = {name: TABLE[1][:, i] * unit for i, name in enumerate(names)}
    QTable({"logt": TABLE_LOGT, **columns}).write(path, format="ascii.ecsv")


@pytest.mark.parametrize("write", [npz, csv, ecsv])
def test_a_response_is_read_from_every_format(tmp_path, write):
    path = tmp_path / f"response.{write.__name__}"
    write(path)
    logt, values = instrument.read_response(path)
    np.testing.assert_array_equal(logt, TABLE_LOGT)
    np.testing.assert_allclose(values, TABLE[1], rtol=1e-14)


def test_columns_are_found_by_name_in_any_order_beside_others(tmp_path):
    path = tmp_path / "response.npz"
    order = [3, 0, 5, 1, 4, 2]
    names = ["AIA_193", "94A", "A335", "131", "SDO/AIA 211", "171_THIN", "A304"]
    np.savez(path, logt=TABLE_LOGT, tresp=np.column_stack([TABLE[1][:, order], TABLE[1][:, 0]]), channels=names)
    np.testing.assert_array_equal(instrument.read_response(path)[1], TABLE[1])


def test_another_instruments_channels_have_names_of_their_own(tmp_path):
    path = tmp_path / "xrt.csv"
    csv(path, ("Al-poly", "C-poly", "Be-thin", "Ti-poly", "Al-med", "Be-med"))
    table = response_file.read(path)
    assert table.names[:2] == ("Al-poly", "C-poly")
    np.testing.assert_allclose(table.of(["Be-thin", "Al-poly"], path), TABLE[1][:, [2, 0]], rtol=1e-14)
    with pytest.raises(ValueError, match=r"xrt.csv has no channel 94: its channels are Al-poly, C-poly"):
        instrument.read_response(path)


def test_a_response_in_square_metres_is_converted_and_one_in_none_is_refused(tmp_path):
    ecsv(tmp_path / "m.ecsv", unit=u.ct * u.m**5 / u.s / u.pix)
    np.testing.assert_allclose(instrument.read_response(tmp_path / "m.ecsv")[1], 1e10 * TABLE[1], rtol=1e-12)
    ecsv(tmp_path / "k.ecsv", unit=u.K)
    with pytest.raises(ValueError, match=r"K is no unit of a response, expected DN cm5"):
        instrument.read_response(tmp_path / "k.ecsv")


WRONG = {
    "x.npz": (lambda path: np.savez(path, a=1, b=2), r"no logt, tresp, channels; it has a, b\): expected arrays logt"),
    "transposed.npz": (
        lambda path: np.savez(path, logt=TABLE_LOGT, tresp=TABLE[1].T, channels=NAMES),
        r"has logt \(101,\), tresp \(6, 101\), 6 names: expected arrays logt \(N,\), log10 K, tresp \(N, F\)",
    ),
    "text.npz": (lambda path: path.write_text("no archive"), "is not a temperature response .*: expected arrays logt"),
    "x.csv": (lambda path: path.write_text("a,b\n1,2\n"), "expected a first line of names, logt among them"),
    "words.csv": (lambda path: path.write_text("logt,94\n5,high\n"), "expected a first line of names"),
    "x.ecsv": (lambda path: path.write_text("a b\n1 2\n"), "expected a column logt"),
    "x.dat": (lambda path: path.write_text("no IDL"), "expected an IDL save file"),
    "twice.csv": (lambda path: csv(path, ("A94", "94", *NAMES[2:])), "has more than one channel 94"),
    "lacking.csv": (lambda path: csv(path, ("A1600", *NAMES[1:])), "has no channel 94: its channels are A1600, A131"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_no_response_says_what_is_expected(tmp_path, name):
    write, message = WRONG[name]
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} .*{message}|{name} {message}"):
        instrument.read_response(tmp_path / name)


@pytest.mark.parametrize("suffix", ["npz", "csv", "ecsv", "dat"])
def test_a_response_that_isnt_there_says_what_is_expected(tmp_path, suffix):
    with pytest.raises(ValueError, match=rf"nowhere.{suffix} isn't there: expected a response"):
        instrument.read_response(tmp_path / f"nowhere.{suffix}")


def test_sensitivity_is_that_of_the_published_table():
    """Worked out by hand from rows of version 8: area at the epoch over that at launch, times the polynomial."""
    assert Degradation().sensitivity("2010-03-24") == pytest.approx(np.ones(6))
    days = 580.5  # from 2016-05-01T12 to 2017-12-03
    expected = 0.01223 / 0.06055 * (1 - 0.00016 * days)
    assert Degradation().sensitivity("2017-12-03")[5] == pytest.approx(expected, rel=1e-12)
    assert Degradation().sensitivity("2014-01-01")[0] == pytest.approx(0.25808 / 0.31656, rel=1e-12)


def jsoc(path, version=10, area=0.5):
    """A table as JSOC's, of an older version with other numbers beside the newest."""
    rows = ["DATE T_START T_STOP VER_NUM WAVE_STR WAVELNTH EFF_AREA EFF_WVLN EFFA_P1 EFFA_P2 EFFA_P3"]
    for number, factor in ((version, area), (version - 1, 0.9)):
        for channel in (*CHANNELS, 1600):
            start, middle, end = "2010-03-24T00:00:00.000", "2014-01-01T00:00:00.000", "2030-01-01T00:00:00.000"
            rows.append(f"2020 {start} {middle} {number} {channel}_THIN {channel} 2.0 {channel} 0 0 0")
            rows.append(f"2020 {middle} {end} {number} {channel}_THIN {channel} {2 * factor} {channel} -1e-3 2e-6 1e-9")
    path.write_text("\n".join(rows))
    return path


def test_a_table_of_ones_own_has_its_newest_version_read(tmp_path):
    share = Degradation(jsoc(tmp_path / "aia_V10.txt")).sensitivity("2014-01-11T00:00:00")
    assert share == pytest.approx(0.5 * (1 - 1e-2 + 2e-4 + 1e-6) * np.ones(6), rel=1e-12)


def test_a_table_saved_by_aiapy_is_read(tmp_path):
    rows = [line.split() for line in jsoc(tmp_path / "aia_V10.txt").read_text().splitlines()]
    table = QTable({name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])})
    for name in ("EFF_AREA", "EFFA_P1", "EFFA_P2", "EFFA_P3"):
        table[name] = table[name].astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of leap seconds until 2030
        for name in ("T_START", "T_STOP"):
            table[name] = Time(list(table[name]), scale="utc")
        table.write(tmp_path / "table.ecsv", format="ascii.ecsv")
    share = Degradation(tmp_path / "table.ecsv").sensitivity("2014-01-11T00:00:00")
    assert share == pytest.approx(0.5 * (1 - 1e-2 + 2e-4 + 1e-6) * np.ones(6), rel=1e-12)


@pytest.mark.parametrize("text", ["a b\n1 2\n", "", "T_START T_STOP WAVE_STR\n2010 2011 94_THIN\n"])
def test_what_is_no_table_of_degradation_is_one_line(tmp_path, text):
    (tmp_path / "table.txt").write_text(text)
    with pytest.raises(ValueError, match=r"table.txt (is not a table of AIA's degradation|can't be read as a table)"):
        Degradation(tmp_path / "table.txt")


def test_a_time_before_launch_has_no_sensitivity():
    with pytest.raises(ValueError, match=r"has no sensitivity of 94 at 2009"):
        Degradation().sensitivity("2009-01-01")


def test_counts_and_errors_are_corrected_and_it_is_said_how_much(tmp_path):
    sets = frames.frames_of(write_set(tmp_path))
    plain, applied = (Job.of(sets, False, path) for path in (None, degradation.OWN))
    share = "94 0.82, 131 0.79, 171 0.85, 193 0.90, 211 0.81, 335 0.36"
    assert plain.remarks == (
        f"sensitivity left by 2014-01-01: {share} (degradation_v8); not corrected: --degradation does so",
    )
    assert applied.remarks == (f"sensitivity left by 2014-01-01: {share} (degradation_v8); corrected",)
    assert applied.remarks[0] in applied.history
    assert plain.remarks[0] in plain.history
    with plain.openings[0]() as one, applied.openings[0]() as other:
        before, after = one.rows(slice(None)).counts(), other.rows(slice(None)).counts()
    left = Degradation().sensitivity("2014-01-01T00:00:02.12")
    np.testing.assert_allclose(after.dn, before.dn / left, rtol=1e-14)
    np.testing.assert_allclose(after.edn, before.edn / left, rtol=1e-14)


def test_without_a_correction_counts_are_as_they_were(tmp_path):
    paths = write_set(tmp_path)
    with Job.of(frames.frames_of(paths), False, None).openings[0]() as reading:
        assert np.array_equal(reading.rows(slice(None)).counts().dn.reshape(12, 17, 6), images.read_set(paths).dn)


def test_a_series_says_the_loss_at_its_ends(tmp_path):
    def three_years_on(channel, values, header):
        header["DATE-OBS"] = header["DATE-OBS"].replace("2014", "2017")

    paths = write_set(tmp_path) + write_set(tmp_path, minute=2, change=three_years_on)
    said = [remark for remark in Job.of(frames.frames_of(paths), False, None).remarks if "left by" in remark]
    assert [one.split(":")[0] for one in said] == ["sensitivity left by 2014-01-01", "sensitivity left by 2017-01-01"]
