"""Turns whose times can't be trusted are told from those that can, and the clock fits the solver."""

import time

import numpy as np
import pytest

from harness.judge import clocks
from harness.measure import rounds
from harness.measure.contender import Contender


def turns(times):
    return {number: [[0.0, float(value), 0.0]] for number, value in enumerate(times, 1)}


def used(times, cpu=1.0, queued=0.0):
    return {number: [[cpu * value, queued * value, 0, 0]] for number, value in enumerate(times, 1)}


def doubts(times, of=None, machine=None, threads=1):
    given = turns(times)
    of = used(times) if of is None else of
    return clocks.doubts(given, of, machine or {}, threads, clocks.clock(given, of, threads, "cpu"))


def noise(n, share, seed):
    return np.exp(np.random.default_rng(seed).normal(0, share, n))


@pytest.mark.parametrize("n", [3, 8, 12, 20, 60])
@pytest.mark.parametrize("share", [0.002, 0.05])
def test_turns_that_only_scatter_are_not_doubted(n, share):
    doubted = sum(bool(doubts(noise(n, share, seed))) for seed in range(60))
    assert doubted <= 3


@pytest.mark.parametrize("n", [20, 60])
def test_a_flat_hump_is_of_one_kind(n):
    draws = [np.random.default_rng(seed).uniform(0.92, 1.08, n) for seed in range(100)]
    assert sum("its turns are of two kinds, faster and slower ones" in doubts(draw) for draw in draws) <= 3


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (np.r_[np.full(6, 1.3), np.ones(18)], "warm-up was not over"),
        (np.r_[np.full(10, 12.0), np.ones(10)], "warm-up was not over"),
        (np.linspace(1.0, 1.2, 40)[::-1], "warm-up was not over"),
        (np.linspace(1.0, 1.25, 40), "drifts: +2"),
        (np.where(np.arange(60) % 3, 1.0, 1.2), "its turns are of two kinds"),
        (np.where(np.arange(60) % 2, 1.0, 1.5), "its turns are of two kinds"),
        (np.r_[np.ones(20), 3.0, np.ones(20)], "some turns are far from all others"),
    ],
)
def test_what_is_wrong_with_turns_is_said(times, said):
    found = sum(
        any(one.startswith(said) for one in doubts(times * noise(times.size, 0.01, seed))) for seed in range(20)
    )
    assert found >= 19


def test_a_busy_machine_is_told_by_who_waits_for_a_core():
    times = noise(12, 0.01, 1)
    (said,) = doubts(times, used(times, cpu=0.4, queued=0.6))
    assert said == "busy machine: waited 150% longer for a core"
    assert not doubts(times, used(times, cpu=0.995, queued=0.005))
    (said,) = doubts(times, used(times, cpu=1.2, queued=0.8), threads=2)
    assert said.startswith("busy machine: waited 67% longer")


@pytest.mark.parametrize(("others", "stolen", "doubted"), [(0.6, 0.0, True), (0.0, 0.6, True), (0.001, 0.001, False)])
def test_that_a_solvers_processes_wait_for_one_another_is_no_busy_machine(others, stolen, doubted):
    times = noise(12, 0.01, 1)
    machine = {number: (value, 1.9, others, stolen) for number, value in enumerate(times, 1)}
    found = doubts(times, used(times, cpu=1.4, queued=0.6), machine, threads=2)
    assert any(one.startswith("busy machine") for one in found) == doubted


@pytest.mark.parametrize(("share", "count", "said"), [(0.02, 12, False), (0.04, 40, False), (0.25, 9, True)])
def test_turns_that_scatter_are_said_to(share, count, said):
    """As they do where another guest of the host has the other half of a core, now and then, which no counter shows."""
    found = [doubts(noise(count, share, seed)) for seed in range(20)]
    assert np.mean([any(one.startswith("turns scatter by") for one in each) for each in found]) == pytest.approx(
        float(said), abs=0.1
    )


def test_stolen_time_is_said():
    machine = dict.fromkeys(range(1, 13), (1.0, 0.9, 0.0, 0.1))
    assert doubts(noise(12, 0.01, 1), machine=machine) == ["the host took 10% of its time"]


