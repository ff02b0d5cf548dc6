"""AIA's FITS files as far as their headers go: what each image is, in sets of six matched by time. Needs astropy.

All that can be wrong with files is found here and in `grid`, before a pixel is read.
"""

import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from implementations.aia import units
from implementations.aia.files import CHANNELS

LEVEL = 1.5
REFERENCE = CHANNELS.index(171)
"""The channel whose header places the set on the Sun."""
LONG_EXPOSURE_S = 60.0
"""An exposure that is longer is noted: a header in milliseconds says thousands."""
LONGEST_S = 60.0
"""Most seconds from 171 to another channel of its set: five of AIA's cycles."""
TIMES = ("DATE-OBS", "T_OBS", "DATE-BEG")
"""Keywords that say when an image was exposed, the first of them that is there."""
AT_ONCE_S = 1.0
"""Closer than this, two images of a channel are of one time."""


class Frame:
    """One file's image, of which the header is read: kept compressed, since a day has 43,200 of them."""

    def __init__(self, path: Path, header: Any):
        self.path = path
        self.cards = zlib.compress(header.tostring().encode("ascii"), 1)

    @property
    def header(self) -> Any:
        """astropy Header."""
        return _header(self)

    @cached_property
    def channel(self) -> int:
        """Wavelength, angstrom. ValueError when the header's is no number."""
        try:
            return round(float(self.header["WAVELNTH"]))
        except (TypeError, ValueError):
            raise ValueError(f"{self.path} has WAVELNTH {self.header['WAVELNTH']!r}, expected angstrom") from None

    @cached_property
    def time(self) -> str:
        """When it was exposed, UTC. ValueError when the header doesn't say."""
        key = next((key for key in TIMES if self.header.get(key)), TIMES[0])
        text = str(self.header.get(key) or "").removesuffix("Z")
        try:
            if ":" not in text:  # a day alone would be midnight
                raise ValueError
            np.datetime64(text, "ms")
        except ValueError:
            said = f"{key} {text!r}" if text else f"none of {', '.join(TIMES)}"
            raise ValueError(f"{self.path} has {said}, expected a time like 2014-01-01T00:00:00") from None
        return text

    @property
    def instant(self) -> np.datetime64:
        """Its time to the millisecond."""
        return np.datetime64(self.time, "ms")

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return int(self.header["NAXIS2"]), int(self.header["NAXIS1"])

    @cached_property
    def exposure(self) -> float:
        """Seconds. ValueError when the header doesn't say."""
        key = "XPOSURE" if "XPOSURE" in self.header else "EXPTIME"
        seconds = self.header.get(key)
        if not isinstance(seconds, int | float) or not 0 < seconds < np.inf:
            other = " and no XPOSURE" if key == "EXPTIME" else ""
            raise ValueError(f"{self.path} has {key} {seconds!r}{other}, expected seconds > 0")
        return float(seconds)

    @cached_property
    def divisor(self) -> float:
        """What the values are divided by for DN s-1 px-1. ValueError when their unit is another."""
        unit = str(self.header.get("BUNIT") or self.header.get("PIXLUNIT") or "")
        try:
            factor, rate = units.of_counts(unit)
        except ValueError:
            raise ValueError(
                f"{self.path} has BUNIT {unit!r}, expected DN or DN/s, or another unit of counts or counts per time"
            ) from None
        return 1 / factor if rate else self.exposure / factor

    def remarks(self) -> Iterator[str]:
        """What a user should know of it before it is used."""
        name, header = self.path.name, self.header
        if quality := _bits(header.get("QUALITY")):
            yield f"{name}: QUALITY is {quality}, not 0: flagged as not nominal"
        if str(header.get("IMG_TYPE") or "LIGHT").strip().upper() != "LIGHT":
            yield f"{name}: IMG_TYPE is {header['IMG_TYPE']}: not an image of the Sun"
        if "EXPTIME" in header and not np.isclose(header["EXPTIME"], self.exposure, rtol=0.01):
            yield f"{name}: EXPTIME is {header['EXPTIME']}, XPOSURE {self.exposure:g} s, which is used"
        if self.exposure > LONG_EXPOSURE_S:
            yield f"{name}: an exposure of {self.exposure:g} s: AIA's take a few seconds; are these milliseconds?"
        if self.exposure == 1.0 and self.divisor == 1.0:
            yield f"{name}: DN/s with an exposure of exactly 1 s: if that isn't the camera's, neither are the errors"


@lru_cache(maxsize=4 * len(CHANNELS))
def _header(frame: Frame) -> Any:
    """Its header, of the frames that were looked at last."""
    from astropy.io import fits

    return fits.Header.fromstring(zlib.decompress(frame.cards).decode("ascii"))


Set = tuple[Frame, ...]
"""Six frames of one time, in the order of `files.CHANNELS`."""


