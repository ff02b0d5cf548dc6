"""Temporary clones of this repository, to make commits in."""

import shutil
import subprocess

import pytest

from implementations.places import ROOT

COPIED = ("implementations", "harness", "datasets", "asv.conf.json")


def git(folder, *words):
    """What git says. A commit made here needs no identity of the user's."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def need_git():
    """Skip the test in a copy without git's history."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")


def make(parent):
    """A clone whose newest commit is the working tree as it stands."""
    need_git()
    folder = parent / "repository"
    git(ROOT, "clone", "-q", "--shared", ROOT, folder)
    for name in COPIED:
        target = folder / name
        if (ROOT / name).is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    commit(folder)
    return folder


def commit(folder, appended=None):
    """Commit what has changed, and text appended to modules (`cpu/l2`) of implementations/; returns the commit."""
    appended = appended or {}
    for module, text in appended.items():
        path = folder / "implementations" / f"{module}.py"
        path.write_text(path.read_text() + text)
    git(folder, "add", "-A")
    git(folder, "commit", "--allow-empty", "--no-verify", "-q", "-m", " ".join(appended) or "as in the working tree")
    return git(folder, "rev-parse", "HEAD")
