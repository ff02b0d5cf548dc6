"""What users may hand to `dn2dem` and `demmap` that isn't what is meant: refused or put right, never taken silently."""

import re
from dataclasses import replace

import golden_cases
import numpy as np
import pytest
import solvers

from implementations import demmap, dn2dem
from implementations.registry import Registry

FILE = golden_cases.FILE
GIVEN = {
    "dn_in": FILE["self dn"],
    "edn_in": FILE["self edn"],
    "tresp": FILE["tresp"],
    "tresp_logt": FILE["tresp_logt"],
    "temps": FILE["temps even"],
}


def refused(message, **changes):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        dn2dem(**{**GIVEN, **changes})
    assert "\n" not in str(error.value)


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_response_that_is_not_finite(value):
    tresp = FILE["tresp"].copy()
    tresp[3, 2] = value
    refused(f"tresp must be finite, got {value} at point 3 of channel 2", tresp=tresp)


def test_a_transposed_response():
    refused("(6, 41) and (41,), expected (N, 6) and (N,): tresp is transposed", tresp=FILE["tresp"].T)


@pytest.mark.parametrize("order", [np.arange(41)[::-1], np.random.default_rng(3).permutation(41)])
def test_a_response_in_another_order_is_sorted(order):
    same(dn2dem(**{**GIVEN, "tresp": FILE["tresp"][order], "tresp_logt": FILE["tresp_logt"][order]}), dn2dem(**GIVEN))


@pytest.mark.parametrize(
    ("logt", "got"),
    [
        (10 ** FILE["tresp_logt"], "316228 to 3.16228e+07"),
        (10 ** FILE["tresp_logt"] / 1e6, "0.316228 to 31.6228"),
        (np.where(FILE["tresp_logt"] < 6, np.nan, FILE["tresp_logt"]), "nan to nan"),
    ],
    ids=["K", "MK", "NaN"],
)
def test_temperatures_of_the_response_that_are_no_logarithms(logt, got):
    refused(f"tresp_logt must be log10 K, 3 to 10, got {got}", tresp_logt=logt)


def test_a_response_with_a_temperature_twice():
    logt = FILE["tresp_logt"].copy()
    logt[5] = logt[4]
    refused(f"tresp_logt has {logt[4]:g} twice", tresp_logt=logt)


def test_bins_outside_of_the_response():
    with pytest.warns(UserWarning, match=r"outside of the response, .* log T 5.5 to 7.5: 5.35, 5.45; its end values"):
        dn2dem(**{**GIVEN, "temps": 10 ** np.arange(5.3, 7.3, 0.1)})
    refused("expected at most 0.5 dex beyond it", temps=np.logspace(5.7, 8.4, 28))


@pytest.mark.parametrize(
    ("temps", "got"),
    [
        (np.linspace(5.7, 7.1, 25), "5.7 to 7.1; log10 K or MK? give 10**temps or 1e6*temps"),
        (FILE["temps even"] / 1e6, "0.501187 to 12.5893; log10 K or MK?"),
        (FILE["temps even"] * 1e6, "5.01187e+11 to 1.25893e+13"),
    ],
    ids=["log10 K", "MK", "uK"],
)
def test_temperatures_that_are_no_kelvin(temps, got):
    refused(f"temps must be K, 1000 to 1e+10, got {got}", temps=temps)


def counts_of_gaussian(peak):
    """Counts of a DEM of one Gaussian in log T, with errors of 5%."""
    logt = FILE["tresp_logt"]
    dem = 1e22 * np.exp(-((logt - peak) ** 2) / (2 * 0.15**2))
    dn = (dem * 10**logt * np.log(10) * (logt[1] - logt[0])) @ FILE["tresp"]
    return {"dn_in": dn, "edn_in": 0.05 * dn}


