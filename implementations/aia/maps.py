"""DEM maps of image sets: all outputs, where they are on the Sun, how they were made; inverted strip by strip.

N times, T temperature bins, F channels, images of ny x nx pixels. Single precision.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from implementations.aia import stream
from implementations.aia.files import CHANNELS
from implementations.aia.images import Reading, Rows
from implementations.aia.products import Bands, Products, width_k
from implementations.contract import Array, Options, Problem, Solution, Status
from implementations.maths import response
from implementations.maths.uncertainty import HALF_WIDTH_TO_SIGMA

Image = NDArray[np.float32]
Planes = dict[str, NDArray[Any]]
PLANES = {
    "dem": ("cm-5 K-1", "differential emission measure"),
    "edem": ("cm-5 K-1", "standard error of the DEM"),
    "elogt": ("", "temperature resolution, log10 K, standard deviation"),
    "dn_reg": ("DN s-1 pix-1", "counts the DEM gives in 94 131 171 193 211 335"),
    "chisq": ("", "squared normalised residuals per channel"),
    "status": ("", "0 ok, 1 bins below zero left, 2 not inverted, 3 saturated, 4 channels lacking, 5 no fit"),
    "em_bands": ("cm-5", "emission measure of constrained bins in each band of BANDS"),
    "temperature": ("K", "EM-weighted temperature of constrained bins"),
    "constrained": ("", "share of the emission measure in constrained bins"),
}
"""The arrays of maps: their unit, and what files say they are."""
OUTPUTS = ("dem", "edem", "elogt", "dn_reg", "chisq")
"""A solver's outputs in the order that `Products.fill` has them."""
SCALES = np.array([response.SCALE, response.SCALE, HALF_WIDTH_TO_SIGMA, 1.0, 1.0])
"""What takes them to the planes' units."""
STRIP = 65536
"""About so many pixels, in whole rows, are read, inverted and written at a time."""
PIECE, FIRST_PIECE, PIECE_S = 8192, 256, 0.2
"""Most pixels that a solver has at a time, in memory that is used again for the next ones; how many it has first, and
the seconds from which on it has no more: so that something moves, and can be interrupted, however slow it is."""


