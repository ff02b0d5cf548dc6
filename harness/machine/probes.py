"""Measures the machine; prints the figures as JSON. Run by `harness.limits` in a process with one thread for BLAS."""

import functools
import importlib
import json
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

from harness.machine import confinement

ROUNDS = 101
WINDOW_S = 0.002
"""About how long one round of one rate lasts."""
BLOCKS = (16 * 2**10, 256 * 2**10, 4 * 2**20, 64 * 2**20)
"""Sizes whose copies fit a first-level, second-level, third-level cache, and no cache."""
FRESH = 32 * 2**20
PROBES = "implementations.compiled.probes"

Task = Callable[[], Any]


def cores() -> int:
    """Cores that this process may use."""
    return max(int(confinement.cores()), 1)


def rates(make: Callable[[], Task], amount: float, pool: ThreadPoolExecutor, count: int) -> dict[str, Any]:
    """`amount` per second by one core and by all, in rounds that take turns; `make` gives each thread its own task.

    The tasks must let go of the interpreter's lock. Windows are short, so that some round of many is undisturbed even
    on a machine that is shared.
    """
    tasks = [make() for _ in range(count)]
    for task in tasks:
        task()
    repeats = max(1, round(WINDOW_S / max(timeit.timeit(tasks[0], number=3) / 3, 1e-7)))

    def attained(task: Task) -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            task()
        return amount * repeats / (time.perf_counter() - start)

    one, every = [], []
    for _ in range(ROUNDS):
        one.append(attained(tasks[0]))
        every.append(sum(pool.map(attained, tasks)))
    return {name: {"best": max(x), "median": median(x)} for name, x in (("core", one), ("all", every))}


def _copy(size: int) -> Task:
    source, target = np.ones(size // 16), np.empty(size // 16)
    return lambda: np.copyto(target, source)


def _compiled(name: str, rounds: int) -> Callable[[], Task]:
    probes = importlib.import_module(PROBES)
    probe = getattr(probes, name)
    return lambda: functools.partial(probe, rounds, np.full(probes.OPERATIONS, 1.0))


def _blas() -> Task:
    a, b, out = np.ones((384, 384)), np.ones((384, 384)), np.empty((384, 384))
    return lambda: np.matmul(a, b, out=out)


def _ufunc(function: Any, arguments: int) -> Callable[[], Task]:
    return lambda: functools.partial(function, *[np.full(1024, 1.5)] * arguments, np.empty(1024))


def arithmetic(pool: ThreadPoolExecutor, count: int) -> dict[str, Any]:
    """Rates of multiply-adds (two flops each), divisions and square roots, from registers where Numba is there."""
    if find_spec("numba"):
        probes, rounds = importlib.import_module(PROBES), 4096
        operations = float(probes.OPERATIONS * rounds)
        return {
            "vectors": f"vectors of {probes.LANES} doubles",
            "flops_per_s": rates(_compiled("multiply_adds", rounds), 2 * operations, pool, count),
            "divisions_per_s": rates(_compiled("divisions", rounds), operations, pool, count),
            "roots_per_s": rates(_compiled("square_roots", rounds), operations, pool, count),
        }
    return {
        "vectors": "by BLAS and NumPy, as Numba is not installed: lower than the machine's own",
        "flops_per_s": rates(_blas, 2.0 * 384**3, pool, count),
        "divisions_per_s": rates(_ufunc(np.divide, 2), 1024.0, pool, count),
        "roots_per_s": rates(_ufunc(np.sqrt, 1), 1024.0, pool, count),
    }


def first_use() -> float:
    """Bytes per second at which memory is written that the process has never had before."""
    return FRESH / min(timeit.repeat(lambda: np.empty(FRESH, np.uint8).fill(1), number=1, repeat=5))


MULTIPLY_ADDS = """
extern "C" __global__ void multiply_adds(double *out, int rounds) {
    double x[8];
    for (int k = 0; k < 8; k++) x[k] = threadIdx.x + k;
    for (int n = 0; n < rounds; n++)
#pragma unroll
        for (int k = 0; k < 8; k++) x[k] = x[k] * 0.999 + 0.001;
    double sum = 0.0;
    for (int k = 0; k < 8; k++) sum += x[k];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
"""
"""Eight chains a thread: the rate without the units for matrices, which `a @ a` may use."""
DEVICE_BYTES, DEVICE_ROUNDS = 1 << 28, 4096


def device() -> dict[str, Any] | None:
    """The same of a GPU, by CuPy, each rate None that can't be had; None where there is no device. Not yet measured."""
    if not find_spec("cupy"):
        return None
    try:
        import cupy

        tasks = _device_tasks(cupy) if cupy.is_available() else {}
    except (
        Exception
    ):  # a driver that is broken, a device that is full: the rest of the machine is measured all the same
        return None
    return {name: _rate(cupy, amount, task) for name, (amount, task) in tasks.items()} or None


def _device_tasks(cupy: Any) -> dict[str, tuple[float, Task]]:
    """Name -> how much is done, and what does it."""
    numbers = DEVICE_BYTES // 8
    host, ours, other = np.ones(numbers), cupy.ones(numbers), cupy.empty(numbers)
    pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(DEVICE_BYTES), np.float64, numbers)
    pinned[...] = 1.0
    a, blocks, threads = cupy.ones((4096, 4096)), 4096, 256
    chains = cupy.RawKernel(MULTIPLY_ADDS, "multiply_adds")
    return {
        "copy_bytes_per_s": (2.0 * DEVICE_BYTES, lambda: cupy.copyto(other, ours)),
        "flops_per_s": (2 * 4096.0**3, lambda: a @ a),
        "plain_flops_per_s": (
            16.0 * DEVICE_ROUNDS * blocks * threads,
            lambda: chains((blocks,), (threads,), (ours, np.int32(DEVICE_ROUNDS))),
        ),
        "launches_per_s": (1.0, lambda: cupy.negative(a[:1, :1])),
        "to_device_bytes_per_s": (float(DEVICE_BYTES), lambda: other.set(host)),
        "to_host_bytes_per_s": (float(DEVICE_BYTES), lambda: ours.get(out=host)),
        "pinned_to_device_bytes_per_s": (float(DEVICE_BYTES), lambda: other.set(pinned)),
        "pinned_to_host_bytes_per_s": (float(DEVICE_BYTES), lambda: ours.get(out=pinned)),
    }


def _rate(cupy: Any, amount: float, task: Task) -> float | None:
    """The best of twenty rounds by the clock of the host, which waits for the device's end; None where it fails."""
    try:
        times = []
        for _ in range(21):
            start = time.perf_counter()
            task()
            cupy.cuda.Device().synchronize()
            times.append(time.perf_counter() - start)
    except Exception:
        return None
    return amount / min(times[1:])


def measure() -> dict[str, Any]:
    """Everything, in some seconds."""
    count = cores()
    with ThreadPoolExecutor(count) as pool:
        figures = arithmetic(pool, count)
        copies = [{"bytes": size, **rates(functools.partial(_copy, size), float(size), pool, count)} for size in BLOCKS]
    start = [sys.executable, "-I", "-c", "pass"]
    return {
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores_used": count,
        **figures,
        "copy_bytes_per_s": copies,
        "first_use_bytes_per_s": first_use(),
        "call_s": min(timeit.repeat("f()", "def f(): pass", number=10000, repeat=5)) / 10000,
        "interpreter_s": min(timeit.repeat(lambda: subprocess.run(start, check=True), number=1, repeat=3)),
        "device": device(),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
