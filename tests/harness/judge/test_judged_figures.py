"""Each figure that is judged is what it says it is, by solutions that are off in a known way."""

from dataclasses import replace

import numpy as np
import pytest
from problems import mixed, problem
from solvers import create

from harness.judge import quality, summary
from harness.judge.summary import summarise
from implementations.contract import Status


@pytest.fixture(scope="module")
def solved():
    """A problem with some invalid pixels, and the baseline's solution."""
    given = mixed(60)
    return given, create("baseline").run(given)


def parity(solved, **changed):
    given, solution = solved
    got = summarise(given, vars(replace(solution, **changed)))
    return quality.parity(got, summarise(given, vars(solution)), given)


def test_one_bin_of_one_pixel_is_seen(solved):
    given, solution = solved
    dem, pixel = solution.dem.copy(), np.flatnonzero(given.valid())[2]
    dem[pixel, 4] += 1e-7 * dem[pixel].max()
    assert parity(solved, dem=dem)["parity_dem"] == pytest.approx(1e-7, rel=1e-3)


def test_status_and_iterations_that_differ_are_counted(solved):
    valid = np.flatnonzero(solved[0].valid())[:3]
    status, iterations = solved[1].status.copy(), solved[1].iterations.copy()
    status[valid] = np.where(status[valid] == Status.OK, Status.HIT_MAX_ITER, Status.OK)
    iterations[valid] += 1
    compared = parity(solved, status=status, iterations=iterations)
    assert (compared["status_differs"], compared["iterations_differ"]) == (3, 3)
    assert compared["flaws"]["status"] == 3


def test_a_tie_is_neither_a_deviation_nor_one_for_solutions_of_other_passes():
    given = problem(1)
    solution = summarise(given, vars(create("baseline").run(given)))
    target = given.options.reg_tweak * given.options.rgt_fact ** (solution.iterations - 1.0)
    below, above = (
        replace(solution, chisq=target + gap, dem=solution.dem * (1 + gap), chisq_sample=target)
        for gap in (-0.01, 0.01)
    )
    compared = quality.parity(below, above, given)
    assert (compared["tied_pixels"], compared["parity_dem"], compared["chisq_all"]) == (1, 0, 0)
    further = replace(above, chisq=target + 0.01 + 5e-9 * target)
    assert not quality.tied(below, further, given).any()
    assert not quality.tied(replace(below, iterations=below.iterations + 1), above, given).any()


def test_what_is_wrong_by_the_solution_itself_is_counted_in_valid_pixels(solved):
    given, solution = solved
    valid, invalid = np.flatnonzero(given.valid()), np.flatnonzero(~given.valid())
    edem, iterations, elogt = solution.edem.copy(), solution.iterations.copy(), solution.elogt.copy()
    edem[valid[:2], 0] = np.nan
    iterations[valid[:3]] = given.options.max_iter + 1
    elogt[invalid[0], 0] = 1.0
    dn_reg = solution.dn_reg * (1 + 3e-6)
    chisq = np.where(np.arange(60) == valid[5], solution.chisq + 3e-6 * np.maximum(solution.chisq, 1), solution.chisq)
    changed = replace(solution, edem=edem, iterations=iterations, elogt=elogt, dn_reg=dn_reg, chisq=chisq)
    flaws = summarise(given, vars(changed)).flaws
    expected = {
        "gaps edem": 2,
        "passes": 3,
        "iterations": 0,
        "nonzero": 1,
        "own dn_reg": len(valid),
        "own chisq": 1,
        "status": 0,
    }
    assert {name: flaws[name] for name in expected} == expected


def test_a_large_map_is_summed_up_to_its_end(solved, monkeypatch):
    given, solution = solved
    whole = summarise(given, vars(solution))
    monkeypatch.setattr(summary, "CHUNK", 7)
    parts = summarise(given, vars(solution))
    assert parts.flaws == whole.flaws
    np.testing.assert_allclose(parts.chisq, whole.chisq, rtol=1e-12)
    valid = given.valid()
    np.testing.assert_allclose(whole.chisq[valid], solution.chisq[valid], rtol=1e-9)
    assert np.isnan(whole.chisq[~valid]).all()


def test_objects_are_no_numbers(solved):
    given, solution = solved
    with pytest.raises(ValueError, match="expected numbers of shape"):
        summarise(given, vars(solution) | {"dem": solution.dem.astype(object)})


def test_uncertainties_are_judged_by_nine_pixels_of_ten(solved):
    given, solution = solved
    edem, valid = solution.edem.copy(), np.flatnonzero(given.valid())
    edem[valid[: len(valid) // 5]] *= 0.5
    assert parity(solved, edem=edem)["ratio_edem"] == pytest.approx((0.5, 1.0))


def test_chi_squared_figures_are_percentiles():
    figures = quality.chisq_figures(np.arange(101.0))
    assert [figures[f"chisq_{name}"] for name in ("median", "p25", "p75", "iqr", "p95")] == [50, 25, 75, 50, 95]


def test_the_distance_to_the_truth_is_the_middle_pixels():
    given = problem(3)
    solution = summarise(given, vars(create("baseline").run(given)))
    truth = solution.dem / np.array([[1.0], [1.1], [1.4]])
    edem = np.abs(solution.dem - truth) * np.array([[1.0], [0.6], [0.6]])
    figures = quality.against_truth(replace(solution, edem=edem), given, truth)
    assert figures["truth_dem_error"] == pytest.approx(0.1)
    assert figures["truth_coverage"] == pytest.approx(1 / 3)


def test_an_unknown_truth_has_no_distance():
    given = problem(3)
    solution = summarise(given, vars(create("baseline").run(given)))
    assert all(np.isnan(x) for x in quality.against_truth(solution, given, np.full_like(solution.dem, np.nan)).values())


def test_shares_and_counts_are_of_what_the_problem_calls_valid(solved):
    given, solution = solved
    kept = summarise(given, vars(replace(solution, status=np.zeros_like(solution.status))))
    assert quality.counts(kept, given)["invalid_pixels"] == np.count_nonzero(~given.valid()) > 0
    negative = replace(kept, negative=given.valid())
    truth = np.ones_like(solution.dem)
    assert quality.judged_figures(negative, given, truth)["negative_share"] == 1.0


def test_a_first_run_is_judged_by_known_and_by_secret_pixels():
    judged = quality.judged(10**6, "secret")
    assert np.isin(quality.sample_of(10**6), judged).all()
    assert np.isin(quality.watched(10**6, "secret"), judged).all()
    assert quality.hidden(quality.WATCHED_PIXELS, 10**6) < 0.0045, "as large a share of wrong pixels stays hidden"


@pytest.mark.parametrize(
    ("pixels", "rounds", "share"), [(9, 3, 9), (1024, 1, 256), (1024, 2, 128), (1024, 9, 64), (100, 2, 100)]
)
def test_the_baselines_pixels_are_dealt_out_over_the_rounds(pixels, rounds, share):
    watched = np.arange(pixels) * 7
    hands = quality.dealt(watched, rounds)
    assert len(hands) == rounds
    for hand in hands:
        assert len(hand) == len(np.unique(hand)) == share
        assert (np.diff(hand) > 0).all()
    assert len(np.unique(np.concatenate(hands))) == min(pixels, rounds * share), "none twice before all had a turn"
    assert set(np.concatenate(hands)) <= set(watched)
    assert share == pixels or not np.array_equal(hands[0], quality.dealt(watched, rounds)[0])