@pytest.mark.parametrize(
    "edges",
    [np.linspace(5e5, 2e7, 61), 10 ** np.concatenate([np.arange(5.7, 6.1, 0.1), np.arange(6.1, 7.2, 0.05)])],
    ids=["linear", "coarse then fine"],
)
def test_bins_of_unequal_width_have_their_true_centres(edges):
    dem, _, _, chisq, _ = dn2dem(**{**GIVEN, **counts_of_gaussian(6.3), "temps": edges})
    log_edges = np.log10(edges)
    peak = int(np.argmax(dem))
    assert (log_edges[peak] + log_edges[peak + 1]) / 2 == pytest.approx(6.3, abs=0.1)
    assert chisq < 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_iter": 2.5}, "max_iter must be a whole number from 1 to 1000, got 2.5"),
        ({"max_iter": 10**9}, "max_iter must be a whole number from 1 to 1000, got 1000000000"),
        ({"nmu": 30.5}, "nmu must be a whole number from 0 to 100000, got 30.5"),
        ({"nmu": np.array(50)}, "nmu must be a whole number from 0 to 100000, got array(50)"),
        ({"gloci": 0.5}, "gloci must be 0, 1 or a mask of zeros and ones, got 0.5"),
        ({"rgt_fact": 1}, "rgt_fact must be a finite number > 1, got 1"),
        ({"dn_in": np.ones((3, 0)), "edn_in": np.ones((3, 0))}, "the counts have shape (3, 0), expected at least one"),
        ({"dn_in": np.array(5.0), "edn_in": np.array(1.0)}, "the counts have shape ()"),
        ({"tresp": np.array(5.0)}, "tresp and tresp_logt have shapes ()"),
        ({"temps": np.array(1e6)}, "temps has shape ()"),
        ({"dem_norm0": np.array(1.0)}, "dem_norm0 has shape ()"),
        ({"gloci": "loci"}, "gloci is a str, expected an array of real numbers"),
        ({"solver": None}, "solver must be a name, as 'numba', got None"),
        ({"max_iter": np.inf}, "max_iter must be a whole number from 1 to 1000, got inf"),
        ({"nmu": "50"}, "nmu must be a whole number from 0 to 100000, got '50'"),
        ({"non_pos": "no"}, "non_pos must be True or False, got 'no'"),
        ({"l_emd": 0.5}, "l_emd must be True or False, got 0.5"),
        ({"full": None}, "full must be True or False, got None"),
    ],
)
def test_settings_that_mean_nothing(changes, message):
    refused(message, **changes)


@pytest.mark.parametrize(
    ("numpys", "plain"),
    [
        ({"nmu": np.int64(50)}, {"nmu": 50}),
        ({"max_iter": np.uint8(3), "rgt_fact": np.float32(2)}, {"max_iter": 3, "rgt_fact": 2}),
        ({"emd_int": np.True_, "emd_ret": 1}, {"emd_int": True, "emd_ret": True}),
    ],
)
def test_numbers_and_flags_of_numpy_are_as_pythons(numpys, plain):
    same(dn2dem(**GIVEN, **numpys), dn2dem(**GIVEN, **plain))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dn_in", FILE["self dn"] + 1j, "dn_in is a ndarray of complex128"),
        ("edn_in", FILE["self edn"] > 0, "edn_in is a ndarray of bool"),
        ("dn_in", FILE["self dn"].astype("m8[s]"), "dn_in is a ndarray of timedelta64[s]"),
        ("dn_in", [["a"] * 6] * 5, "dn_in is a list"),
        ("dn_in", [[1, 2], [3]], "dn_in is a list"),
        ("dn_in", {"a": 1}, "dn_in is a dict"),
        ("tresp", np.ma.array(FILE["tresp"] + 1j), "tresp is a MaskedArray of complex128"),
        ("temps", FILE["temps even"] > 0, "temps is a ndarray of bool"),
    ],
)
def test_what_is_no_array_of_real_numbers(name, value, said):
    refused(f"{said}, expected an array of real numbers", **{name: value})


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("logt", lambda p: 10**p.logt, "logt must be log10 K, 3 to 10, got 5"),
        ("logt", lambda p: 10**p.logt / 1e6, "logt must be log10 K, 3 to 10, got 0.5"),
        ("dlogt", lambda p: 10**p.logt * np.log(10) * p.dlogt, "dlogt must be dex, 0 to 7, got "),
    ],
    ids=["K", "MK", "widths in K"],
)
def test_bins_of_demmap_that_are_no_logarithms(name, change, said):
    p = golden_cases.problem("self")
    given = {"logt": p.logt, "dlogt": p.dlogt}
    with pytest.raises(ValueError, match=re.escape(said)):
        demmap(p.dn, p.edn, p.rmatrix, **{**given, name: change(p)}, glc=np.zeros(6))


LOCAL = [
    facts["name"]
    for facts in map(Registry().describe, Registry().names())
    if facts["available"] and facts["accuracy"] == "exact" and not facts["external"] and facts["device"] == "cpu"
]


@pytest.mark.parametrize("solver", LOCAL)
def test_bins_that_no_channel_sees_have_the_baselines_outputs(solver):
    """After one pass: the baseline's DEM in these bins is zero but for rounding, whose sign would decide on others."""
    seen = golden_cases.problem("self fine")
    rmatrix = seen.rmatrix.copy()
    rmatrix[[7, -1]] = 0
    problem = replace(seen, rmatrix=rmatrix, options=replace(seen.options, max_iter=1))
    got, expected = Registry().ready(solvers.spec(solver)).run(problem), Registry().ready("baseline").run(problem)
    for name in ("dem", "edem", "elogt", "chisq", "dn_reg"):
        reference = getattr(expected, name)
        assert np.abs(getattr(got, name) - reference).max() <= golden_cases.AGREES * np.abs(reference).max(), name


