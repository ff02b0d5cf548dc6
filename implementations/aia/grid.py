"""Whether images lie on one grid, and what brings those to it that don't: shifting, scaling and rotating.

The grid of a set is that of its image in 171. Two images lie on one if no pixel is further than `APART` from where the
other's WCS has it: CRPIX, CRVAL, CDELT, CROTA2 and PC are all in that, however a header writes them.

Registering is astropy's WCS for the places and scipy's `affine_transform` for the pixels, both of which are here
anyway. `reproject` would solve for every pixel what is one affine map between images of one telescope and one hour (the
projection's own curvature is checked for), and wants the images whole. Linear interpolation: it makes no negative
counts and no ringing about a flare, as splines do. Noise is smoothed a little, errors are left as they are.
"""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.aia.files import CHANNELS
from implementations.aia.frames import REFERENCE, Frame, Set
from implementations.contract import Array

APART = 0.5
"""Pixels that channels may be apart: AIA's level 1.5 keeps to it, its level 1 does not."""
AFFINE = 0.1
"""Pixels by which an affine map may be off."""
SCALES = (0.8, 1.25)
"""Ratios of pixel sizes that are interpolated; beyond, pixels would be left out, or made up."""
SIZES = (0.05, 60.0)
"""Arcsec of a pixel: the camera's have 0.6, and may have been made larger or smaller; others are in another unit."""
PLACE = ["custom:pos.helioprojective.lon", "custom:pos.helioprojective.lat"]
"""What astropy calls the two axes of an image of the Sun."""
KEYS = "CTYPE1 CTYPE2 CRPIX1 CRPIX2 CRVAL1 CRVAL2 CDELT1 CDELT2 CROTA2 PC1_1 PC1_2 PC2_1 PC2_2".split()


@dataclass(frozen=True, eq=False)
class Placing:
    """Where in an image the pixels (y, x) of a grid are: at `matrix` (y, x) + `offset`."""

    matrix: Array
    offset: Array
    shape: tuple[int, int]
    """Of the grid."""

    def taken(self, image: Any, first: int, last: int) -> NDArray[np.float64]:
        """Rows of the grid, interpolated from an image that is read by slices; NaN outside of it."""
        from scipy import ndimage

        corners = np.array([(y, x) for y in (first, last - 1) for x in (0, self.shape[1] - 1)])
        there = corners @ self.matrix[0] + self.offset[0]
        low, high = max(0, int(np.floor(there.min()))), min(image.shape[0], int(np.ceil(there.max())) + 2)
        if low >= high:
            return np.full((last - first, self.shape[1]), np.nan)
        start = self.matrix @ (first, 0) + self.offset - (low, 0)
        size = (last - first, self.shape[1])
        part = np.asarray(image[low:high], dtype=np.float64)
        return ndimage.affine_transform(part, self.matrix, start, size, order=1, cval=np.nan)


def check_placed(frame: Frame) -> None:
    """ValueError, naming the file, when its header doesn't say where on the Sun its pixels are."""
    from astropy.wcs.utils import proj_plane_pixel_scales

    header = frame.header
    try:
        wcs = _wcs(frame)
        known = np.isfinite(wcs.all_pix2world(_corners(frame.shape)[:, ::-1], 0)).all()
        size = 3600 * proj_plane_pixel_scales(wcs)
        sized = ("CDELT1" in header or "CD1_1" in header) and SIZES[0] < size.min() <= size.max() < SIZES[1]
        placed = known and wcs.world_axis_physical_types == PLACE and sized
    except ValueError:  # what wcslib's errors are
        placed = False
    if not placed:
        said = ", ".join(f"{key} {header.get(key)}" for key in ("CTYPE1", "CTYPE2", "CUNIT1", "CRPIX1", "CDELT1"))
        raise ValueError(f"{frame.path} doesn't say where its pixels are: {said}; expected CTYPE1 HPLN-TAN and so on")


