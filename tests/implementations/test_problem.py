"""What a Problem refuses, in one line, and what it never refuses."""

from dataclasses import replace

import numpy as np
import pytest

from implementations.contract import Options, Problem

GOOD = Problem(np.ones((4, 3)), np.ones((4, 3)), np.ones((5, 3)), np.arange(5.0), np.ones(5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dn": np.ones(3)}, r"dn has shape \(3,\), expected \(pixels, channels\)"),
        ({"edn": np.ones((4, 2))}, r"edn has shape \(4, 2\), expected the shape of dn, \(4, 3\)"),
        ({"rmatrix": np.ones((5, 4))}, r"rmatrix has shape \(5, 4\), expected \(bins, channels\) = \(5, 3\)"),
        ({"rmatrix": np.ones(5)}, r"rmatrix has shape \(5,\), expected \(bins, channels\)"),
        ({"rmatrix": np.ones((2, 3)), "logt": np.arange(2.0), "dlogt": np.ones(2)}, "expected at least 3 bins"),
        ({"logt": np.arange(4.0)}, r"logt has shape \(4,\), expected \(bins,\) = \(5,\)"),
        ({"dlogt": np.ones((5, 1))}, r"dlogt has shape \(5, 1\), expected \(bins,\) = \(5,\)"),
        ({"dem_norm0": np.ones((4, 6))}, r"dem_norm0 has shape \(4, 6\), expected \(pixels, bins\) = \(4, 5\)"),
        ({"edn": -np.ones((4, 3))}, r"edn has 12 errors <= 0 in shape \(4, 3\) \(first: pixel 0, channel 0\)"),
        (
            {"edn": np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1.0]])},
            "edn has 1 errors <= 0 .* pixel 1, channel 1",
        ),
        ({"rmatrix": np.full((5, 3), np.inf)}, r"rmatrix has values that are not finite, shape \(5, 3\)"),
        ({"rmatrix": np.diag([1.0, 1, 1, 1, 1])[:, :3] * [1, 1, 0]}, "rmatrix has a channel that is all zero"),
        (
            {"rmatrix": np.diag([1.0, 1, 1, 1, 1])[:, :3] + [0, 0, 1], "options": Options(gloci=(1, 1, 0))},
            "rmatrix has a bin that no channel of gloci sees",
        ),
        (
            {"dem_norm0": np.array([[2, 1, 0, 1, 1.0]] * 4)},
            r"dem_norm0 has weights that are 0 or not finite, shape \(4, 5\)",
        ),
        ({"dem_norm0": np.array([[2, 1, np.nan, 1, 1]] * 4)}, "dem_norm0 has weights that are 0 or not finite"),
        ({"logt": np.zeros(5)}, r"logt must be finite and increasing, shape \(5,\)"),
        ({"dlogt": np.array([1, 1, 0, 1, 1.0])}, r"dlogt must be finite and > 0, shape \(5,\)"),
        ({"options": Options(gloci=(1, 0))}, "gloci is a mask of 2 channels, expected 3"),
    ],
)
def test_a_bad_problem_names_the_argument_its_shape_and_the_expected_one(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        replace(GOOD, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reg_tweak": 0.0}, "reg_tweak must be a finite number > 0, got 0.0"),
        ({"reg_tweak": np.ones(1)}, "reg_tweak must be a finite number > 0, got array"),
        ({"rgt_fact": np.nan}, "rgt_fact must be a finite number > 1, got nan"),
        ({"rgt_fact": 1.0}, "rgt_fact must be a finite number > 1, got 1.0"),
        ({"max_iter": 0}, "max_iter must be a whole number from 1 to 1000, got 0"),
        ({"max_iter": 2.5}, "max_iter must be a whole number from 1 to 1000, got 2.5"),
        ({"max_iter": np.nan}, "max_iter must be a whole number from 1 to 1000, got nan"),
        ({"max_iter": 10**9}, "max_iter must be a whole number from 1 to 1000, got 1000000000"),
        ({"nmu": 1}, "nmu must be a whole number from 2"),
        ({"nmu": 50.5}, "nmu must be a whole number from 2"),
        ({"gloci": 2}, "gloci must be 0, 1 or a mask"),
        ({"gloci": 0.5}, "gloci must be 0, 1 or a mask"),
        ({"gloci": (1, 3)}, "gloci must be 0, 1 or a mask"),
        ({"gloci": (1, 0.5)}, "gloci must be 0, 1 or a mask"),
        ({"gloci": np.ones((1, 3))}, "gloci must be 0, 1 or a mask"),
    ],
)
def test_a_bad_option_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Options(**changes)


@pytest.mark.parametrize("count", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_a_bad_count_makes_its_pixel_invalid_and_never_raises(count):
    dn = GOOD.dn.copy()
    dn[2, 1] = count
    assert replace(GOOD, dn=dn).valid().tolist() == [True, True, False, True]


@pytest.mark.parametrize("error", [np.nan, np.inf])
def test_an_error_that_is_not_finite_makes_its_pixel_invalid(error):
    edn = GOOD.edn.copy()
    edn[0, 2] = error
    assert replace(GOOD, edn=edn).valid().tolist() == [False, True, True, True]


def test_arrays_are_read_only_and_the_callers_stay_writeable():
    dn = np.ones((4, 3))
    problem = replace(GOOD, dn=dn)
    assert not problem.dn.flags.writeable
    dn[0, 0] = 5.0
    for array in (problem.dn, problem.edn, problem.rmatrix, problem.logt, problem.dlogt):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_no_pixels_are_a_problem_too():
    empty = GOOD.take(slice(0, 0))
    assert empty.sizes == (0, 3, 5)
    assert empty.valid().shape == (0,)


@pytest.mark.parametrize("norm", [np.ones((4, 5)), np.array([[0, 2, 0, 1, 1.0]] * 4)])
def test_weights_that_count_as_not_given_are_no_mistake(norm):
    assert replace(GOOD, dem_norm0=norm).dem_norm0 is not None
