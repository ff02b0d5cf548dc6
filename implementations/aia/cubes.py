"""Planes of written DEM maps as NDCubes: world values on every axis, unit, errors, a mask of what wasn't inverted.

Needs ndcube. The files' own headers are plain FITS, which has no name for what a temperature axis is, and one step
for all times of a series; ndcube wants a name of every axis. `register` gives astropy the names, and the cubes here
have the exact times.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from implementations.contract import Status

KINDS = {
    "LOGT": "custom:phys.temperature.log",
    "CHANNEL": "custom:instr.channel",
    "BAND": "custom:phys.temperature.band",
}
"""Axes of FITS headers -> what they physically are, as IVOA's UCDs say it."""
ERRORS = {"dem": "edem"}


def cube(path: str | Path, name: str = "dem") -> Any:
    """One output of a file that `implementations.invert` wrote (.fits, .zarr or .asdf), as an NDCube.

    Axes (T, ny, nx), with the time before them for a series; `extra_coords` has the temperature in K; `meta`
    what else the header says, and for each time, sliced with the cube, "times" and as "pointing" the WCS keywords.
    ValueError when there is no such output.
    """
    from astropy import units
    from astropy.nddata import StdDevUncertainty
    from ndcube import NDCube
    from ndcube.meta import NDMeta

    register()
    planes, (times, pointing) = _planes(Path(path))
    if name not in planes:
        raise ValueError(f"{path} has no {name}, expected one of {', '.join(sorted(planes))}")
    values, header = planes[name]()
    status, _ = planes["status"]()
    depth, series = len(_axes(header)), "TIME" in header["CTYPE*"].values()
    invalid = np.expand_dims(status == Status.INVALID, tuple(range(series, series + depth)))
    error = StdDevUncertainty(planes[ERRORS[name]]()[0]) if name in ERRORS else None
    columns = {name: np.array(values) for name, values in pointing.items()}
    where = np.rec.fromarrays([*columns.values()], dtype=[(name, column.dtype) for name, column in columns.items()])
    meta = {**header, "times": np.array(times), "pointing": where}
    made = NDCube(
        values,
        wcs=_wcs(header, times, series),
        unit=units.Unit(header["BUNIT"]),
        uncertainty=error,
        mask=np.broadcast_to(invalid, values.shape),
        meta=NDMeta(meta, axes={"times": 0, "pointing": 0}) if series else meta,
    )
    if "LOGT" in _axes(header):
        first, step = header["CRVAL3"], header["CDELT3"]
        kelvin = 10 ** (first + step * np.arange(values.shape[int(series)])) * units.K
        made.extra_coords.add("temperature", int(series), kelvin, physical_types="custom:phys.temperature")
    return made


@functools.cache
def register() -> None:
    """Tell astropy what the axes of DEM maps are: from here on an NDCube with the WCS of a file's header knows, too."""
    from astropy.wcs.wcsapi.fitswcs import custom_ctype_to_ucd_mapping

    custom_ctype_to_ucd_mapping(KINDS)


def _axes(header: Any) -> list[str]:
    """The axes that are neither of place nor of time."""
    return [kind for kind in header["CTYPE*"].values() if kind in KINDS]


def _wcs(header: Any, times: Any, series: bool) -> Any:
    """The header's WCS; of a series with its times as they were, where the header has one step for all."""
    from astropy.time import Time
    from astropy.wcs import WCS

    wcs = WCS(header)
    if not series:
        return wcs
    from ndcube.extra_coords.table_coord import TimeTableCoordinate
    from ndcube.wcs.wrappers import CompoundLowLevelWCS

    moments = TimeTableCoordinate(Time(list(times), scale="utc"), names="time", physical_types="time")
    return CompoundLowLevelWCS(wcs.sub(wcs.naxis - 1), moments.wcs)


Found = tuple[dict[str, Any], tuple[Any, dict[str, list[Any]]]]
"""Name -> what gives the array and its header; the times, and the keywords of the pointing at each."""


def _planes(path: Path) -> Found:
    readers = {".fits": _of_fits, ".zarr": _of_zarr, ".asdf": _of_asdf}
    if path.suffix not in readers:
        raise ValueError(f"{path} must end in one of {', '.join(readers)}")
    if not path.exists():
        raise ValueError(f"{path} isn't there")
    return readers[path.suffix](path)


def _header(text: str) -> Any:
    from astropy.io import fits

    return fits.Header.fromstring(text, sep="\n")


def _of_fits(path: Path) -> Found:
    from astropy.io import fits

    def reader(index: int) -> Any:
        with fits.open(path, memmap=False) as file:
            return file[index].data, file[index].header

    with fits.open(path) as file:
        found = {hdu.name.lower(): index for index, hdu in enumerate(file) if hdu.is_image}
        table = {name: file["TIMES"].data[name].tolist() for name in file["TIMES"].data.names}
    return {name: lambda index=index: reader(index) for name, index in found.items()}, (table.pop("time"), table)


def _of_zarr(path: Path) -> Found:
    import zarr

    group = zarr.open_group(str(path), mode="r")
    found = {name: array for name, array in group.arrays() if "header" in array.attrs}
    planes = {name: lambda array=array: (array[...], _header(array.attrs["header"])) for name, array in found.items()}
    return planes, (group.attrs["times"], group.attrs["pointing"])


def _of_asdf(path: Path) -> Found:
    import asdf

    def reader(name: str) -> Any:
        with asdf.open(path) as tree:
            return np.array(tree[name]["data"]), _header(tree[name]["header"])

    with asdf.open(path) as tree:
        found = [name for name, entry in tree.tree.items() if isinstance(entry, dict) and "header" in entry]
        said = list(tree["times"]), {name: list(values) for name, values in tree["pointing"].items()}
    return {name: lambda name=name: reader(name) for name in found}, said
