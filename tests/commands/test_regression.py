"""`make regression`: a slower solver, a broken one and a failing one are told apart, and nothing else is blamed."""

import json
import re
import subprocess
import sys
from math import nan

import clones
import pytest
from clones import commit, git

from harness import regression as regression_command
from harness.judge.comparison import FAILED, GATE_VIOLATED, NO_ESTIMATE, SLOWER, WORSE, Comparison
from harness.judge.intervals import Estimate
from harness.measure import contender
from harness.measure.plan import Plan
from harness.measure.supervisor import worker_module
from harness.records.schema import Cell
from harness.reports import checkout, two_commits
from implementations.places import ROOT

WITHOUT_ROOMS = "b5957a0"
SLOW = """

_solve = Vectorized.solve


def _slowly(self, state):
    import time

    start = time.perf_counter()
    solution = _solve(self, state)
    end = time.perf_counter() + SHARE * (time.perf_counter() - start)
    while time.perf_counter() < end:
        pass
    return solution


Vectorized.solve = _slowly
"""
BROKEN = '''

_solve = Batched.solve


def _solve_some(self, state):
    """Faster, for only every eighth pixel is inverted, and the others are given its outputs."""
    from dataclasses import fields, replace

    problem = state.problem
    some = self.prepare(replace(problem, dn=problem.dn[::8], edn=problem.edn[::8]))
    found = _solve(self, some)
    outputs = {f.name: np.repeat(getattr(found, f.name), 8, axis=0)[: len(problem.dn)] for f in fields(found)}
    return Solution(**outputs)


Batched.solve = _solve_some
'''
ONE_PASS = '''

_prepare = Baseline.prepare


def _prepare_once(self, problem):
    """Leaves the positivity loop out."""
    from dataclasses import replace

    return _prepare(self, replace(problem, options=replace(problem.options, max_iter=1)))


Baseline.prepare = _prepare_once
'''
FAILING = """

def _raise(self, state):
    raise RuntimeError("failing on purpose")


L2.solve = _raise
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return clones.make(tmp_path_factory.mktemp("clone"))


def regression(clone, base, *options):
    command = [sys.executable, "-m", "harness.regression", base, *options]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=300)


def verdicts(shown):
    """solver -> the table's last column, which is the verdict."""
    return {
        line.split()[0]: re.split(r"✔ pass|✘ fail|– none|–$", line)[-1].strip()
        for line in shown.splitlines()
        if line.startswith(("vectorized ", "batched ", "l2 ", "baseline "))
    }


@pytest.fixture
def base(clone):
    """The commit before a test's own, which are gone from the branch afterwards."""
    name = git(clone, "rev-parse", "HEAD")
    yield name
    git(clone, "reset", "-q", "--hard", name)


@pytest.mark.slow
def test_a_slowed_a_broken_faster_and_a_failing_solver_are_caught_and_told_apart(clone, base):
    commit(clone, {"cpu/vectorized": SLOW.replace("SHARE", "0.6")})
    commit(clone, {"cpu/batched": BROKEN})
    commit(clone, {"cpu/l2": FAILING})
    done = regression(clone, base, "--solvers", "vectorized,batched,l2", "--pixels", "40", "--bins", "34")
    assert done.returncode == SLOWER + GATE_VIOLATED + FAILED, done.stdout + done.stderr
    assert verdicts(done.stdout) == {"vectorized": "SLOWER", "batched": "GATE VIOLATED", "l2": "FAILED"}
    assert "batched: dem: deviates from the baseline" in done.stdout
    assert "l2: RuntimeError: failing on purpose" in done.stdout
    ratios = dict(re.findall(r"^(\w+) .*?(\d\.\d{3}) \[", done.stdout, flags=re.MULTILINE))
    assert float(ratios["batched"]) < 0.9 < 1.1 < float(ratios["vectorized"])
    assert "l2" not in ratios


@pytest.mark.slow
def test_fifteen_percent_are_seen(clone, base):
    commit(clone, {"cpu/vectorized": SLOW.replace("SHARE", "0.15")})
    done = regression(clone, base, "--solvers", "vectorized,batched", "--pixels", "40", "--bins", "34")
    assert done.returncode == SLOWER, done.stdout + done.stderr
    assert verdicts(done.stdout)["vectorized"] == "SLOWER"
    assert "SLOWER" not in verdicts(done.stdout)["batched"]


@pytest.mark.slow
def test_a_commit_that_changes_nothing_is_not_blamed(clone, base):
    commit(clone)
    done = regression(clone, base, "--solvers", "baseline,vectorized,batched,l2", "--pixels", "40", "--bins", "12,34")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no regression" in done.stdout


