"""A loop over pixels, as people write it: a call of `dn2dem` for each, once and again.

In a process of its own, of the commit under measurement, with kernels kept from an earlier process; each loop runs when
its first metric asks.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import measurement
from .measurement import setup_cache

__all__ = ["PixelLoop", "setup_cache"]
SOLVERS, PIXELS = ("numba", "vectorized"), (1, 10)
CALLS = 300
LOOP = """
import sys, time
import numpy as np, numba
from implementations import dn2dem

solver, pixels, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
logt, peaks = np.linspace(5.5, 7.5, 101), np.array([5.8, 6.0, 6.2, 6.4, 6.8, 7.1])
tresp = 1e-24 * np.exp(-0.5 * ((logt[:, None] - peaks) / 0.2) ** 2) + 1e-30
maps = np.random.default_rng(1).uniform(50, 150, (calls, pixels, 6))
temps, took = np.logspace(5.7, 7.2, 35), []
for dn in maps[:, 0] if pixels == 1 else maps:
    start = time.perf_counter()
    dn2dem(dn, 0.1 * dn, tresp, logt, temps, solver=solver)
    took.append(time.perf_counter() - start)
print(took[0], np.median(took[1:]))
"""


def seconds(solver: str, pixels: int) -> tuple[float, float]:
    """The first call and the median later one. RuntimeError, with its last words, where a process failed."""
    path = Path(f"loop-{solver}-{pixels}.json")
    if not path.exists():
        for calls in (1, CALLS):  # first only to compile
            command = [sys.executable, "-c", LOOP, solver, str(pixels), str(calls)]
            kept = measurement.kept_kernels()
            done = subprocess.run(command, env=kept, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
        path.write_text(json.dumps([*map(float, done.stdout.split())]))
    first, later = json.loads(path.read_text())
    return first, later


class PixelLoop:
    """Calls for some pixels each, 34 bins, all with one response."""

    params = (SOLVERS, PIXELS)
    param_names = ("solver", "pixels")
    version = "1"
    timeout = 600
    unit = "s"
    seconds: tuple[float, float]

    def setup(self, listing: measurement.Listing, solver: str, pixels: int) -> None:
        """NotImplementedError, which asv takes for a skip, where the commit can't run it."""
        measurement.demand(listing, solver)
        self.seconds = seconds(solver, pixels)

    def track_warm_call(self, *given: Any) -> float:
        """A later call."""
        return self.seconds[1]

    def track_first_call(self, *given: Any) -> float:
        """The first in a process, after Numba and this project are imported."""
        return self.seconds[0]
