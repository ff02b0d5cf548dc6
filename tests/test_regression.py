"""`make regression`: a slower solver, a broken one and a failing one are told apart, and nothing else is blamed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import verdict

ROOT = Path(__file__).parent.parent
SLOW = """

_solve = Vectorized.solve


def _slowly(self, state):
    import time

    start = time.perf_counter()
    solution = _solve(self, state)
    end = time.perf_counter() + 0.15 * (time.perf_counter() - start)
    while time.perf_counter() < end:
        pass
    return solution


Vectorized.solve = _slowly
"""
BROKEN = '''

_prepare = Batched.prepare


def _prepare_once(self, problem):
    """Faster, for it leaves the positivity loop out."""
    from dataclasses import replace

    return _prepare(self, replace(problem, options=replace(problem.options, max_iter=1)))


Batched.prepare = _prepare_once
'''
FAILING = """

def _raise(self, state):
    raise RuntimeError("failing on purpose")


L2.solve = _raise
"""


def git(folder, *words):
    identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder, **appended):
    for module, text in appended.items():
        path = folder / "implementations" / f"{module}.py"
        path.write_text(path.read_text() + text)
    git(folder, "add", "-A")
    git(folder, "commit", "--allow-empty", "--no-verify", "-m", " ".join(appended) or "as in the working tree")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of this repository whose first own commit is the working tree as it stands."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there are no commits to compare")
    folder = tmp_path_factory.mktemp("clone") / "repository"
    git(ROOT, "clone", "-q", "--shared", ROOT, folder)
    for name in ("implementations", "harness", "datasets"):
        shutil.rmtree(folder / name)
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    commit(folder)
    return folder


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


def test_a_slowed_solver_and_a_broken_faster_one_are_both_caught(clone):
    base = git(clone, "rev-parse", "HEAD")
    git(clone, "checkout", "-q", "-b", "both")
    commit(clone, vectorized=SLOW)
    commit(clone, batched=BROKEN)
    done = regression(clone, base, "--solvers", "vectorized,batched", "--pixels", "40", "--bins", "34")
    git(clone, "checkout", "-q", "-")
    assert done.returncode == verdict.SLOWER + verdict.GATE_VIOLATED, done.stdout + done.stderr
    found = verdicts(done.stdout)
    assert found["vectorized"] == "SLOWER"
    assert found["batched"] == "GATE VIOLATED"
    assert "batched: dem: deviates from the baseline" in done.stdout
    ratios = dict(re.findall(r"^(\w+) .*?(\d\.\d{3}) \[", done.stdout, flags=re.MULTILINE))
    assert float(ratios["batched"]) < 1 < float(ratios["vectorized"])