def check(frames: Set) -> None:
    """ValueError, naming the file, when an image isn't on the grid of 171."""
    reference = frames[REFERENCE]
    for frame in frames:
        if frame.shape != reference.shape:
            raise ValueError(f"{frame.path} has shape {frame.shape}, expected that of 171, {reference.shape}")
        apart = np.abs(_there(frame, reference) - _corners(reference.shape)).max()
        if not apart <= APART:
            raise ValueError(
                f"{frame.path} is up to {apart:.2f} pixels off the grid of 171 ({_differing(frame, reference)}): "
                "--register brings channels to one grid"
            )


def placings(frames: Set) -> list[Placing | None]:
    """What brings each image to the grid of 171; None for those that are on it to within a hundredth of a pixel.

    ValueError, naming the file, when an image is of another part of the Sun, or of another pixel size.
    """
    return [_placing(frame, frames[REFERENCE]) for frame in frames]


def _placing(frame: Frame, reference: Frame) -> Placing | None:
    corners, there = _corners(reference.shape), _there(frame, reference)
    if frame.shape == reference.shape and np.abs(there - corners).max() <= 0.01:
        return None
    terms = np.column_stack([corners, np.ones(len(corners))])
    solution, *_ = np.linalg.lstsq(terms, there, rcond=None)
    scale = np.sqrt(abs(np.linalg.det(solution[:2])))
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ValueError(f"{frame.path} has pixels {1 / scale:.3g} times as large as those of 171: rebin it first")
    if np.abs(terms @ solution - there).max() > AFFINE:
        raise ValueError(f"{frame.path} can't be registered to 171 by shifting, scaling and rotating alone")
    ny, nx = frame.shape
    if not ((there.min(axis=0) < (ny, nx)) & (there.max(axis=0) > 0)).all():
        raise ValueError(f"{frame.path} is of another part of the Sun than 171 ({_differing(frame, reference)})")
    matrix, offset = np.round(solution[:2].T, 9), np.round(solution[2], 6)  # an edge on an edge is not beyond it
    return Placing(matrix.astype(np.float64), offset.astype(np.float64), reference.shape)


def check_series(sets: Sequence[Set]) -> None:
    """ValueError, naming the file, when a time series' images differ in shape, or are of two regions."""
    first = sets[0][REFERENCE]
    for frames in sets[1:]:
        frame = frames[REFERENCE]
        if frame.shape != first.shape:
            raise ValueError(
                f"{frame.path} has shape {frame.shape}, expected that of {first.path}, {first.shape}: "
                "the images of a time series must have one shape"
            )
        moved = np.abs(np.mean(_there(frame, first) - _corners(first.shape), axis=0))
        if (moved > np.array(first.shape) / 2).any():
            raise ValueError(
                f"{frame.path} is of another region than {first.path}, {moved.max():.0f} pixels away: "
                "invert each region by itself"
            )


def _corners(shape: tuple[int, int]) -> Array:
    """Corners, middles of the sides and the middle of a grid (9, 2), pixels (y, x) from 0."""
    y, x = (np.linspace(0, n - 1, 3) for n in shape)
    return np.array([(b, a) for b in y for a in x])


def _there(frame: Frame, reference: Frame) -> Array:
    """Where in the frame the corners of the reference's grid are (9, 2), pixels (y, x) from 0."""
    own, other = _wcs(frame), _wcs(reference)
    places = other.all_pix2world(_corners(reference.shape)[:, ::-1], 0)
    return own.all_world2pix(places, 0)[:, ::-1]


@functools.lru_cache(maxsize=len(CHANNELS))
def _wcs(frame: Frame) -> Any:
    """Its WCS, made once for all that is checked of it."""
    return wcs_of(frame.header)


def wcs_of(header: Any) -> Any:
    """The astropy WCS of an image's two axes."""
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # AIA writes dates that WCS puts right
        return WCS(header, naxis=2)


def _differing(frame: Frame, reference: Frame) -> str:
    """The keywords of their WCS that differ, with both values."""
    pairs = ((key, frame.header.get(key), reference.header.get(key)) for key in KEYS)
    return ", ".join(f"{key} {one}, not {other}" for key, one, other in pairs if one != other) or "their WCS differ"
