"""Counts in sunpy maps, NDCubes and what is like them: the arrays' outputs, or one line that says what is wrong."""

import re
import warnings
from importlib.util import find_spec

import golden_cases
import numpy as np
import pytest
from astropy import units
from astropy.nddata import InverseVariance, NDData, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty
from astropy.time import Time
from astropy.wcs import WCS

from implementations import demmap, dn2dem, monte_carlo

FILE = golden_cases.FILE
RESPONSE = {"tresp": FILE["tresp"], "tresp_logt": FILE["tresp_logt"], "temps": FILE["temps even"]}
DN, EDN = FILE["map dn"], FILE["map edn"]
RATE = units.DN / units.s


class Map(NDData):
    """As much of a sunpy map as is asked for."""

    def __init__(self, *args, seconds=None, date="2014-01-01T00:00:00", angstrom=None, **more):
        super().__init__(*args, **more)
        self.wavelength = None if angstrom is None else angstrom * units.angstrom
        self.exposure_time = None if seconds is None else seconds * units.s
        self.date = Time(date)


def wcs_of(axes=("HPLN-TAN", "HPLT-TAN"), aside=0.0):
    wcs = WCS(naxis=len(axes))
    wcs.wcs.ctype = axes
    place = [name.startswith("HP") for name in axes]
    wcs.wcs.cunit = ["arcsec" if p else "" for p in place]
    wcs.wcs.cdelt = [2.4 if p else 1.0 for p in place]
    wcs.wcs.crpix = [1.5 + aside if p else 1.0 for p in place]
    wcs.wcs.set()
    return wcs


def maps(values=DN, unit=RATE, **more):
    more = {"wcs": wcs_of(), **more}
    return [Map(values[..., i], unit=unit, **more) for i in range(6)]


