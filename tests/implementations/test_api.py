"""The drop-in calls: outputs, shapes and manners of the published ones."""

import warnings

import golden_cases
import numpy as np
import pytest
import solvers

import implementations
from implementations.contract import OUTPUTS, Options
from implementations.maths import response
from implementations.registry import Registry

FILE = golden_cases.FILE
EXACT = [
    facts["name"]
    for facts in map(Registry().describe, Registry().names())
    if facts["available"] and facts["accuracy"] == "exact" and not facts["external"]
]
LOCAL = [n for n in EXACT if Registry().load(n).device == "cpu"]

TINY_BIN = 2.2745562678936816e-16
"""Of the peak, to 60 digits: see `golden_cases.ROUNDED_SIGN`."""


def call(case, solver="numba", **changes):
    """`dn2dem` with a golden case's arguments."""
    spec = golden_cases.CASES[case]
    given = dict(spec["options"])
    if f"{case} dem_norm0" in FILE:
        given["dem_norm0"] = FILE[f"{case} dem_norm0"]
    given = {"dn_in": FILE[f"{case} dn"], "edn_in": FILE[f"{case} edn"], **given, **changes}
    dn, edn = given.pop("dn_in"), given.pop("edn_in")
    tresp = FILE["tresp"][:, : spec["channels"]]
    with warnings.catch_warnings():
        if spec["temps"] == "wide":
            warnings.filterwarnings("ignore", "temps has bins outside of the response")
        return implementations.dn2dem(
            dn, edn, tresp, FILE["tresp_logt"], FILE[f"temps {spec['temps']}"], solver=solvers.spec(solver), **given
        )


@pytest.mark.parametrize("solver", LOCAL)
@pytest.mark.parametrize("case", [name for name in golden_cases.CASES if name not in golden_cases.UNEVEN])
def test_every_output_has_the_shape_and_value_of_demregpys(case, solver):
    changes, bound = {}, golden_cases.AGREES
    if case == golden_cases.ROUNDED_SIGN and solver in golden_cases.PADDED:
        changes, bound = {"non_pos": True}, golden_cases.PADDED_AGREES
    for name, got in zip(OUTPUTS, call(case, solver, **changes), strict=True):
        expected = FILE[f"{case} {name}"]
        assert np.shape(got) == expected.shape
        worst = np.abs(got - expected).max() / np.abs(expected).max()
        assert worst <= bound, (name, worst)


@pytest.mark.parametrize("solver", LOCAL)
@pytest.mark.parametrize("case", golden_cases.UNEVEN)
def test_published_bins_of_unequal_width_are_for_demmap(case, solver):
    p = golden_cases.problem(case)
    glc = p.options.loci_mask(6) if p.options.gloci else np.zeros(6)
    got = implementations.demmap(
        p.dn, p.edn, p.rmatrix, p.logt, p.dlogt, glc, solver=solvers.spec(solver), nmu=p.options.nmu
    )
    for name, output in zip(OUTPUTS, got, strict=True):
        expected = golden_cases.expected(case, name)
        assert np.abs(output - expected).max() <= golden_cases.AGREES * np.abs(expected).max(), name


@pytest.mark.parametrize("solver", [n for n in LOCAL if n not in golden_cases.PADDED])
def test_a_bin_far_below_the_peak_has_its_own_digits(solver):
    """So its sign, which decides how often the positivity loop runs, isn't left to rounding."""
    dem = call(golden_cases.ROUNDED_SIGN, solver, emd_ret=True)[0][-1]
    assert dem[1] / dem.max() == pytest.approx(TINY_BIN, rel=1e-6)


def test_one_pixel_has_a_scalar_chisq_and_a_row_keeps_its_axis():
    dem, _, _, chisq, dn_reg = call("one pixel")
    assert (dem.ndim, np.ndim(chisq), dn_reg.ndim) == (1, 0, 1)
    dem, edem, elogt, chisq, dn_reg = call("map of one row")
    assert dem.shape == edem.shape == elogt.shape == (1, 4, 24)
    assert (chisq.shape, dn_reg.shape) == ((1, 4), (1, 4, 6))


