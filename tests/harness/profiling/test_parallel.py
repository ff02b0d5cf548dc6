"""`harness.profile --threads 1,2,...`: what is told apart, on figures and on a run oversubscribed on purpose."""

import json
import subprocess
import sys

import pytest

from harness.machine.probes import cores
from harness.profiling import threads as profiling_threads

OVERSUBSCRIBED = """
import os, subprocess, sys
from implementations.cpu.batched import Batched

WORK = '''
import sys, time
import numpy as np
a = np.ones((300, 300))
print("there", flush=True)
for _ in sys.stdin:
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        a @ a
    print("done", flush=True)
'''

class Crowd(Batched):
    name = "crowd"

    def __init__(self, threads: int = 1):
        super().__init__()
        crowd = 1 if threads == 1 else 2 * (os.cpu_count() or 1)
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.team = [subprocess.Popen([sys.executable, "-c", WORK], **pipe) for _ in range(crowd)]
        for each in self.team:
            each.stdout.readline()

    def solve(self, state):
        for each in self.team:
            each.stdin.write("go\\\\n")
            each.stdin.flush()
        for each in self.team:
            each.stdout.readline()
        return super().solve(state)
""".replace("\\\\n", "\\n")


def command(*arguments, code=0):
    words = [sys.executable, "-m", "harness.profile", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def figures(**changed):
    """A run on four cores that takes a second, half of which a second thread would save."""
    blas = [{"process": "main", "pools": [{"user_api": "blas", "num_threads": 1}]}]
    run = {
        "prepare_s": 0.0,
        "solve_s": 1.0,
        "collect_s": 0.0,
        "total_s": 1.0,
        "busy_s": [1.0],
        "waited_s": 0.0,
        "processes": 1,
        "cores": 4,
        "blas": blas,
    }
    return run | changed


def findings(run_bytes=None, **changed):
    """What is found of two threads, where one thread's run is `figures()`."""
    good = {"solve_s": 0.5, "total_s": 0.5, "busy_s": [0.5, 0.5]}
    runs = {1: figures(), 2: figures(**good | changed)}
    profiling_threads.diagnose(runs, 3.9, 1e9, run_bytes)
    assert runs[1]["findings"] == [] or run_bytes
    assert runs[1]["speedup"] == runs[1]["efficiency"] == 1
    return runs[2]


def test_a_run_that_halves_its_time_has_nothing_to_explain():
    run = findings()
    assert (run["speedup"], run["efficiency"], run["findings"]) == (2.0, 1.0, [])


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"prepare_s": 0.4, "total_s": 0.9}, "start-up: 44%"),
        ({"busy_s": [0.75, 0.25]}, "load imbalance: the busiest thread has 50% more"),
        ({"busy_s": [0.8, 0.8]}, "cores are slower together: the same work takes 1.60 times"),
        ({"busy_s": [1.0]}, "idle: 1 of 2 threads had work"),
        ({"waited_s": 1.0}, "the machine is busy with other work: 50%"),
        ({"run_bytes": 4e8}, "memory: 80% of the machine's copy rate"),
        (
            {"busy_s": [0.2] * 8, "waited_s": 1.6, "processes": 2},
            "oversubscribed: 8 busy threads in 2 process(es) on 4 core(s), BLAS set to 1 thread(s) each; 50%",
        ),
    ],
)
def test_causes_are_told_apart(changed, cause):
    """Each on its own: the figure that shows it is named, and no other is blamed."""
    (found,) = findings(**changed)["findings"]
    assert found.startswith(cause)


def test_blas_in_workers_is_named_rather_than_the_main_process():
    def view(process, threads):
        pools = [{"user_api": "blas", "num_threads": threads}, {"user_api": "openmp", "num_threads": 64}]
        return {"process": process, "pools": pools}

    run = findings(busy_s=[0.1] * 12, blas=[view("main", 1), view("worker 1", 6), view("worker 2", 6)])
    assert "BLAS set to 6 thread(s) each" in run["findings"][0]


@pytest.mark.slow
def test_a_deliberately_oversubscribed_run_is_recognised(tmp_path):
    plugin = tmp_path / "crowd.py"
    plugin.write_text(OVERSUBSCRIBED)
    tiny = ("--pixels", 4, "--bins", 12, "--plugin", plugin, "--out", tmp_path / "out")
    shown = command("crowd", *tiny, "--threads", "1,2").stdout
    runs = json.loads((tmp_path / "out" / "profile.json").read_text())["threads"]
    assert len(runs["2"]["busy_s"]) > cores()
    assert len(runs["1"]["busy_s"]) <= len(runs["2"]["busy_s"]) / 2
    assert "2 thread(s): oversubscribed: " in shown
    assert "1 thread(s): oversubscribed: " not in shown
    assert runs["2"]["wait_share"] > 0.2


def test_workers_and_their_blas_are_seen(tmp_path):
    """A pool of the project's own holds BLAS to one thread in every worker, and starting it is seen as such."""
    tiny = ("--pixels", 8, "--bins", 12, "--out", tmp_path)
    command("baseline", *tiny, "--threads", "1,2")
    record = json.loads((tmp_path / "profile.json").read_text())
    one, two = record["threads"]["1"], record["threads"]["2"]
    assert one["efficiency"] == 1
    assert two["solver"] == "baseline[executor=process-pool,workers=2]"
    assert two["speedup"] == pytest.approx(one["total_s"] / two["total_s"])
    assert any(found.startswith("start-up: ") for found in two["findings"])
    workers = [view for view in two["blas"] if view["process"] != "main"]
    assert workers
    threads = [pool["num_threads"] for view in workers for pool in view["pools"] if pool["user_api"] == "blas"]
    assert threads
    assert set(threads) == {1}


@pytest.mark.parametrize(
    ("spec", "known", "threads", "expected"),
    [
        ("numba", {"threads": 1}, 2, ("numba[threads=2]", 2)),
        ("batched", {}, 2, ("batched", 2)),
        ("baseline", {"executor": "serial", "workers": 1}, 1, ("baseline", 1)),
        (
            "baseline[executor=threads]",
            {"executor": "serial", "workers": 1},
            3,
            ("baseline[executor=threads,workers=3]", 1),
        ),
        ("dask[inner=numba]", {"workers": None, "threads": 1}, 2, ("dask[inner=numba,threads=2]", 2)),
    ],
)
def test_every_solver_is_given_its_threads_as_it_takes_them(spec, known, threads, expected):
    assert profiling_threads.spec_for(spec, known, threads) == expected


@pytest.mark.parametrize("given", [["--threads", "1,0"], ["--threads", "1,2", "--engine", "line"]])
def test_bad_input_is_one_line(given):
    said = command("baseline", *given, code=2).stderr
    assert len(said.strip().splitlines()) == 1
    assert "--threads" in said
