"""What every registered solver promises, whatever its accuracy: shapes, status, invalid pixels, inputs left alone."""

import numpy as np
import pytest
from problems import assert_close, problem, with_invalid
from solvers import create, rows

from implementations.contract import OUTPUTS, Bounds, Problem, Status

SOLVERS = rows()
NAMES = (*OUTPUTS, "iterations", "status")


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("pixels", [0, 1, 2, 7, 33])
def test_any_number_of_pixels(name, pixels):
    given = problem(pixels)
    solution = create(name).run(given)
    solution.check(given)
    assert all(np.isfinite(getattr(solution, output)).all() for output in OUTPUTS)
    assert (solution.status != Status.INVALID).all()
    assert (solution.iterations >= 1).all()


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(("bins", "channels"), [(3, 2), (3, 12), (5, 6), (6, 6), (7, 6), (61, 12), (300, 6)])
@pytest.mark.parametrize("gloci", [0, 1])
def test_any_number_of_bins_and_channels(name, bins, channels, gloci):
    given = problem(3, bins, channels, gloci=gloci)
    solution = create(name).run(given)
    solution.check(given)
    assert (np.abs(solution.dem).max(axis=1) > 0).all()
    assert (solution.edem > 0).any(axis=1).all()


@pytest.mark.parametrize("name", SOLVERS)
def test_invalid_pixels_are_zeros_and_leave_the_others_alone(name):
    whole = problem(20)
    spoilt, invalid = with_invalid(whole)
    expected, got = create(name).run(whole), create(name).run(spoilt)
    valid = np.delete(np.arange(20), invalid)
    for output in OUTPUTS:
        assert (getattr(got, output)[invalid] == 0).all(), output
        assert_close(getattr(got, output)[valid], getattr(expected, output)[valid])
    assert (got.iterations[invalid] == 0).all()
    assert (got.status[invalid] == Status.INVALID).all()
    np.testing.assert_array_equal(got.status[valid], expected.status[valid])


@pytest.mark.parametrize("name", rows("exact"))
def test_a_channel_blind_to_a_bin_sets_no_limit_to_the_em_loci(name):
    plain = problem(6, gloci=1)
    rmatrix = plain.rmatrix.copy()
    rmatrix[3, :3] = 0
    given = Problem(plain.dn, plain.edn, rmatrix, plain.logt, plain.dlogt, plain.options)
    expected, got = create("baseline").run(given), create(name).run(given)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output))


@pytest.mark.parametrize("name", SOLVERS)
def test_all_pixels_invalid(name):
    given = problem(5)
    given = Problem(given.dn * np.nan, given.edn, given.rmatrix, given.logt, given.dlogt, given.options)
    solution = create(name).run(given)
    assert (solution.status == Status.INVALID).all()
    assert not any(getattr(solution, output).any() for output in OUTPUTS)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_pixel_does_not_depend_on_its_neighbours(name):
    given = problem(30)
    whole = create(name).run(given)
    reverse = create(name).run(given.take(np.arange(30)[::-1]))
    alone = create(name).run(given.take(slice(17, 18)))
    for output in OUTPUTS:
        assert_close(getattr(reverse, output)[::-1], getattr(whole, output))
        assert_close(getattr(alone, output), getattr(whole, output)[17:18])


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("gloci", [0, 1])
def test_the_same_again(name, gloci):
    given, solver = problem(9, gloci=gloci), create(name)
    first = solver.run(given)
    state = solver.prepare(given)
    solver.solve(state)
    again = solver.collect(state, solver.solve(state))
    for output in NAMES:
        np.testing.assert_array_equal(getattr(first, output), getattr(again, output))


@pytest.mark.parametrize("name", SOLVERS)
def test_inputs_are_read_only_and_stay_as_they_are(name):
    given = problem(12)
    norm = np.random.default_rng(1).uniform(0.5, 2, (12, 14))
    given = Problem(given.dn, given.edn, given.rmatrix, given.logt, given.dlogt, given.options, norm)
    arrays = {n: getattr(given, n) for n in ("dn", "edn", "rmatrix", "logt", "dlogt", "dem_norm0")}
    before = {n: a.copy() for n, a in arrays.items()}
    create(name).run(given)
    for n, array in arrays.items():
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, before[n])


@pytest.mark.parametrize("name", SOLVERS)
def test_status_and_outputs_agree_with_one_another(name):
    given = problem(60, max_iter=2)
    solution = create(name).run(given)
    negative = (solution.dem < 0).any(axis=1)
    np.testing.assert_array_equal(solution.status == Status.HIT_MAX_ITER, negative)
    assert (solution.iterations <= 2).all()
    assert_close(solution.dn_reg, solution.dem @ given.rmatrix)
    residual = (given.dn - solution.dn_reg) / given.edn
    np.testing.assert_allclose(solution.chisq, (residual**2).mean(axis=1), rtol=1e-7)
    assert solution.status.dtype == np.int8
    assert solution.iterations.dtype == np.int32


@pytest.mark.parametrize("name", rows("exact"))
def test_some_pixels_run_out_of_passes(name):
    status = create(name).run(problem(60, max_iter=1)).status
    assert 0 < np.count_nonzero(status == Status.HIT_MAX_ITER) < 60


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("chisq_median", (0.0, 2.0)),
        ("chisq_median", (0.5, np.inf)),
        ("chisq_iqr", (2.0, 0.5)),
        ("chisq_p95", (np.nan, 1.0)),
        ("edem", (0.0, np.inf)),
        ("elogt", (0.0, 1.0)),
        ("truth_dem_error", np.inf),
        ("negative_pixels", 1.0),
    ],
)
def test_bounds_that_promise_nothing_are_refused(name, given):
    sane = {"chisq_median": (0.5, 2), "chisq_iqr": (0, 3), "chisq_p95": (0, 3), "truth_dem_error": 1.1}
    sane |= {"negative_pixels": 0.0, "edem": (0.5, 2), "elogt": None}
    Bounds(**sane)
    with pytest.raises(ValueError, match=f"bounds: {name} is .* expected"):
        Bounds(**sane | {name: given})
