"""Small AIA images and a response made up for tests: Gaussian channels, counts that a known DEM gives."""

import numpy as np
from astropy.io import fits

from implementations.aia.files import CHANNELS
from implementations.aia.products import width_k

TABLE_LOGT = np.round(np.arange(4, 9.01, 0.05), 2)
PEAKS = (6.85, 7.0, 5.9, 6.15, 6.3, 6.45)
TABLE = (TABLE_LOGT, np.stack([3e-25 * np.exp(-0.5 * ((TABLE_LOGT - p) / 0.15) ** 2) + 1e-29 for p in PEAKS], axis=1))
EXPOSURE = (2.9, 2.9, 2.0, 2.0, 2.9, 2.9)


def counts(shape, seed=0):
    """DN s-1 px-1 (ny, nx, 6) of a Gaussian DEM that peaks between log T 6 and 6.8, hotter to the right."""
    rng = np.random.default_rng(seed)
    peak = np.linspace(6.0, 6.8, shape[1])[None, :, None]
    dem = 3e21 * np.exp(-0.5 * ((TABLE_LOGT - peak) / 0.2) ** 2) * np.ones((*shape, 1))
    rate = dem @ (TABLE[1] * width_k(TABLE_LOGT, np.full(TABLE_LOGT.shape, 0.05))[:, None])
    return rate * (1 + 0.02 * rng.standard_normal(rate.shape))


def write_set(folder, shape=(12, 17), minute=0, seed=0, change=lambda channel, data, header: None):
    """Six level 1.5 FITS files; `change` may alter a file's data and header. Returns their paths."""
    rate = counts(shape, seed)
    paths = []
    for i, channel in enumerate(CHANNELS):
        header = fits.Header()
        header["WAVELNTH"], header["EXPTIME"], header["LVL_NUM"] = channel, EXPOSURE[i], 1.5
        header["DATE-OBS"] = f"2014-01-01T00:{minute:02d}:{i:02d}.12"
        header["CTYPE1"], header["CTYPE2"], header["CUNIT1"], header["CUNIT2"] = (
            "HPLN-TAN",
            "HPLT-TAN",
            "arcsec",
            "arcsec",
        )
        header["CRPIX1"], header["CRPIX2"], header["CRVAL1"], header["CRVAL2"] = 9.0, 6.5, 300.0, -120.0
        header["CDELT1"] = header["CDELT2"] = 2.4
        header["DSUN_OBS"], header["HGLN_OBS"], header["HGLT_OBS"] = 1.47e11, 0.0, -3.0
        header["RSUN_REF"] = 6.957e8
        data = rate[..., i] * EXPOSURE[i]
        change(channel, data, header)
        path = folder / f"aia_{minute:02d}_{channel:03d}.fits"
        fits.PrimaryHDU(data, header).writeto(path)
        paths.append(path)
    return paths