@pytest.mark.parametrize(
    "kind",
    [
        lambda a: a.astype(">f8"),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a.tolist(),
    ],
    ids=["big-endian", "Fortran order", "strided", "list"],
)
def test_any_layout_gives_the_same(kind):
    plain = call("map")
    other = call("map", dn_in=kind(FILE["map dn"]), edn_in=kind(FILE["map edn"]))
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_precision_input_is_welcome():
    dn, edn = FILE["map dn"].astype(np.float32), FILE["map edn"].astype(np.float32)
    single, double = call("map", dn_in=dn, edn_in=edn), call("map", dn_in=dn.astype(float), edn_in=edn.astype(float))
    for a, b in zip(single, double, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_response_given_again_is_not_put_on_the_bins_again(monkeypatch):
    """Those who loop over pixels pay for it once; what it holds counts, not which array it is."""
    made = []
    real = response.response_matrix
    monkeypatch.setattr(response, "response_matrix", lambda *given: made.append(1) or real(*given))
    tresp = FILE["tresp"] * (1 + 1e-9)  # nobody has given this one
    temps, logt = FILE["temps even"], FILE["tresp_logt"]
    dn, edn = FILE["map dn"][0, 0], FILE["map edn"][0, 0]

    def dem_of(tresp, **options):
        return implementations.dn2dem(dn, edn, tresp[:, : len(dn)], logt, temps, **options)[0]

    first = dem_of(tresp)
    np.testing.assert_array_equal(dem_of(tresp.copy()), first)
    assert len(made) == 1
    tresp[:, 0] *= 1.5  # in place
    assert not np.array_equal(dem_of(tresp), first)
    assert len(made) == 2
    assert not np.array_equal(dem_of(tresp, emd_int=True), dem_of(tresp))
    assert len(made) == 3


def test_settings_given_again_are_not_checked_again(monkeypatch):
    made, real = [], Options.__post_init__
    monkeypatch.setattr(Options, "__post_init__", lambda self: made.append(1) or real(self))
    mask = np.array([0, 1, 1, 0, 0, 1.0])
    given = {"reg_tweak": 0.987}  # nobody has given this one
    first = call("map", gloci=mask, **given)
    np.testing.assert_array_equal(call("map", gloci=mask.astype(int).tolist(), **given)[0], first[0])
    assert len(made) == 1
    mask[0] = 1  # in place
    assert not np.array_equal(call("map", gloci=mask, **given)[0], first[0])
    assert len(made) == 2


@pytest.mark.parametrize(("taken", "refused"), [({"max_iter": 7}, 7.0), ({"reg_tweak": 1}, True)])
def test_what_equals_a_setting_that_was_taken_is_refused_all_the_same(taken, refused):
    call("map", **taken)
    (name,) = taken
    with pytest.raises(ValueError, match=f"{name} must be a .* number.*, got {refused}"):
        call("map", **{name: refused})


def test_bins_beyond_the_response_are_warned_of_every_time():
    given = FILE["map dn"], FILE["map edn"], FILE["tresp"][:, :6], FILE["tresp_logt"], 10 ** np.linspace(5.2, 7.2, 21)
    for _ in range(2):
        with pytest.warns(UserWarning, match="temps has bins outside of the response"):
            implementations.dn2dem(*given)


@pytest.mark.parametrize("lazy", [False, True])
def test_outputs_in_single_precision_are_the_double_ones_rounded(lazy):
    dn, edn = FILE["map dn"].copy(), FILE["map edn"]
    dn[0, 0, 0] = np.nan
    if lazy:
        da = pytest.importorskip("dask.array")
        dn, edn = da.from_array(dn, chunks=(1, -1, -1)), da.from_array(edn, chunks=(1, -1, -1))
    given = {"dn_in": dn, "edn_in": edn, "full": True}
    single, double = call("map", dtype="float32", **given), call("map", **given)
    for name in (*OUTPUTS, "target"):
        one, two = getattr(single, name), getattr(double, name)
        assert one.dtype == np.float32
        assert two.dtype == np.float64
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two).astype(np.float32))
    for name in ("status", "iterations"):
        assert getattr(single, name).dtype == getattr(double, name).dtype
        np.testing.assert_array_equal(np.asarray(getattr(single, name)), np.asarray(getattr(double, name)))


@pytest.mark.parametrize("dtype", ["float16", int, "no type", np.complex64])
def test_another_type_of_outputs_is_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be float64 or float32, got"):
        call("map", dtype=dtype)


