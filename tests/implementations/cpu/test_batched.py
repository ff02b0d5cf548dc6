"""What is particular to the stacked solvers: chunks that change nothing and keep to their budget."""

import tracemalloc

import numpy as np
import pytest
from problems import assert_close, problem, with_invalid

from implementations.contract import OUTPUTS, Problem
from implementations.cpu.batched import Batched
from implementations.cpu.l2 import L2


@pytest.mark.parametrize(
    "tunables", [{"memory_mb": 1e-6}, {"memory_mb": 0.05}, {"profile_mb": 1e-6}, {"threads": 3, "memory_mb": 0.3}]
)
@pytest.mark.parametrize("gloci", [0, 1])
def test_chunks_change_nothing(tunables, gloci):
    given, _ = with_invalid(problem(50, gloci=gloci))
    expected, got = Batched().run(given), Batched(**tunables).run(given)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output))
    np.testing.assert_array_equal(got.iterations, expected.iterations)


def test_pixels_with_and_without_user_weights_in_one_chunk():
    plain = problem(6)
    norm = np.random.default_rng(3).uniform(0.2, 2, (6, 14))
    norm[1], norm[4, 0] = 1, 0
    given = Problem(plain.dn, plain.edn, plain.rmatrix, plain.logt, plain.dlogt, plain.options, norm)
    got, without = Batched().run(given), Batched().run(plain)
    assert_close(got.dem[[1, 4]], without.dem[[1, 4]])
    assert (got.dem[[0, 2, 3, 5]] != without.dem[[0, 2, 3, 5]]).any(axis=1).all()


@pytest.mark.parametrize(("bins", "pixels"), [(34, 4000), (200, 400), (400, 100)])
@pytest.mark.parametrize("solver", [Batched(), Batched(memory_mb=3), L2(), L2(memory_mb=20)])
@pytest.mark.parametrize("gloci", [0, 1])
def test_memory_stays_within_the_budget(bins, pixels, solver, gloci):
    given = problem(pixels, bins, gloci=gloci)
    state = solver.prepare(given)
    outputs = 8 * pixels * (3 * bins + 8)
    tracemalloc.start()
    solver.solve(state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    profiles = 1e6 * max(1.0, 8e-6 * bins**2) if isinstance(solver, Batched) else 0
    assert peak - outputs <= solver.memory_mb * 1e6 + profiles


@pytest.mark.parametrize("solver", [Batched, L2])
def test_a_budget_of_nothing_is_refused(solver):
    with pytest.raises(ValueError, match="memory_mb"):
        solver(memory_mb=0)


def test_no_thread_is_refused():
    with pytest.raises(ValueError, match="threads must be a whole number of at least 1, got 0"):
        Batched(threads=0)
