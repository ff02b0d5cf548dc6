"""Pixels of a mixture of DEMs: Gaussians in log T per component, an instrument's noise, dead and negative channels."""

import numpy as np
from numpy.typing import NDArray

from harness.workloads.specification import Specification
from implementations.contract import Array


def component_of(spec: Specification, pick: Array) -> NDArray[np.intp]:
    """Which component each pixel belongs to, from uniform draws (n,)."""
    edges = np.cumsum([component["share"] for component in spec["component"]])
    return np.minimum(np.searchsorted(edges, pick, side="right"), len(edges) - 1)


def gaussian_dem(gaussian: dict[str, list[float]], uniform: Array, logt: Array) -> Array:
    """DEM (n, T), cm-5 K-1, of Gaussians in log T whose integral over T is the emission measure; uniform (n, 3)."""
    ranges = np.array([gaussian["peak"], gaussian["width"], gaussian["log_emission_measure"]])
    peak, width, measure = (ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * uniform).T[:, :, None]
    density = np.exp(-0.5 * ((logt - peak) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    return 10.0**measure * density / (10.0**logt * np.log(10.0))


def observed(noise: dict[str, list[float]], full_scale: float, clean: Array, normal: Array) -> tuple[Array, Array]:
    """Counts with photon and read noise, clipped to the detector's full scale (DN), and their standard errors.

    All DN s-1 px-1, (n, F). A count of g DN s-1 in an exposure of t s is g t · gain · wavelength / 3397 photons. Errors
    are estimated from the counts as they were observed, as for an image of the Sun: nobody knows the clean ones.
    """
    exposure, read = np.array(noise["exposure"]), np.array(noise["read_noise"])
    photons_per_dn = np.array(noise["gain"]) * np.array(noise["wavelength"]) / 3397

    def sigma(rate: Array) -> Array:
        photons = np.maximum(rate, 0.0) * exposure * photons_per_dn
        return np.sqrt(photons / photons_per_dn**2 + read**2) / exposure

    dn = np.minimum(clean + normal * sigma(clean), full_scale / exposure)
    return dn, sigma(dn)


def with_defects(
    shares: dict[str, float], dn: Array, edn: Array, defect: Array, channel: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Counts and errors with one dead or negative channel in the stated shares of pixels."""
    rows = np.arange(len(dn))
    dead = defect < shares["dead"]
    negative = ~dead & (defect < shares["dead"] + shares["negative"])
    dn[rows[dead], channel[dead]] = edn[rows[dead], channel[dead]] = np.nan
    dn[rows[negative], channel[negative]] = -np.abs(dn[rows[negative], channel[negative]])
    return dn, edn