def test_input_is_never_changed_and_may_be_read_only():
    dn, edn = FILE["map dn"].copy(), FILE["map edn"].copy()
    dn[0, 0, 0], edn[1, 0, 2] = -1.0, 0.0
    before = dn.copy(), edn.copy()
    dn.flags.writeable = edn.flags.writeable = False
    call("map", dn_in=dn, edn_in=edn)
    np.testing.assert_array_equal(dn, before[0])
    np.testing.assert_array_equal(edn, before[1])


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["dn_in", "edn_in"])
def test_a_bad_pixel_is_zeros_and_leaves_the_others_alone(which, value):
    values = FILE[f"map {'dn' if which == 'dn_in' else 'edn'}"].copy()
    values[1, 1, 3] = value
    good, got = call("map"), call("map", **{which: values})
    for a, b in zip(good, got, strict=True):
        assert np.all(b[1, 1] == 0)
        others = np.ones((3, 2), bool)
        others[1, 1] = False
        np.testing.assert_array_equal(a[others], b[others])


def test_two_negative_channels_do_not_pass_for_valid():
    dn = FILE["map dn"].copy()
    dn[0, 0, :2] *= -1
    assert np.all(call("map", dn_in=dn)[0][0, 0] == 0)


def test_a_map_of_bad_pixels_and_an_empty_map():
    for shape in ((2, 3, 6), (0, 6)):
        dem, *_, dn_reg = call("map", dn_in=np.zeros(shape), edn_in=np.zeros(shape))
        assert dem.shape == (*shape[:-1], 24)
        assert dn_reg.shape == shape
        assert not dem.any()


def test_rescaling_makes_the_mean_count_right():
    plain, scaled = call("self"), call("self", rscl=True)
    factor = (FILE["self dn"] / plain[4]).mean(axis=-1)
    for i in (0, 1, 4):
        np.testing.assert_allclose(scaled[i], plain[i] * factor[:, None], rtol=1e-12)
    np.testing.assert_array_equal(scaled[2], plain[2])
    residual = (FILE["self dn"] - scaled[4]) / FILE["self edn"]
    np.testing.assert_allclose(scaled[3], (residual**2).mean(axis=-1), rtol=1e-10)


def test_demmap_is_the_call_beneath():
    problem = golden_cases.problem("mask")
    got = implementations.demmap(
        problem.dn, problem.edn, problem.rmatrix, problem.logt, problem.dlogt, [1, 0, 1, 1, 0, 1]
    )
    for name, value in zip(OUTPUTS, got, strict=True):
        np.testing.assert_allclose(value, golden_cases.expected("mask", name), rtol=1e-8)


def test_a_progress_bar_changes_nothing(capsys, monkeypatch):
    monkeypatch.setattr("implementations.calls.inversion.STRIP", 2)
    for a, b in zip(call("map"), call("map", progress=True), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "DEM" in capsys.readouterr().out


def test_warnings_on_request():
    dn = FILE["map dn"].copy()
    dn[0, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="1 of 6 pixels have invalid counts or errors"):
        call("map", dn_in=dn, warn=True, max_iter=50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edn_in": np.ones((3, 6))}, r"the errors have shape \(3, 6\), expected that of the counts, \(3, 2, 6\)"),
        ({"dn_in": 5.0, "edn_in": 1.0}, r"the counts have shape \(\)"),
        ({"dn_in": np.ones((3, 5)), "edn_in": np.ones((3, 5))}, r"tresp and tresp_logt have shapes"),
        ({"dem_norm0": np.ones(7)}, r"dem_norm0 has shape \(7,\), expected \(24,\) or \(3, 2, 24\)"),
        ({"dem_norm0": np.full(24, np.nan)}, "dem_norm0 has values that are not finite"),
        ({"gloci": [1, 0]}, "gloci is a mask of 2 channels, expected 6"),
        ({"gloci": 2}, "gloci must be 0, 1 or a mask"),
        ({"max_iter": 0}, "max_iter must be a whole number from 1"),
        ({"reg_tweak": -1}, "reg_tweak must be a finite number > 0"),
        ({"solver": "nunba"}, "unknown solver 'nunba'; nearest known: numba"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        call("map", **changes)


@pytest.mark.parametrize(
    ("temps", "message"),
    [
        ([1e6, 2e6, 3e6], r"temps has shape \(3,\), expected \(T\+1,\), the edges of T >= 3 bins"),
        ([4e6, 3e6, 2e6, 1e6], "temps must be finite, > 0 and increasing, K; got 4e\\+06 to 1e\\+06"),
        ([0, 1e6, 2e6, 3e6], "temps must be finite, > 0 and increasing, K; got 0 to 3e\\+06"),
    ],
)
def test_temperature_edges_that_bound_no_bins_are_named(temps, message):
    with pytest.raises(ValueError, match=message):
        implementations.dn2dem(FILE["map dn"], FILE["map edn"], FILE["tresp"], FILE["tresp_logt"], temps)
