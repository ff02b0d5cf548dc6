"""The fused CUDA kernel on the host: its own source, compiled with g++ against `emulator/warp.h`."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from fake_device import FakeDevices
from folders import TESTS

from implementations.contract import Problem, Solution
from implementations.gpu import device
from implementations.gpu.fused import SOURCE as KERNEL
from implementations.gpu.fused import GpuFused

SOURCE = TESTS / "emulator" / "gpu_fused.cpp"
COMPILER = shutil.which("g++")


@lru_cache(maxsize=256)
def _library(defines: tuple[str, ...]) -> ctypes.CDLL:
    assert COMPILER
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernel.so"
        flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
        subprocess.run([COMPILER, *flags, *defines, "-o", str(target), str(SOURCE)], check=True)
        return ctypes.CDLL(str(target))


class Emulator:
    """The part of CuPy that the solver calls: arrays of the host, and the kernel as above."""

    asarray, ndarray, int32 = staticmethod(np.asarray), np.ndarray, np.int32

    class RawModule:
        def __init__(self, code: str, options: tuple[str, ...]):
            assert code == KERNEL.read_text()
            self.library = _library(tuple(option for option in options if option.startswith("-D")))

        def get_global(self, name: str) -> ctypes.c_int:
            return ctypes.c_int.in_dll(self.library, name)

        def get_function(self, name: str) -> "Launch":
            return Launch(getattr(self.library, f"{name}_all"))


class Launch:
    """A kernel that is launched as CuPy's are."""

    max_dynamic_shared_size_bytes = 0

    def __init__(self, function: Callable[..., None]):
        self.function = function

    def __call__(self, grid: tuple[int], block: tuple[int], arguments: tuple, *, shared_mem: int, stream: object):
        assert grid[0] * block[0] // 32 >= arguments[0]
        assert 0 < shared_mem <= self.max_dynamic_shared_size_bytes
        self.function(*map(_by_value, arguments))


def _by_value(argument: object) -> object:
    """As the device gets it: an array by its address, a NumPy number by its bits."""
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    kinds = {np.int64: ctypes.c_longlong, np.int32: ctypes.c_int, np.float64: ctypes.c_double}
    return kinds[type(argument)](argument.item())


def emulated(problem: Problem, precision: str = "float64", **tunables: object) -> Solution:
    """What the solver makes of a problem, its kernel emulated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "runtime", lambda: FakeDevices(devices=2, order=5, xp=Emulator))
        return GpuFused(precision, **tunables).run(problem)
