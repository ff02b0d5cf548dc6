"""What a run used is counted: CPU time of threads and processes, waiting for a core, switches; and what may be used."""

import os
import subprocess
import sys
import threading
import time

import pytest

from harness.machine import confinement, facts, load
from harness.machine.usage import Meter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the figures are of Linux's /proc")
SPIN = "import time\nwhile time.process_time() < 0.2: pass"


def spin(seconds=0.1):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def used(action, **how):
    meter = Meter(**{"threads": 1} | how)
    assert meter.counts
    meter.begin()
    start = time.perf_counter()
    action()
    wall = time.perf_counter() - start
    meter.end()
    return meter.used[0], wall


def test_wall_time_is_cpu_time_and_waiting_for_a_core():
    run, wall = used(spin)
    assert run.cpu == pytest.approx(0.1, rel=0.1)
    assert run.cpu + run.queued == pytest.approx(wall, rel=0.1)


def test_who_shares_a_core_waits_for_it():
    """Two processes on one core: half of the time each."""
    own = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        core = {min(own)}
        try:
            os.sched_setaffinity(other.pid, core)
            os.sched_setaffinity(0, core)
            time.sleep(0.1)
            run, wall = used(spin)
        finally:
            os.sched_setaffinity(0, own)
            other.kill()
    assert run.queued > 0.2 * wall
    assert run.preempted > 0


def test_sleep_is_neither():
    run, wall = used(lambda: time.sleep(0.1))
    assert run.waits >= 1
    assert run.cpu < 0.05
    assert run.cpu + run.queued < 0.8 * wall


def test_threads_count_and_so_do_processes_that_have_ended():
    def threads():
        both = [threading.Thread(target=spin) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()

    assert used(threads, threads=2)[0].cpu == pytest.approx(0.2, rel=0.2)
    assert used(lambda: subprocess.run([sys.executable, "-c", SPIN], check=True))[0].cpu > 0.2


def test_processes_that_live_are_asked_for():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        seconds = iter([1.0, 1.5])
        assert used(lambda: None, others=lambda: next(seconds))[0].cpu == pytest.approx(0.5, abs=0.1)
        child.kill()


def test_what_all_cores_do_is_counted():
    before = load.busy()
    spin(0.3)
    assert load.busy().work - before.work > 0.2
    assert load.now().keys() == {"load", "governor", "mhz", "cores", "memory_mb"}


@pytest.mark.parametrize(
    ("files", "cores", "megabytes", "said"),
    [
        ({"cpu.max": "50000 100000"}, 0.5, None, "cpu.max 50000 100000"),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None, "none"),
        ({"cpu.cfs_quota_us": "20000", "cpu.cfs_period_us": "100000"}, 0.2, None, "cpu.cfs_quota_us 20000"),
        ({"cpu.cfs_quota_us": "-1", "memory.limit_in_bytes": str(2**63 - 4096)}, None, None, "none"),
        ({"memory.max": str(3 << 20), "memory.current": str(1 << 20)}, None, 2, f"memory.max {3 << 20}"),
    ],
)
def test_a_control_groups_limits_are_used(tmp_path, monkeypatch, files, cores, megabytes, said):
    unlimited = confinement.cores(), 100
    group = tmp_path / "outer" / "inner"
    group.mkdir(parents=True)
    for name, text in files.items():
        (group.parent / name).write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    monkeypatch.setattr(confinement, "CGROUPS", tmp_path)
    monkeypatch.setattr(confinement, "OWN_GROUP", own)
    assert confinement.cores() == (cores or unlimited[0])
    assert confinement.memory_mb() == megabytes or confinement.memory_mb() > unlimited[1]
    assert confinement.confinement()["cgroup"] == said


def test_a_label_says_what_part_of_a_machine_was_used():
    machine = {"cpu": "C", "cores": 4, "memory_gb": 1, "system": "S"}
    assert facts.machine_label(machine | {"usable_cores": 1.0}) == "C, 1 of 4 cores, 1 GB, S"
    assert facts.machine_label(machine | {"usable_cores": 1.5}) == "C, 1.5 of 4 cores, 1 GB, S"
    assert facts.machine_label(machine | {"usable_cores": 4.0}) == facts.machine_label(machine) == "C, 4 cores, 1 GB, S"


@pytest.mark.parametrize(
    ("cpu", "numbers", "said"),
    [
        ("AMD EPYC", "AuthenticAMD 25 17 1", "AMD EPYC (25/17/1)"),
        ("AMD EPYC 9354", "AuthenticAMD 25 17 1", "AMD EPYC 9354"),
        ("ARM", "", "ARM"),
    ],
)
def test_a_label_tells_processors_of_one_name_apart(cpu, numbers, said):
    machine = {"cpu": cpu, "cores": 4, "memory_gb": 1, "system": "S", "cpu_numbers": numbers}
    assert facts.machine_label(machine) == f"{said}, 4 cores, 1 GB, S"


def test_affinity_is_seen():
    done = subprocess.run(
        [
            "taskset",
            "-c",
            str(min(os.sched_getaffinity(0))),
            sys.executable,
            "-c",
            "from harness.machine import facts; print(facts.machine_label(facts.machine()))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 of " in done.stdout or "1 cores" in done.stdout
