"""The baseline's pixel loop with the search over the regularisation grid on the device, everything else where it was.

Kept to show what moving one step does: for some 40 points of six terms, less than a microsecond of work, each search
sends four small arrays up, launches a score of kernels and waits for one number. None of that overlaps anything, and
the full SVD and the pseudo-inverse, which are what takes long, stay on the processor.

Wins: nowhere: slower than the baseline on one core of an H100's host (docs/gpu.md).
Cost per pixel: the baseline's, and on every pass of the positivity loop (and once more where the weights are
self-normalised) four transfers up, some twenty launches and one wait.

Shapes, units and source: `implementations.baseline`, whose pixel loop this is by definition.
"""

import numpy as np

from implementations.baseline import invert_pixel
from implementations.contract import Array, Problem
from implementations.executors import PerPixel, Pixel, PixelFunction
from implementations.gpu import device as gpu_device
from implementations.maths.namespace import array_namespace


class CupyRegmap(PerPixel):
    """The baseline with its search on the device, one pixel after another."""

    name = "cupy-regmap"
    device = "gpu"

    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether CuPy, a driver and a device are here."""
        return gpu_device.available()

    @property
    def pixel(self) -> PixelFunction:
        """See `invert`."""
        return invert


def invert(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """`implementations.baseline.invert_pixel` with the search on the device."""
    return invert_pixel(dn, edn, norm, problem, search)


def search(alpha: Array, beta: Array, u: Array, data: Array, target: float, nmu: int) -> float:
    """What `implementations.baseline.regularisation` finds, by one sweep over the grid on the device."""
    rank, place = np.count_nonzero(alpha), gpu_device.runtime().xp.asarray
    a, b, projection = place(alpha), place(beta), place(data) @ place(u)
    xp = array_namespace(a)
    ratio = a[:rank] / b[:rank]
    lowest, highest = xp.min(ratio) ** 2 * 1e-4, xp.max(ratio)
    grid = lowest * xp.exp(xp.arange(nmu, dtype=a.dtype) * (xp.log(highest / lowest) / (nmu - 1)))
    damped = grid[None, :] * b[:, None] ** 2
    left = damped / (a[:, None] ** 2 + damped) * projection[:, None]
    misfit = xp.sum(left * left, axis=0)
    best = xp.argmin(xp.abs(misfit - len(data) * target))
    return float(xp.take(grid, xp.reshape(best, (1,)))[0])
