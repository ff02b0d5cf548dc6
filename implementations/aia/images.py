"""Sets of six AIA images, one per channel, as counts with errors and the header that places them on the Sun.

Needs astropy. Level 1.5 is expected: images in DN, or in DN/s where BUNIT says so, of one shape and on one grid.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from implementations.aia import instrument
from implementations.aia.files import CHANNELS
from implementations.contract import Array

LEVEL = 1.5
REFERENCE = CHANNELS.index(171)
"""The channel whose header places the set on the Sun."""


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
        return _time_of(self.header)


@dataclass(frozen=True, eq=False)
class _Image:
    path: Path
    header: Any
    data: Array

    @property
    def channel(self) -> int:
        return round(float(self.header["WAVELNTH"]))


def unavailable() -> str:
    """Why images can't be read here; "" when they can."""
    return "" if find_spec("astropy") else "needs astropy: pip install 'demreg-bench[aia]'"


def sets_of(paths: Sequence[Path]) -> list[list[Path]]:
    """The files in sets of six, a channel each, sorted by time. ValueError unless each channel comes equally often."""
    by_channel = defaultdict(list)
    for path in paths:
        image = _open(Path(path), with_data=False)
        by_channel[image.channel].append((_time_of(image.header), Path(path)))
    counts = {channel: len(by_channel[channel]) for channel in CHANNELS}
    if len(set(counts.values())) != 1 or set(by_channel) != set(CHANNELS):
        found = ", ".join(f"{len(files)} of {channel}" for channel, files in sorted(by_channel.items()) if files)
        raise ValueError(f"expected as many files of each of {', '.join(map(str, CHANNELS))}; got {found or 'none'}")
    columns = [[path for _, path in sorted(by_channel[channel])] for channel in CHANNELS]
    return [list(row) for row in zip(*columns, strict=True)]


def read_set(paths: Sequence[Path]) -> ImageSet:
    """The counts of six files in the order of `CHANNELS`. ValueError, in one line, naming the file that is wrong."""
    images = [_open(Path(path)) for path in paths]
    shape = images[REFERENCE].data.shape
    for image in images:
        if image.data.shape != shape:
            raise ValueError(f"{image.path} has shape {image.data.shape}, expected that of 171, {shape}")
    exposure = np.array([_exposure(image) for image in images])
    rate = np.stack([_rate(image, seconds) for image, seconds in zip(images, exposure, strict=True)], axis=-1)
    return ImageSet(
        rate,
        instrument.errors(rate, exposure),
        exposure,
        images[REFERENCE].header,
        tuple(str(image.path) for image in images),
        tuple(_remarks(images, rate * exposure)),
    )


def _open(path: Path, with_data: bool = True) -> _Image:
    """The first two-dimensional image of a FITS file, plain or compressed."""
    from astropy.io import fits
    from astropy.io.fits.verify import VerifyWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VerifyWarning)  # AIA's headers have BLANK where the data are real numbers
            with fits.open(path) as file:
                hdu = next(h for h in file if h.header.get("NAXIS") == 2 and "WAVELNTH" in h.header)
                header = hdu.header.copy()
                data = np.array(hdu.data, dtype=np.float64) if with_data else np.empty((0, 0))
    except StopIteration:
        raise ValueError(f"{path} holds no image with WAVELNTH in its header, expected an AIA image") from None
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} can't be read as FITS: {' '.join(str(error).split())}") from error
    image = _Image(path, header, data)
    if image.channel not in CHANNELS:
        raise ValueError(f"{path} is of {image.channel} angstrom, expected one of {', '.join(map(str, CHANNELS))}")
    return image


def _exposure(image: _Image) -> float:
    seconds = image.header.get("EXPTIME")
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise ValueError(f"{image.path} has EXPTIME {seconds!r}, expected seconds > 0")
    return float(seconds)


def _rate(image: _Image, seconds: float) -> Array:
    """Counts, DN s-1 px-1; missing pixels are NaN."""
    unit = str(image.header.get("BUNIT") or image.header.get("PIXLUNIT") or "DN").replace(" ", "").lower()
    if unit in ("dn", "ct", "count", "counts"):
        return image.data / seconds
    if unit in ("dn/s", "dns-1", "ct/s", "dn/(s)", "dn/pix/s", "dn/(pixs)", "dnpix-1s-1"):
        return image.data
    raise ValueError(f"{image.path} has BUNIT {image.header.get('BUNIT')!r}, expected DN or DN/s")


def _remarks(images: Sequence[_Image], counts: Array) -> Iterator[str]:
    level = min(float(image.header.get("LVL_NUM") or LEVEL) for image in images)
    if level < LEVEL:
        yield f"level {level:g}: the channels are not aligned with one another to better than some pixels"
    saturated = int((counts >= 0.9 * instrument.FULL_SCALE).any(axis=-1).sum())
    if saturated:
        yield f"{saturated} pixels are within 10% of full scale in some channel: their counts are lower limits"


def _time_of(header: Any) -> str:
    return str(header.get("DATE-OBS") or header.get("T_OBS") or "").removesuffix("Z")
