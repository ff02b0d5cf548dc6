"""Memory over time, of a process and of what it starts; forked and spawned workers."""

import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from solvers import create

from harness.profiling import memory
from harness.workloads.awkward import Draw
from implementations.contract import Options

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems hide what a process holds")
HOLDS = "import sys, time; held = bytearray(b'x' * 80 * 2**20); print('there', flush=True); sys.stdin.read()"
BIG = 64 * 2**20


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_what_a_process_and_its_workers_hold_is_seen_over_time():
    with memory.sampled(os.getpid()) as looks:
        wait_for(lambda: len(looks) > 1)
        alone = looks[-1]
        held = np.ones(BIG // 8)
        child = subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdout.readline()
        seen = len(looks)
        wait_for(lambda: len(looks) > seen + 1)
        both = looks[-1]
        child.communicate()
        del held
    assert both["own"] - alone["own"] >= 0.95 * BIG / 2**20
    assert both["workers"] - alone["workers"] >= 80
    assert both["processes"] == alone["processes"] + 1
    assert [look["s"] for look in looks] == sorted(look["s"] for look in looks)
    summary = memory.summary(looks)
    assert summary["peak_own_mb"] >= both["own"]
    assert summary["peak_workers_mb"] >= 80


def test_looks_are_thinned_out_before_they_are_too_many(monkeypatch):
    monkeypatch.setattr(memory, "LOOK_S", 1e-4)
    monkeypatch.setattr(memory, "MOST_LOOKS", 8)
    monkeypatch.setattr(memory, "_look", lambda pid: {"own": 1.0, "workers": 0.0, "shared": 0.0, "processes": 1.0})
    with memory.sampled(os.getpid()) as looks:
        wait_for(lambda: looks and looks[-1]["s"] > 0.05)
    assert len(looks) <= 9
    assert looks[0]["s"] < 0.05


def test_a_process_that_is_gone_is_a_reason():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with memory.sampled(child.pid) as looks:
        pass
    assert memory.sentences({"memory": memory.summary(looks)}) == [
        "memory: this system doesn't say what a process holds"
    ]


def test_a_forked_worker_shares_what_a_spawned_one_holds_anew():
    problem = Draw(5, 4, 6, 30, "noise", 2, 1.0, -1.0, False, "none", False, Options(gloci=0)).problem()
    costs = memory.watch(create("baseline"), problem)
    assert set(costs) == {"fork", "spawn"} & set(multiprocessing.get_all_start_methods())
    assert costs["spawn"]["private_mb"] > 2 * costs["fork"]["private_mb"] > 0
    assert costs["fork"]["start_s"] < costs["spawn"]["start_s"]
    look = {"s": 0.0, "own": 1.0, "workers": 0.0, "shared": 1.0, "processes": 1.0}
    told = costs | {"spawn": {"reason": "no answer within 60 s"}}
    said = memory.sentences({"memory": memory.summary([look]), "worker_memory": told})
    assert len(said) == 3
    assert said[2] == "memory of one worker by spawn: no answer within 60 s"
    assert f"{costs['fork']['private_mb']:.0f} MB of its own" in said[1]