def frames_of(paths: Iterable[Path]) -> list[Set]:
    """The files in sets of six, matched by time, a channel each, in the order of time.

    ValueError, naming the file, when a channel lacks a time, or has it twice, as with two regions of one image.
    """
    by_channel: dict[int, list[Frame]] = defaultdict(list)
    for path in paths:
        frame = frame_of(Path(path))
        by_channel[frame.channel].append(frame)
    for channel in by_channel:
        by_channel[channel].sort(key=lambda frame: frame.instant)
        for one, other in pairwise(by_channel[channel]):
            if one.path == other.path:
                raise ValueError(f"{one.path} is given twice")
            if _seconds(one, other) < AT_ONCE_S:
                raise ValueError(f"{one.path} and {other.path} are of one time: invert each region by itself")
    if lacking := [str(channel) for channel in CHANNELS if channel not in by_channel]:
        found = ", ".join(f"{len(frames)} of {channel}" for channel, frames in sorted(by_channel.items()))
        raise ValueError(
            f"no file is of {', '.join(lacking)}: expected as many of each of {', '.join(map(str, CHANNELS))}; got "
            f"{found or 'none'}"
        )
    reference = by_channel[CHANNELS[REFERENCE]]
    for channel in CHANNELS:
        _check_times(by_channel[channel], reference)
    return list(zip(*(by_channel[channel] for channel in CHANNELS), strict=True))


def _check_times(frames: list[Frame], reference: list[Frame]) -> None:
    """ValueError, naming the file, when one of either has no partner in the other.

    A channel has its place in AIA's cycle, in every set the same one: who is half of a cycle away from it belongs to
    another set.
    """
    cycle = min((_seconds(one, other) for one, other in pairwise(reference)), default=2 * LONGEST_S)
    place = _seconds(reference[0], frames[0])
    for one, other in zip_longest(reference, frames):
        later = _seconds(one, other) if one and other else np.inf if one else -np.inf
        if abs(later) >= min(cycle, LONGEST_S) or abs(later - place) > cycle / 2:
            there, lacks = (one, frames[0]) if later > min(place, 0) else (other, reference[0])
            follows = other if there is one else one
            after = f"the next is {follows.path}, {_said(_seconds(there, follows))}" if follows else "none follows"
            raise ValueError(
                f"{lacks.channel} has no image beside {there.path} of {there.time}, within {LONGEST_S:g} s: {after}"
            )


def _bits(quality: Any) -> str:
    """A header's QUALITY, a number or JSOC's text of one, in hexadecimal; "" where it is 0 or isn't there."""
    try:
        number = int(quality, 0) if isinstance(quality, str) else int(quality or 0)
    except ValueError:
        return repr(quality)
    return f"{number:#x}" if number else ""


def _seconds(one: Frame, other: Frame) -> float:
    """From one to the other."""
    return float((other.instant - one.instant) / np.timedelta64(1, "s"))


def _said(seconds: float) -> str:
    return f"{seconds:.0f} s later" if seconds < 600 else f"{seconds / 3600:.1f} h later"


def frame_of(path: Path) -> Frame:
    """The image of a FITS file. ValueError, naming the file, when it holds none of AIA's."""
    file, hdu = opened(path)
    with file:
        frame = Frame(path, hdu.header)
    said = " ".join(str(frame.header.get(key) or "") for key in ("TELESCOP", "INSTRUME")).strip()
    if said and not any(name in said.upper() for name in ("AIA", "SDO")):
        raise ValueError(f"{path} is of {said}, expected an image of SDO/AIA")
    if frame.channel not in CHANNELS:
        raise ValueError(f"{path} is of {frame.channel} angstrom, expected one of {', '.join(map(str, CHANNELS))}")
    return frame


def opened(path: Path) -> tuple[Any, Any]:
    """A FITS file, to be closed, and the HDU of its first two-dimensional image, plain or compressed.

    ValueError, naming the file, when it can't be read or has none.
    """
    from astropy.io import fits

    with legible(path), warnings.catch_warnings(record=True) as said:  # of BLANK beside real numbers, for one
        warnings.simplefilter("always")
        file = fits.open(path)
        hdu = next((h for h in file if h.header.get("NAXIS") == 2 and "WAVELNTH" in h.header), None)
        cut = [str(warning.message) for warning in said if "truncated" in str(warning.message)]
        if hdu is not None and not cut:
            return file, hdu
        file.close()
        if cut:
            raise OSError(cut[0])
        raise ValueError(f"{path} holds no two-dimensional image with WAVELNTH in its header, expected an AIA image")


@contextmanager
def legible(path: Path) -> Iterator[None]:
    """ValueError, naming the file, for what astropy raises in it."""
    try:
        yield
    except (OSError, TypeError) as error:
        raise ValueError(f"{path} can't be read as FITS: {' '.join(str(error).split())}") from error


def check_shapes(frames: Set) -> None:
    """ValueError, naming the file, when an image's shape isn't that of 171."""
    shape = frames[REFERENCE].shape
    for frame in frames:
        if frame.shape != shape:
            raise ValueError(f"{frame.path} has shape {frame.shape}, expected that of 171, {shape}")


def remarks(frames: Set) -> Iterator[str]:
    """What their headers say that a user should know."""
    level = min(float(frame.header.get("LVL_NUM") or LEVEL) for frame in frames)
    if level < LEVEL:
        yield f"level {level:g}: the channels are not aligned with one another to better than some pixels"
    for frame in frames:
        yield from frame.remarks()