class MapSequence:
    def __init__(self, held):
        self.maps = held


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(getattr(a, "value", a), b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


def call(dn, edn=None, **more):
    return dn2dem(dn, edn, **{**RESPONSE, **more})


@pytest.fixture(scope="module")
def plain():
    return call(DN, EDN)


@pytest.mark.parametrize("kind", [list, tuple, MapSequence])
def test_a_map_for_each_channel(plain, kind):
    got = call(kind(maps()), kind(maps(EDN)))
    same(got, plain)
    assert (got[0].unit, got[4].unit) == ("1 / (K cm5)", RATE)
    same(call(kind(maps()), EDN * RATE), plain)


@pytest.mark.parametrize("unit", [units.DN, units.DN / units.pix, units.ct, units.adu / units.pix])
def test_counts_are_divided_by_the_exposure(plain, unit):
    given = maps(DN * 2.9, unit, seconds=2.9), maps(EDN * 2.9, unit, seconds=2.9)
    same(call(*given), plain)
    same(call(maps(seconds=2.9), maps(EDN, 1 / units.s, seconds=2.9)), plain)


KINDS = [(StdDevUncertainty, 1.0), (VarianceUncertainty, 2.0), (InverseVariance, -2.0)]


@pytest.mark.parametrize(("kind", "power"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_uncertainty_is_the_error(plain, kind, power):
    cube = NDData(DN, uncertainty=kind(EDN**power), unit=RATE)
    same(call(cube), plain)
    milli = NDData(DN * 1e3, uncertainty=kind((EDN * 1e3) ** power), unit=RATE / 1e3)
    same(call(milli)[:4], plain[:4])


def test_what_is_masked_is_no_measurement():
    mask = np.zeros(DN.shape, bool)
    mask[1, 1, 3] = True
    spoiled = np.where(mask, 1e5, DN)
    expected = call(np.where(mask, np.nan, DN), EDN)
    same(call(NDData(spoiled, mask=mask, uncertainty=StdDevUncertainty(EDN))), expected)
    parts = [Map(spoiled[..., i], unit=RATE, mask=mask[..., i], wcs=wcs_of()) for i in range(6)]
    same(call(parts, maps(EDN)), expected)
    assert not expected[0][1, 1].any()


def test_one_map_is_one_channel():
    one = {**RESPONSE, "tresp": FILE["tresp"][:, 2:3]}
    got = dn2dem(maps()[2], maps(EDN)[2], **one)
    same(got, dn2dem(DN[..., 2:3], EDN[..., 2:3], **one))


class Cube(NDData):
    """As much of an NDCube as is asked for."""

    def __init__(self, *args, kinds, **more):
        super().__init__(*args, **more)
        self.array_axis_physical_types = kinds


PLACE = ("custom:pos.helioprojective.lon", "custom:pos.helioprojective.lat")


@pytest.mark.parametrize(("axis", "free"), [(0, "em.wl"), (1, None), (2, "custom:CHANNEL")])
def test_a_cubes_channels_may_be_on_any_axis(plain, axis, free):
    kinds = [PLACE, PLACE]
    kinds.insert(axis, (free,))
    values, errors = (np.moveaxis(a, -1, axis) for a in (DN, EDN))
    same(call(Cube(values, uncertainty=StdDevUncertainty(errors), kinds=kinds)), plain)


def test_a_slits_channels_are_on_one_of_two_axes():
    slit = Cube(DN[:, 0].T, uncertainty=StdDevUncertainty(EDN[:, 0].T), kinds=[("em.wl",), PLACE])
    same(call(slit), call(DN[:, 0], EDN[:, 0]))
    p = golden_cases.problem("self")
    constants = (p.rmatrix, p.logt, p.dlogt, np.zeros(6))
    pixels = Cube(p.dn.T, uncertainty=StdDevUncertainty(p.edn.T), kinds=[("em.wl",), PLACE])
    same(demmap(pixels, None, *constants), demmap(p.dn, p.edn, *constants))


CHANNELS = (94, 131, 171, 193, 211, 335)


def of_channels(numbers, values=DN):
    return [Map(values[..., i], unit=RATE, wcs=wcs_of(), angstrom=CHANNELS[i]) for i in numbers]


def test_the_order_of_channels_is_watched(plain):
    same(call(MapSequence(of_channels(range(6))), EDN * RATE), plain)
    lexical = [1, 2, 3, 4, 5, 0]  # as names of files are sorted
    order = "131, 171, 193, 211, 335, 94 angstrom"
    with pytest.warns(UserWarning, match=f"dn_in has images of {order}: tresp must have its columns in this order"):
        got = call(of_channels(lexical), EDN[..., lexical] * RATE, tresp=FILE["tresp"][:, lexical])
    same(got[:4], plain[:4])
    with pytest.raises(ValueError, match=rf"dn_in is a sequence, which sunpy sorts by time: its images are of {order}"):
        call(MapSequence(of_channels(lexical)), EDN[..., lexical] * RATE)
    with pytest.raises(ValueError, match=r"edn_in has images of 94, 94, 131, .*expected each channel once"):
        call(of_channels(range(6)), of_channels([0, 0, 1, 2, 3, 4], EDN))


def test_dask_arrays_in_containers_stay_lazy(plain):
    da = pytest.importorskip("dask.array")
    lazy = [Map(da.from_array(DN[..., i]), unit=1000 * RATE, wcs=wcs_of()) for i in range(6)]
    got = call(lazy, EDN * 1e3)
    assert isinstance(got[0], da.Array)
    same([a.compute() for a in got], call(DN * 1e3, EDN * 1e3))
    same([a.compute() for a in call(lazy, EDN * 1000 * RATE)], call(DN * 1e3, EDN * 1e3))


def test_draws_of_what_is_in_containers():
    got = monte_carlo(maps(), EDN * RATE, **RESPONSE, draws=5)
    expected = monte_carlo(DN, EDN, **RESPONSE, draws=5)
    assert (got.mean.unit, got.std.unit) == ("1 / (K cm5)", "1 / (K cm5)")
    np.testing.assert_array_equal(got.std.value, expected.std)
    with pytest.raises(ValueError, match="monte_carlo takes no dask arrays"):
        monte_carlo(pytest.importorskip("dask.array").from_array(DN), EDN, **RESPONSE)


@pytest.mark.parametrize(
    ("dn", "edn", "message"),
    [
        (DN, None, "edn_in is None, expected errors, or counts in NDCubes or maps that have an uncertainty"),
        (maps(), None, "edn_in is None, expected errors"),
        (maps(), EDN, "dn_in has a unit and edn_in has none"),
        (maps(unit=None), EDN, "dn_in has a map without a unit, expected DN or DN / s; set its meta['bunit']"),
        (maps(unit=units.electron / units.s), EDN, "dn_in has a Map in electron / s, expected DN / (s pix)"),
        (maps(unit=units.dimensionless_unscaled), EDN, "dn_in has a Map in no unit, expected DN / (s pix)"),
        (maps(unit=units.DN, seconds=0.0), EDN, "dn_in has a map in DN with an exposure time of 0.0 s, expected more"),
        (maps(unit=units.DN), EDN, "dn_in has a Map in DN, expected DN / (s pix)"),
        (
            [*maps()[:5], Map(DN[:2, :, 5], unit=RATE)],
            EDN,
            "image 5 has shape (2, 2), expected that of the first, (3, 2)",
        ),
        ([*maps()[:5], maps(wcs=wcs_of(aside=20.0))[5]], EDN, "image 5 is up to 20.0 pixels aside of the first"),
        ([*maps()[:5], NDData(DN[..., 5])], EDN, "dn_in has images with a unit and images without"),
        (
            Cube(DN, kinds=[("time",), *[PLACE] * 2]),
            EDN,
            "dn_in is an NDCube of axes time, custom:pos.helioprojective.lon/custom",
        ),
        (Cube(DN, kinds=[("em.wl",), (None,), ("time",)]), EDN, "expected one for the channels and others of place or"),
        (NDData(DN, uncertainty=UnknownUncertainty(EDN)), None, "the counts have a UnknownUncertainty, expected a"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*uncertainty:astropy.utils.exceptions.AstropyWarning")
def test_what_is_wrong_is_one_line(dn, edn, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(dn, edn)


def test_another_time_is_warned_of():
    late = maps(date="2014-01-01T03:00:00")
    with pytest.warns(UserWarning, match="dn_in: image 4 is 10800 s from the first in time"):
        call([*maps()[:4], late[4], maps()[5]], EDN * RATE)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "dn_in")
        call([*maps()[:5], maps(date="2014-01-01T00:00:12")[5]], EDN * RATE)


HEADER = """CTYPE1 HPLN-TAN CTYPE2 HPLT-TAN CUNIT1 arcsec CUNIT2 arcsec TELESCOP SDO/AIA INSTRUME AIA_4
DATE-OBS 2014-01-01T00:00:00 BUNIT DN""".split()
NUMBERS = {"CDELT1": 2.4, "CDELT2": 2.4, "CRPIX1": 1.5, "CRPIX2": 2.0, "CRVAL1": 0, "CRVAL2": 0, "EXPTIME": 2.0,
           "DSUN_OBS": 1.47e11, "WAVEUNIT": "angstrom", "HGLN_OBS": 0.0, "HGLT_OBS": 0.0}  # fmt: skip


@pytest.mark.skipif(
    not (find_spec("sunpy") and find_spec("ndcube")), reason="needs sunpy and ndcube: pip install 'demreg-bench[peers]'"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sunpys_and_ndcubes_own(plain):
    import sunpy.map
    from ndcube import NDCube, NDCubeSequence

    header = {**dict(zip(HEADER[::2], HEADER[1::2], strict=True)), **NUMBERS}
    made = [[sunpy.map.Map(a[..., i] * 2.0, {**header, "WAVELNTH": CHANNELS[i]}) for i in range(6)] for a in (DN, EDN)]
    for kind in (list, lambda held: sunpy.map.Map(held, sequence=True)):
        got = call(kind(made[0]), kind(made[1]))
        same(got, plain)
        assert got[4].unit == units.DN / units.s
    wcs = wcs_of(("HPLN-TAN", "HPLT-TAN", "WAVE"))
    cube = NDCube(np.moveaxis(DN, -1, 0), wcs, unit=RATE, uncertainty=StdDevUncertainty(np.moveaxis(EDN, -1, 0)))
    same(call(cube), plain)
    cubes = [NDCube(DN[..., i], wcs_of(), unit=RATE, uncertainty=StdDevUncertainty(EDN[..., i])) for i in range(6)]
    same(call(NDCubeSequence(cubes)), plain)
