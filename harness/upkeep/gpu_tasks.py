"""What the check of a device asks of processes of their own, each of which prints a JSON object.

`python -m harness.upkeep.gpu_tasks TASK ...` with one of the functions below: an illegal address on the device spoils
only the process that met it.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness.machine import devices, facts, probes
from harness.records.files import write_atomically
from harness.workloads.awkward import problem
from implementations import command_line as cli
from implementations.registry import Registry

MATRICES = 1 << 18
PIECE = 1 << 28
"""Bytes that a thread touches before it looks at the clock."""
TILE = 1 << 12
"""Pixels that a map of `rates` repeats."""
MAP, MIDDLE, SMALL = 1 << 24, 1 << 20, 1 << 18
RATES = (
    ("gpu-fused", MAP, 34, 3),
    ("gpu-fused[outputs=float32]", MAP, 34, 3),
    *((f"gpu-{name}", MIDDLE, 34, 5) for name in ("fused", "fused[precision=float32]", "l2", "batched")),
    *((f"gpu-{name}", SMALL, 200, 3) for name in ("fused", "fused[precision=float32]", "l2", "batched")),
)
"""Solver, pixels, bins and timed runs."""
PHASES = ("wall_s", "kernel_s", "upload_s", "download_s", "chunk_pixels")
PROPERTIES = (
    "major",
    "minor",
    "multiProcessorCount",
    "totalGlobalMem",
    "sharedMemPerBlockOptin",
    "regsPerMultiprocessor",
    "l2CacheSize",
    "ECCEnabled",
)


def device() -> dict[str, Any]:
    """Device and driver, and the software that uses them."""
    runtime = importlib.import_module("cupy").cuda.runtime
    properties = runtime.getDeviceProperties(0)
    return {
        "machine": facts.machine(),
        "software": facts.software(),
        "commit": facts.commit(),
        "devices": devices.facts(),
        "driver_version": runtime.driverGetVersion(),
        "runtime_version": runtime.runtimeGetVersion(),
        "properties": {name: int(properties[name]) for name in PROPERTIES if name in properties},
    }


def limits() -> dict[str, Any]:
    """Copies, pageable and pinned, multiply-adds, plain and in matrices, and launches."""
    return probes.device() or {"reason": "no device"}


def svd() -> dict[str, Any]:
    """Seconds of one batched SVD of 262,144 matrices of 6 x 6, which no solver here uses any more."""
    cupy = importlib.import_module("cupy")
    matrices = cupy.random.default_rng(1).standard_normal((MATRICES, 6, 6))
    cupy.linalg.svd(matrices[:1024])
    start = time.perf_counter()
    cupy.linalg.svd(matrices)
    cupy.cuda.Device().synchronize()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "matrices": MATRICES, "us_per_matrix": 1e6 * seconds / MATRICES}


def solve(spec: str, pixels: str, bins: str) -> dict[str, Any]:
    """One run of a solver, for a tool that watches it."""
    solution = Registry().create(spec).run(problem(int(pixels), int(bins)))
    return {"spec": spec, "status": np.bincount(solution.status, minlength=3).tolist()}


def rates(folder: str) -> dict[str, Any]:
    """Into `folder`: maps of `RATES` from the host's memory and back. Medians, of the whole by the host's clock, of
    phases by the device's, which overlap. Nothing is judged; outputs go to the same arrays in every run."""
    rows = []
    for spec, pixels, bins, runs in RATES:
        small = problem(TILE, bins)
        counts, errors = (np.tile(array, (pixels // TILE, 1)) for array in (small.dn, small.edn))
        solver = Registry().create(spec)
        state = solver.prepare(replace(small, dn=counts, edn=errors))
        solver.collect(state, solver.solve(state))
        taken = []
        for _ in range(runs):
            start = time.perf_counter()
            solver.solve(state)
            taken.append({"wall_s": time.perf_counter() - start, **solver.facts(state)})
        row = {name: median(each[name] for each in taken) for name in PHASES}
        rows.append({"solver": spec, "pixels": pixels, "bins": bins, **row})
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = {"created": created, **device(), "limits": limits(), "rows": rows}
    Path(folder).mkdir()
    write_atomically(Path(folder) / "rates.json", json.dumps(found, indent=1) + "\n")
    return found


def touch(gigabytes: str, seconds: str) -> dict[str, Any]:
    """Write to memory once, and let go of it: the first touch of a virtual machine's pages may take a host minutes."""
    end, wanted = time.perf_counter() + float(seconds), int(float(gigabytes) * 1e9) // PIECE
    kept: list[Any] = []

    def one(_: int) -> int:
        if time.perf_counter() > end:
            return 0
        kept.append(np.ones(PIECE, np.uint8))
        return PIECE

    start, threads = time.perf_counter(), os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        touched = sum(pool.map(one, range(wanted)))
    elapsed = time.perf_counter() - start
    return {"bytes": touched, "seconds": elapsed, "bytes_per_s": touched / elapsed, "threads": threads}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    task.__name__: task for task in (device, limits, svd, solve, rates, touch)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a task and return the exit code."""
    parser = cli.Parser("harness.upkeep.gpu_tasks", description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("words", nargs="*", help="of the task")
    given = parser.parse(arguments)
    try:
        print(json.dumps(TASKS[given.task](*given.words)))
    except Exception as error:  # whatever a device does, the check goes on
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return cli.CELL_FAILED
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
