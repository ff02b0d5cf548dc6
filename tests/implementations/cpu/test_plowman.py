"""The positive method: that it is the one described, fits where there is a fit, and has the scatter that it says."""

from dataclasses import replace

import numpy as np
import plowman_reference as reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import assert_close, assert_identical, mixed, problem, with_invalid
from scipy.optimize import nnls

from harness.judge.summary import summarise
from harness.upkeep import coverage
from harness.workloads import awkward
from harness.workloads import problem as workload
from implementations import dn2dem
from implementations.contract import OUTPUTS, Options, Problem, Status
from implementations.cpu.plowman import Plowman


def held_to_the_reference(of, pixels):
    """elogt moves by half a sample where one is at the half maximum to rounding, the others not at all."""
    got = Plowman().run(of)
    for pixel in pixels:
        expected = reference.invert(of, pixel)
        for output in ("dem", "edem", "chisq", "dn_reg"):
            assert_close(getattr(got, output)[pixel][None], np.asarray(expected[output])[None], output)
        assert got.iterations[pixel] == expected["iterations"]
        assert np.mean(np.abs(got.elogt[pixel] - expected["elogt"]) > 1e-9) < 0.05


@pytest.mark.parametrize("name", ["gaussian-response", "solar-mix", "random-response"])
@pytest.mark.parametrize("bins", [20, 34, 70])
def test_it_is_the_method_that_is_described(name, bins):
    of, _ = workload.generate(workload.load(name), 40, bins)
    held_to_the_reference(of, np.flatnonzero(of.valid())[:25])


@pytest.mark.parametrize("options", [{"gloci": 1}, {"gloci": (1, 0, 1, 0, 1, 1)}, {"reg_tweak": 0.3}, {"l_emd": True}])
def test_starts_and_targets(options):
    of = mixed(20)
    held_to_the_reference(replace(of, options=replace(of.options, **options)), np.flatnonzero(of.valid()))


def test_the_users_start():
    of = mixed(20)
    norm = np.random.default_rng(1).uniform(0.1, 3, (20, 20))
    norm[3], norm[4, 0] = 1, 0
    of = replace(of, dem_norm0=norm)
    held_to_the_reference(of, np.flatnonzero(of.valid()))
    of = replace(of, options=Options(gloci=1))
    held_to_the_reference(of, np.flatnonzero(of.valid())[:6])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_any_problem_has_a_positive_answer_of_its_own_counts(seed):
    draw = awkward.drawn(seed)
    of = draw.problem()
    got, valid = Plowman().run(of), of.valid()
    got.check(of)
    for output in OUTPUTS:
        values = getattr(got, output)
        assert np.isfinite(values).all(), output
        assert not values[~valid].any(), output
    assert (got.dem[valid] > 0).all()
    assert (got.edem[valid] > 0).all()
    assert (got.status == np.where(valid, Status.OK, Status.INVALID)).all()
    assert ((got.iterations >= 1) == valid).all()
    flaws = summarise(of, vars(got)).flaws
    assert not any(flaws[name] for name in ("own chisq", "own dn_reg", "status", "iterations", "nonzero")), flaws


def test_invalid_pixels_and_threads_change_nothing():
    of, _ = with_invalid(mixed(3000))
    assert_identical(Plowman(threads=2).run(of), Plowman().run(of))


def test_a_pixel_that_no_dem_fits_is_brought_as_near_as_one_can():
    of = mixed(60)
    dn = of.dn.copy()
    dn[:, 1] *= 30
    of = replace(of, dn=dn)
    got, valid = Plowman().run(of), np.flatnonzero(of.valid())
    kernel = of.rmatrix.T @ reference.hats(of)
    least = [nnls(kernel / of.edn[p][:, None], of.dn[p] / of.edn[p])[1] ** 2 / of.sizes[1] for p in valid]
    assert np.min(least) > 100
    assert (got.chisq[valid] < 1.1 * np.array(least)).all()


def test_a_flat_dem_that_fits_is_left_flat():
    of = problem(5)
    faint = Problem(of.dn, 100 * of.dn, of.rmatrix, of.logt, of.dlogt)
    got = Plowman().run(faint)
    assert (got.iterations == 1).all()
    per_dex = (got.dem * 10**of.logt)[:, 1:-1]  # the hats at both ends are halves
    np.testing.assert_allclose(per_dex, per_dex[:, :1].repeat(12, axis=1), rtol=0.02)