@pytest.mark.parametrize(
    ("threads", "device", "of", "clock"),
    [
        (1, "cpu", {"cpu": 1.0}, clocks.CPU),
        (1, "cpu", {"cpu": 0.3, "queued": 0.7}, clocks.CPU),
        (1, "cpu", {"cpu": 0.7, "queued": 0.0}, clocks.WALL),
        (2, "cpu", {"cpu": 1.0}, clocks.WALL),
        (1, "gpu", {"cpu": 1.0}, clocks.WALL),
        (1, "cpu", None, clocks.WALL),
    ],
)
def test_who_waits_or_has_several_threads_counts_by_the_wall(threads, device, of, clock):
    times = noise(12, 0.01, 1)
    assert clocks.clock(turns(times), {} if of is None else used(times, **of), threads, device) == clock


def contender(times, **of):
    made = Contender("x", 1, 60.0)
    made.turns, made.used = turns(times), used(times, **of)
    return made


def test_a_speedup_stands_on_cpu_time_where_both_have_it():
    """The other's wall time is three times its CPU time, as beside four programs on two cores."""
    ours, busy = contender(noise(12, 0.01, 1)), contender(3 * noise(12, 0.01, 2), cpu=1 / 3, queued=2 / 3)
    assert ours.clock_beside(busy) == clocks.CPU
    assert ours.speedup(busy).value == pytest.approx(1.0, abs=0.02)
    sleeps = contender(3 * noise(12, 0.01, 2), cpu=1 / 3)
    assert ours.clock_beside(sleeps) == clocks.WALL
    assert ours.speedup(sleeps).value == pytest.approx(3.0, abs=0.05)


def test_so_does_that_of_a_single_shared_turn():
    ours, busy = contender(np.ones(1)), contender(np.full(1, 2.0), cpu=0.5, queued=0.5)
    assert ours.clock_beside(busy) == clocks.CPU
    assert ours.speedup(busy).value == pytest.approx(1.0)


def test_an_older_worker_is_compared_by_the_cpu_time_of_whole_turns():
    ours, older = contender(np.ones(12)), contender(np.full(12, 3.0))
    older.used, older.hello, ours.hello = {}, {"device": "cpu"}, {"device": "cpu"}
    for each, cpu in ((ours, 0.5), (older, 0.6)):
        each.machine = dict.fromkeys(each.turns, (3.0, cpu, 2.0, 0.0))
    assert ours.clock_beside(older) == clocks.WHOLE
    assert ours.speedup(older).value == pytest.approx(1.2)


def test_warming_goes_on_and_its_turns_are_left_out():
    slow = contender(np.r_[np.full(6, 12.0), np.ones(14)] * noise(20, 0.005, 1))
    steady = contender(noise(20, 0.005, 2))
    slow.spec, steady.spec, slow.repeats = "slow", "baseline", 1
    rounds.satisfied([slow, steady], 0.04)
    assert not slow.satisfied
    assert len(slow.warming) >= 5
    assert slow.repeats == 0, "it is calibrated anew"
    while slow.keep_warming():
        pass
    assert sorted(slow.warming) == [1, 2, 3, 4, 5], "of the one slow turn that is left, the median takes no notice"
    assert slow.speedup(steady).value == pytest.approx(1.0, abs=0.02)


def test_no_test_takes_long():
    times = noise(1000, 0.05, 1)
    clocks._of_one_kind(1000)
    start = time.process_time()
    doubts(times)
    assert time.process_time() - start < 2


def test_what_is_not_known_is_not_doubted():
    assert clocks.doubts({0: [[0.0, 1.0, 0.0]]}, {}, {}, 1, clocks.WALL) == []
    assert not clocks.busy({}, {}, {}, 1)


@pytest.mark.parametrize(("first", "said"), [(np.ones(8), False), (np.r_[np.full(5, 1.3), np.ones(11)], True)])
def test_that_one_process_is_slower_than_the_next_is_no_warm_up(first, said):
    times = np.r_[1.04 * first, np.ones(16)] * noise(first.size + 16, 0.004, 1)
    process = {number: 1 + (number > first.size) for number in range(1, times.size + 1)}
    made = contender(times)
    found = clocks.doubts(made.turns, made.used, {}, 1, clocks.CPU, process)
    assert any(one.startswith("warm-up was not over") for one in found) == said
    made.process = process
    assert made.keep_warming() == said


def test_cpu_time_is_the_lowest_quarter_of_a_turn():
    runs = [[seconds, 0.0, 0, 0] for seconds in (5.0, 1.0, 2.0, 9.0, 3.0)]
    assert clocks.cpu({1: [[0.0, 1.0, 0.0]] * 5}, {1: runs}) == {1: 2.0}
