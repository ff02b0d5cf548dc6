"""The judge: what an exact and an approximate solver are held to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge import gates, quality
from harness.judge.quality import Summary
from harness.workloads import problem as workload
from implementations.contract import OUTPUTS, Bounds
from implementations.registry import Registry

PIXELS = 60
LENIENT = Bounds((0.5, 2.0), (0.5, 2.0), (0.5, 2.0), truth_dem_error=1.5, negative_pixels=0.1)


@pytest.fixture(scope="module")
def case():
    """A problem with invalid pixels, its truth, and the baseline's solution."""
    problem, truth = workload.generate(workload.load("solar-mix"), PIXELS, 20)
    return problem, truth, Registry().create("baseline").run(problem)


def verdict(case, solution, accuracy="exact", bounds=None, leaves_out=()):
    problem, truth, baseline = case
    got, reference = quality.summarise(problem, solution), quality.summarise(problem, baseline)
    ours = quality.judged_figures(got, problem, truth) | quality.parity(got, reference, problem)
    return gates.judge(accuracy, bounds, ours, quality.judged_figures(reference, problem, truth), leaves_out)


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
    off = replace(case[2], dem=case[2].dem * 1.02)
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
    judged = verdict(case, replace(baseline, dem=dem), "approximate", replace(LENIENT, negative_pixels=0.5))
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
    ones = np.ones((1, 3))
    zero = np.zeros(1, int)
    return Summary(
        np.array([chisq]),
        zero.astype(np.int8),
        np.zeros(1, bool),
        zero,
        ones,
        ones,
        ones,
        np.array([chisq]),
        ones,
        np.array([iterations]),
    )


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
    summary = quality.summarise(case[0], flattering)
    valid = case[0].valid()
    assert summary.chisq[valid] == pytest.approx(case[2].chisq[valid])


def test_statistics_leave_invalid_pixels_out(case):
    problem, _, solution = case
    summary = quality.summarise(problem, solution)
    figures = quality.chisq_figures(summary.chisq[problem.valid()])
    assert figures["chisq_median"] == pytest.approx(np.median(solution.chisq[problem.valid()]))
    assert quality.counts(summary, problem)["invalid_pixels"] == (~problem.valid()).sum() > 0


def test_a_large_map_is_sampled_the_same_for_all():
    a, b = quality.sample_of(10**6), quality.sample_of(10**6)
    assert np.array_equal(a, b)
    assert len(a) == quality.SAMPLE_PIXELS == len(set(a))
    assert np.array_equal(quality.sample_of(100), np.arange(100))
