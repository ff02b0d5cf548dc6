"""What a worker and all that it starts may do, and that nothing of it is left: each kind of escape as a solver."""

import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from folders import PLUGINS

from harness.measure import family
from harness.measure.supervisor import Supervisor, WorkerEnded
from harness.workloads import problem as workload

ESCAPES = PLUGINS / "escapes.py"
ANSWER_S = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("problem")
    workload.save(workload.generate(workload.load("random-response"), 4, 8)[0], made)
    return made


@pytest.fixture
def start(folder):
    workers = []

    def started(spec, **options):
        threads, limit_mb = options.pop("threads", 1), options.pop("limit_mb", 4000)
        workers.append(Supervisor(folder, spec, [str(ESCAPES)], threads, limit_mb, **options))
        workers[-1].reply(ANSWER_S)
        workers[-1].ask(ANSWER_S, do="warmup")
        return workers[-1]

    yield started
    for worker in workers:
        worker.end()
        assert gone(worker)


def processes(worker):
    """Those of a row, known by the mark in their environment."""
    return [process for process in psutil.process_iter() if marked(process, worker._mark)]


def gone(worker):
    """Whether all of them have ended, a few moments later."""
    deadline = time.monotonic() + 3
    while left := processes(worker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return not left


def marked(process, mark):
    try:
        return process.environ().get(family.MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


@pytest.mark.parametrize(
    ("solver", "status", "reason"),
    [
        ("junk", "failed", "wrote to the reply pipe: b'hello'"),
        ("floods", "failed", "wrote more than 32 MB to the reply pipe in one line"),
        (
            "forges",
            "failed",
            'wrote to the reply pipe: b\'00000000000000000000000000000000 {"samples": [[0.0, 1e-9, 0.0]]',
        ),
        ("closes-pipe", "crashed", "closed the reply pipe"),
        ("joins-group", "timeout", "no answer within 2 s; killed"),
        ("kills-keeper", "crashed", "its keeper was killed"),
        ("stops-keeper", "crashed", "ended with exit code 9"),
        ("chatters", "crashed", "ended with exit code 7: "),
        ("unprintable", "failed", r"ValueError: \ud800 \x1b[2J \u202exxx"),
        ("leaves", "failed", "SystemExit: 0"),
        ("crashes", "crashed", "killed by SIGSEGV: "),
    ],
)
def test_an_escape_ends_its_row_with_the_reason(start, solver, status, reason):
    worker = start(solver)
    with pytest.raises(WorkerEnded) as ended:
        worker.ask(2 if status == "timeout" else ANSWER_S, do="run", repeats=1)
    assert (ended.value.status, ended.value.reason[: len(reason)]) == (status, reason)
    assert gone(worker)


@pytest.mark.parametrize("solver", ["own-session", "daemons", "forks-on-and-on", "forges-from-child", "winds-down"])
def test_what_does_no_harm_is_let_be_and_ended_with_the_row(start, solver):
    worker = start(solver)
    for _ in range(2):
        assert len(worker.ask(ANSWER_S, do="run", repeats=1)["samples"]) == 1
    assert processes(worker)
    worker.end()
    assert gone(worker)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_team_that_spins_after_its_reply_is_accounted_for(start, threads):
    """And of one thread nobody expects that: such time is missing from what it claims."""
    worker = start("winds-down", threads=threads)
    began = time.monotonic()
    claimed = sum(worker.ask(ANSWER_S, do="run", repeats=1)["samples"][0])
    missing = time.monotonic() - began - claimed - worker.waited_s
    assert (missing < 0.1) == (threads == 2), f"0.2 s of spinning, {missing:.2f} s unaccounted for"


def test_texts_are_fit_for_a_record(start):
    with pytest.raises(WorkerEnded) as ended:
        start("unprintable").ask(ANSWER_S, do="run", repeats=1)
    for text in (ended.value.reason, ended.value.traceback):
        text.encode()
        assert "characters left out" in text
        assert all(c.isprintable() or c == "\n" for c in text)
    assert len(ended.value.reason) < 600
    assert len(ended.value.traceback) < 9000


def test_a_flood_of_words_is_kept_in_part(start):
    with pytest.raises(WorkerEnded) as ended:
        start("chatters").ask(ANSWER_S, do="run", repeats=1)
    assert ended.value.traceback.endswith("the end")
    assert len(ended.value.traceback) < 9000


def test_memory_of_children_counts_during_timed_turns(start):
    worker = start("holds-in-child")
    own = psutil.Process(worker.pid).memory_info().rss / 2**20
    worker.ask(ANSWER_S, do="run", repeats=1)
    assert worker.peak_tree_mb > own + 100


def test_memory_of_children_has_the_limit_during_timed_turns(start):
    worker = start("holds-in-child")
    worker.limit_mb = int(psutil.Process(worker.pid).memory_info().rss / 2**20 + 100)
    with pytest.raises(WorkerEnded, match="more than its limit") as ended:
        worker.ask(ANSWER_S, do="run", repeats=1)
    assert ended.value.status == "out_of_memory"


@pytest.mark.parametrize("solver", ["busy-child", "busy-thread"])
def test_what_goes_on_computing_after_its_turn_ends_its_row(start, solver):
    worker = start(solver)
    with pytest.raises(WorkerEnded, match="computed between its turns: ") as ended:
        turn_and_rest(worker)
    assert ended.value.status == "failed"


def turn_and_rest(worker):
    """A busy machine may keep still, for a moment, what isn't."""
    worker.ask(ANSWER_S, do="run", repeats=1)
    rest(worker)


def rest(worker):
    for _ in range(10):
        time.sleep(1)
        worker.check_rest()


def test_computing_while_others_have_their_turns_is_seen_later_too(start):
    worker = start("busy-later")
    worker.ask(ANSWER_S, do="run", repeats=1)
    worker.check_rest()
    with pytest.raises(WorkerEnded, match=r"computed between its turns: .* more than 5% of 1 core"):
        rest(worker)


def test_an_idle_pool_may_stay(start):
    worker = start("own-session")
    worker.ask(ANSWER_S, do="run", repeats=1)
    for _ in range(5):
        time.sleep(0.2)
        worker.check_rest()


def test_where_proc_lists_no_children_memory_and_cpu_are_seen_all_the_same(start, monkeypatch):
    worker = start("own-session")
    worker.ask(ANSWER_S, do="run", repeats=1)
    seen = {*family.below(worker._keeper.pid)}, family.held_mb(worker._keeper.pid), family.cpu_s(worker._keeper.pid)
    monkeypatch.setattr(family, "LISTS_CHILDREN", False)
    assert {*family.below(worker._keeper.pid)} == seen[0]
    assert family.held_mb(worker._keeper.pid) == pytest.approx(seen[1], rel=0.2)
    assert family.cpu_s(worker._keeper.pid) == pytest.approx(seen[2], abs=0.1)


def test_a_worker_whose_parent_is_killed_goes_with_all_it_started(folder):
    code = f"""
import time
from harness.measure.supervisor import Supervisor
worker = Supervisor({str(folder)!r}, "daemons", [{str(ESCAPES)!r}], 1, 4000)
worker.reply(20)
worker.ask(20, do="warmup")
worker.ask(20, do="run", repeats=1)
print(worker._mark, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        row = SimpleNamespace(_mark=parent.stdout.readline().strip())
        assert processes(row)
        parent.kill()
    assert gone(row)