def test_bins_that_no_channel_sees_are_warned_of():
    p = golden_cases.problem("self")
    rmatrix = p.rmatrix.copy()
    rmatrix[2], rmatrix[5] = 0, 1e-10 * rmatrix.max(axis=0)
    bins = re.escape(f"{p.logt[2]:.3g}, {p.logt[5]:.3g}")
    for solver in ("numba", "baseline"):
        with pytest.warns(
            UserWarning, match=f"rmatrix has bins that no channel sees, at log T {bins}: their DEM is ro"
        ):
            demmap(p.dn, p.edn, rmatrix, p.logt, p.dlogt, np.zeros(6), solver=solver, max_iter=1)
    tresp = np.where(FILE["tresp_logt"][:, None] < 6, 1e-60, FILE["tresp"])
    with pytest.warns(UserWarning, match="temps has bins that no channel sees, at log T 5.7"):
        dn2dem(**{**GIVEN, "tresp": tresp}, max_iter=1)


def masked_by(kind, values, mask):
    if kind == "astropy":
        return pytest.importorskip("astropy.utils.masked").Masked(values, mask=mask)
    if kind == "list":
        return [np.ma.array(v, mask=m) for v, m in zip(values, mask, strict=True)]
    masked = np.ma.array(values, mask=mask)
    return masked if kind == "numpy" else pytest.importorskip("dask.array").from_array(masked, (2, 6))


@pytest.mark.parametrize("kind", ["numpy", "astropy", "list", "dask"])
@pytest.mark.parametrize("which", ["dn_in", "edn_in"])
def test_masked_values_are_no_measurements(kind, which):
    values, mask = GIVEN[which].copy(), np.zeros((5, 6), bool)
    values[3, 2], mask[3, 2] = 1e5, True
    got = dn2dem(**{**GIVEN, which: masked_by(kind, values, mask)})
    same([np.asarray(a) for a in got], dn2dem(**{**GIVEN, which: np.where(mask, np.nan, values)}))
    assert not np.asarray(got[0])[3].any()


def test_masked_constants_are_refused():
    refused("tresp must be finite, got nan", tresp=np.ma.array(FILE["tresp"], mask=FILE["tresp"] <= 0))
    refused("temps must be finite", temps=np.ma.array(FILE["temps even"], mask=np.arange(25) == 3))


def quantities():
    """The arguments with other units than those that are meant."""
    units = pytest.importorskip("astropy.units")
    return {
        "dn_in": units.Quantity(GIVEN["dn_in"] * 60, "DN / (min pix)"),
        "edn_in": units.Quantity(GIVEN["edn_in"], "DN / (s pix)"),
        "tresp": units.Quantity(GIVEN["tresp"] * 1e-10, "DN m5 / (s pix)"),
        "tresp_logt": units.Quantity(10 ** GIVEN["tresp_logt"], "K"),
        "temps": units.Quantity(GIVEN["temps"] / 1e6, "MK"),
    }


def test_quantities_are_converted_and_give_quantities():
    got, expected = dn2dem(**quantities()), dn2dem(**GIVEN)
    units = ["1 / (K cm5)", "1 / (K cm5)", "dex", None, "DN / (min pix)"]
    for value, plain, unit, factor in zip(got, expected, units, [1, 1, 1, 1, 60], strict=True):
        assert getattr(value, "unit", None) == unit
        np.testing.assert_allclose(getattr(value, "value", value), plain * factor, rtol=1e-6)
    assert dn2dem(**quantities(), emd_ret=True)[0].unit == "cm-5"


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("dn_in", "DN", "dn_in is a Quantity in DN, expected DN / (s pix)"),
        ("edn_in", "electron / s", "edn_in is a Quantity in electron / s, expected DN / (s pix)"),
        ("tresp", "DN cm3 / (s pix)", "expected DN cm5 / (s pix)"),
        ("tresp_logt", "s", "tresp_logt is a Quantity in s, expected no unit"),
        ("temps", "erg", "temps is a Quantity in erg, expected K"),
        ("temps", "keV", "temps is a Quantity in keV, expected K"),
        ("dem_norm0", "K", "dem_norm0 is a Quantity in K, expected no unit"),
        ("gloci", "s", "gloci is a Quantity in s, expected no unit"),
        ("reg_tweak", "s", "reg_tweak must be a finite number > 0"),
        ("max_iter", "s", "max_iter must be a whole number"),
    ],
)
def test_quantities_of_another_kind_are_refused(name, unit, message):
    given = quantities()
    value = given.get(name, 1)
    refused(message, **{**given, name: type(given["temps"])(getattr(value, "value", value), unit)})


