"""The judge: what an exact and an approximate solver are held to."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from harness.judge import gates, quality
from harness.judge.summary import Summary, summarise
from harness.workloads import problem as workload
from implementations.contract import OUTPUTS, Bounds, Status
from implementations.places import ROOT
from implementations.registry import Registry

PIXELS = 60
LENIENT = Bounds((0.5, 2.0), (0.5, 2.0), (0.5, 2.0), 1.5, negative_pixels=0.1, edem=(0.9, 1.1), elogt=(0.9, 1.1))


@pytest.fixture(scope="module")
def case():
    """A problem with invalid pixels, its truth, and the baseline's solution."""
    problem, truth = workload.generate(workload.load("solar-mix"), PIXELS, 20)
    return problem, truth, Registry().create("baseline").run(problem)


def verdict(case, solution, accuracy="exact", bounds=None, leaves_out=()):
    problem, truth, baseline = case
    got, reference = summarise(problem, vars(solution)), summarise(problem, vars(baseline))
    ours = quality.judged_figures(got, problem, truth) | quality.parity(got, reference, problem)
    return gates.judge(accuracy, bounds, ours, quality.judged_figures(reference, problem, truth), leaves_out)


def with_dem(case, dem):
    """The baseline's solution with another DEM, and what follows of it."""
    problem, _, baseline = case
    dn_reg = np.where(problem.valid()[:, None], dem @ problem.rmatrix, 0.0)
    with np.errstate(all="ignore"):
        chisq = np.where(problem.valid(), (((problem.dn - dn_reg) / problem.edn) ** 2).mean(axis=1), 0.0)
    status = np.where((dem < 0).any(axis=1), Status.HIT_MAX_ITER, Status.OK)
    status = np.where(problem.valid(), status, Status.INVALID).astype(np.int8)
    return replace(baseline, dem=dem, dn_reg=dn_reg, chisq=chisq, status=status)


def test_the_baseline_passes_its_own_gate(case):
    assert verdict(case, case[2]) == gates.Verdict("pass")


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("factor", [1 + 1e-7, np.nan, np.inf])
def test_an_output_that_is_off_in_one_pixel_is_named(case, output, factor):
    values = getattr(case[2], output).copy()
    pixel = np.flatnonzero(case[0].valid())[3]
    values[pixel] = values[pixel] * factor
    judged = verdict(case, replace(case[2], **{output: values}))
    assert judged.gate == "fail"
    assert any(reason.startswith(f"{output}: deviates") for reason in judged.reasons)


def test_rounding_passes(case):
    changes = {output: getattr(case[2], output) * (1 + 1e-12) for output in OUTPUTS}
    assert verdict(case, replace(case[2], **changes)).gate == "pass"


def test_status_and_invalid_pixels_are_judged(case):
    invalid = np.flatnonzero(~case[0].valid())[0]
    status, dem = case[2].status.copy(), case[2].dem.copy()
    status[invalid] = 0
    assert "status: differs" in verdict(case, replace(case[2], status=status)).reasons[0]
    dem[invalid] = 1.0
    assert "invalid pixels: 1 outputs are not zero" in str(verdict(case, replace(case[2], dem=dem)).reasons)


def test_no_baseline_no_verdict():
    assert gates.judge("exact", None, {}, None).gate == "none"


def test_an_approximate_solver_is_held_to_its_bounds(case):
    off = with_dem(case, case[2].dem * 1.02)
    assert verdict(case, off, "approximate", LENIENT).gate == "pass"
    assert verdict(case, off, "approximate", replace(LENIENT, chisq_median=(0.999, 1.001))).gate == "fail"
    assert verdict(case, off, "approximate", None).reasons == ("approximate, but declares no bounds",)


def test_an_approximate_solver_leaves_out_what_it_declares_and_nothing_else(case):
    valid = case[0].valid()
    without = replace(case[2], edem=np.where(valid[:, None], np.nan, case[2].edem))
    judged = verdict(case, without, "approximate", LENIENT, ("edem",))
    assert judged == gates.Verdict("pass")
    assert verdict(case, without, "approximate", LENIENT).reasons == (
        f"edem: not finite in {valid.sum()} valid pixels",
    )
    invented = verdict(case, case[2], "approximate", LENIENT, ("edem",))
    assert invented.reasons == (f"edem: declared as not computed, but {valid.sum()} pixels have a number",)
    assert verdict(case, without, "exact", None, ("edem",)).gate == "fail", "an exact solver leaves out nothing"