@pytest.mark.parametrize(("name", "least"), [("gaussian-response", 0.64), ("solar-mix", 0.64)])
def test_errors_are_the_scatter_that_noise_makes(name, least):
    """Some 0.68 of the draws lie within one edem of their mean; regularisation's bias is no part of that."""
    of, truth = workload.generate(workload.load(name), 12, 34)
    valid = np.flatnonzero(of.valid())
    found = coverage.of(Plowman(), of.take(valid), truth[valid], draws=300, seed=4)
    assert least < found.noise < 0.73
    assert 0.9 < found.scatter < 1.1
    assert found.truth < found.noise


def test_without_its_terms_an_error_would_not_be_the_scatter():
    """The linearised problem's own noise is more than the steps have gone of it."""
    of, truth = workload.generate(workload.load("solar-mix"), 12, 34)
    valid = np.flatnonzero(of.valid())
    share = np.array([reference.invert(of, pixel)["share"] for pixel in valid])

    class Alone(Plowman):
        name = "alone"

        def collect(self, state, solution):
            whole = super().collect(state, solution)
            return replace(whole, edem=whole.edem / np.median(share))

    assert np.median(share) < 0.97
    found = [coverage.of(s, of.take(valid), truth[valid], 300, 4) for s in (Plowman(), Alone())]
    assert abs(found[0].noise - coverage.NOMINAL) < abs(found[1].noise - coverage.NOMINAL)


def test_elogt_is_that_of_a_dem_of_one_bin():
    """A bin's DEM, added and inverted again, comes back as wide as elogt says, where noise allows so small a change."""
    of, _ = workload.generate(workload.load("gaussian-response"), 8, 34)
    got, exact = Plowman().run(of), np.flatnonzero(of.valid())[:4]
    for pixel in exact:
        t = int(got.dem[pixel].argmax())
        added = 1e-5 * of.rmatrix[t] * got.dem[pixel, t]
        dn = np.stack([of.dn[pixel] + added, of.dn[pixel] - added])
        both = Plowman().run(Problem(dn, of.edn[[pixel, pixel]], of.rmatrix, of.logt, of.dlogt, of.options))
        change = both.dem[0] - both.dem[1]
        points = of.logt[0] + 1e-8 + (of.logt[-1] - of.logt[0]) * np.arange(51) / 51
        reached = points[np.interp(points, of.logt, change) >= change.max() / 2]
        # the steps before the last move too, which the last linearisation doesn't know
        assert abs((reached[-1] - reached[0]) / 2 - got.elogt[pixel, t]) <= 0.35 * got.elogt[pixel, t]


def test_dn2dem_takes_it():
    """EIS-like: 20 lines, each narrower than AIA's channels."""
    temps = np.logspace(5.5, 7.0, 31)
    logt = np.log10(temps[:-1]) + 0.025
    centres = np.linspace(5.6, 6.9, 20)
    tresp = 1e-24 * np.exp(-((logt[:, None] - centres) ** 2) / (2 * 0.08**2)) + 1e-30
    dem = 1e21 * np.exp(-((logt - 6.2) ** 2) / (2 * 0.2**2))
    dn = dem * np.diff(temps) @ tresp
    found = dn2dem(dn, 0.05 * dn, tresp, logt, temps, solver="plowman")
    assert (found[0] > 0).all()
    assert found[3] <= 1.1
    assert np.linalg.norm(found[0] - dem) < 0.3 * np.linalg.norm(dem)


def test_dn2dem_says_what_was_aimed_at_and_inverts_emission_measures_alike():
    of = mixed(12, 30)
    edges = 10.0 ** np.append(of.logt - of.dlogt / 2, of.logt[-1] + of.dlogt[-1] / 2)
    width = 10**of.logt * np.log(10**of.dlogt)
    tresp = of.rmatrix / width[:, None] / 1e15
    call = {"tresp": tresp, "tresp_logt": of.logt, "temps": edges, "warn": False, "full": True}
    for solver in ("plowman", "dask[inner=plowman,threads=1]"):
        one = dn2dem(of.dn, of.edn, **call, solver=solver, emd_ret=True)
        assert ((one.target == 1) == of.valid()).all()
        assert one.iterations.max() > 3
    other = dn2dem(of.dn, of.edn, **call, solver="plowman", emd_int=True, emd_ret=True)
    for output in ("dem", "edem", "chisq", "dn_reg"):
        np.testing.assert_allclose(getattr(other, output), getattr(one, output), rtol=1e-8)


@pytest.mark.parametrize("given", [{"threads": 0}, {"delta": 0}, {"delta": float("nan")}])
def test_a_bad_tunable_is_one_line(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} must be"):
        Plowman(**given)
