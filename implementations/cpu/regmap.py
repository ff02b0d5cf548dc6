"""The baseline's pixel loop with one step replaced: the search over the regularisation grid.

The obvious first thing to try, since the search is a double Python loop on every pass of every pixel. What it shows is
how far one step takes: the full SVD and the pseudo-inverse stay, and with them the cost that grows as T^3.

`numpy-regmap` looks at all points of the grid at once, by broadcasting. `numba-regmap` compiles the search plainly.
`numba-regmap-parallel` adds parallel and fastmath, and is kept because it gains nothing: the grid has some 40 points of
six terms each, less than a microsecond of work, which is not worth handing to a team of threads on every pass of every
pixel, and fastmath has nothing to speed up.

Wins: over the baseline by 1.7 at 34 temperature bins and not at all at 200, where the SVD is all that counts; two
threads don't change that for `numba-regmap-parallel` (results/reference-regmap). `vectorized`, which removes more, is
faster.
Cost per pixel: the baseline's, less F·nmu Python steps per pass, plus a call of a compiled function, or some 60 calls
of NumPy on nmu numbers.

Shapes, units and source: `implementations.baseline`, whose pixel loop this is by definition.
"""

from importlib.util import find_spec

import numpy as np

from implementations.baseline import invert_pixel
from implementations.contract import Array, Problem
from implementations.executors import PerPixel, Pixel, PixelFunction
from implementations.maths import discrepancy


class NumpyRegmap(PerPixel):
    """The baseline with a search by broadcasting; tunables as `PerPixel`."""

    name = "numpy-regmap"

    @property
    def pixel(self) -> PixelFunction:
        """See `invert_broadcast`."""
        return invert_broadcast


class NumbaRegmap(PerPixel):
    """The baseline with a compiled search; tunables as `PerPixel`."""

    name = "numba-regmap"

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether Numba is installed."""
        return (True, "") if find_spec("numba") else (False, "Numba is not installed")

    @property
    def pixel(self) -> PixelFunction:
        """See `invert`."""
        return invert


class NumbaRegmapParallel(NumbaRegmap):
    """The baseline with a compiled search that has Numba's threads; pixels are computed one after another."""

    name = "numba-regmap-parallel"

    def __init__(self) -> None:
        super().__init__()

    @property
    def pixel(self) -> PixelFunction:
        """See `invert_parallel`."""
        return invert_parallel


def invert_broadcast(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """`implementations.baseline.invert_pixel` with the search by broadcasting."""
    return invert_pixel(dn, edn, norm, problem, broadcast_search)


def broadcast_search(alpha: Array, beta: Array, u: Array, data: Array, target: float, nmu: int) -> float:
    """What `implementations.baseline.regularisation` finds, all points of the grid at once."""
    rank = np.count_nonzero(alpha)
    s = (alpha[:rank] / beta[:rank])[None]
    projection, outside = discrepancy.project(u[None, :, :rank], data[None])
    mu = discrepancy.grid(s, nmu)
    misfit = discrepancy.misfit(mu, s, projection, outside)
    return float(discrepancy.morozov(mu, misfit, np.array([len(data) * target]))[0])


def invert(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """`implementations.baseline.invert_pixel` with the compiled search."""
    from implementations.cpu.regmap_search import search  # here, so that listing solvers needs no Numba

    return invert_pixel(dn, edn, norm, problem, search)


def invert_parallel(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """`implementations.baseline.invert_pixel` with the search compiled as parallel and fastmath."""
    from implementations.cpu.regmap_search import search_parallel

    return invert_pixel(dn, edn, norm, problem, search_parallel)
