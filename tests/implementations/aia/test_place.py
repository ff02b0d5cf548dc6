"""`--pixel`: which pixel is meant, and the figure that is drawn of it."""

import re

import numpy as np
import pytest
from aia_files import TABLE, write_set
from astropy.io import fits

from implementations import dn2dem, invert
from implementations.aia import files, images, instrument
from implementations.aia.figures import place

SHAPE = (12, 17)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setattr(instrument, "read_response", lambda path: TABLE)
    monkeypatch.setattr(files, "response_file", lambda: tmp_path / "table.dat")
    return write_set(tmp_path)


@pytest.mark.parametrize("text", ["300,-120", "300.0, -120 arcsec", "300arcsec,-120arcsec", "8,6px", "8.4, 5.6px"])
def test_a_place_in_arcsec_or_pixels(paths, text):
    header = fits.getheader(paths[2])
    x, y, said = place.found(text, header, SHAPE)
    assert x == 8
    assert y in (5, 6)
    assert re.fullmatch(r"X 300″ Y -1\d\d″ \(pixel 8, [56]\)", said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("300", "--pixel is '300', expected X,Y in arcsec or X,Ypx"),
        ("a,b", "--pixel is 'a,b', expected"),
        ("8,12px", "--pixel 8,12px is pixel 8,12 of an image of 17 x 12"),
        ("5000,0", "of an image of 17 x 12"),
    ],
)
def test_what_is_no_place_is_one_line(paths, text, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        invert.main([*map(str, paths), "-o", str(tmp_path / "dem.fits"), f"--pixel={text}"])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "dem.fits").exists()


def test_the_pixels_figure_is_of_its_counts(paths, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(invert, "draw_pixel", lambda *args, **more: drawn.append((args, more)) or _Figure())
    for out, made in (("dem.fits", "dem_pixel.png"), ("only.pdf", "only.pdf")):
        assert invert.main([*map(str, paths), "-o", str(tmp_path / out), "--pixel", "4,3px", "--bins", "9"]) == 0
        assert f"pixel: {tmp_path / made}" in capsys.readouterr().out
    assert (tmp_path / "dem.fits").exists()
    (dn, edn, tresp, tresp_logt, temps), more = drawn[0]
    image = images.read_set(paths)
    np.testing.assert_array_equal(dn, image.dn[3, 4])
    np.testing.assert_array_equal(edn, image.edn[3, 4])
    assert more["title"].startswith("SDO/AIA 2014-01-01T00:00:02.12 UTC, X ")
    assert more["names"] == ["94", "131", "171", "193", "211", "335"]
    with fits.open(tmp_path / "dem.fits") as file:
        dem = dn2dem(dn, edn, tresp, tresp_logt, temps, nmu=more["nmu"])[0]
        np.testing.assert_allclose(file["DEM"].data[:, 3, 4], dem, rtol=1e-6)


class _Figure:
    def savefig(self, name):
        pass


def test_it_is_drawn(paths, tmp_path):
    out = tmp_path / "pixel.png"
    assert invert.main([*map(str, paths), "-o", str(out), "--pixel", "4,3px", "--bins", "9"]) == 0
    assert out.stat().st_size > 30_000
