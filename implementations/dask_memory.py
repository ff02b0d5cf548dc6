"""Arrays that the processes of one machine share, so that no pixel travels through a socket.

A segment is anonymous memory (Linux's memfd) that other processes of the same user map through the owner's /proc entry:
nothing is left behind when processes die, and /dev/shm and its size don't come into it.
"""

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def usable() -> bool:
    """Whether this system has memory of that kind."""
    return hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()


@dataclass(frozen=True)
class Segment:
    """Where a shared array lies; small, and can be sent to the processes that map it."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Rows of the array, mapped into this process for as long as the view lives."""
        row = int(np.prod(self.shape[1:], dtype=int)) * np.dtype(self.dtype).itemsize
        return np.memmap(self.path, self.dtype, "r+", offset=first * row, shape=(last - first, *self.shape[1:]))


class Shared:
    """An array (n, ...) of n > 0 rows in shared memory, owned by this process; zeros at first."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike = np.float64):
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=int)) * kind.itemsize
        self._descriptor = os.memfd_create("demreg-bench")
        try:
            os.ftruncate(self._descriptor, size)
            self.array: NDArray[Any] = np.frombuffer(mmap.mmap(self._descriptor, size), kind).reshape(shape)
        except BaseException:
            self.close()
            raise
        self.segment = Segment(f"/proc/{os.getpid()}/fd/{self._descriptor}", tuple(shape), kind.str)

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Shared":
        """A copy of `values`."""
        shared = cls(values.shape, values.dtype)
        shared.array[...] = values
        return shared

    def close(self) -> None:
        """No process can map it any more; the memory lasts as long as some array on it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
