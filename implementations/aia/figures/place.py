"""Where a user's pixel is: a place on the Sun in arcsec, or a pixel of the image."""

import re
import warnings
from typing import Any

import numpy as np

NUMBER = r"[-+]?\d+\.?\d*"
PLACE = re.compile(rf"({NUMBER})(?:arcsec)?,\s*({NUMBER})\s*(px|arcsec|)")


def found(text: str, header: Any, shape: tuple[int, int]) -> tuple[int, int, str]:
    """The pixel (x, y), from 0, of "X,Y" in arcsec or "X,Ypx", and how a title says where it is.

    ValueError when the text is no place, or one outside of the image (ny, nx).
    """
    from astropy.wcs import WCS, FITSFixedWarning

    match = PLACE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"--pixel is {text!r}, expected X,Y in arcsec or X,Ypx, as --pixel=-300,120 or --pixel 400,500px"
        )
    given = np.array([float(match[1]), float(match[2])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # AIA writes dates that WCS puts right
        wcs = WCS(header, naxis=2)
    pixel = given if match[3] == "px" else np.array(wcs.world_to_pixel_values(*given / 3600))
    ny, nx = shape
    x, y = (int(n) for n in np.round(np.nan_to_num(pixel, nan=-1)))
    if not (0 <= x < nx and 0 <= y < ny):
        raise ValueError(f"--pixel {text} is pixel {pixel[0]:.0f},{pixel[1]:.0f} of an image of {nx} x {ny}")
    east, north = (float(n) * 3600 for n in wcs.pixel_to_world_values(x, y))
    east = (east + 648000) % 1296000 - 648000  # longitudes may be given from 0 to 360 degrees
    return x, y, f"X {east:.0f}″ Y {north:.0f}″ (pixel {x}, {y})"