class MapStatus(IntEnum):
    """How a pixel of a map ended: as `contract.Status`, and what only images know.

    Where several hold of a pixel it has the first of INVALID, SATURATED, HIT_MAX_ITER, NO_FIT, LACKING.
    """

    OK = Status.OK
    HIT_MAX_ITER = Status.HIT_MAX_ITER
    INVALID = Status.INVALID
    SATURATED = 3
    """Inverted, but within 10% of full scale in some channel: that channel's counts, and the DEM, are lower limits."""
    LACKING = 4
    """Inverted without the channels that have no counts there."""
    NO_FIT = 5  # as `calls.inversion` marks them
    """Inverted, but to a target of chi-squared that was raised more than `calls.inversion.RAISED` times."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Description:
    """What maps have besides their planes."""

    shape: tuple[int, int]
    """(ny, nx)."""
    logt: Array
    """Bin centres (T,), log10 K."""
    dlogt: Array
    """Bin widths (T,), dex."""
    response: Array
    """At the bins' centres (T, F), DN cm5 s-1 px-1."""
    bands: Bands
    """(low, high) of each band, log10 K."""
    headers: tuple[Any, ...]
    """astropy Headers of each set's reference channel: where the pixels were."""
    times: tuple[str, ...]
    """When each set was taken, UTC."""
    history: tuple[str, ...]
    """How the maps were made, line by line."""

    @property
    def header(self) -> Any:
        """Where the pixels of the first set were."""
        return self.headers[0]

    def depth(self, name: str) -> tuple[int, ...]:
        """The axes of a plane before those of the image: (T,), (F,), (B,) or none."""
        bins = (len(self.logt),)
        depths = {"dem": bins, "edem": bins, "elogt": bins, "dn_reg": (len(CHANNELS),), "em_bands": (len(self.bands),)}
        return depths.get(name, ())

    def array_shape(self, name: str) -> tuple[int, ...]:
        """Of an output as files hold it: without the time axis where there is a single time."""
        return (*([len(self.times)] if len(self.times) > 1 else []), *self.depth(name), *self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class DemMaps(Description):
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
    """(N, ny, nx): `MapStatus`."""
    em_bands: Image
    """(N, B, ny, nx): see `products`."""
    temperature: Image
    """(N, ny, nx)."""
    constrained: Image
    """(N, ny, nx)."""

    def emission_measure(self) -> Image:
        """Emission measure of each bin (N, T, ny, nx), cm-5: the DEM times the bin's width in K."""
        return self.dem * width_k(self.logt, self.dlogt)[:, None, None].astype(np.float32)


class Sink(Protocol):
    """Where planes go, a strip at a time."""

    order: str
    """Of the bytes in its planes: "<" or ">"."""

    def write(self, number: int, rows: slice, planes: Planes) -> None:
        """Rows of the set of that number; each plane is (depth, pixels)."""


class Strip(NamedTuple):
    """Some rows of one set."""

    number: int
    rows: slice
    images: Rows


class Memory(NamedTuple):
    """A strip's planes."""

    status: NDArray[np.int8]
    numbers: NDArray[np.uint32]
    """The bytes of all other planes, one below the other (planes, pixels)."""
    planes: Planes
    """Each (depth, pixels), in the memory of those two."""


class Inverted(NamedTuple):
    """A strip's planes, its saturated pixels, and the sum of each channel (6,), DN."""

    memory: Memory
    saturated: int
    total: Array


class Inversion:
    """What turns a strip into planes: a solver, the response and the bins. For several threads at a time.

    `run` solves a problem, `most` is how many pixels it has at a time; `done` is told how many it had.
    """

    def __init__(
        self,
        run: Callable[[Problem], Solution],
        response_table: tuple[Array, Array],
        temps: Array,
        options: Options,
        bands: Bands,
        most: int = PIECE,
        done: Callable[[int], object] = lambda pixels: None,
    ):
        self.run, self.most, self.done = run, most, done
        self.logt, self.dlogt = response.bins_of(temps)
        self.rmatrix = response.response_matrix(response_table[1], response_table[0], self.logt, self.dlogt)
        self.response, self.bands = self.rmatrix / response.SCALE / width_k(self.logt, self.dlogt)[:, None], bands
        none = np.ones((0, len(CHANNELS)))
        self.constants = Problem(none, none, self.rmatrix, self.logt, self.dlogt, options)
        self.products = Products(self.response, self.logt, self.dlogt, bands)
        self.piece = min(FIRST_PIECE, most)
        self.counts = np.zeros(len(MapStatus), np.int64)
        """Pixels of each status so far."""
        self.seen: dict[int, tuple[int, Array]] = {}
        """Of each set, by its number, saturated pixels and the sum of each channel (6,), DN."""
        self.free: SimpleQueue[Memory] = SimpleQueue()

    def strip(self, strip: Strip, order: str, stopped: Event) -> Inverted:
        """The planes (depth, pixels) of a strip, single precision in that order of bytes."""
        pixels = strip.images.pixels
        memory, swap = self._memory(pixels, order), np.dtype(f"{order}f4") != np.dtype("=f4")
        at, seen, total = 0, 0, np.zeros(len(CHANNELS))
        while at < pixels:
            if stopped.is_set():
                raise stream.StoppedError
            start, piece = time.perf_counter(), slice(at, at + self.piece)
            dn, edn, saturated, counts = strip.images.counts(piece)
            solution = self.run(self.constants.with_pixels(dn, edn))
            solution.status[saturated & (solution.status != Status.INVALID)] = MapStatus.SATURATED
            seen, total = seen + int(saturated.sum()), total + counts
            memory.status[:, piece] = solution.status
            rows = [np.asarray(getattr(solution, name)).reshape(len(solution.status), -1) for name in OUTPUTS]
            self.products.fill(rows, SCALES, solution.status, memory.numbers, at, swap)
            at += len(solution.status)
            self.done(len(solution.status))
            if time.perf_counter() - start < PIECE_S:
                self.piece = min(2 * self.piece, self.most)
        return Inverted(memory, seen, total)

    def _memory(self, pixels: int, order: str) -> Memory:
        """Planes for so many pixels, of a strip that is written already where there is one."""
        with contextlib.suppress(Empty):
            memory = self.free.get_nowait()
            if memory.status.shape[1] == pixels:
                return memory
        status, numbers = np.empty((1, pixels), np.int8), np.empty((self.products.planes, pixels), np.uint32)
        (t, f), planes, at = self.rmatrix.shape, {}, 0
        depth = {"dem": t, "edem": t, "elogt": t, "dn_reg": f, "em_bands": len(self.bands)}
        for name in PLANES:
            if name == "status":
                planes[name] = status
            else:
                planes[name] = numbers[at : at + depth.get(name, 1)].view(f"{order}f4")
                at += depth.get(name, 1)
        return Memory(status, numbers, planes)

    def wrote(self, strip: Strip, inverted: Inverted) -> None:
        """Count a strip that was written; its memory is used again."""
        memory, saturated, total = inverted
        self.counts += np.bincount(memory.status.ravel(), minlength=len(MapStatus))
        before = self.seen.get(strip.number, (0, np.zeros(len(total))))
        self.seen[strip.number] = before[0] + saturated, before[1] + total
        self.free.put(memory)


Opening = Callable[[], AbstractContextManager[Reading]]


def invert(openings: Sequence[Opening], inversion: Inversion, sink: Sink, threads: int) -> None:
    """Invert sets one after another, strip by strip, each written while others are computed: memory doesn't grow."""

    def compute(strip: Strip, stopped: Event) -> Inverted:
        return inversion.strip(strip, sink.order, stopped)

    def write(strip: Strip, inverted: Inverted) -> None:
        sink.write(strip.number, strip.rows, inverted.memory.planes)
        inversion.wrote(strip, inverted)

    stream.run(_strips(openings), compute, write, threads)


def _strips(openings: Sequence[Opening]) -> Iterator[Strip]:
    for number, opening in enumerate(openings):
        with opening() as reading:
            ny, nx = reading.shape
            for rows in strips(ny, nx):
                yield Strip(number, rows, reading.rows(rows))


def strips(ny: int, nx: int) -> list[slice]:
    """The rows of each strip of an image."""
    step = strip_rows(ny, nx)
    return [slice(y, min(y + step, ny)) for y in range(0, ny, step)]


def strip_rows(ny: int, nx: int) -> int:
    """Rows of a strip."""
    return min(ny, max(1, STRIP // nx))