@pytest.mark.slow
def test_a_change_of_the_baseline_is_judged_by_the_baseline_before_it(clone, base):
    commit(clone, {"baseline": ONE_PASS})
    done = regression(clone, base, "--solvers", "baseline", "--pixels", "40", "--bins", "34")
    assert done.returncode == GATE_VIOLATED, done.stdout + done.stderr


def test_it_is_said_whose_runs_had_no_problems_of_their_own(clone, base, monkeypatch, capsys):
    """Also those of a commit that makes them in another way, which this one's parent can't say to its worker."""
    monkeypatch.setattr(checkout, "ROOT", clone)
    monkeypatch.setattr(contender, "SCHEME", contender.SCHEME + 1)
    small = ["--pixels", "8", "--bins", "12", "--max-seconds", "2", "--json"]
    regression_command.main([base, base, "--solvers", "vectorized", *small])
    told = json.loads(capsys.readouterr().out)
    note = "all its runs were timed on one problem, and judged by the first solution"
    assert [f"{word}: {note}" in told["heads"] for word in ("base", "head")] == [True, True]
    (row,) = told["rows"]
    assert (row["base"]["status"], row["head"]["status"]) == ("ok", "ok")


def row(status="ok", gate="pass", **more):
    return {"status": status, "gate": gate, **more}


SAME, SLOW_RATIO, FAST = Estimate(1.0, 0.98, 1.02), Estimate(1.15, 1.1, 1.2), Estimate(0.8, 0.75, 0.85)


@pytest.mark.parametrize(
    ("before", "after", "ratio", "code", "words"),
    [
        (row(), row(), SAME, 0, "same"),
        (row(), row(), SLOW_RATIO, SLOWER, "SLOWER"),
        (row(), row(), FAST, 0, "faster"),
        (row(), row(), Estimate(1.1, 1.01, 1.2), 0, "slower"),
        (row(), row(), Estimate(1.1, 0.99, 1.2), 0, "undecided"),
        (row(), row(), Estimate(0.97, 0.96, 0.98), 0, "faster"),
        (row(), row(), Estimate(0.97, 0.8, 1.01), 0, "undecided"),
        (row(), row(), Estimate(1.3, nan, nan), 0, "undecided: too few rounds"),
        (row(), row(), Estimate(700.0, nan, nan), SLOWER, "SLOWER"),
        (row(), row(gate="fail"), FAST, GATE_VIOLATED, "GATE VIOLATED"),
        (row(), row(gate="fail"), SLOW_RATIO, SLOWER + GATE_VIOLATED, "GATE VIOLATED, SLOWER"),
        (row(gate="fail"), row(gate="fail"), SAME, 0, "same (gate violated before, too)"),
        (row(), row("timeout", "none"), NO_ESTIMATE, FAILED, "FAILED"),
        (row("crashed", "none"), row("crashed", "none"), NO_ESTIMATE, 0, "failed before, too"),
        (row("crashed", "none"), row(), NO_ESTIMATE, 0, "mended"),
        (row(truth_dem_error=1.0), row(truth_dem_error=1.04), SAME, 0, "same"),
        (row(truth_dem_error=1.0), row(truth_dem_error=1.1), SLOW_RATIO, SLOWER + WORSE, "WORSE, SLOWER"),
        (row(truth_dem_error=1.0), row(), SAME, WORSE, "WORSE, same"),
        (row(peak_rss_mb=200.0), row(peak_rss_mb=900.0), FAST, WORSE, "MORE MEMORY, faster"),
        (row(peak_rss_mb=200.0), row(peak_rss_mb=450.0), SAME, 0, "same"),
        (row(peak_rss_mb=2000.0), row(peak_rss_mb=3000.0), SAME, 0, "same"),
        (None, row(), NO_ESTIMATE, 0, "new"),
        (None, row(gate="fail"), NO_ESTIMATE, GATE_VIOLATED, "GATE VIOLATED"),
        (None, row("failed", "none"), NO_ESTIMATE, FAILED, "FAILED"),
        (row(), None, NO_ESTIMATE, 0, "removed"),
        (row("skipped", "none"), row("skipped", "none"), NO_ESTIMATE, 0, "skipped"),
    ],
)
def test_what_a_change_is_blamed_for(before, after, ratio, code, words):
    comparison = Comparison("x", before, after, ratio, tolerance=0.05)
    assert (comparison.code, comparison.words) == (code, words)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-commit"], "'no-such-commit' is not a commit"),
        (["HEAD", "--pixels", "0"], "--pixels must be whole numbers from 1"),
        (["HEAD", "--tolerance", "-1"], "--tolerance must be a share from 0"),
        (["HEAD", "--tolerance", "nmuba=0.1"], "no row is of nmuba; nearest: numba"),
        (["HEAD", "--dataset", "random-response,moon"], "unknown dataset 'moon'"),
        (["HEAD", "--solvers", "nmuba", "--bins", "12"], "neither commit has a solver 'nmuba'"),
        (["HEAD", "--solvers", "numba,numba"], "--solvers names something twice: numba, numba"),
        (["HEAD", "--solvers", "numba[threads=0]"], "threads and workers must be whole numbers from 1 on"),
    ],
)
def test_a_call_that_cannot_be_carried_out_is_one_line(clone, base, arguments, said, monkeypatch, capsys):
    monkeypatch.setattr(checkout, "ROOT", clone)
    with pytest.raises(SystemExit) as end:
        regression_command.main(arguments)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_commit_from_before_the_harness_had_rooms_is_compared(tmp_path):
    """Its worker is `harness.worker`; the solver's own file was elsewhere too."""
    known = subprocess.run(["git", "cat-file", "-e", f"{WITHOUT_ROOMS}^{{commit}}"], cwd=ROOT, capture_output=True)
    if known.returncode:
        pytest.skip(f"this checkout's history doesn't reach back to {WITHOUT_ROOMS}")
    done = regression(
        ROOT, WITHOUT_ROOMS, "--solvers", "batched", "--pixels", "40", "--bins", "34", "--max-seconds", "5"
    )
    assert done.returncode in (0, SLOWER), done.stdout + done.stderr
    assert re.search(r"^batched .*\d\.\d{3} \[", done.stdout, flags=re.MULTILINE), done.stdout
    assert "base: all its runs were timed on one problem" in done.stdout
    assert "head: all its runs" not in done.stdout


