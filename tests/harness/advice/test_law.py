"""The law finds back what the records were made from, and knows how well it does."""

import numpy as np
import pytest
from records import fast, slow

from harness.advice.growth_law import MEMORY, TIME, Law, sizes

PIXELS, BINS = np.array([200, 1000, 5000] * 3), np.repeat([34, 200, 400], 3)


def law_of(truth, noise=0.0, seed=0, pixels=PIXELS, bins=BINS):
    times = truth(pixels, bins) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(pixels)))
    return Law(sizes(pixels, bins, times), TIME)


@pytest.mark.parametrize("truth", [slow, fast])
def test_an_exact_law_is_found_between_and_beyond_the_measured_sizes(truth):
    law = law_of(truth)
    for pixels, bins in [(500, 34), (3000, 200), (1e6, 34), (16_777_216, 400)]:
        assert law.predict(pixels, bins).value == pytest.approx(truth(pixels, bins), rel=0.02)
    for pixels, bins in [(3000, 300), (3000, 100)]:  # three numbers of bins leave open how the cost runs between them
        assert law.predict(pixels, bins).value == pytest.approx(truth(pixels, bins), rel=0.2)


def test_held_out_sizes_are_within_30_percent_under_noise():
    errors = [
        law_of(slow, 0.05, seed).predict(pixels, bins).value / slow(pixels, bins) - 1
        for seed in range(10)
        for pixels, bins in [(500, 34), (3000, 200), (3000, 300)]
    ]
    assert np.abs(errors).max() < 0.30
    assert np.abs(errors).max() > 1e-4, "noise must show"


def test_one_wild_time_hardly_matters():
    times = slow(PIXELS, BINS)
    times[4] *= 2.5
    law = Law(sizes(PIXELS, BINS, times), TIME)
    assert law.predict(3000, 200).value == pytest.approx(slow(3000, 200), rel=0.15)


def test_intervals_hold_the_truth_about_as_often_as_they_claim():
    held = []
    for seed in range(40):
        guess = law_of(slow, 0.08, seed).predict(*np.array([(600, 34), (2500, 200), (50_000, 400)]).T)
        truth = slow(np.array([600, 2500, 50_000]), np.array([34, 200, 400]))
        held += list((guess.low <= truth) & (truth <= guess.high))
    assert 0.85 <= np.mean(held) <= 1.0


def test_intervals_widen_with_noise_and_with_extrapolation():
    calm, wild = law_of(slow, 0.02, 3), law_of(slow, 0.2, 3)
    assert wild.predict(3000, 200).spread > 2 * calm.predict(3000, 200).spread
    assert wild.predict(1e8, 200).spread > wild.predict(5000, 200).spread


def test_reach_says_how_far_beyond():
    law = law_of(slow)
    assert law.reach(3000, 100) == (1.0, 1.0)
    assert law.reach(50_000, 34) == (10.0, 1.0)
    assert law.reach(1000, 600) == (1.0, 1.5)
    assert law.reach(20, 34) == (10.0, 1.0)


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(ValueError, match="single map size"):
        law_of(slow, pixels=np.array([100, 100]), bins=np.array([34, 200]))
    one = law_of(slow, pixels=np.array([100, 1000, 2000]), bins=np.array([34, 34, 34]))
    assert one.refusal(34) == ""
    assert one.refusal(50) == "measured at 34 bins only"
    assert law_of(slow).refusal(900) == "measured from 34 to 400 bins only"
    assert one.predict(500, 34).value == pytest.approx(slow(500, 34), rel=0.05)


def test_memory_is_linear_in_what_is_stored():
    stored = 160 + PIXELS * (3 * BINS + 20) * 8 / 2**20
    law = Law(sizes(PIXELS, BINS, stored), MEMORY)
    assert law.predict(1e6, 100).value == pytest.approx(160 + 1e6 * 320 * 8 / 2**20, rel=0.03)
