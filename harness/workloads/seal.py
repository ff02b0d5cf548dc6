"""A problem's files as they were written: read-only, and known by their digests.

Modes don't bind the superuser, nor a folder's owner; what tells whether a file is still what it was is its digest.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Fact = Callable[[Path], Any]
"""Of a file."""


class Seal:
    """The files of a folder. `touched` is quick enough for every turn; `broken` reads them all."""

    def __init__(self, folder: Path):
        self.folder = folder
        for path in folder.iterdir():
            path.chmod(0o444)
        self._before: dict[Fact, dict[str, Any]] = {of: self._now(of) for of in (_digest, _stamp)}

    def touched(self) -> list[str]:
        """Names of files that were written to, replaced or removed since, as far as the system notes it."""
        return self._differing(_stamp)

    def broken(self) -> list[str]:
        """Names of files that were touched or hold something else."""
        return sorted({*self._differing(_stamp), *self._differing(_digest)})

    def _differing(self, of: Fact) -> list[str]:
        now = self._now(of)
        return sorted(name for name, before in self._before[of].items() if now.get(name) != before)

    def _now(self, of: Fact) -> dict[str, Any]:
        return {path.name: of(path) for path in self.folder.iterdir() if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes with a file, whatever is done to hide it."""
    seen = path.lstat()
    return seen.st_ino, seen.st_size, seen.st_ctime_ns
