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


def device() -> dict[str, Any] | None:
    """The same of a GPU, by CuPy; None where there is none. Not yet measured on any."""
    if not find_spec("cupy"):
        return None
    import cupy

    if not cupy.is_available():
        return None
    from cupyx.profiler import benchmark

    def best(function: Callable[[], Any]) -> float:
        return float(benchmark(function, n_repeat=20).gpu_times.min())

    host, ours, other = np.ones(2**23), cupy.ones(2**23), cupy.empty(2**23)
    a = cupy.ones((4096, 4096))
    return {
        "copy_bytes_per_s": 2 * ours.nbytes / best(lambda: cupy.copyto(other, ours)),
        "flops_per_s": 2 * 4096.0**3 / best(lambda: a @ a),
        "launch_s": best(lambda: cupy.negative(a[:1, :1])),
        "to_device_bytes_per_s": host.nbytes / best(lambda: other.set(host)),
        "to_host_bytes_per_s": host.nbytes / best(lambda: ours.get(out=host)),
    }


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
