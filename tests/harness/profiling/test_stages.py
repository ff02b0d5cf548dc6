"""Seconds by stage: the sums, the hooks, and the counting kernel held against the kernel."""

import json
import re
import sys
import threading
import time
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from emulated import COMPILER, Emulator
from solvers import create, rows

from harness.profiling import stages
from harness.profiling.stopwatch import OTHER, Stopwatch
from harness.workloads.awkward import Draw
from implementations import baseline, executors
from implementations.contract import Options

DRAW = Draw(5, 40, 6, 30, "noise", 2, 1.0, -1.0, False, "none", False, Options(gloci=0))


@pytest.fixture(scope="module")
def problem():
    return DRAW.problem()


def fairly_counted(count):
    """Of up to nine runs the first whose stages are known and add up to it within a tenth, else the last.

    Between what the run and what the stopwatch call its start, and between two stages, a busy machine may take the core
    away for longer than a run lasts. A stage that is missing or unknown is so in every one of them.
    """
    for _ in range(9):
        total, seconds = count()
        if sum(seconds.values()) == pytest.approx(total, rel=0.1, abs=5e-4) and seconds.get(OTHER, 0.0) < 0.5 * total:
            break
    return total, seconds


SINGLE = "numba-float32"
"""Whose kernel is numba's with another type, and takes a quarter of a minute to compile with its counters."""


def marked(row):
    """A solver's parameter, slow for that one."""
    return pytest.param(*row.values, marks=[*row.marks, pytest.mark.slow]) if row.values == (SINGLE,) else row


@pytest.mark.parametrize("name", [*map(marked, rows())])
def test_the_stages_of_every_solver_add_up_to_their_run(name, problem):
    solver = create(name)
    solver.run(problem)
    if solver.method != "demreg":
        expected = f"the stages are DEMREG's, and its method is {solver.method}"
        assert stages.watch(solver, problem, name) == {"stages": None, "stages_reason": expected}
        return
    counted = stages._counted(name)
    assert not isinstance(counted, str), counted
    total, seconds = fairly_counted(lambda: counted(solver, problem))
    assert set(seconds) <= set(stages.STAGES)
    assert sum(seconds.values()) == pytest.approx(total, rel=0.1, abs=5e-4)
    assert all(value >= 0 for value in seconds.values())
    assert seconds["factorisation"] > 0
    assert seconds["profile width"] > 0
    assert seconds.get(OTHER, 0.0) < 0.5 * total, "the table knows the solver's functions"


def test_workers_out_of_sight_are_divided_as_their_solver_is():
    """The workers' own seconds, by the inner solver's stages; starting them and waiting for them is pool overhead."""
    solver = create("baseline")

    class HandsOn(type(solver)):
        name, threads = "hands-on", 2

        def inner(self, threads):
            return create("baseline")

        def solve(self, state):
            time.sleep(1.0)
            return super().solve(state)

        def facts(self, state):
            return {"task_s": 0.5, "slots": 2}

    total, seconds = stages.handed_on_run(HandsOn(), DRAW.problem())
    assert sum(seconds.values()) == pytest.approx(total)
    assert seconds["pool overhead"] == pytest.approx(total - 0.25, rel=0.05)
    assert seconds["factorisation"] > seconds["profile width"] > 0


@pytest.mark.parametrize("executor", ["threads", "process-pool", "loky"])
def test_the_stages_of_workers_are_seen_too(executor, problem):
    from implementations.registry import Registry

    spec = f"baseline[executor={executor},workers=2]"
    solver = Registry().create(spec)
    total, seconds = fairly_counted(lambda: stages.hooked_run(solver, problem))
    assert sum(seconds.values()) == pytest.approx(total, rel=0.1, abs=5e-4)
    assert seconds["factorisation"] > 0
    assert seconds["grid search"] > 0
    assert seconds["pool overhead"] > 0
    if executor == "process-pool":
        assert seconds["pool overhead"] > seconds["factorisation"], "starting two interpreters outlasts 40 pixels"


def test_of_the_baseline_the_gsvd_and_the_grid_search_take_most(problem):
    _, seconds = fairly_counted(lambda: stages.hooked_run(create("baseline"), problem))
    assert seconds["factorisation"] + seconds["grid search"] > 0.6 * sum(seconds.values())


def test_what_is_hooked_is_put_back(problem):
    before = baseline.gsvd, baseline.regularisation, baseline.invert_pixel.__defaults__, executors.start
    stages.hooked_run(create("baseline"), problem)
    assert before == (baseline.gsvd, baseline.regularisation, baseline.invert_pixel.__defaults__, executors.start)


def test_every_function_in_the_table_exists():
    """A renamed function would silently lose its stage."""
    import functools
    import importlib

    for target in stages.TABLE:
        module, _, path = target.partition(":")
        assert callable(functools.reduce(getattr, path.split("."), importlib.import_module(module))), target