@pytest.mark.parametrize("count", ["ct", "adu"])
def test_a_cameras_counts_may_have_another_name(count):
    given = quantities()
    for name in ("dn_in", "edn_in", "tresp"):
        old = given[name]
        given[name] = type(old)(old.value, str(old.unit).replace("DN", count))
    for value, expected in zip(dn2dem(**given), dn2dem(**quantities()), strict=True):
        np.testing.assert_array_equal(getattr(value, "value", value), getattr(expected, "value", expected))


def test_lists_of_quantities_are_quantities():
    given = quantities()
    lists = {**given, "dn_in": list(given["dn_in"]), "edn_in": [list(row) for row in given["edn_in"]]}
    for value, expected in zip(dn2dem(**lists), dn2dem(**given), strict=True):
        assert getattr(value, "unit", None) == getattr(expected, "unit", None)
        np.testing.assert_array_equal(getattr(value, "value", value), getattr(expected, "value", expected))
    some = [*given["dn_in"][:4], GIVEN["dn_in"][4]]
    refused("dn_in is a list, some of it with units, expected all or none", **{**given, "dn_in": some})
    refused("edn_in has a unit and dn_in has none", **{**given, "dn_in": list(GIVEN["dn_in"])})


def test_masked_quantities_are_no_measurements():
    masked = pytest.importorskip("astropy.utils.masked").Masked
    given, mask = quantities(), np.zeros((5, 6), bool)
    mask[3, 2] = True
    got = dn2dem(**{**given, "dn_in": masked(given["dn_in"], mask=mask)})
    same(got, dn2dem(**{**given, "dn_in": np.where(mask, np.nan, given["dn_in"])}))


def test_one_unit_of_two_is_refused():
    refused("dn_in has a unit and edn_in has none, expected both or neither", dn_in=quantities()["dn_in"])
    refused("edn_in has a unit and dn_in has none, expected both or neither", edn_in=quantities()["edn_in"])


def test_quantities_for_demmap():
    units = pytest.importorskip("astropy.units")
    p = golden_cases.problem("self")
    kinds = ("DN / (s pix)", "DN / (s pix)", "10**-15 DN cm5 K / (s pix)", "dex", "dex")
    arrays = (p.dn, p.edn, p.rmatrix, p.logt, p.dlogt)
    got = demmap(*(units.Quantity(a, unit) for a, unit in zip(arrays, kinds, strict=True)), np.zeros(6))
    same([getattr(a, "value", a) for a in got], demmap(*arrays, np.zeros(6)))
    np.testing.assert_allclose(got[0].to_value("cm-5 K-1"), got[0].value * 1e15)


@pytest.mark.parametrize("kind", ["numpy", "dask"])
def test_the_full_result_says_how_each_pixel_ended(kind):
    dn, rows = GIVEN["dn_in"].copy(), golden_cases.problem("self")
    dn[4, 0] = np.nan
    given = dn if kind == "numpy" else pytest.importorskip("dask.array").from_array(dn, (2, 6))
    full = dn2dem(**{**GIVEN, "dn_in": given}, full=True, max_iter=3, reg_tweak=0.5, rgt_fact=1.2)
    same([np.asarray(a) for a in full[:5]], dn2dem(**{**GIVEN, "dn_in": dn}, max_iter=3, reg_tweak=0.5, rgt_fact=1.2))
    options = replace(rows.options, max_iter=3, reg_tweak=0.5, rgt_fact=1.2)
    expected = Registry().ready("baseline").run(replace(rows, dn=dn, options=options))
    assert np.asarray(full.status).tolist() == expected.status.tolist()
    assert np.asarray(full.iterations).tolist() == expected.iterations.tolist()
    assert full.status.dtype == np.int8
    assert full.iterations.dtype == np.int32
    targets = {0: 0.0, 1: 0.5, 2: 0.6, 3: 0.72}
    np.testing.assert_allclose(full.target, [targets[n] for n in expected.iterations])


def test_the_full_result_of_one_pixel_and_with_units():
    one = dn2dem(
        FILE["one pixel dn"], FILE["one pixel edn"], *[GIVEN[k] for k in ("tresp", "tresp_logt", "temps")], full=True
    )
    assert np.ndim(one.status) == np.ndim(one.target) == np.ndim(one.chisq) == 0
    assert dn2dem(**quantities(), full=True).dem.unit == "1 / (K cm5)"
