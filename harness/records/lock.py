"""One process at a time: a lock on a folder that ends with its owner, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own a folder for a while. ValueError, in one line naming the process, when another one owns it."""
    path = folder / LOCK_FILE
    handle = _opened(path)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # still owned, so that it is nobody else's
        os.close(handle)


def _opened(path: Path) -> int:
    """The lock's file, owned. The owner before may have taken the file away after it was opened here."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            owner = os.read(handle, 20).decode(errors="replace")
            os.close(handle)
            raise ValueError(f"{path.parent} is being measured by process {owner or 'unknown'}") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
