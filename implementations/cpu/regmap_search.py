"""The baseline's search for the regularisation, compiled twice: plainly, and with every flag that promises speed.

Same arguments and answer as `implementations.baseline.regularisation`: alpha, beta (F,), U (F, F), whitened data (F,),
the target per channel and the number of grid points -> mu. Under the plain compilation `prange` is `range`.
"""

from typing import Any

import numpy as np
from numba import njit, prange

from implementations.cpu.flags import with_every_flag


def _search(alpha: Any, beta: Any, u: Any, data: Any, target: float, nmu: int) -> float:
    """The grid point whose misfit is nearest to F·target, the first of equals."""
    channels = len(data)
    lowest, highest = np.inf, 0.0
    for k in range(channels):
        if alpha[k] != 0.0:
            lowest, highest = min(lowest, alpha[k] / beta[k]), max(highest, alpha[k] / beta[k])
    lowest = lowest**2 * 1e-4
    step = np.log(highest / lowest) / (nmu - 1)
    projection = np.zeros(channels)
    for k in range(channels):
        for f in range(channels):
            projection[k] += data[f] * u[f, k]
    grid, distance = np.empty(nmu), np.empty(nmu)
    for i in prange(nmu):
        mu = lowest * np.exp(i * step)
        misfit = 0.0
        for k in range(channels):
            left = mu * beta[k] ** 2 / (alpha[k] ** 2 + mu * beta[k] ** 2) * projection[k]
            misfit += left * left
        grid[i], distance[i] = mu, abs(misfit - channels * target)
    return grid[np.argmin(distance)]


search = njit(cache=True)(_search)
search_parallel = with_every_flag(_search)
