"""The device: whether there is one, and what a strategy does with it, as few verbs as `gpu.pipeline` needs.

`probe` asks the driver itself, by its C library, so that neither CuPy is imported nor a context made to learn that a
solver can't run. `Cupy` is the real device. Whatever has the same methods stands in for it; the tests have one that
keeps a record and puts every operation off for as long as the order allows.
"""

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

LEAST_MB = 1024
"""A device with less memory is left alone: context and libraries alone take some hundred MB."""
DRIVER = "libcuda.so.1" if os.name == "posix" else "nvcuda.dll"
STREAMS: dict[tuple[int, str], Any] = {}
"""(device, role) -> CuPy's stream, made when it is first asked for and kept as long as the process."""
STREAMS_LOCK = Lock()


class Runtime(Protocol):
    """What `gpu.pipeline` asks of devices. A stream does what it is given in order; streams wait for events only."""

    @property
    def xp(self) -> ModuleType:
        """The array library of the device."""

    def count(self) -> int:
        """How many devices there are."""

    def on(self, device: int) -> AbstractContextManager[Any]:
        """A context in which the calling thread uses that device."""

    def free_bytes(self) -> int:
        """Memory that can still be taken on this thread's device, what CuPy holds and does not use included."""

    def held_bytes(self) -> int:
        """Memory that this process has taken on this thread's device; it only grows, so it is the high-water mark."""

    def in_use_bytes(self) -> int:
        """Memory of this thread's device that is taken: by contexts, libraries and other processes too."""

    def settle(self) -> None:
        """Wait, on the host, until all streams of this thread's device have done all they were given."""

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Host memory that the device can copy from and to while the host goes on."""

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """Device memory."""

    def stream(self, role: str) -> Any:
        """This thread's device's stream for that role, which does not wait for the others; the same one every time."""

    def copy(self, stream: Any, source: Any, target: Any) -> None:
        """Copy host to device or device to host, in the stream's order; returns at once."""

    def launch(self, stream: Any, work: Callable[[], None]) -> None:
        """Call `work`, whose array operations go to the stream. It may wait for them; most return at once."""

    def record(self, stream: Any) -> Any:
        """An event that happens when the stream has done all that it was given so far."""

    def wait(self, stream: Any, event: Any) -> None:
        """Let what the stream is given from here on wait for the event."""

    def finish(self, event: Any) -> None:
        """Wait, on the host, for the event."""

    def seconds(self, start: Any, end: Any) -> float:
        """Time between two events that have happened, by the device's clock."""


class Cupy:
    """The real devices, through CuPy."""

    def __init__(self) -> None:
        import cupy

        self.xp: ModuleType = cupy
        self.cuda = cupy.cuda

    def count(self) -> int:
        """See `Runtime`."""
        return self.cuda.runtime.getDeviceCount()

    def on(self, device: int) -> AbstractContextManager[Any]:
        """See `Runtime`."""
        return self.cuda.Device(device)

    def free_bytes(self) -> int:
        """See `Runtime`."""
        return self.cuda.runtime.memGetInfo()[0] + self.xp.get_default_memory_pool().free_bytes()

    def held_bytes(self) -> int:
        """See `Runtime`."""
        return self.xp.get_default_memory_pool().total_bytes()

    def in_use_bytes(self) -> int:
        """See `Runtime`."""
        free, total = self.cuda.runtime.memGetInfo()
        return total - free

    def settle(self) -> None:
        """See `Runtime`. The null stream would wait for none of these."""
        self.cuda.Device().synchronize()

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """See `Runtime`. From CuPy's pool, which keeps what is let go of: pinning costs more than one copy."""
        size = int(np.prod(shape))
        memory = self.cuda.alloc_pinned_memory(max(size, 1) * np.dtype(dtype).itemsize)
        return np.frombuffer(memory, dtype, size).reshape(shape)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """See `Runtime`."""
        return self.xp.empty(shape, dtype)

    def stream(self, role: str) -> Any:
        """See `Runtime`. CuPy's pool keeps freed memory for the stream it was used on: new ones would take it anew."""
        with STREAMS_LOCK:
            key = (self.cuda.Device().id, role)
            if key not in STREAMS:
                STREAMS[key] = self.cuda.Stream(non_blocking=True)
            return STREAMS[key]

    def copy(self, stream: Any, source: Any, target: Any) -> None:
        """See `Runtime`."""
        if isinstance(target, np.ndarray):
            source.get(stream=stream, out=target, blocking=False)
        else:
            target.set(source, stream=stream)

    def launch(self, stream: Any, work: Callable[[], None]) -> None:
        """See `Runtime`."""
        with stream:
            work()

    def record(self, stream: Any) -> Any:
        """See `Runtime`."""
        return stream.record()

    def wait(self, stream: Any, event: Any) -> None:
        """See `Runtime`."""
        stream.wait_event(event)

    def finish(self, event: Any) -> None:
        """See `Runtime`."""
        event.synchronize()

    def seconds(self, start: Any, end: Any) -> float:
        """See `Runtime`."""
        return self.cuda.get_elapsed_time(start, end) / 1e3


