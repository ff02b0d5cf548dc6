"""Threads of a process: pinned by the environment before Python starts, and looked at when it runs."""

import os
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def worker_environment(threads: int, checkout: Path | None = None) -> dict[str, str]:
    """The environment of a worker pinned to `threads` threads, whose code is that in the folder `checkout` if given.

    The libraries read these when they are first loaded, so they must be there before the process starts; setting them
    after NumPy was imported has no effect. String hashing is fixed so that dict order can't differ between workers.
    """
    pins = dict.fromkeys(THREAD_VARIABLES, str(threads))
    code = {} if checkout is None else {"PYTHONPATH": str(checkout)}
    return {**os.environ, **pins, **code, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}


def pools() -> list[dict[str, Any]]:
    """Every thread pool of a native library in this process; none where threadpoolctl, which would know, is missing."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    keys = ("user_api", "internal_api", "version", "num_threads", "architecture")
    return [{k: pool.get(k) for k in keys} for pool in threadpool_info()]
