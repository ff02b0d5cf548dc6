"""The CUDA kernels on the host: their own sources, compiled with g++ against `emulator/warp.h`."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fake_device import FakeDevices
from folders import TESTS

from implementations.contract import Problem, Solution
from implementations.gpu import device, fused
from implementations.gpu.fused import GpuFused

SOURCE = TESTS / "emulator" / "kernels.cpp"
COMPILER = shutil.which("g++")
CPU = Path("/proc/cpuinfo")
FMA = " fma " in CPU.read_text() if CPU.is_file() else False


FLAGS = ("-O1", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Werror", "-Wno-unknown-pragmas")
WATCHED = ("-O0", "-DWATCHED")
"""`Module.race` tells of lanes that touch the same shared memory with no wait between."""
CONTRACTED = ("-O2", "-mfma", "-ffp-contract=fast")
"""Multiply-adds rounded once, as a device's compiler makes them."""


@lru_cache(maxsize=256)
def _library(code: str, flags: tuple[str, ...]) -> ctypes.CDLL:
    assert COMPILER
    with tempfile.TemporaryDirectory() as folder:
        kernel, target = Path(folder) / "kernel.cu", Path(folder) / "kernel.so"
        kernel.write_text(code)
        defined = [f'-DKERNEL="{kernel}"', "-I", str(SOURCE.parent)]
        subprocess.run([COMPILER, *FLAGS, *flags, *defined, "-o", str(target), str(SOURCE)], check=True)
        return ctypes.CDLL(str(target))


class Emulator:
    """An array library of the host as CuPy: with kernels as above."""

    def __init__(self, flags: tuple[str, ...] = (), change: Callable[[str], str] = str, library: ModuleType = np):
        self.flags, self.change, self.library = flags, change, library
        self.modules: list[Module] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.library, name)

    def ascontiguousarray(self, array: Any) -> Any:
        return self.library.asarray(np.ascontiguousarray(_of_numpy(array)))

    def RawModule(self, code: str, options: tuple[str, ...]) -> "Module":
        defines = tuple(option for option in options if option.startswith("-D"))
        self.modules.append(Module(_library(self.change(code), (*defines, *self.flags))))
        return self.modules[-1]


class Module:
    """A compiled kernel's library."""

    def __init__(self, library: ctypes.CDLL):
        self.library = library

    @property
    def race(self) -> str:
        return ctypes.c_char_p.in_dll(self.library, "race").value.decode()

    def get_function(self, name: str) -> "Launch":
        return Launch(getattr(self.library, f"{name}_all"))


class Launch:
    """A kernel that is launched as CuPy's are."""

    max_dynamic_shared_size_bytes = 0

    def __init__(self, function: Callable[..., None]):
        self.function = function

    def __call__(
        self, grid: tuple[int], block: tuple[int], arguments: tuple, *, shared_mem: int = 0, stream: object = None
    ):
        group = arguments[1] if shared_mem else 32  # pixels of a warp
        assert grid[0] * block[0] // 32 * group >= arguments[0]
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        self.function(*map(_by_value, arguments))


def _of_numpy(array: Any) -> Any:
    return getattr(array, "_array", array)  # of a strict library


def _by_value(argument: object) -> object:
    """As the device gets it: an array by its address, a NumPy number by its bits."""
    argument = _of_numpy(argument)
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    kinds = {np.int64: ctypes.c_longlong, np.int32: ctypes.c_int, np.float64: ctypes.c_double}
    return kinds[type(argument)](argument.item())


def emulated(problem: Problem, precision: str = "float64", xp: Emulator | None = None, **tunables: object) -> Solution:
    """What the solver makes of a problem, its kernel emulated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "SPREAD", 1)  # few pixels fill a warp
        patch.setattr(device, "runtime", lambda: FakeDevices(devices=2, order=5, xp=xp or Emulator()))
        return GpuFused(precision, **tunables).run(problem)