def test_a_better_fit_with_a_worse_dem_fails(case):
    """Chi-squared alone cannot judge: move the DEM along a direction that the counts don't see."""
    problem, _, baseline = case
    blind = np.linalg.svd(problem.rmatrix.T)[2][-1]
    valid = problem.valid()
    dem = baseline.dem + valid[:, None] * blind * 5 * baseline.dem.max(axis=1, keepdims=True)
    judged = verdict(case, with_dem(case, dem), "approximate", replace(LENIENT, negative_pixels=0.5))
    assert any("DEM error against the truth" in reason for reason in judged.reasons)
    assert not any("chisq" in reason for reason in judged.reasons)


def test_negative_bins_are_counted(case):
    dem = case[2].dem.copy()
    dem[case[0].valid(), 0] = -1e-30
    assert any("negative pixels" in r for r in verdict(case, replace(case[2], dem=dem), "approximate", LENIENT).reasons)


def test_a_solution_without_variation_meets_itself(case):
    """One valid pixel: the IQR is 0 for both."""
    problem, truth, _ = case
    one = problem.take(np.flatnonzero(problem.valid())[:1])
    solution = Registry().create("baseline").run(one)
    assert verdict((one, truth[problem.valid()][:1], solution), solution).gate == "pass"
    assert verdict((one, truth[problem.valid()][:1], solution), solution, "approximate", LENIENT).gate == "pass"


def summary_at(chisq, iterations=1):
    ones, zero = np.ones((1, 3)), np.zeros(1, int)
    figures = (np.array([chisq]), zero.astype(np.int8), np.array([iterations]), np.zeros(1, bool))
    return Summary(zero, *figures, zero, ones, ones, ones, np.array([chisq]), ones)


@given(gap=st.floats(1e-6, 0.5), iterations=st.integers(1, 5))
def test_a_tie_is_two_steps_equally_far_from_the_target_on_either_side(gap, iterations):
    problem, _ = workload.generate(workload.load("random-response"), 1, 3)
    target = 1.5 ** (iterations - 1)
    below, above = summary_at(target - gap, iterations), summary_at(target + gap, iterations)
    assert quality.tied(below, above, problem).all()
    assert not quality.tied(below, below, problem).any()
    assert not quality.tied(below, summary_at(target + gap * 1.1, iterations), problem).any()
    assert not quality.tied(below, summary_at(target + gap, iterations + 1), problem).any()


def test_chisq_is_recomputed_not_believed(case):
    flattering = replace(case[2], chisq=np.zeros(PIXELS))
    summary = summarise(case[0], vars(flattering))
    valid = case[0].valid()
    assert summary.chisq[valid] == pytest.approx(case[2].chisq[valid])


def test_statistics_leave_invalid_pixels_out(case):
    problem, _, solution = case
    summary = summarise(problem, vars(solution))
    figures = quality.chisq_figures(summary.chisq[problem.valid()])
    assert figures["chisq_median"] == pytest.approx(np.median(solution.chisq[problem.valid()]))
    assert quality.counts(summary, problem)["invalid_pixels"] == (~problem.valid()).sum() > 0


@pytest.mark.parametrize(
    ("output", "factor", "said"),
    [
        ("edem", 0.2, "edem: 0.2 to 0.2 times the baseline's in nine pixels of ten, 0.9 to 1.1 declared"),
        ("elogt", 3.0, "elogt: 3 to 3 times the baseline's in nine pixels of ten, 0.9 to 1.1 declared"),
        ("chisq", 0.99, "chisq: isn't what its dem gives in"),
        ("dn_reg", 1.01, "dn_reg: isn't the counts of its dem in"),
        ("status", 0, "status: isn't what its dem and its counts call for in"),
        ("iterations", 0, "iterations: none in a valid pixel, or some in an invalid one, in"),
    ],
)
def test_every_output_of_an_approximate_solver_is_judged(case, output, factor, said):
    values = getattr(case[2], output)
    judged = verdict(case, replace(case[2], **{output: (values * factor).astype(values.dtype)}), "approximate", LENIENT)
    assert judged.gate == "fail"
    assert said in str(judged.reasons)


def test_an_output_without_bounds_is_no_promise(case):
    judged = verdict(case, case[2], "approximate", replace(LENIENT, elogt=None))
    assert judged.reasons == ("elogt: no bounds declared",)


