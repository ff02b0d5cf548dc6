"""Memory marks of a process are its own."""

import re
import subprocess
import sys
import time

import pytest
from problems import problem
from solvers import create

from harness.measure import clock
from harness.workloads import variant

MEGABYTES = 400


def test_the_memory_mark_is_not_the_parents():
    parent = (
        f"import subprocess, sys; ballast = b'x' * ({MEGABYTES} * 2**20);"
        "child = 'from harness.measure import clock; print(clock.peak_rss_mb())';"
        "sys.exit(subprocess.run([sys.executable, '-c', child]).returncode)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout) < MEGABYTES / 2


HONEST, LIAR = clock.Claim(0.055, 0.06, 100), clock.Claim(0.001, 0.06, 100)


@pytest.mark.parametrize(
    ("turns", "over", "caught"),
    [
        ([], True, False),
        ([HONEST], True, False),
        ([LIAR], False, False),
        ([LIAR], True, True),
        ([LIAR] * 5, False, True),
        ([HONEST, *[LIAR] * 9], True, True),
        ([clock.Claim(0.055, 0.2, 100), *[HONEST] * 4], True, False),
        ([clock.Claim(0.1, 5.0, 1)], False, True),
        ([clock.Claim(0.1, 5.0, 1, 4.9)], True, False),
        ([clock.Claim(0.1, 5.0, 1, 2.0)], True, True),
        ([*[HONEST] * 9, clock.Claim(0.06, 0.055, 100)], False, True),
        ([clock.Claim(-1.0, 0.055, 100)], False, True),
        ([clock.Claim(float("nan"), 0.055, 100)], False, True),
    ],
)
def test_claims_must_fit_the_harness_clock(turns, over, caught):
    """A hiccup of the machine in some turns is none of the solver's; a claim that never fits is."""
    reason = clock.misfit(turns, over)
    assert bool(reason) == caught
    if caught:
        assert reason.startswith("its times can't be: it claims ")
        assert len(set(re.findall(r"[-\d.]+ s|nan s", reason))) == 2


def test_what_ended_processes_used_is_known_to_a_tick():
    """Eight of them in a turn, each a tick off."""
    assert not clock.misfit([clock.Claim(0.357, 0.345, 1)], True, "CPU")
    assert clock.misfit([clock.Claim(0.357, 0.345, 1)], True)
    assert clock.misfit([clock.Claim(0.5, 0.345, 1)], True, "CPU")


def shortest(step, tries=40):
    """Seconds of the fastest try, which a busy machine disturbs least."""
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@pytest.mark.parametrize(
    ("solver", "pixels", "most"),
    [("numba", 100, 0.3), ("numba", 3000, 0.05), ("l2", 3000, 0.05), ("l2", 100_000, 0.05)],
)
def test_what_the_harness_does_between_runs_is_little_beside_them(solver, pixels, most):
    """The fraction is of a solve: staging a run's problem, and copying pixels of a kept solution once a turn."""
    given, solver = problem(pixels, 34), create(solver)
    _, solution = clock.timed_run(solver, given)
    solve = min(clock.timed_run(solver, given)[0].total for _ in range(40))
    room = variant.room(given)
    stage = shortest(lambda: variant.staged(given, 1, room))
    keep = shortest(lambda: clock.keeping(given).catch(solution))
    assert (stage + keep / clock.repeats_for(solve)) / solve < most
