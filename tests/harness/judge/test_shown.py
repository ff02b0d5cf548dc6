"""What records keep to be drawn."""

import numpy as np
from problems import problem, with_invalid
from solvers import create

from harness.judge import excerpt
from harness.judge.summary import summarise
from implementations.contract import Problem


def kept(given, truth):
    return excerpt.of(summarise(given, vars(create("numba").run(given))), given, truth)


def test_a_faint_a_middling_and_a_bright_pixel_with_their_truth():
    given, _ = with_invalid(problem(60))
    truth = np.random.default_rng(1).uniform(0, 1, (60, 14))
    drawn = kept(given, truth)
    solution = create("numba").run(given)
    pixels = [p["pixel"] for p in drawn["pixels"]]
    assert given.valid()[pixels].all()
    signal = (given.dn / given.edn).sum(axis=1)
    assert sorted(signal[pixels]) == signal[pixels].tolist()
    assert len(set(pixels)) == excerpt.PIXELS
    for example in drawn["pixels"]:
        for name, expected in (("truth", truth), ("dem", solution.dem), ("elogt", solution.elogt)):
            np.testing.assert_allclose(excerpt.unpack(example[name]), expected[example["pixel"]], rtol=1e-3)
    percentiles = excerpt.unpack(drawn["chisq_percentiles"])
    assert len(percentiles) == 101
    assert (np.diff(percentiles) >= 0).all()
    np.testing.assert_allclose(percentiles[50], np.median(solution.chisq[given.valid()]), rtol=1e-3)


def test_of_few_or_no_valid_pixels_there_is_what_there_is():
    given = problem(2)
    assert [p["pixel"] for p in kept(given, np.ones((2, 14)))["pixels"]] == [0, 1]
    none = Problem(given.dn * np.nan, given.edn, given.rmatrix, given.logt, given.dlogt)
    assert kept(none, np.ones((2, 14)))["pixels"] == []


def test_without_a_truth_it_is_nan():
    drawn = kept(problem(3), np.full((3, 14), np.nan))
    assert np.isnan(excerpt.unpack(drawn["pixels"][0]["truth"])).all()
