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
    assert ratio == pytest.approx(intervals.paired_ratio(np.full(20, 2.0), np.ones(20)))


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=3, max_size=9))
def test_a_ratio_and_its_inverse_agree(pairs):
    a, b = zip(*pairs, strict=True)
    forth, back = intervals.paired_ratio(a, b), intervals.paired_ratio(b, a)
    assert forth.value == pytest.approx(1 / back.value)


def test_the_middle_is_of_processes_and_of_their_middle_turns():
    seconds = [1.0, 1.0, 50.0, 4.0, 4.0]
    assert intervals.time(seconds, [1, 1, 1, 2, 2]).value == pytest.approx(2.0)
    assert intervals.time(seconds).value == pytest.approx(4.0)


def test_one_process_is_never_known_better_than_processes_are_alike():
    still = intervals.time([1.0] * 1000)
    assert np.log(still.high) == pytest.approx(3.355 * intervals.BETWEEN, rel=1e-3), "Student's t of what 8 are worth"
    pair = intervals.paired_ratio([1.0] * 1000, [1.0] * 1000)
    assert np.log(pair.high) == pytest.approx(2**0.5 * np.log(still.high))


def test_more_processes_are_known_better_and_those_that_differ_widely_worse():
    def half(spread, count):
        processes = np.repeat(np.arange(count), 5)
        return intervals.time(np.exp(spread * (processes % 2)), processes).half_width

    assert half(0.0, 8) < half(0.0, 2) < half(0.0, 1)
    assert half(0.1, 8) > 3 * half(0.01, 8)


def test_a_process_far_from_all_others_decides_on_nothing():
    """One process in eight is 15% slower for as long as it lives, as some are (docs/clocks.md)."""
    labels = np.repeat(np.arange(8), 3)
    near = np.exp(0.005 * np.array([1, -1, 0.5, -0.5, 1, -1, 0, 0])[labels])
    far = np.where(labels == 3, 1.15, near)
    assert intervals.time(far, labels).value == pytest.approx(intervals.time(near, labels).value, rel=0.002)
    assert intervals.time(far, labels).half_width < 1.3 * intervals.time(near, labels).half_width


def test_a_second_kind_of_turns_widens_an_interval_and_a_single_stalled_one_hardly():
    """An allocator makes a solver's turns fast or slow for rounds; which kind is in the middle of twelve is chance."""
    usual = np.random.default_rng(0).normal(30, 0.1, 12)
    alone = intervals.time(usual).half_width
    assert intervals.time(np.r_[usual[:7], usual[7:] + 7]).half_width > 0.2
    assert intervals.time(np.r_[usual[:11], 90.0]).half_width < 2 * alone


def test_what_is_beside_a_middle_that_most_turns_share_counts_for_little():
    """As where another guest of the host slows one of a round's two turns now and then, and seldom both alike."""
    rng, labels = np.random.default_rng(0), np.repeat(range(6), 10)
    steady = rng.normal(0, 0.005, 60)
    beside = np.where(rng.random(60) < 0.6, steady, rng.uniform(-0.5, 0.5, 60))
    one, other = (intervals.time(np.exp(logs), labels).half_width for logs in (steady, beside))
    assert other < 2 * one


def test_three_processes_that_differ_widely_are_known_badly():
    """None of so few is left out."""
    apart, alike = (np.repeat([1.0 - share, 1.0, 1.0 + share], 10) for share in (0.1, 0.001))
    labels = np.repeat(range(3), 10)
    assert intervals.time(apart, labels).half_width > 0.08
    assert intervals.time(alike, labels).half_width < 0.03


def test_one_turn_of_each_process_says_no_less_than_it_scatters():
    """By how much turns of a process differ isn't known then: intervals of turns that differ by 5% miss seldom."""
    rng, missed = np.random.default_rng(0), 0
    for _ in range(200):
        turns = np.exp(rng.normal(0, 0.05, 6))
        found = intervals.time(turns, range(6))
        missed += not found.low <= 1.0 <= found.high
    assert missed <= 10


def test_two_measurements_say_more_than_one_and_nothing_where_they_are_apart():
    one, other = intervals.Estimate(1.03, 1.0, 1.061), intervals.Estimate(1.02, 0.99, 1.051)
    both = intervals.together(one, other)
    assert both.value == pytest.approx(1.025, abs=1e-4)
    assert both.half_width == pytest.approx(one.half_width / np.sqrt(2), rel=0.02)
    apart = intervals.together(one, intervals.Estimate(0.9, 0.89, 0.91))
    assert apart.low == pytest.approx(0.9)
    assert apart.high == pytest.approx(1.03)


@pytest.mark.parametrize("between", [0.002, 0.009, 0.013])
@pytest.mark.parametrize("processes", [1, 3, 8])
def test_coverage_of_the_ratio(processes, between):
    """Of simulated cells with 2% noise, at least 97% of intervals hold the true ratio, of the 99% claimed."""
    rng, rounds, inside, cells = np.random.default_rng(processes), 8, 0, 300
    labels = np.repeat(np.arange(processes), rounds)
    for _ in range(cells):
        ours, theirs = (rng.normal(0, between, processes)[labels] for _ in range(2))
        a, b = (np.exp(each + rng.normal(0, 0.02, len(labels))) for each in (ours, theirs))
        ratio = intervals.paired_ratio(a, b, labels)
        inside += ratio.low <= 1 <= ratio.high
    assert inside >= 0.97 * cells


def test_a_slowness_is_seen_that_processes_do_not_bring_about():
    """5% in at least 95% of cells with four processes, 2% in at least 80% of those with twelve."""
    for more, processes, least in ((0.05, 4, 0.95), (0.02, 12, 0.8)):
        rng, labels, seen = np.random.default_rng(processes), np.repeat(np.arange(processes), 8), 0
        for _ in range(200):
            ours, theirs = (rng.normal(0, 0.009, processes)[labels] for _ in range(2))
            a, b = (np.exp(each + rng.normal(0, 0.015, len(labels))) for each in (ours + np.log1p(more), theirs))
            seen += intervals.paired_ratio(a, b, labels).low > 1
        assert seen >= least * 200
