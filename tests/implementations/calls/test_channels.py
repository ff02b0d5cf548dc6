"""What becomes of a pixel's channels: systematic errors, saturation, missing ones; scales that rounding decides on."""

import warnings

import golden_cases
import numpy as np
import pytest
import solvers

from implementations import demmap, dn2dem
from implementations.contract import OUTPUTS
from implementations.registry import Registry

FILE = golden_cases.FILE
RESPONSE = {"tresp": FILE["tresp"], "tresp_logt": FILE["tresp_logt"], "temps": FILE["temps even"]}
DN, EDN = FILE["self dn"], FILE["self edn"]
LOCAL = [
    facts["name"]
    for facts in map(Registry().describe, Registry().names())
    if facts["available"] and facts["accuracy"] == "exact" and not facts["external"] and facts["device"] == "cpu"
]


def call(dn=DN, edn=EDN, **changes):
    return dn2dem(dn, edn, **{**RESPONSE, **changes})


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("systematic", [0.2, [0.3, 0.1, 0.1, 0.1, 0.1, 0]])
def test_a_systematic_error_is_added_in_quadrature(systematic):
    edn = EDN.copy()
    edn[2, 1] = 0
    expected = call(edn=np.where(edn > 0, np.sqrt(edn**2 + (np.array(systematic) * DN) ** 2), edn))
    for got, value in zip(call(edn=edn, systematic=systematic), expected, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-9, atol=1e-12 * np.abs(value).max())
    assert not expected[0][2].any(), "an error of 0 stays a missing one"


def test_saturated_counts_are_no_measurements():
    limit = np.sort(DN[:, 3])[-2]
    got, missing = call(saturated=[np.inf, np.inf, np.inf, limit, np.inf, np.inf]), DN.copy()
    missing[DN[:, 3] >= limit, 3] = np.nan
    assert np.isnan(missing).sum() == 2
    same(got, call(missing))
    same(call(saturated=1e9), call())
    units = pytest.importorskip("astropy.units")
    rate = units.DN / units.s
    with_units = call(DN * rate, EDN * rate, saturated=60 * limit * units.DN / units.min)
    same(with_units[0].value, call(saturated=limit)[0])


def missing_some():
    """Counts and errors with a channel missing in pixel 1, two in pixels 2 and 4, too many in pixel 3."""
    dn, edn = DN.copy(), EDN.copy()
    dn[1, 3] = np.nan
    dn[[2, 4], 0] = np.inf
    edn[[2, 4], 5] = 0
    dn[3, :4] = np.nan
    return dn, edn


def channels_of(dn, edn):
    return np.isfinite(dn) & (edn > 0)


@pytest.mark.parametrize("kind", ["numpy", "masked", "dask"])
def test_missing_channels_are_left_out_and_marked(kind):
    dn, edn = missing_some()
    have = channels_of(dn, edn)
    given = {"numpy": dn, "masked": np.ma.array(np.where(have, dn, 1e5), mask=~have)}
    if kind == "dask":
        given["dask"] = pytest.importorskip("dask.array").from_array(dn.reshape(5, 1, 6), (2, 1, 6))
        edn = edn.reshape(5, 1, 6)
    got = call(given[kind], edn, fewest_channels=4, full=True)
    got = type(got)(*(np.asarray(a).reshape(5, *np.shape(a)[2 if kind == "dask" else 1 :]) for a in got))
    assert got.channels.dtype == bool
    np.testing.assert_array_equal(got.channels, have & (have.sum(axis=1) >= 4)[:, None])
    for pixel in (0, 1, 2, 4):
        used = have[pixel]
        tresp = FILE["tresp"][:, used]
        alone = call(dn[pixel : pixel + 1, used], edn.reshape(5, 6)[pixel : pixel + 1, used], tresp=tresp, full=True)
        for name in ("dem", "edem", "elogt", "chisq", "status", "iterations", "target"):
            np.testing.assert_array_equal(getattr(got, name)[pixel], getattr(alone, name)[0])
        np.testing.assert_array_equal(got.dn_reg[pixel, used], alone.dn_reg[0])
    assert not any(np.any(getattr(got, name)[3]) for name in OUTPUTS)
    assert (got.status == 2).tolist() == [False, False, False, True, False]
    assert (got.dn_reg[[0, 1, 2, 4]] > 0).all(), "the DEM's counts in missing channels too"


