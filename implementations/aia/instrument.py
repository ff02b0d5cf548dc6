"""SDO/AIA's temperature response and noise. Channels last, in the order of `files.CHANNELS`.

Units: counts DN s-1 px-1, response DN cm5 s-1 px-1, exposure s, logt log10 K.
"""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implementations.aia import response_file
from implementations.aia.files import CHANNELS
from implementations.contract import Array
from implementations.maths import response

GAIN = np.array([18.3, 17.6, 17.7, 18.3, 18.3, 17.6])
"""Electrons per DN."""
READ_NOISE = np.array([1.14, 1.18, 1.15, 1.20, 1.20, 1.18])
"""DN."""
PHOTONS_PER_DN = GAIN * np.array(CHANNELS) / 3397
"""An electron takes 3.65 eV, a photon of wavelength w angstrom brings 12398 eV / w."""
FULL_SCALE = 16383.0
"""DN at which the camera saturates."""


def read_response(path: Path) -> tuple[Array, Array]:
    """logt (N,) and AIA's response (N, 6) of a file, as `response_file.read`. ValueError when it has none."""
    table = response_file.read(path)
    return table.logt, table.of(CHANNELS, path)


def response_at(table: tuple[Array, Array], logt: Array, dlogt: Array) -> Array:
    """The response (T, 6) at the bins' centres, interpolated as `dn2dem` does."""
    return response.response_matrix(table[1], table[0], logt, dlogt, emd_int=True) / response.SCALE


def errors(rate: Array, exposure: ArrayLike) -> Array:
    """Standard errors (..., 6) of counts `rate`, photon and read noise of one detector pixel; NaN stays NaN.

    Estimated from the counts as observed, negative ones as zero. A mean of several pixels is less noisy than that, but
    then what this leaves out dominates: the calibration, some tens of percent.
    """
    exposure = np.asarray(exposure, dtype=np.float64)
    found: NDArray[np.float64] = np.maximum(rate, 0.0) * exposure
    found /= PHOTONS_PER_DN
    found += READ_NOISE**2
    np.sqrt(found, out=found)
    found /= exposure
    return found
