"""Counts as solar physicists hold them: sunpy maps and sequences of them, NDCubes, with unit, mask and uncertainty.

Known by what they have, so that neither sunpy, ndcube nor astropy is imported to find out.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from implementations.calls.arguments import CAMERA, COUNTS, as_array, has_unit, is_lazy

TOGETHER = 60.0
"""Seconds that the channels of one set may be apart without a word."""
OFFSET = 0.5
"""Pixels that the same place may be apart in the images of one set."""


def opened(dn: Any, edn: Any, names: tuple[str, str] = ("dn_in", "edn_in")) -> tuple[Any, Any]:
    """Counts and errors with what is in containers as arrays or quantities, channels last, NaN where masked.

    A list or sequence of containers is one for each channel. Errors of None are the counts' own uncertainty. ValueError
    where images of a sequence are of different grids, a unit is none of counts, or no errors are there.
    """
    if edn is not None:
        counts, errors = _opened(dn, names[0]), _opened(edn, names[1])
        if counts is not dn and is_lazy(counts) and has_unit(errors):  # these counts lost their unit on the way
            errors = as_array(errors, names[1], COUNTS)
        return counts, errors
    parts = _parts(dn)
    if not parts or any(part.uncertainty is None for part in parts):
        raise ValueError(f"{names[1]} is None, expected errors, or counts in NDCubes or maps that have an uncertainty")
    return _opened(dn, names[0]), _opened(dn, names[1], uncertainty=True)


def _is_container(values: Any) -> bool:
    """Whether it is a sunpy map, an NDCube or another of astropy's NDData."""
    return all(hasattr(values, name) for name in ("wcs", "mask", "uncertainty", "data"))


def _parts(values: Any) -> list[Any]:
    """The containers that it is or holds; none where it is something else."""
    if _is_container(values):
        return [values]
    held = getattr(values, "maps", values.data if type(values).__name__ == "NDCubeSequence" else values)
    parts = list(held) if isinstance(held, list | tuple) else []
    return parts if parts and all(map(_is_container, parts)) else []


def _opened(values: Any, name: str, uncertainty: bool = False) -> Any:
    """What is in the containers, or in their uncertainties; other things as they are."""
    if type(values) is np.ndarray:
        return values
    parts = _parts(values)
    if not parts:
        return values
    if parts[0] is values and not _is_image(values):
        return _channels_last(values, _values(values, name, uncertainty), name)
    _check_one_grid(parts, name)
    _check_channels(values, parts, name)
    channels = [_values(part, name, uncertainty) for part in parts]
    if len({getattr(channel, "unit", None) is None for channel in channels}) > 1:
        raise ValueError(f"{name} has images with a unit and images without, expected one or the other")
    return np.stack(channels, axis=-1)


def _values(part: Any, name: str, uncertainty: bool) -> Any:
    """Counts, or standard errors, of one container: a quantity where it has a unit; NaN where masked."""
    data, unit = part.data, part.unit
    if uncertainty:
        data, unit = _standard_error(part, name)
    if part.mask is not None and np.any(part.mask):
        data = np.where(part.mask, np.nan, data)
    if unit is None and hasattr(part, "exposure_time"):
        raise ValueError(f"{name} has a map without a unit, expected DN or DN / s; set its meta['bunit']")
    return data if unit is None else _rate(data, unit, part, name)


def _standard_error(part: Any, name: str) -> tuple[Any, Any]:
    from astropy.nddata import StdDevUncertainty

    try:
        error = part.uncertainty.represent_as(StdDevUncertainty)
    except Exception as cause:  # astropy's own errors differ by its version
        kind = type(part.uncertainty).__name__
        raise ValueError(f"{name}: the counts have a {kind}, expected a standard error or a variance") from cause
    return error.array, part.unit if error.unit is None else error.unit


def _rate(data: Any, unit: Any, part: Any, name: str) -> Any:
    """A quantity in counts per second; of counts alone by a map's exposure time."""
    from astropy import units

    if unit.is_equivalent("1 / s"):  # a map over its exposure time, whose file didn't say DN
        unit = unit * units.DN
    exposure = getattr(part, "exposure_time", None)
    if exposure is not None and any(unit.is_equivalent(one + size) for one in CAMERA for size in ("", " / pix")):
        seconds = exposure.to_value("s")
        if not 0 < seconds < np.inf:
            raise ValueError(f"{name} has a map in {unit} with an exposure time of {exposure}, expected more than 0 s")
        data, unit = data / seconds, unit / units.s
    target = next((one for one in COUNTS if unit.is_equivalent(one)), None)
    if target is None:
        given = unit.to_string() or "no unit"
        raise ValueError(f"{name} has a {type(part).__name__} in {given}, expected {COUNTS[0]}")
    if is_lazy(data):  # a quantity would load it
        return data * unit.to(target)
    return units.Quantity(data, unit, dtype=np.float64)