def test_a_count_below_zero_is_a_measurement_and_the_pixel_stays_invalid():
    dn = DN.copy()
    dn[1, 3] = -1
    got = call(dn, fewest_channels=2, full=True)
    assert got.status[1] == 2
    assert not got.channels[1].any()
    same(got, call(dn, full=True))


def test_a_mask_of_loci_loses_the_missing_channels():
    dn, edn = missing_some()
    got = call(dn, edn, gloci=[0, 1, 1, 1, 1, 0], fewest_channels=4, full=True, rscl=True)
    used = channels_of(dn, edn)[2]
    tresp = FILE["tresp"][:, used]
    alone = call(dn[2:3, used], edn[2:3, used], tresp=tresp, gloci=[1, 1, 1, 1], rscl=True)
    np.testing.assert_array_equal(got.dem[2], alone[0][0])
    np.testing.assert_array_equal(got.dn_reg[2, used], alone[4][0])


def test_demmap_has_them_too():
    p, (dn, edn) = golden_cases.problem("self"), missing_some()
    constants = (p.rmatrix, p.logt, p.dlogt, np.zeros(6))
    got = demmap(dn, edn, *constants, fewest_channels=4, systematic=0.1, saturated=1e7, full=True, progress=True)
    edn = np.where(edn > 0, np.hypot(edn, 0.1 * dn), 0)
    np.testing.assert_allclose(got.dem, demmap(dn, edn, *constants, fewest_channels=4)[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"systematic": -0.1}, "systematic must be relative errors from 0 to 1, 0.2 for 20%, got -0.1"),
        ({"systematic": 20}, "systematic must be relative errors from 0 to 1, 0.2 for 20%, got 20"),
        ({"systematic": [0.1, 0.2]}, r"systematic has shape \(2,\), expected one number or \(6,\)"),
        ({"saturated": 0}, "saturated must be counts > 0, got 0"),
        ({"saturated": np.ones((5, 6))}, r"saturated has shape \(5, 6\)"),
        ({"fewest_channels": 7}, "fewest_channels must be a whole number from 1 to 6, got 7"),
        ({"fewest_channels": True}, "fewest_channels must be a whole number"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        call(**changes)


def lines(count):
    """20 pixels seen in that many narrow lines with errors of 20%, one DEM, as EIS has them."""
    logt = np.arange(5.5, 7.2, 0.02)
    tresp = 1e-24 * np.exp(-0.5 * ((logt[:, None] - np.linspace(5.7, 6.9, count)) / 0.1) ** 2) + 1e-30
    dem = 3e21 * np.exp(-0.5 * ((logt - 6.2) / 0.15) ** 2) + 1e20 * np.exp(-0.5 * ((logt - 6.6) / 0.1) ** 2)
    true = (dem * 10**logt * np.log(10) * 0.02) @ tresp
    dn = true * (1 + 0.2 * np.random.default_rng(0).standard_normal((20, count)))
    return dn, np.broadcast_to(0.2 * true, dn.shape), tresp, logt, np.logspace(5.6, 7.0, 41)


@pytest.mark.parametrize("count", [10, 20, 30])
def test_narrow_lines_that_no_dem_fits_are_said_to_be(count):
    """The loop raises its target until a DEM near zero passes: no bin is negative, and the counts are not there."""
    with pytest.warns(UserWarning, match=r"^\d+ of 20 pixels are no fit: .* more than 10 times") as said:
        got = dn2dem(*lines(count), full=True)
    raised = got.target > 10
    assert str(said[0].message).startswith(f"{raised.sum()} of 20")
    assert raised.sum() > 10
    assert (got.status[raised] == 0).any(), "not even its status says so"
    recovered = (got.dn_reg / lines(count)[0]).mean(axis=1)
    assert np.median(recovered[raised]) < 0.4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.median(dn2dem(*lines(count), non_pos=True)[3]) < 1.5, "a DEM with negative bins fits them"


@pytest.mark.parametrize("count", [10, 20, 30])
def test_the_way_out_that_the_warning_names_is_one(count):
    with pytest.warns(UserWarning, match="; solver='plowman' fits them with positive DEMs"):
        dn2dem(*lines(count))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = dn2dem(*lines(count), solver="plowman", full=True)
    assert (got.dem > 0).all()
    assert np.median(got.chisq) < 1.1
    assert np.median((got.dn_reg / lines(count)[0]).mean(axis=1)) > 0.85
    assert set(got.target) == {1.0}, "its iterations raise no target"


def test_a_way_out_that_is_not_registered_is_not_named(monkeypatch):
    monkeypatch.setattr("implementations.calls.inversion.POSITIVE", "nobody")
    with pytest.warns(UserWarning, match="full=True has it$"):
        dn2dem(*lines(20))


def test_a_fit_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(reg_tweak=30.0)


@pytest.mark.parametrize("fact", [1.01, 1.5, 3, 100])
def test_pixels_warned_of_are_those_whose_target_is_beyond(fact):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = call(rgt_fact=fact, full=True)
    beyond = int((got.target > 10).sum())
    assert [str(w.message).split()[0] for w in said] == ([str(beyond)] if beyond else [])


COUNTS, ERRORS, BOTH, ONE = "counts", "errors", "both", "one error"
POWERS = [-300, -150, -100, -20, -8, 8, 20, 50, 150, 290]


@pytest.mark.filterwarnings("ignore:.*rounding would decide")
@pytest.mark.parametrize("what", [COUNTS, ERRORS, BOTH, ONE, "response", "one response"])
@pytest.mark.parametrize("power", POWERS)
def test_of_extreme_scales_solvers_agree_or_the_pixel_is_invalid(what, power):
    dn, edn, tresp = DN.copy(), EDN.copy(), FILE["tresp"].copy()
    factor = 10.0**power
    dn *= factor if what in (COUNTS, BOTH) else 1
    edn *= factor if what in (ERRORS, BOTH) else 1
    edn[:, 0] *= factor if what == ONE else 1
    tresp *= factor if what == "response" and power > -280 else 1
    tresp[:, 1] *= factor if what == "one response" and power > -280 else 1
    first, *others = (call(dn, edn, tresp=tresp, solver=solvers.spec(name), full=True) for name in LOCAL)
    for other in others:
        np.testing.assert_array_equal(other.status == 2, first.status == 2)
        for name in ("dem", "edem"):
            expected = getattr(first, name)
            assert np.isfinite(expected).all()
            assert np.abs(getattr(other, name) - expected).max() <= 1e-8 * np.abs(expected).max(), name


def test_invalid_for_their_scale_is_said():
    with pytest.warns(UserWarning, match="5 of 5 pixels have counts or errors that rounding would decide on"):
        assert not call(DN * 1e-30, EDN * 1e-30)[0].any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(DN * 1e-6, EDN * 1e-6, reg_tweak=30.0)


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        (np.exp(-0.5 * np.arange(-12, 12) ** 2.0), {}, "dem_norm0 spans a factor 1.86e.31, expected at most 1e.12"),
        (np.linspace(1e29, 1e30, 24), {}, "dem_norm0 is 1e.29 to 1e.30 in size, expected 1e-100 to 1e.22"),
        (np.linspace(1e19, 1e20, 24), {"l_emd": True}, "expected 1e-100 to 1e.11"),
        (np.full((5, 24), 1e-150), {}, "dem_norm0 is 1e-150 to 1e-150"),
    ],
)
def test_weights_that_rounding_would_decide_on(weights, settings, message):
    with pytest.raises(ValueError, match=message):
        call(dem_norm0=weights, **settings)