def runtime() -> Runtime:
    """The devices that strategies compute on."""
    return Cupy()


STANDARD = "-std=c++17"


def source(paths: Sequence[Path]) -> str:
    """CUDA sources one after the other as one text, whose messages name the files."""
    return "\n".join(f'#line 1 "{path.name}"\n{path.read_text(encoding="utf-8")}' for path in paths)


def options(definitions: Mapping[str, object]) -> tuple[str, ...]:
    """What the compiler is given besides."""
    return (STANDARD, *(f"-D{name}={value}" for name, value in definitions.items()))


def compiled(xp: Any, paths: Sequence[Path], definitions: Mapping[str, object]) -> Any:
    """CUDA sources compiled for the current device of CuPy, `xp`; a module whose kernels go by their names."""
    return xp.RawModule(code=source(paths), options=options(definitions))


def to_host(array: Any) -> NDArray[Any]:
    """A device's array as one of NumPy's; waits for it."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def check(devices: Any, chunk: Any) -> None:
    """Raise ValueError unless these tunables of a device strategy are whole numbers in range."""
    if not isinstance(devices, int) or devices < 0:
        raise ValueError(f"devices must be a whole number, 0 for all there are, got {devices}")
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ValueError(f"chunk must be a whole number of at least 1, or None, got {chunk}")


def available() -> tuple[bool, str]:
    """Whether CuPy, a driver and a device with enough memory are here, and if not, which is missing. Never raises."""
    if find_spec("cupy") is None:
        return False, "CuPy is not installed"
    try:
        reason = probe(DRIVER)
    except Exception as error:  # whatever a broken driver does, it is a reason and no traceback
        reason = f"the NVIDIA driver can't be asked: {type(error).__name__}: {error}"
    return not reason, reason


@lru_cache(maxsize=1)
def probe(library: str) -> str:
    """Why no device can be used, "" when one can, as the driver's C library says."""
    try:
        driver = ctypes.CDLL(library)
    except OSError as error:
        return f"no NVIDIA driver: {error}"
    code = driver.cuInit(0)
    if code:
        return f"no usable NVIDIA device: {_error(driver, code)}"
    number = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(number)) or not number.value:
        return "no NVIDIA device"
    largest = max(_total_bytes(driver, device) for device in range(number.value)) // 2**20
    return (
        "" if largest >= LEAST_MB else f"too little memory on the device: {largest} MB, expected at least {LEAST_MB} MB"
    )


def _total_bytes(driver: Any, device: int) -> int:
    size, handle = ctypes.c_size_t(), ctypes.c_int()
    failed = driver.cuDeviceGet(ctypes.byref(handle), device) or driver.cuDeviceTotalMem_v2(ctypes.byref(size), handle)
    return 0 if failed else size.value


def _error(driver: Any, code: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    return f"{text.value.decode()} (CUDA error {code})" if text.value else f"CUDA error {code}"
