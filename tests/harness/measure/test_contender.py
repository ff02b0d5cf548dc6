"""Replies that are no times of runs end their row; a problem's files are known to be as they were."""

import os
import re
import time

import numpy as np
import pytest

from harness.measure import clock
from harness.measure.contender import Contender
from harness.workloads import seal
from harness.workloads.seal import Seal

RUN = [0.1, 0.2, 0.3]


class Replies:
    peak_tree_mb = 12.0
    cpu_s = 1.0
    waited_s = 0.0

    def __init__(self, **reply):
        self.reply, self.over = reply, False

    def ask(self, timeout, **command):
        return self.reply

    def end(self):
        self.over = True


def turn(**reply):
    contender = Contender("liar", 1, 1.0, worker=Replies(**reply), repeats=2)
    contender.take_turn(1)
    return contender


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"samples": 3},
        {"samples": [RUN]},
        {"samples": [RUN, RUN[:2]]},
        {"samples": [RUN, ["a", "b", "c"]]},
        {"samples": [RUN, [0.1, -0.2, 0.3]]},
        {"samples": [RUN, [0.1, float("nan"), 0.3]]},
        {"samples": [RUN, [0.1, float("inf"), 0.3]]},
        {"samples": [RUN, RUN], "facts": 7},
        {"samples": [RUN, RUN], "facts": [{"held": "much"}]},
        {"samples": [RUN, RUN], "facts": [dict.fromkeys(map(str, range(100)), 1.0)]},
        {"samples": [RUN, RUN], "facts": [{"x" * 1000: 1.0}]},
        {"samples": [RUN, RUN], "used": [[1e-9, 0.0, 0], [1e-9, 0.0, 0]]},
        {"samples": [RUN, RUN], "used": [[1e-9, -1.0, 0, 0]] * 2},
        {"samples": [RUN, RUN], "used": [[1e-9, 0.0, 0, 0]] * 7},
        {"samples": [RUN, RUN], "used": 3},
    ],
)
def test_a_reply_of_something_else_ends_its_row(reply):
    contender = turn(**reply)
    assert contender.ended.status == "failed"
    assert contender.ended.reason.startswith("replied with other than times of 2 run(s) and a few facts of each: {")
    assert contender.worker.over
    assert not contender.turns


def test_times_of_the_runs_are_kept():
    run = [1e-9, 2e-9, 3e-9]
    contender = turn(samples=[run, run], facts=[{"bytes": 3}, {"bytes": 4}])
    assert contender.ended is None
    assert np.array_equal(contender.turns[1], [run, run])
    assert contender.peak_rss_mb == 12.0


class Clocked(Replies):
    """Replies of runs that took so long, one list a turn; beside each turn it waited for a core."""

    def __init__(self, *turns, waited_s=0.0):
        super().__init__()
        self.given, self.waited_s, self.asked = list(turns), waited_s, []

    def ask(self, timeout, **command):
        self.asked.append(command["repeats"])
        took = self.given.pop(0)
        time.sleep(self.waited_s)
        return {"samples": [[0.0, took, 0.0]] * command["repeats"]}


def test_a_wait_for_a_core_makes_no_turn_shorter():
    """It had been a tenth of what passed: on a busy machine short solves were timed once a turn, from cold caches."""
    worker = Clocked(1e-5, 1e-5, waited_s=0.1)
    contender = Contender("short", 1, 1.0, worker=worker, first=clock.Phases(0, 1e-5, 0))
    contender.take_turn(1)
    assert worker.asked[0] == 1
    assert worker.asked[1] > 20


def test_a_first_call_that_compiles_calibrates_one_turn_at_most():
    worker = Clocked(0.7, 1e-5, 1e-5, 1e-5)
    contender = Contender("short", 1, 1.0, worker=worker, first=clock.Phases(0, 1e-5, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "misfit", lambda *_: "")  # no time passes here
        contender.take_turn(1)
        contender.take_turn(2)
    assert worker.asked[:3] == [1, 1, 1], "calibrated, a turn that shows it was wrong, calibrated anew"
    assert worker.asked[3] > 20
    late = Clocked(1e-5, 1e-5, 1e-5)
    contender = Contender("compiles for the whole map", 1, 9.0, worker=late, first=clock.Phases(0, 2.0, 0))
    contender.take_turn(1)
    contender.take_turn(2)
    assert late.asked[:2] == [1, 1]
    assert late.asked[2] > 20


@pytest.mark.parametrize(("cpu", "caught"), [(0.4, False), (0.0, True), (7.0, True)])
def test_cpu_time_that_its_processes_did_not_use_is_not_believed(cpu, caught):
    """Its processes used 1 s in that turn, by the parent's look at them."""
    run = [1e-9, 2e-9, 3e-9]
    contender = turn(samples=[run, run], used=[[cpu, 0.0, 0, 0], [0.5, 0.0, 1, 2]])
    contender.check_clock(over=True)
    assert bool(contender.ended) == caught
    assert not caught or re.match(
        r"its times can't be: it claims .* of CPU for a turn that took 1 s", contender.ended.reason
    )
    assert caught or contender.used[1][1] == (0.5, 0.0, 1, 2)


def test_more_than_what_passed_is_not_believed():
    contender = turn(samples=[RUN, RUN])
    assert contender.ended.reason.startswith("its times can't be: it claims 1.2 s for a turn that took ")
    assert contender.worker.over
    assert not contender.turns


def test_a_turn_has_a_bounded_number_of_runs():
    assert clock.repeats_for(0.0) == clock.MOST_REPEATS == 200
    assert clock.repeats_for(0.0, threads=2) == clock.MOST_OF_SEVERAL == 8
    assert clock.repeats_for(0.001) == 100
    assert (clock.repeats_for(0.0049), clock.repeats_for(0.005), clock.repeats_for(0.1)) == (21, 40, 2)


def test_a_file_changed_and_set_back_is_known(tmp_path):
    file = tmp_path / "dn.npy"
    file.write_bytes(b"counts")
    sealed, before = Seal(tmp_path), file.stat()
    assert not sealed.broken()
    assert not os.stat(file).st_mode & 0o222
    (tmp_path / "beside").write_text("is nobody's")
    assert not sealed.broken()
    file.chmod(0o644)
    file.write_bytes(b"nothin")
    assert (sealed.touched(), sealed.broken()) == (["dn.npy"], ["dn.npy"])
    file.write_bytes(b"counts")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sealed.touched() == ["dn.npy"]
    file.unlink()
    assert sealed.broken() == ["dn.npy"]


def test_a_change_that_the_system_does_not_note_is_known_by_the_digest(tmp_path):
    file = tmp_path / "dn.npy"
    file.write_bytes(b"counts")
    sealed = Seal(tmp_path)
    file.chmod(0o644)
    file.write_bytes(b"nothin")
    sealed._before[seal._stamp] = {file.name: seal._stamp(file)}
    assert (sealed.touched(), sealed.broken()) == ([], ["dn.npy"])
