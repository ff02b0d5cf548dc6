"""DEM maps of one image set or of a time series: all outputs, where they are on the Sun, and how they were made.

N times, T temperature bins, F channels, images of ny x nx pixels. Single precision.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.aia.images import ImageSet
from implementations.contract import Array, Options, Problem, Solution, Status
from implementations.maths import response
from implementations.maths.uncertainty import HALF_WIDTH_TO_SIGMA

Image = NDArray[np.float32]
PLANES = {
    "dem": ("cm-5 K-1", "differential emission measure"),
    "edem": ("cm-5 K-1", "standard error of the DEM"),
    "elogt": ("", "temperature resolution, log10 K, standard deviation"),
    "dn_reg": ("DN s-1 pix-1", "counts the DEM gives in 94 131 171 193 211 335"),
    "chisq": ("", "squared normalised residuals per channel"),
    "status": ("", "0 ok, 1 bins below zero left, 2 not inverted"),
}
"""The arrays of maps: their unit, and what files say they are."""
STRIP = 65536
"""About so many pixels are inverted at a time, in whole rows: more would cost memory and gain nothing."""


@dataclass(frozen=True, eq=False)
class DemMaps:
    """What an inversion makes of N image sets."""

    dem: Image
    """(N, T, ny, nx)."""
    edem: Image
    """(N, T, ny, nx)."""
    elogt: Image
    """(N, T, ny, nx)."""
    dn_reg: Image
    """(N, F, ny, nx)."""
    chisq: Image
    """(N, ny, nx)."""
    status: NDArray[np.int8]
    """(N, ny, nx)."""
    logt: Array
    """Bin centres (T,), log10 K."""
    dlogt: Array
    """Bin widths (T,), dex."""
    header: Any
    """astropy Header of the first set's reference channel: where the pixels are."""
    times: tuple[str, ...]
    """When each set was taken, UTC."""
    history: tuple[str, ...]
    """How the maps were made, line by line."""

    def emission_measure(self) -> Image:
        """Emission measure of each bin (N, T, ny, nx), cm-5: the DEM times the bin's width in K."""
        return self.dem * width_k(self.logt, self.dlogt)[:, None, None].astype(np.float32)

    def weighted_temperature(self) -> Image:
        """Mean temperature weighted by emission measure (N, ny, nx), K; NaN where nothing was inverted."""
        measure = np.maximum(self.emission_measure(), 0)
        with np.errstate(invalid="ignore"):
            weighted = np.einsum("ntyx,t->nyx", measure, 10**self.logt, dtype=np.float64) / measure.sum(axis=1)
        return np.where(self.status == Status.INVALID, np.nan, weighted).astype(np.float32)


def width_k(logt: Array, dlogt: Array) -> Array:
    """Bin widths (T,), K."""
    return 10.0**logt * np.log(10.0**dlogt)


def invert(
    sets: Sequence[ImageSet],
    table: tuple[Array, Array],
    temps: Array,
    options: Options,
    run: Callable[[Problem], Solution],
    history: Sequence[str],
    done: Callable[[int], object] = lambda pixels: None,
) -> DemMaps:
    """Invert every pixel of the sets strip by strip; `run` solves one, `done` is told how many pixels it had.

    table: logt (N,) and response (N, F); temps: bin edges (T+1,), K. Raises ValueError when the sets' shapes differ.
    """
    shapes = {s.dn.shape for s in sets}
    if len(shapes) != 1:
        raise ValueError(f"the images of a time series must have one shape, got {sorted(s[:2] for s in shapes)}")
    ((ny, nx, channels),) = shapes
    logt, dlogt = response.bins_of(temps)
    rmatrix = response.response_matrix(table[1], table[0], logt, dlogt)
    n, t = len(sets), len(logt)
    depth = {"dem": (t,), "edem": (t,), "elogt": (t,), "dn_reg": (channels,), "chisq": (), "status": ()}
    scale = {"dem": response.SCALE, "edem": response.SCALE, "elogt": HALF_WIDTH_TO_SIGMA}
    planes = {
        name: np.empty((n, *deep, ny, nx), np.int8 if name == "status" else np.float32) for name, deep in depth.items()
    }
    for number, images in enumerate(sets):
        for rows in _strips(ny, nx):
            dn, edn = (values[rows].reshape(-1, channels) for values in (images.dn, images.edn))
            solution = run(Problem(dn, edn, rmatrix, logt, dlogt, options))
            for name, deep in depth.items():
                values = np.asarray(getattr(solution, name)) * scale.get(name, 1)
                planes[name][number][..., rows, :] = values.T.reshape(*deep, -1, nx)
            done(len(dn))
    return DemMaps(
        **planes,
        logt=logt,
        dlogt=dlogt,
        header=sets[0].header,
        times=tuple(s.time for s in sets),
        history=tuple(history),
    )


def _strips(ny: int, nx: int) -> Iterator[slice]:
    step = max(1, STRIP // nx)
    return (slice(y, min(y + step, ny)) for y in range(0, ny, step))