def _channels_last(cube: Any, values: Any, name: str) -> Any:
    """A cube's values with the axis that is neither of place nor of time at the end."""
    kinds = getattr(cube, "array_axis_physical_types", None)
    if kinds is None:  # no WCS: as arrays are
        return values
    free = _free_axes(kinds)
    if len(free) != 1:
        axes = ", ".join("/".join(map(str, types)) for types in kinds)
        raise ValueError(
            f"{name} is an NDCube of axes {axes}; expected one for the channels and others of place or time"
        )
    return np.moveaxis(values, free[0], -1)


def _free_axes(kinds: Any) -> list[int]:
    """The axes that are neither of place nor of time."""
    return [axis for axis, types in enumerate(kinds) if not any("pos." in str(t) or "time" in str(t) for t in types)]


def _is_image(part: Any) -> bool:
    """Whether it is one channel's image, not a slit's or a list's channels."""
    return part.data.ndim == 2 and len(_free_axes(getattr(part, "array_axis_physical_types", None) or ())) != 1


def _check_channels(values: Any, parts: Sequence[Any], name: str) -> None:
    """Refuse maps of a channel twice, or in the order of a sequence that sorted them; warn of an order of one's own.

    A response's columns have no names, so that nothing but the order says which channel is whose.
    """
    channels = [_channel(part) for part in parts]
    if len(parts) < 2 or None in channels:
        return
    lengths = [channel[1] for channel in channels if channel]
    said = ", ".join(f"{length:g}" for length in lengths)
    if len(set(channels)) < len(channels):
        raise ValueError(f"{name} has images of {said} angstrom, expected each channel once")
    if lengths == sorted(lengths):
        return
    if hasattr(values, "maps"):
        raise ValueError(
            f"{name} is a sequence, which sunpy sorts by time: its images are of {said} angstrom; give a list of maps "
            "in the order of tresp's columns"
        )
    warnings.warn(f"{name} has images of {said} angstrom: tresp must have its columns in this order", stacklevel=4)


def _channel(part: Any) -> tuple[Any, float] | None:
    """A map's instrument and wavelength in angstrom, where it has both."""
    wavelength: Any = getattr(part, "wavelength", None)
    instrument = getattr(part, "detector", None)
    if not hasattr(wavelength, "to_value") or not wavelength.unit.is_equivalent("angstrom"):
        return None
    return instrument, round(float(wavelength.to_value("angstrom")), 3)


def _check_one_grid(parts: Sequence[Any], name: str) -> None:
    """Refuse images that show other places than the first in their pixels; warn of ones of another time."""
    first = parts[0]
    for number, part in enumerate(parts[1:], 1):
        if part.data.shape != first.data.shape:
            raise ValueError(f"{name}: image {number} has shape {part.data.shape}, expected that of the first, "
                             f"{first.data.shape}")  # fmt: skip
        apart = _pixels_apart(first, part)
        if apart > OFFSET:
            raise ValueError(f"{name}: image {number} is up to {apart:.1f} pixels aside of the first; reproject it")
        seconds = _seconds_apart(first, part)
        if seconds > TOGETHER:
            warnings.warn(f"{name}: image {number} is {seconds:.0f} s from the first in time", stacklevel=5)


def _pixels_apart(first: Any, other: Any) -> float:
    """How far the corners of one image are from where they are in the first, pixels; 0 where a WCS is missing."""
    if first.wcs is None or other.wcs is None:
        return 0.0
    ny, nx = first.data.shape[-2:]
    corners = np.array([0.0, nx - 1, 0, nx - 1]), np.array([0.0, 0, ny - 1, ny - 1])
    there = first.wcs.low_level_wcs.world_to_pixel_values(*other.wcs.low_level_wcs.pixel_to_world_values(*corners))
    return float(np.nanmax(np.abs(np.subtract(there, corners)), initial=0.0))


def _seconds_apart(first: Any, other: Any) -> float:
    dates: list[Any] = [getattr(part, "date", None) for part in (first, other)]
    return 0.0 if any(date is None for date in dates) else abs((dates[1] - dates[0]).to_value("s"))
