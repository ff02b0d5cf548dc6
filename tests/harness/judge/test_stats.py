"""Intervals hold what they claim."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.judge import intervals

SAMPLES = st.lists(st.floats(1e-6, 1e4), min_size=intervals.FEWEST, max_size=12)


@example([1.0, 1.0, 7841.772264298826])  # interpolating between equal resamples rounds beyond them
@given(SAMPLES)
def test_an_interval_holds_its_median_and_lies_among_the_samples(samples):
    estimate = intervals.median(samples)
    assert estimate.value == np.median(samples)
    assert min(samples) <= estimate.low <= estimate.value <= estimate.high <= max(samples)


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0]])
def test_too_few_samples_have_no_interval(samples):
    estimate = intervals.median(samples)
    assert np.isnan(estimate.low)
    assert np.isnan(estimate.high)
    assert estimate.half_width == np.inf


def test_an_interval_narrows_with_samples():
    rng = np.random.default_rng(0)
    few, many = intervals.median(rng.normal(1, 0.1, 8)), intervals.median(rng.normal(1, 0.1, 200))
    assert many.half_width < few.half_width / 2


def test_a_width_is_relative_and_halved():
    assert intervals.Estimate(2.0, 1.0, 5.0).half_width == 1.0


def test_a_ratio_is_blind_to_what_slows_a_whole_round():
    rng = np.random.default_rng(1)
    drift = np.exp(rng.normal(0, 0.5, 20))
    ratio = intervals.paired_ratio(2.0 * drift, 1.0 * drift)
    assert ratio.value == pytest.approx(2.0)
    assert ratio.low > 1.97
    assert ratio.high < 2.03


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=3, max_size=9))
def test_a_ratio_and_its_inverse_agree(pairs):
    a, b = zip(*pairs, strict=True)
    forth, back = intervals.paired_ratio(a, b), intervals.paired_ratio(b, a)
    assert forth.value == pytest.approx(1 / back.value)


@pytest.mark.parametrize("rounds", [5, 10, 30])
def test_coverage_of_the_ratio(rounds):
    """Of simulated cells with 2% noise, 1% between processes, at least 95% of intervals hold the true ratio."""
    rng = np.random.default_rng(rounds)
    inside = 0
    for _ in range(200):
        bias = rng.normal(0, 0.005)
        a, b = np.exp(rng.normal(0, 0.02, rounds)), np.exp(rng.normal(bias, 0.02, rounds))
        ratio = intervals.paired_ratio(a, b)
        inside += ratio.low <= 1 <= ratio.high
    assert inside >= 190
