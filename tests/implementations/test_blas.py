"""Libraries are looked for once in a process, and again when something has been imported since."""

import sys
import types

import numpy as np
import pytest

from implementations import blas
from implementations.baseline import Baseline
from implementations.contract import Problem
from implementations.cpu.vectorized import Vectorized

threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.fixture
def scans(monkeypatch):
    """One entry for each search through the libraries of this process."""
    found = []

    class Counted(threadpoolctl.ThreadpoolController):
        def __init__(self):
            found.append(1)
            super().__init__()

    monkeypatch.setattr(blas, "ThreadpoolController", Counted)
    blas._found.cache_clear()
    yield found
    blas._found.cache_clear()


@pytest.mark.parametrize("solver", [Vectorized, Baseline])
def test_a_second_problem_looks_for_no_libraries(solver, scans, monkeypatch):
    problem = Problem(np.full((2, 3), 9.0), np.ones((2, 3)), np.eye(5, 3) + 0.1, np.arange(5.0), np.ones(5))
    solver().run(problem)  # what it imports at its first use may have brought a library
    blas._found.cache_clear()
    scans.clear()
    solver().run(problem)
    before = len(scans)
    for _ in range(3):
        solver().run(problem)
    assert len(scans) == before == 1
    monkeypatch.setitem(sys.modules, "brings_a_library", types.ModuleType("brings_a_library"))
    solver().run(problem)
    assert len(scans) == before + 1


def test_threads_are_held_to_one_and_given_back():
    def threads():
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    with blas.one_thread("blas"):
        assert set(threads()) <= {1}
    assert threads() == before