@pytest.mark.parametrize("factor", [1, 30])
def test_another_method_is_held_to_the_fit_that_there_can_be(case, factor):
    """Its chi-squared lies above its target only where every DEM without negative bins has one so high."""
    problem, _, baseline = case
    valid, dn = problem.valid(), problem.dn.copy()
    dn[:, 1] *= factor  # no DEM makes thirty times the counts in one channel
    given, dem = replace(problem, dn=dn), np.zeros_like(baseline.dem)
    for pixel in np.flatnonzero(valid):
        error = given.edn[pixel]
        dem[pixel] = nnls(given.rmatrix.T / error[:, None], dn[pixel] / error)[0]
    best = summarise(given, vars(with_dem((given, None, baseline), dem)))
    assert (np.median(best.chisq[valid]) > 1) == (factor > 1)
    assert quality.reached(best, given)["reached_chisq_p95"] <= 1 + 1e-9
    worse = summarise(given, vars(with_dem((given, None, baseline), 0.1 * dem)))
    assert quality.reached(worse, given)["reached_chisq_p95"] > 1.2


def test_what_is_too_near_the_truth_was_not_recovered(case):
    problem, truth, _ = case
    dem = np.where(problem.valid()[:, None], truth, 0.0)
    assert "nothing recovers it better" in str(verdict(case, with_dem(case, dem), "approximate", LENIENT).reasons)


def test_iterations_of_an_exact_solver_count(case):
    iterations = case[2].iterations.copy()
    iterations[np.flatnonzero(case[0].valid())[2]] += 1
    judged = verdict(case, replace(case[2], iterations=iterations))
    assert judged.reasons[0] == "iterations: differ from the baseline's in 1 pixels, none allowed"
    without = replace(case[2], iterations=np.zeros_like(iterations))
    assert verdict(case, without, leaves_out=("iterations",)).gate == "pass"
    assert verdict(case, case[2], leaves_out=("iterations",)).gate == "fail", "declared as not computed"


def test_a_statistic_that_is_off_is_named_with_how_much(case):
    """Never two numbers that read the same."""
    off = with_dem(case, case[2].dem * (1 + 1e-8))
    (reason,) = [r for r in verdict(case, off).reasons if r.startswith("chisq_median")]
    assert " by " in reason
    assert "allowed" in reason
    assert len(set(re.findall(r"[\d.]+(?:e-\d+)?", reason))) == len(re.findall(r"[\d.]+(?:e-\d+)?", reason))


def test_a_wrong_pixel_beside_the_sample_is_seen_by_its_chi_squared(case):
    problem, truth, baseline = case
    valid = np.flatnonzero(problem.valid())
    sample, beside = valid[::2], valid[1]
    dem = baseline.dem.copy()
    dem[beside] *= 1.01
    got, reference = (summarise(problem, vars(s), sample) for s in (with_dem(case, dem), baseline))
    compared = quality.parity(got, reference, problem) | quality.judged_figures(got, problem, truth[sample])
    judged = gates.judge("exact", None, compared, quality.judged_figures(reference, problem, truth[sample]))
    assert judged.reasons[0].startswith("chisq of its dem: deviates from the baseline in some pixel by")


@given(wrong=st.integers(1, 50), drawn=st.integers(1, 50))
def test_the_share_that_stays_hidden_is_what_a_draw_misses_once_in_a_hundred(wrong, drawn):
    pixels = 10_000
    share = quality.hidden(drawn, pixels)
    assert (1 - share) ** drawn == pytest.approx(0.01)
    assert quality.hidden(pixels, pixels) == 0
    missed = np.prod([(pixels - wrong - i) / (pixels - i) for i in range(drawn)])
    assert missed <= (1 - wrong / pixels) ** drawn + 1e-12, "drawn without replacement, no more is missed"


def test_the_shares_that_the_page_states_are_so():
    page = (ROOT / "docs" / "trust.md").read_text()
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+)% \| ([\d.]+)% \|$", page, flags=re.MULTILINE)
    assert len(rows) == 5
    for text, took_part, solved_some in rows:
        pixels = int(text.replace(",", ""))
        for drawn, stated in ((quality.WATCHED_PIXELS, took_part), (quality.REFERENCE_PIXELS, solved_some)):
            assert f"{100 * quality.hidden(drawn, pixels):.2g}" == stated


def test_what_is_watched_is_the_secrets_and_in_order():
    one, other = quality.watched(10**5, "a"), quality.watched(10**5, "b")
    assert len(one) == quality.WATCHED_PIXELS
    assert (np.diff(one) > 0).all()
    assert not np.array_equal(one, other)
    assert np.array_equal(one, quality.watched(10**5, "a"))
    assert np.array_equal(quality.watched(100, "a"), np.arange(100))


def test_a_large_map_is_sampled_the_same_for_all():
    a, b = quality.sample_of(10**6), quality.sample_of(10**6)
    assert np.array_equal(a, b)
    assert len(a) == quality.SAMPLE_PIXELS == len(set(a))
    assert np.array_equal(quality.sample_of(100), np.arange(100))
