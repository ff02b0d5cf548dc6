"""Sets of six AIA images, one per channel, as counts with errors and the header that places them on the Sun.

Needs astropy. Pixels are read some rows at a time (`Reading`), or all at once (`read_set`). Level 1.5 is expected:
images on one grid (`grid`), in any unit of counts or counts per time (`units`).
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.aia import frames, instrument
from implementations.aia.files import CHANNELS
from implementations.aia.frames import REFERENCE, Frame, Set
from implementations.contract import Array

SATURATED = 0.9 * instrument.FULL_SCALE
"""DN from which on counts are lower limits: within 10% of full scale."""
DARK = 0.1
"""DN in the mean of an image: a tenth of the read noise. What is darker shows no Sun."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Six images of one time; arrays (ny, nx, 6), channels in the order of `files.CHANNELS`."""

    dn: Array
    """Counts, DN s-1 px-1."""
    edn: Array
    """Their standard errors."""
    exposure: Array
    """Exposure times (6,), s."""
    header: Any
    """astropy Header of the reference channel."""
    files: tuple[str, ...]
    remarks: tuple[str, ...]
    """What a user should know of these images."""

    @property
    def time(self) -> str:
        """When the reference channel was exposed, UTC."""
        return Frame(Path(self.files[REFERENCE]), self.header).time


class Counts(NamedTuple):
    """P pixels' counts and errors (P, 6), DN s-1 px-1; which pixels are saturated in some channel (P,).

    And of each channel (6,) the sum of its pixels, DN.
    """

    dn: Array
    edn: Array
    saturated: NDArray[np.bool_]
    total: Array


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of six images, as they are in the files; what they mean is computed where they are used."""

    values: list[NDArray[Any]]
    """Of each channel (rows, nx)."""
    divisor: Array
    """What takes them to DN s-1 px-1 (6,)."""
    exposure: Array
    """(6,), s."""
    sensitivity: Array
    """Of the channels at that time (6,), as a share of that at launch."""

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.values[0].size

    def counts(self, pixels: slice = slice(None)) -> Counts:
        """Counts, errors, saturation of some of them, row by row; missing pixels are NaN."""
        parts = [values.reshape(-1)[pixels] for values in self.values]
        dn = np.empty((len(parts), parts[0].size)).T  # channel by channel: NumPy is slow along an axis of six
        saturated = np.zeros(parts[0].size, bool)
        for channel, part in enumerate(parts):
            np.divide(part, self.divisor[channel], out=dn[:, channel], dtype=np.float64)
            saturated |= dn[:, channel] >= SATURATED / self.exposure[channel]
        edn = instrument.errors(dn, self.exposure)
        total = dn.sum(axis=0)
        if not np.isfinite(total).all():
            total = np.nansum(dn, axis=0)
        total *= self.exposure
        if not (self.sensitivity == 1).all():
            dn /= self.sensitivity
            edn /= self.sensitivity
        return Counts(dn, edn, saturated, total)


class Reading:
    """Six open files, read some rows at a time; a context.

    `sensitivity`: see `Rows`; `placings`: what brings each channel to the grid of 171 (`grid.Placing`), None where it
    is on it already.
    """

    def __init__(self, images: Set, sensitivity: Array | None = None, placings: Sequence[Any] = (None,) * 6):
        self.images, self.placings = images, placings
        self.constants = (
            np.array([frame.divisor for frame in images]),
            np.array([frame.exposure for frame in images]),
            np.ones(len(images)) if sensitivity is None else sensitivity,
        )
        self.open = ExitStack()
        self.hdus: list[Any] = []

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the set's grid."""
        return self.images[REFERENCE].shape

    def __enter__(self) -> "Reading":
        for frame in self.images:
            file, hdu = frames.opened(frame.path)
            self.open.callback(file.close)
            self.hdus.append(hdu)
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()

    def rows(self, rows: slice) -> Rows:
        """These rows of the set's grid. ValueError, naming the file, when it can't be read."""
        each = zip(self.images, self.hdus, self.placings, strict=True)
        return Rows([_read(frame, hdu, placing, rows) for frame, hdu, placing in each], *self.constants)


def _read(frame: Frame, hdu: Any, placing: Any, rows: slice) -> NDArray[Any]:
    first, last, _ = rows.indices(placing.shape[0] if placing else frame.shape[0])
    with frames.legible(frame.path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of BLANK, as when it was opened
        if placing is None:
            return np.asarray(hdu.section[first:last])
        return placing.taken(hdu.section, first, last)


def unavailable() -> str:
    """Why images can't be read here; "" when they can."""
    return "" if find_spec("astropy") else "needs astropy: pip install 'demreg-bench[aia]'"


def sets_of(paths: Sequence[Path]) -> list[list[Path]]:
    """The files in sets of six, a channel each, sorted by time. ValueError as `frames.frames_of`."""
    return [[frame.path for frame in one] for one in frames.frames_of(paths)]


def read_set(paths: Sequence[Path]) -> ImageSet:
    """The counts of six files in the order of `CHANNELS`, as they are. ValueError, naming the file that is wrong."""
    images = tuple(frames.frame_of(Path(path)) for path in paths)
    frames.check_shapes(images)
    with Reading(images) as reading:
        counts = reading.rows(slice(None)).counts()
    shape = (*images[REFERENCE].shape, len(CHANNELS))
    return ImageSet(
        counts.dn.reshape(shape),
        counts.edn.reshape(shape),
        np.array([frame.exposure for frame in images]),
        images[REFERENCE].header,
        tuple(str(frame.path) for frame in images),
        (*frames.remarks(images), *remarks_of_counts(images, int(counts.saturated.sum()), counts.total)),
    )


def remarks_of_counts(images: Set, saturated: int, total: Array) -> Iterator[str]:
    """What is said of so many saturated pixels, and of channels (6,) whose pixels have that sum, DN."""
    if saturated:
        yield f"{saturated} pixels are within 10% of full scale in some channel: their counts are lower limits"
    for frame, counts in zip(images, total, strict=True):
        if counts <= DARK * frame.shape[0] * frame.shape[1]:
            yield f"{frame.path.name}: as dark as a dark frame: not an image of the Sun"