def test_the_worker_is_the_one_that_a_checkout_has(tmp_path):
    assert worker_module(None) == worker_module(ROOT) == "harness.measure.worker"
    (tmp_path / "harness").mkdir()
    with pytest.raises(ValueError, match=r"no worker to run: looked for harness\.measure\.worker and harness\.worker"):
        worker_module(tmp_path)
    (tmp_path / "harness" / "worker.py").touch()
    assert worker_module(tmp_path) == "harness.worker"


@pytest.mark.parametrize(
    ("first", "again", "words"),
    [
        (SLOW_RATIO, Estimate(1.12, 1.06, 1.2), "SLOWER"),
        (SLOW_RATIO, Estimate(1.0, 0.98, 1.02), "undecided"),
        (SLOW_RATIO, FAST, "undecided"),
        (FAST, Estimate(0.9, 0.85, 0.95), "faster"),
        (Estimate(1.1, 1.06, 1.14), Estimate(1.08, 1.04, 1.12), "SLOWER"),  # together they are surer than either
        (Estimate(1.1, 1.06, 1.14), Estimate(1.01, 0.97, 1.05), "slower"),
    ],
)
def test_a_change_must_be_seen_twice(first, again, words):
    """One measurement in a hundred sees a change where there is none; two that don't agree say nothing."""
    both = two_commits._both(*(Comparison("x", row(), row(), ratio, 0.05) for ratio in (first, again)))
    assert both.words == words
    assert two_commits._both(Comparison("x", row(), row(), first, 0.05), None).ratio == first


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_wrong_need_not_be_seen_twice(order):
    """A solver that is wrong in some rounds is caught where those are drawn, and not in others."""
    pair = [Comparison("x", row(), head, FAST, 0.05) for head in (row(gate="fail"), row())]
    assert two_commits._both(*pair[::order]).code == GATE_VIOLATED


def test_a_solver_that_cannot_be_imported_has_failed(tmp_path):
    """Unlike one that this machine can't run."""

    class Known(checkout.Checkout):
        def solvers(self):
            return {"x": {"available": False, "reason": "NameError", "fault": self.commit, "tunables": {"k": 1}}}

    base, head = (Known(fault, fault, tmp_path) for fault in ("", "it can't be imported"))
    match = two_commits.Match(base, head, Plan(), lambda _: 0.05, tmp_path)
    (found,) = match.compare(Cell("random-response", 40, 34, 1))
    assert (found.base["status"], found.head["status"], found.code) == ("skipped", "failed", FAILED)
    for spec, said in (
        ("x[k", "is not of the form"),
        ("x[j=1]", "unknown tunable of solver 'x' 'j'"),
        ("x[threads=y]", "threads and workers must be whole numbers"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            two_commits.Match(base, head, Plan(), lambda _: 0.05, tmp_path, (spec,))
