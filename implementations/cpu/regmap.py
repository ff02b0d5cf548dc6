"""The baseline's pixel loop with one step compiled: the search over the regularisation grid.

The obvious first thing to try, since the search is a double Python loop on every pass of every pixel. What it shows is
how far one step takes: the full SVD and the pseudo-inverse stay, and with them the cost that grows as T^3.

`numba-regmap` compiles it plainly. `numba-regmap-parallel` adds parallel and fastmath, and is kept because it gains
nothing: the grid has some 40 points of six terms each, less than a microsecond of work, which is not worth handing to a
team of threads on every pass of every pixel, and fastmath has nothing to speed up.

Wins: over the baseline by 1.7 at 34 temperature bins and not at all at 200, where the SVD is all that counts; two
threads don't change that for `numba-regmap-parallel` (results/reference-regmap). `vectorized`, which removes more, is
faster.
Cost per pixel: the baseline's, less F·nmu Python steps per pass, plus a call of a compiled function.

Shapes, units and source: `implementations.baseline`, whose pixel loop this is by definition.
"""

from importlib.util import find_spec

from implementations.baseline import invert_pixel
from implementations.contract import Array, Problem
from implementations.executors import PerPixel, Pixel, PixelFunction


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


def invert(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """`implementations.baseline.invert_pixel` with the compiled search."""
    from implementations.cpu.regmap_search import search  # here, so that listing solvers needs no Numba

    return invert_pixel(dn, edn, norm, problem, search)


def invert_parallel(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """`implementations.baseline.invert_pixel` with the search compiled as parallel and fastmath."""
    from implementations.cpu.regmap_search import search_parallel

    return invert_pixel(dn, edn, norm, problem, search_parallel)
