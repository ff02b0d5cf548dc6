"""The oracle: against an independent implementation, and its executors."""

import os
import time
from dataclasses import replace

import golden_cases
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from implementations import executors
from implementations.baseline import Baseline, regularisation, smoothed
from implementations.contract import OUTPUTS, Options, Problem, Status
from implementations.executors import Pixel


def relative_to_peak(got: np.ndarray, expected: np.ndarray) -> float:
    got, expected = got.reshape(len(got), -1), expected.reshape(len(expected), -1)
    return float((np.abs(got - expected).max(axis=1) / np.abs(expected).max(axis=1)).max())


@pytest.mark.parametrize("case", golden_cases.CASES)
def test_agrees_with_an_independent_implementation(case):
    problem, bound = golden_cases.problem(case), golden_cases.AGREES
    if case == golden_cases.ROUNDED_SIGN:
        problem = replace(problem, options=replace(problem.options, max_iter=1))
        bound = golden_cases.PADDED_AGREES
    solution = Baseline().run(problem)
    worst = {o: relative_to_peak(getattr(solution, o), golden_cases.expected(case, o)) for o in OUTPUTS}
    assert max(worst.values()) <= bound, worst


def test_where_rounding_decides_a_sign_the_other_pixels_agree():
    case, last = golden_cases.ROUNDED_SIGN, 3
    solution = Baseline().run(golden_cases.problem(case))
    expected = golden_cases.expected(case, "dem")
    assert 0 < expected[last, 1] / expected[last].max() < 5e-16, "what rounding adds: see ROUNDED_SIGN"
    assert relative_to_peak(solution.dem[1:last], expected[1:last]) <= golden_cases.AGREES
    assert (solution.iterations[1:last] == 1).all()


def some_problem(pixels: int = 40, **options) -> Problem:
    rng = np.random.default_rng(7)
    logt = np.linspace(5.7, 7.1, 12)
    rmatrix = np.exp(-((logt[:, None] - np.linspace(5.9, 6.9, 4)) ** 2) / 0.08) + 0.01
    dn = rng.uniform(1, 3, (pixels, 12)) @ rmatrix
    edn = 0.05 * dn
    dn += edn * rng.standard_normal(dn.shape)
    dn[::7, 1] = np.nan
    return Problem(dn, edn, rmatrix, logt, np.full(12, 1.4 / 11), Options(**options))


@pytest.mark.parametrize(
    ("executor", "workers"),
    [("threads", 1), ("threads", 3), ("process-pool", 2), ("loky", 1), ("loky", 2), ("loky-mapped", 2)],
)
def test_executors_give_the_serial_solution(executor, workers):
    problem = some_problem()
    serial, other = Baseline().run(problem), Baseline(executor, workers).run(problem)
    for output in (*OUTPUTS, "iterations", "status"):
        np.testing.assert_array_equal(getattr(serial, output), getattr(other, output))


def blas_threads(dn, edn, norm, problem):
    """In place of a pixel's inversion: this process and its most BLAS threads, as outputs."""
    time.sleep(0.001)  # so that no worker is done with all blocks before another takes one
    threads = max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
    return Pixel(0 * problem.logt, 0 * problem.logt, 0 * problem.logt, threads, 0 * dn, os.getpid() % 2**31)


class BlasThreads(executors.PerPixel):
    name = "blas-threads"

    @property
    def pixel(self):
        return blas_threads


@pytest.mark.parametrize(
    ("executor", "workers"), [("serial", 1), ("threads", 2), ("process-pool", 1), ("process-pool", 2), ("loky", 2)]
)
def test_no_worker_has_more_than_one_blas_thread(executor, workers):
    before = threadpool_info()
    problem = some_problem(pixels=400)
    solution = BlasThreads(executor, workers).run(problem)
    valid = problem.valid()
    assert (solution.chisq[valid] == 1).all()
    processes = set(solution.iterations[valid].tolist())
    assert len(processes) == (1 if executor in ("serial", "threads") else workers)
    assert threadpool_info() == before, "the limit ends with the solve"


def failing(dn, edn, norm, problem):
    raise ArithmeticError("as asked")


class Failing(executors.PerPixel):
    name = "failing"

    @property
    def pixel(self):
        return failing


@pytest.mark.parametrize(("executor", "workers"), [("serial", 1), ("threads", 2), ("process-pool", 2), ("loky", 2)])
def test_a_failure_in_a_worker_arrives_and_leaves_nothing_behind(executor, workers):
    solver = Failing(executor, workers)
    state = solver.prepare(some_problem())
    with pytest.raises(ArithmeticError, match="as asked"):
        solver.solve(state)
    if isinstance(state.executor, executors.InWorkers):
        assert not os.path.exists(state.executor.folder)


@pytest.mark.parametrize(
    ("tunables", "message"),
    [
        ({"executor": "mpi"}, "executor must be one of serial, process-pool, loky, loky-mapped, threads, got 'mpi'"),
        ({"executor": "threads", "workers": 0}, "workers must be a whole number of at least 1, got 0"),
        ({"workers": 2}, "the serial executor has one worker"),
    ],
)
def test_bad_tunables_are_named(tunables, message):
    with pytest.raises(ValueError, match=message):
        Baseline(**tunables)


def test_smoothing_at_the_edges():
    weight = np.array([5.0, 1, 2, 3, 4, 10, 7])
    inner = weight.copy()
    inner[[0, -1]] = 0
    expected = [sum(inner[max(t - 2, 0) : t + 3]) / 50 for t in range(7)]
    np.testing.assert_allclose(smoothed(weight), expected, rtol=1e-15)
    assert smoothed(np.array([1.0, 0, 0, 0, 0, 0, 0, 0]))[4] == 1e-8


def test_a_descending_grid_is_scanned_from_its_high_end():
    s = np.full(2, 1e5)  # s^2·1e-4 is 1e6, above s itself
    beta = 1 / np.sqrt(1 + s**2)
    mu = regularisation(s * beta, beta, np.eye(2), np.array([0.1, 0.1]), 1e-30, 5)
    assert mu == pytest.approx(1e5)


def test_more_channels_than_bins():
    rng = np.random.default_rng(3)
    rmatrix = rng.uniform(0.1, 1, (3, 9))
    dn = np.array([[1.0, 2, 1]]) @ rmatrix * (1 + 0.01 * rng.standard_normal((5, 9)))
    solution = Baseline().run(Problem(dn, 0.01 * dn, rmatrix, np.array([6.0, 6.1, 6.2]), np.full(3, 0.1)))
    least = np.linalg.lstsq(rmatrix.T, dn.T)[0].T
    assert (solution.status == Status.OK).all()
    np.testing.assert_allclose(solution.dem, least, rtol=0.2)
