"""The environment of a worker's process: threads pinned before Python starts."""

import os
from pathlib import Path

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