def test_time_goes_to_the_innermost_stage_of_each_thread():
    watch = Stopwatch()

    elapsed = []

    def work():
        start = time.perf_counter()
        with watch.stage("a"):
            time.sleep(0.02)
            with watch.stage("b"):
                time.sleep(0.05)
            time.sleep(0.02)
        elapsed.append(time.perf_counter() - start)

    thread = threading.Thread(target=work)
    thread.start()
    work()
    thread.join()
    assert len(watch.sums) == 2
    for sums in watch.sums.values():
        assert sums["a"] >= 0.04
        assert sums["b"] >= 0.05
        assert sums["a"] + sums["b"] <= max(elapsed)


def test_a_mismatch_is_named(monkeypatch, problem):
    monkeypatch.setattr(stages, "hooked_run", lambda solver, problem: (1.0, {"weights": 9.0, OTHER: 1.0}))
    figures = stages.watch(create("batched"), problem, "batched")
    assert not figures["stages_agree"]
    assert figures["stages_excess"] > 10


def test_without_a_counter_there_is_a_reason(monkeypatch, problem):
    from implementations.compiled import timed_kernel

    monkeypatch.setattr(timed_kernel.platform, "machine", lambda: "abacus")
    figures = stages.watch(create("numba"), problem, "numba")
    assert figures == {"stages": None, "stages_reason": "no cycle counter on abacus"}


@pytest.mark.parametrize("name", ["numba", pytest.param(SINGLE, marks=pytest.mark.slow)])
@pytest.mark.parametrize("gloci", [0, 1])
@pytest.mark.parametrize("bins", [5, 30, 90])
def test_the_counting_kernel_is_the_kernel(name, gloci, bins):
    from dataclasses import replace

    from implementations.compiled import timed_kernel

    drawn = replace(DRAW, bins=bins, options=Options(gloci=gloci)).problem()
    solver = create(name)
    expected, (got, _, seconds) = solver.run(drawn), timed_kernel.stages(solver, drawn)
    for field in fields(expected):
        np.testing.assert_array_equal(getattr(got, field.name), getattr(expected, field.name))
    assert seconds["profile width"] > 0


@pytest.mark.parametrize(("ticks", "counters"), [(None, 0), (np.zeros(7, np.int64), 2)])
def test_only_the_kernel_that_counts_has_a_counter(ticks, counters):
    import numba

    from implementations.compiled.ticks import mark, start

    @numba.njit
    def counted(ticks):
        return mark(ticks, 0, start(ticks))

    counted(ticks)
    (code,) = counted.inspect_llvm().values()
    assert len(re.findall("call i64 @llvm.readcyclecounter", code)) == counters


def test_the_profile_shows_the_stages(tmp_path):
    import subprocess

    command = [sys.executable, "-m", "harness.profile", "baseline", "--pixels", "4", "--bins", "12"]
    done = subprocess.run([*command, "--out", tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "profile.json").read_text())
    assert "stages: " in done.stdout
    assert sum(record["stages"].values()) == pytest.approx(record["stages_total_s"], rel=0.05)
    assert record["stages_agree"] == (abs(record["stages_excess"]) <= stages.AGREEMENT)
    assert record["stages_agree"] or "the stages add up to" in done.stdout


def test_stages_on_a_device_wait_for_all_of_its_streams(monkeypatch):
    """CuPy's null stream doesn't wait for streams that don't block it, which the pipeline's are."""
    waited = []
    device = SimpleNamespace(synchronize=lambda: waited.append("device"))
    cupy = SimpleNamespace(cuda=SimpleNamespace(Device=lambda: device))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    stages._synchroniser(SimpleNamespace(device="gpu"))()
    assert waited == ["device"]
    assert stages._synchroniser(SimpleNamespace(device="cpu")) is None


@pytest.mark.skipif(not COMPILER, reason="g++ is not installed")
def test_nvtx_ranges_are_around_the_stages_and_device_events_beside_them(monkeypatch, problem, tmp_path):
    """On a device that is made of host memory, with a CuPy that only has ranges."""
    from fake_device import FakeDevices

    from harness.measure import clock
    from harness.profiling import engines
    from implementations.gpu import device
    from implementations.gpu.batched import GpuBatched

    said, depth = [], [0]
    here = threading.local()

    def push(name):
        here.depth = getattr(here, "depth", 0) + 1
        said.append(name)

    def pop():
        here.depth -= 1
        assert here.depth >= 0
        depth.append(here.depth)

    nvtx = SimpleNamespace(RangePush=push, RangePop=pop)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(nvtx=nvtx)))
    monkeypatch.setattr(device, "runtime", lambda: FakeDevices(xp=Emulator()))
    solver, before = GpuBatched(), baseline.gsvd
    figures = engines._nvtx(lambda facts: clock.timed_run(solver, problem, facts), solver, tmp_path)
    assert said[0] == "run of gpu-batched"
    assert {"factorisation", "profile width", "positivity"} <= set(said[1:]) <= set(stages.STAGES)
    assert len(depth) - 1 == len(said)
    assert here.depth == 0
    assert figures["run_s"] > 0
    assert figures["device_events"]["kernel_s"] > 0
    assert baseline.gsvd is before
