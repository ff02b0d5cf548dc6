"""The machine's limits and the counted model of the algorithm."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from solvers import REGISTRY

from harness.machine import counted_work, limits
from harness.workloads import problem as workload

SHAPE = counted_work.Shape(channels=6, bins=200, nmu=42, passes=2.0, first=True)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "harness.limits", *arguments], capture_output=True, text=True, timeout=120
    )


def test_the_command_measures_once_and_keeps_the_figures():
    first, second = (json.loads(command("--json").stdout) for _ in range(2))
    assert first == second
    assert limits.cached(first["machine"]) == first
    for name in ("flops_per_s", "divisions_per_s", "roots_per_s"):
        assert first[name]["core"]["best"] >= first[name]["core"]["median"] > 0
        assert first[name]["all"]["best"] > 0
    sizes = [block["bytes"] for block in first["copy_bytes_per_s"]]
    assert sizes == sorted(sizes)
    assert all(first[name] > 0 for name in ("first_use_bytes_per_s", "call_s", "interpreter_s"))


def test_it_is_shown_as_a_table():
    shown = command().stdout
    assert "multiply-adds" in shown
    assert "scaling" in shown


def test_multiply_adds_are_counted_as_a_timed_loop_of_them_has_it():
    """The probe's rate against a product of matrices, which reaches a good part of what the units can do."""
    from threadpoolctl import threadpool_limits

    figures = limits.known()
    a, b = np.ones((512, 512)), np.ones((512, 512))
    best = np.inf
    with threadpool_limits(1):
        for _ in range(20):
            import time

            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
    assert figures["flops_per_s"]["core"]["best"] >= 0.9 * 2 * 512**3 / best


def test_the_limit_is_the_slowest_resource():
    figures = {
        "machine": {"cores": 3},
        "flops_per_s": {"core": {"best": 1e9}, "all": {"best": 3e9}},
        "divisions_per_s": {"core": {"best": 1e8}, "all": {"best": 2e8}},
        "copy_bytes_per_s": [
            {"bytes": 1000, "core": {"best": 1e9}, "all": {"best": 1e9}},
            {"bytes": 10**6, "core": {"best": 1e8}, "all": {"best": 1e8}},
        ],
    }
    assert limits.seconds(counted_work.Work(1e6, 0, 0), 10, figures, 1) == pytest.approx(1e-2)
    assert limits.seconds(counted_work.Work(1e6, 0, 0), 10, figures, 3) == pytest.approx(1e-2 / 3)
    assert limits.seconds(counted_work.Work(1e6, 0, 0), 10, figures, 2) == pytest.approx(1e-2 / 2)
    assert limits.seconds(counted_work.Work(1e6, 1e6, 0), 10, figures, 1) == pytest.approx(1e-1)
    assert limits.seconds(counted_work.Work(1, 0, 90), 10, figures, 1) == pytest.approx(90 * 10 / 1e9)
    assert limits.seconds(counted_work.Work(1, 0, 900), 10, figures, 1) == pytest.approx(900 * 10 / 1e8)
    assert limits.seconds(counted_work.Work(1, 0, 9e6), 10, figures, 1) == pytest.approx(9e7 / 1e8), (
        "beyond the last block"
    )


@pytest.mark.parametrize("name", [n for n in REGISTRY.names() if n in counted_work.STRATEGIES])
def test_what_a_strategy_does_is_no_less_than_the_algorithm(name):
    for bins in (12, 34, 200, 400):
        shape = SHAPE._replace(bins=bins)
        needed, done = counted_work.algorithm(shape), counted_work.strategy(f"{name}[x=1]", shape)
        assert done.bytes >= needed.bytes
        if REGISTRY.describe(name)["accuracy"] == "exact":
            assert done.flops > needed.flops


def test_the_counts_grow_as_the_algorithm_says():
    """Twice the bins: twice the work of the thin formulation, eight times that of the full SVD."""
    double = SHAPE._replace(bins=400)
    assert counted_work.algorithm(double).flops / counted_work.algorithm(SHAPE).flops == pytest.approx(2, rel=0.03)
    baseline = counted_work.strategy("baseline", double).flops / counted_work.strategy("baseline", SHAPE).flops
    assert baseline == pytest.approx(8, rel=0.03)
    once = SHAPE._replace(first=False, passes=1.0)
    assert counted_work.strategy("baseline", SHAPE).flops / counted_work.strategy(
        "baseline", once
    ).flops == pytest.approx(3, rel=0.02)
    assert counted_work.algorithm(once).flops < counted_work.algorithm(SHAPE).flops
    assert counted_work.strategy("nobody-counted-this", SHAPE) is None


def test_bytes_are_what_a_pixel_brings_and_takes_away():
    from harness.workloads.awkward import Draw
    from implementations.contract import Options

    problem = Draw(5, 3, 6, 30, "noise", 2, 1.0, -1.0, False, "none", False, Options(gloci=1)).problem()
    solution = REGISTRY.create("baseline").run(problem)
    arrays = [problem.dn, problem.edn, *vars(solution).values()]
    shape = counted_work.Shape(6, 30, 42, 1.0, False)
    assert counted_work.traffic(shape) * 3 == sum(array.nbytes for array in arrays)


def test_a_shape_is_of_the_problem_and_of_the_pixels_that_were_solved():
    problem, _ = workload.generate(workload.load("random-response"), 4, 34)
    assert counted_work.Shape.of(problem, np.array([1, 0, 3, 2])) == (6, 34, problem.options.nmu, 2.0, True)
    loci, _ = workload.generate(workload.load("random-response-loci"), 4, 34)
    given = replace(problem, dem_norm0=np.ones((4, 34)))
    assert not counted_work.Shape.of(loci, np.ones(4)).first
    assert counted_work.Shape.of(given, np.zeros(4))[3:] == (0.0, False)
