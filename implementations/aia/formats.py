"""DEM maps as FITS, Zarr or ASDF files, with the WCS that sunpy and ndcube read, units, and how they were made.

FITS: one HDU for each output, cubes (T, ny, nx) with the axes HPLN, HPLT, LOGT, for a time series (N, T, ny, nx) with
TIME besides; TBINS and TIMES are tables. Zarr and ASDF: arrays of the same names and shapes, and each array's header.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from implementations.aia.maps import PLANES, DemMaps

OBSERVER = (
    """DATE-OBS DSUN_OBS HGLN_OBS HGLT_OBS CRLN_OBS CRLT_OBS RSUN_REF RSUN_OBS HAEX_OBS HAEY_OBS HAEZ_OBS""".split()
)
"""Keywords that say from where and when the Sun was seen."""


def header_of(maps: DemMaps, name: str) -> Any:
    """The FITS header of one output: WCS of its axes, unit, observer. astropy Header."""
    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # AIA writes dates that WCS puts right
        flat = WCS(maps.header).celestial
        depth = getattr(maps, name).ndim - 3
        wcs = _stacked(flat.wcs, maps, name, depth, len(maps.times) > 1)
        wcs.wcs.dateobs = maps.times[0]
        header = wcs.to_header()
    for key in OBSERVER:
        if key in maps.header and key not in header:
            header[key] = (maps.header[key], maps.header.comments[key][:40])
    header["BUNIT"], header["CONTENT"] = PLANES[name]
    header["ORIGIN"] = "demreg-bench"
    assert isinstance(header, fits.Header)
    return header


def _stacked(flat: Any, maps: DemMaps, name: str, depth: int, series: bool) -> Any:
    """The celestial WCS with an axis for temperature or channel, and one for time, where the array has them."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2 + depth + series)
    matrix = np.eye(wcs.naxis)
    matrix[:2, :2] = flat.get_pc()
    wcs.wcs.pc = matrix
    kind, start, step = [*flat.ctype], [*flat.crval], [*flat.get_cdelt()]
    at, unit = [*flat.crpix], [str(u) for u in flat.cunit]
    if depth:
        first, width = (1.0, 1.0) if name == "dn_reg" else (maps.logt[0], maps.dlogt[0])
        kind, start, step = [*kind, "CHANNEL" if name == "dn_reg" else "LOGT"], [*start, first], [*step, width]
        at, unit = [*at, 1.0], [*unit, ""]
    if series:
        seconds = _seconds(maps)
        kind, start, at, unit = [*kind, "TIME"], [*start, 0.0], [*at, 1.0], [*unit, "s"]
        step = [*step, float(np.diff(seconds).mean())]  # the exact times are in the table TIMES
        wcs.wcs.dateref, wcs.wcs.timesys = maps.times[0], "UTC"
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix, wcs.wcs.cunit = kind, start, step, at, unit
    return wcs


def _seconds(maps: DemMaps) -> Any:
    """Times (N,) since the first."""
    times = np.array(maps.times, dtype="datetime64[ms]")
    return (times - times[0]) / np.timedelta64(1, "s")


def array_of(maps: DemMaps, name: str) -> Any:
    """The array as files hold it: without the time axis where there is a single time."""
    array = getattr(maps, name)
    return array if len(maps.times) > 1 else array[0]


def write_fits(maps: DemMaps, path: Path) -> None:
    """One HDU for each output, bins and times as tables."""
    from astropy.io import fits
    from astropy.table import Table

    hdus: list[Any] = []
    for name in PLANES:
        kind = fits.ImageHDU if hdus else fits.PrimaryHDU
        hdus.append(kind(array_of(maps, name), header_of(maps, name)))
        hdus[-1].name = name.upper()
    for line in maps.history:
        hdus[0].header.add_history(line)
    hdus += [
        fits.BinTableHDU(Table({"logt": maps.logt, "dlogt": maps.dlogt}), name="TBINS"),
        fits.BinTableHDU(Table({"time": list(maps.times)}), name="TIMES"),
    ]
    fits.HDUList(hdus).writeto(path, overwrite=True, checksum=True)


def _facts(maps: DemMaps, name: str) -> dict[str, str]:
    unit, what = PLANES[name]
    return {"unit": unit, "description": what, "header": header_of(maps, name).tostring(sep="\n")}


def write_zarr(maps: DemMaps, path: Path) -> None:
    """A group with an array for each output; its attributes are unit, description and FITS header."""
    import zarr

    group = zarr.open_group(str(path), mode="w")
    for name in PLANES:
        data = array_of(maps, name)
        chunks = (*([1] if len(maps.times) > 1 else []), *(min(256, n) for n in data.shape[-(data.ndim) :]))[
            -data.ndim :
        ]
        array = group.create_array(name, shape=data.shape, dtype=data.dtype, chunks=chunks)
        array[...] = data
        array.attrs.update(_facts(maps, name))
    for name in ("logt", "dlogt"):
        values = getattr(maps, name)
        group.create_array(name, shape=values.shape, dtype=values.dtype)[...] = values
    group.attrs.update({"times": list(maps.times), "history": list(maps.history)})


def write_asdf(maps: DemMaps, path: Path) -> None:
    """A tree with an entry for each output: data, unit, description and FITS header."""
    import asdf

    tree: dict[str, Any] = {
        name: {"data": np.ascontiguousarray(array_of(maps, name)), **_facts(maps, name)} for name in PLANES
    }
    tree |= {"logt": maps.logt, "dlogt": maps.dlogt, "times": list(maps.times), "history_lines": list(maps.history)}
    asdf.AsdfFile(tree).write_to(path)


WRITERS: dict[str, tuple[str, Callable[[DemMaps, Path], None]]] = {
    ".fits": ("astropy", write_fits),
    ".zarr": ("zarr", write_zarr),
    ".asdf": ("asdf", write_asdf),
}
"""Suffix -> the package it needs, and what writes it."""


def writer_of(path: Path) -> Callable[[DemMaps, Path], None]:
    """The writer for a file name. ValueError when its suffix is unknown or its package isn't installed."""
    if path.suffix not in WRITERS:
        raise ValueError(f"{path} must end in one of {', '.join(WRITERS)}")
    package, write = WRITERS[path.suffix]
    if find_spec(package) is None:
        raise ValueError(f"{path} needs {package}: pip install {package}")
    return write
