"""Arrays of one machine's processes without a copy on the way: no pixel and no solution travels through a socket.

Pixels: anonymous memory (Linux's memfd) that workers map through the owner's /proc entry; nothing is left behind when
processes die, and /dev/shm and its size don't come into it. Solutions: read by the process that started the workers out
of their memory (process_vm_readv(2)), since what a worker has just made costs several times more to write into shared
pages, touched for the first time, than to copy once.
"""

import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BEACON = np.frombuffer(b"demreg-bench reads its workers' memory", np.uint8)
"""What a worker has where it says, if its memory can be read."""


@dataclass(frozen=True)
class Segment:
    """Where a shared array lies; small, and can be sent to the processes that map it."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Rows of the array, mapped into this process for as long as the view lives."""
        row = int(np.prod(self.shape[1:], dtype=int)) * np.dtype(self.dtype).itemsize
        return np.memmap(self.path, self.dtype, "r", offset=first * row, shape=(last - first, *self.shape[1:]))


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

    def close(self) -> None:
        """No process can map it any more; the memory lasts as long as some array on it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class GoneError(RuntimeError):
    """The process that held an array is no more."""


@dataclass(frozen=True)
class Address:
    """Where an array lies in another process; that process keeps it as long as whoever reads needs it."""

    process: int
    start: int
    size: int

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Address":
        """Of a C-ordered array in this process."""
        assert array.flags.c_contiguous
        return cls(os.getpid(), array.ctypes.data, array.nbytes)

    def read_into(self, target: NDArray[Any]) -> None:
        """Copy it into a C-ordered array of as many bytes. GoneError when the process is."""
        assert target.flags.c_contiguous
        assert target.nbytes == self.size
        done = 0
        while done < self.size:
            here = _Part(target.ctypes.data + done, self.size - done)
            there = _Part(self.start + done, self.size - done)
            count = _library().process_vm_readv(self.process, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
            if count <= 0:
                code = ctypes.get_errno()
                if code in (errno.ESRCH, errno.EFAULT, 0):
                    raise GoneError(f"worker process {self.process} is gone")
                raise OSError(code, os.strerror(code))
            done += count


class _Part(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t))


@cache
def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.process_vm_readv.restype = ctypes.c_ssize_t
    library.process_vm_readv.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_ulong,
    ]
    return library


class Held:
    """Arrays that stay in the process that made them: what arrives elsewhere is their addresses.

    Dask keeps a task's result until the last future of it is released, and so the arrays with it.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]]):
        self.arrays = [np.ascontiguousarray(array) for array in arrays]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, ([Address.of(array) for array in self.arrays],)


def beacon() -> Address:
    """On a worker: where `BEACON` is."""
    return Address.of(BEACON)


def supported() -> bool:
    """Whether this system has both kinds of memory."""
    return sys.platform == "linux" and hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()


def readable(beacons: Sequence[Address]) -> bool:
    """Whether this process may read its workers' memory."""
    try:
        for address in beacons:
            got = np.empty_like(BEACON)
            address.read_into(got)
            if (got != BEACON).any():
                return False
    except (OSError, GoneError, AttributeError):
        return False
    return True
