"""A commit's packages, unpacked beside the working tree, for workers to run; and the solvers registered there."""

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine.pinning import worker_environment
from implementations.places import ROOT, need_checkout

PACKAGES = ("implementations", "harness", "datasets")


@dataclass(frozen=True)
class Checkout:
    """A commit's packages in a folder of their own."""

    commit: str
    """Its full name."""
    label: str
    """Its short name and subject."""
    folder: Path

    def solvers(self) -> dict[str, dict[str, Any]]:
        """Name -> what the commit's own registry says of the solver. ValueError, in one line, when it can't say."""
        done = subprocess.run(
            [sys.executable, "-m", "harness.sweep", "--list", "--json"],
            cwd=self.folder,
            env=worker_environment(1, self.folder),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise ValueError(f"{self.label}: its solvers can't be listed: {said[-1] if said else '(no word)'}")
        return {row["name"]: row for row in json.loads(done.stdout)}


def check_out(commit: str, folder: Path) -> Checkout:
    """Unpack a commit of the repository that this file is in. ValueError, in one line, when there is no such commit."""
    need_checkout()
    name = _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").decode().strip()
    if not name:
        raise ValueError(f"'{commit}' is not a commit of the repository in {ROOT}")
    packed = _git("archive", name, *PACKAGES)
    if not packed:
        raise ValueError(f"commit {name[:12]} doesn't have the folders {', '.join(PACKAGES)}")
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return Checkout(name, _git("log", "-1", "--format=%h %s", name).decode().strip(), folder)


def _git(*words: str) -> bytes:
    """What git says, b"" when it fails. ValueError when there is no git."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False).stdout
    except OSError as error:
        raise ValueError(f"git can't be run: {error.strerror}") from error
