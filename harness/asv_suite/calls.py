"""The published call, run by asv itself: what `asv profile`, `--quick` and asv's own statistics are for.

In asv's process, on one thread, with one seed's counts, after a first call that compiles. What is tracked in `solvers`
is measured by the harness instead: its times stand beside the baseline's of the same rounds.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

from . import measurement
from .measurement import setup_cache

__all__ = ["Call", "setup_cache"]
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def counts(pixels: int, bins: int) -> tuple[Any, ...]:
    """(dn, edn, tresp, tresp_logt, temps): six Gaussian responses and two-peaked DEMs, with 10% of noise."""
    import numpy as np

    draw = np.random.default_rng(1)
    logt, peaks = np.linspace(5.5, 7.5, 101), np.array([5.8, 6.0, 6.2, 6.4, 6.8, 7.1])
    tresp = 1e-24 * np.exp(-0.5 * ((logt[:, None] - peaks) / 0.2) ** 2) + 1e-30
    centres = draw.uniform([5.9, 6.4], [6.3, 6.9], (pixels, 2))
    dem = 4e21 * np.exp(-0.5 * ((logt - centres[..., None]) / 0.15) ** 2).sum(axis=1)
    exact = np.trapezoid(dem[:, None, :] * tresp.T * 10**logt * np.log(10), logt, axis=-1)
    dn = exact * draw.normal(1, 0.1, exact.shape)
    return dn, 0.1 * dn, tresp, logt, np.logspace(5.7, 7.2, bins + 1)


class Call:
    """`dn2dem` on a map of some pixels with some temperature bins."""

    params = (measurement.solvers(), *measurement.sizes()[:2])
    param_names = ("solver", "pixels", "bins")
    version = "1"
    timeout = 600
    rounds, repeat, warmup_time = 1, (3, 10, 1.0), 0.0
    call: Callable[[], Any]

    def setup(self, listing: measurement.Listing, solver: str, pixels: int, bins: int) -> None:
        """NotImplementedError, which asv takes for a skip, where the solver can't run."""
        measurement.demand(listing, solver)
        if hasattr(self, "call"):  # asv sets up anew before every sample
            return
        os.environ |= {**dict.fromkeys(ONE_THREAD, "1"), "NUMBA_CACHE_DIR": str(measurement.KERNELS)}
        from implementations import dn2dem

        dn, edn, *rest = counts(pixels, bins)
        dn2dem(dn[:1], edn[:1], *rest, solver=solver)
        self.call = functools.partial(dn2dem, dn, edn, *rest, solver=solver)

    def time_dn2dem(self, *cell: Any) -> None:
        """A warm call."""
        self.call()

    def peakmem_dn2dem(self, *cell: Any) -> None:
        """Most memory that asv's process held in its life, imports included; of processes it starts nothing is seen."""
        self.call()
