"""DEM maps as FITS, Zarr or ASDF files, with the WCS that sunpy and ndcube read, units, and how they were made.

FITS: one HDU for each output, cubes (T, ny, nx) with the axes HPLN, HPLT, LOGT, for a time series (N, T, ny, nx) with
TIME besides; TBINS and TIMES are tables. Zarr and ASDF: arrays of the same names and shapes, and each array's header.
The header of a series is that of its first time; where each time's images were is in TIMES, and among the attributes.

Strips are written as they come, beside the file's name; the file has its name when it is whole. `read` opens one.
"""

import errno
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.aia.maps import PLANES, DemMaps, Description, Planes, strip_rows
from implementations.aia.stream import WriteBehind

OBSERVER = (
    """DATE-OBS DSUN_OBS HGLN_OBS HGLT_OBS CRLN_OBS CRLT_OBS RSUN_REF RSUN_OBS HAEX_OBS HAEY_OBS HAEZ_OBS""".split()
)
"""Keywords that say from where and when the Sun was seen."""
POINTING = (
    "CTYPE1 CTYPE2 CUNIT1 CUNIT2 CRPIX1 CRPIX2 CRVAL1 CRVAL2 CDELT1 CDELT2 CROTA2 PC1_1 PC1_2 PC2_1 PC2_2".split()
    + OBSERVER
)
"""Keywords that say where an image's pixels are; kept for each time."""
BINS = ("logt", "dlogt", "response", "bands")
"""What is said of temperatures besides the planes."""
BLOCK = 2880
"""Bytes that all parts of a FITS file are multiples of."""


NUMBERED = {"dn_reg": ("CHANNEL", 1.0, 1.0), "em_bands": ("BAND", 1.0, 1.0)}
"""Planes of another axis than temperature: its name, first value and step."""


def header_of(maps: Description, name: str) -> Any:
    """The FITS header of one output: WCS of its axes, unit, observer. astropy Header."""
    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # AIA writes dates that WCS puts right
        flat = WCS(maps.header).celestial
        depth = len(maps.depth(name))
        wcs = _stacked(flat.wcs, maps, name, depth, len(maps.times) > 1)
        wcs.wcs.dateobs, wcs.wcs.mjdobs = maps.times[0], _mjd(maps.times[0])
        header = wcs.to_header()
    for key in OBSERVER:
        if key in maps.header and key not in header:
            header[key] = (maps.header[key], maps.header.comments[key][:40])
    header["BUNIT"], header["CONTENT"] = PLANES[name]
    header["ORIGIN"] = "demreg-bench"
    assert isinstance(header, fits.Header)
    return header


def _stacked(flat: Any, maps: Description, name: str, depth: int, series: bool) -> Any:
    """The celestial WCS with an axis for temperature or channel, and one for time, where the array has them."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2 + depth + series)
    matrix = np.eye(wcs.naxis)
    matrix[:2, :2] = flat.get_pc()
    wcs.wcs.pc = matrix
    kind, start, step = [*flat.ctype], [*flat.crval], [*flat.get_cdelt()]
    at, unit = [*flat.crpix], [str(u) for u in flat.cunit]
    if depth:
        axis, first, width = NUMBERED.get(name, ("LOGT", maps.logt[0], maps.dlogt[0]))
        kind, start, step = [*kind, axis], [*start, first], [*step, width]
        at, unit = [*at, 1.0], [*unit, ""]
    if series:
        seconds = _seconds(maps)
        kind, start, at, unit = [*kind, "TIME"], [*start, 0.0], [*at, 1.0], [*unit, "s"]
        step = [*step, float(np.diff(seconds).mean())]  # the exact times are in the table TIMES
        apart = np.abs(seconds - step[-1] * np.arange(len(seconds))).max()
        wcs.wcs.crder = [*[np.nan] * (wcs.naxis - 1), float(apart)]  # how far they are from these
        wcs.wcs.dateref, wcs.wcs.mjdref, wcs.wcs.timesys = maps.times[0], divmod(_mjd(maps.times[0]), 1), "UTC"
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix, wcs.wcs.cunit = kind, start, step, at, unit
    return wcs


def _mjd(time: str) -> float:
    """A time as days since FITS's own first one, in which astropy counts."""
    return float((np.datetime64(time, "ms") - np.datetime64("1858-11-17", "ms")) / np.timedelta64(1, "D"))


def _seconds(maps: Description) -> Any:
    """Times (N,) since the first."""
    times = np.array(maps.times, dtype="datetime64[ms]")
    return (times - times[0]) / np.timedelta64(1, "s")


def pointed(header: Any) -> Any:
    """What `pointing` takes of a header, as one that is small."""
    from astropy.io import fits

    return fits.Header([(key, header[key]) for key in POINTING if key in header])


def pointing(maps: Description) -> dict[str, list[Any]]:
    """Where the images of each time were, and from where they were seen: FITS keywords, each with N values."""
    keys = [key for key in POINTING if all(key in header for header in maps.headers)]
    return {key: [header[key] for header in maps.headers] for key in keys}


def _headers(table: dict[str, list[Any]]) -> tuple[Any, ...]:
    """The headers that `pointing` was made from, as far as it goes."""
    from astropy.io import fits

    return tuple(fits.Header(list(zip(table, row, strict=True))) for row in zip(*table.values(), strict=True))


def _facts(maps: Description, name: str) -> dict[str, str]:
    unit, what = PLANES[name]
    return {"unit": unit, "description": what, "header": header_of(maps, name).tostring(sep="\n")}


class Fits:
    """One HDU for each output, bins and times as tables."""

    order = ">"

    def __init__(self, maps: Description, path: Path):
        from astropy.io import fits

        self.maps, self.path = maps, path
        self.partial = path.with_name(f"{path.name}.partial")
        hdus = fits.HDUList()
        for name in PLANES:
            kind = fits.ImageHDU if hdus else fits.PrimaryHDU
            shape = maps.array_shape(name)
            hdus.append(kind(np.broadcast_to(np.zeros((), _dtype(name, ">")), shape), header_of(maps, name)))
            hdus[-1].name = name.upper()
        for line in maps.history:
            hdus[0].header.add_history(line)
        hdus.update_extend()
        self.offsets: dict[str, int] = {}
        with self.partial.open("wb") as file:
            for name, hdu in zip(PLANES, hdus, strict=True):
                file.write(hdu.header.tostring().encode("ascii"))
                self.offsets[name] = file.tell()
                size = int(np.prod(maps.array_shape(name))) * _dtype(name, ">").itemsize
                file.seek(-(-size // BLOCK) * BLOCK, os.SEEK_CUR)
            file.truncate()
        self.file, self.behind = self.partial.open("r+b", buffering=0), WriteBehind()

    def write(self, number: int, rows: slice, planes: Planes) -> None:
        """Write each plane's rows where they belong."""
        ny, nx = self.maps.shape
        for name, plane in planes.items():
            for depth, values in enumerate(plane):
                row = (number * len(plane) + depth) * ny + rows.start
                place = self.offsets[name] + row * nx * values.itemsize
                _whole(os.pwrite(self.file.fileno(), values, place), values, self.path)
                self.behind.wrote(self.partial, place, values.nbytes)

    def close(self) -> None:
        """Write the tables; the file is whole."""
        from astropy.io import fits
        from astropy.table import Table

        self.file.close()
        for name, columns in (
            ("TBINS", {name: getattr(self.maps, name) for name in ("logt", "dlogt", "response")}),
            ("BANDS", dict(zip(("low", "high"), np.transpose(self.maps.bands), strict=True))),
            ("TIMES", {"time": list(self.maps.times), **pointing(self.maps)}),
        ):
            table = fits.BinTableHDU(Table(columns), name=name)
            fits.append(self.partial, table.data, table.header, checksum=True)
        self.partial.replace(self.path)

    def abandon(self) -> None:
        """Leave nothing."""
        self.file.close()
        self.partial.unlink(missing_ok=True)


class Zarr:
    """A group with an array for each output, a chunk for each strip; attributes are unit, description, FITS header."""

    order = "<"

    def __init__(self, maps: Description, path: Path):
        import zarr

        self.maps, self.path = maps, path
        self.partial = path.with_name(f"{path.name}.partial")
        self.group, self.behind = zarr.open_group(str(self.partial), mode="w"), WriteBehind()
        rows, nx = strip_rows(*maps.shape), maps.shape[1]
        self.arrays = {}
        for name in PLANES:
            shape = maps.array_shape(name)
            self.arrays[name] = self.group.create_array(
                name,
                shape=shape,
                dtype=_dtype(name, "<"),
                chunks=(*([1] if len(maps.times) > 1 else []), *maps.depth(name), rows, nx),
                compressors=None,  # noise doesn't shrink, and takes as long to try as to invert
                attributes=_facts(maps, name),
            )
        for name in BINS:
            self.group.create_array(name, data=np.array(getattr(maps, name)))
        self.group.attrs.update({"times": list(maps.times), "history": list(maps.history), "pointing": pointing(maps)})

    def write(self, number: int, rows: slice, planes: Planes) -> None:
        """Write each plane's chunk: its bytes as they are, since nothing compresses them.

        By zarr itself this takes four times as long, a fifth of the inversion, most of it in copies.
        """
        series = [number] if len(self.maps.times) > 1 else []
        strip, nx = strip_rows(*self.maps.shape), self.maps.shape[1]
        for name, array in self.arrays.items():
            index = (*series, *(0 for _ in self.maps.depth(name)), rows.start // strip, 0)
            place = self.partial / name / array.metadata.encode_chunk_key(index)
            place.parent.mkdir(parents=True, exist_ok=True)
            plane = planes[name]
            if plane.shape[1] < strip * nx:  # the last chunk is as large as the others
                plane = np.pad(plane, ((0, 0), (0, strip * nx - plane.shape[1])))
            with place.open("wb", buffering=0) as file:
                for values in plane:
                    _whole(file.write(values), values, self.path)
            self.behind.wrote(place, 0, plane.nbytes)

    def close(self) -> None:
        """The store is whole."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.partial.rename(self.path)

    def abandon(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.partial, ignore_errors=True)


class Asdf:
    """A tree with an entry for each output: data, unit, description and FITS header.

    ASDF is written in one go, from arrays that lie on disk beside it until then.
    """

    order = "<"

    def __init__(self, maps: Description, path: Path):
        self.maps, self.path = maps, path
        self.folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.partial-")
        shape = {name: (len(maps.times), *maps.depth(name), *maps.shape) for name in PLANES}
        self.arrays = {
            name: np.memmap(Path(self.folder.name, name), _dtype(name, "<"), "w+", shape=shape[name]) for name in PLANES
        }

    def write(self, number: int, rows: slice, planes: Planes) -> None:
        """Put each plane's rows where they belong."""
        for name, array in self.arrays.items():
            array[number][..., rows, :] = planes[name].reshape(*self.maps.depth(name), -1, self.maps.shape[1])

    def close(self) -> None:
        """Write the file."""
        import asdf

        maps, tree = self.maps, dict[str, Any]()
        for name, array in self.arrays.items():
            tree[name] = {"data": np.asarray(array).reshape(maps.array_shape(name)), **_facts(maps, name)}
        tree |= {name: np.array(getattr(maps, name)) for name in BINS}
        tree |= {"times": list(maps.times), "history_lines": list(maps.history)}
        partial = Path(self.folder.name, "whole")
        asdf.AsdfFile({**tree, "pointing": pointing(maps)}).write_to(partial)
        partial.replace(self.path)
        self.abandon()

    def abandon(self) -> None:
        """Leave nothing."""
        self.arrays.clear()
        self.folder.cleanup()


def _whole(written: int | None, values: NDArray[Any], path: Path) -> None:
    """OSError unless all of it was written."""
    if written != values.nbytes:
        raise OSError(errno.ENOSPC, f"{path} can't be written: the disk is full")


def _dtype(name: str, order: str) -> np.dtype[Any]:
    """FITS has no signed bytes."""
    if name == "status":
        return np.dtype("u1" if order == Fits.order else "i1")
    return np.dtype(f"{order}f4")


Writer = Fits | Zarr | Asdf
WRITERS: dict[str, tuple[str, type[Writer]]] = {
    ".fits": ("astropy", Fits),
    ".zarr": ("zarr", Zarr),
    ".asdf": ("asdf", Asdf),
}
"""Suffix -> the package it needs, and what writes it."""


def writer_of(path: Path) -> type[Writer]:
    """The writer for a file name. ValueError when its ending is unknown, its package or its folder isn't there."""
    if path.suffix not in WRITERS:
        raise ValueError(f"{path} must end in one of {', '.join(WRITERS)}")
    package, write = WRITERS[path.suffix]
    if find_spec(package) is None:
        raise ValueError(f"{path} needs {package}: pip install {package}")
    check_folder(path)
    return write


def check_folder(path: Path) -> None:
    """ValueError unless a file can be made there."""
    if not path.parent.is_dir():
        raise ValueError(f"{path} can't be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{path} can't be written: the folder {path.parent} is not yours to write to")


def check_room(maps: Description, path: Path) -> None:
    """ValueError unless the disk has room for the maps."""
    sizes = (int(np.prod(maps.array_shape(name))) * _dtype(name, "<").itemsize for name in PLANES)
    needed = sum(sizes) * (2 if path.suffix == ".asdf" else 1)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ValueError(f"{path} needs {needed / 1e9:.1f} GB, its disk has {free / 1e9:.1f} free")


@contextmanager
def writing(maps: Description, path: Path) -> Iterator[Writer]:
    """A writer; after the block its file is whole, or isn't there if the block failed. ValueError as `check_room`."""
    check_room(maps, path)
    writer = writer_of(path)(maps, path)
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def read(path: Path, number: int = 0) -> DemMaps:
    """The maps of one time of a file, as arrays (1, ...). ValueError when the file's name has no known ending."""
    readers = {".fits": _read_fits, ".zarr": _read_zarr, ".asdf": _read_asdf}
    if path.suffix not in readers:
        raise ValueError(f"{path} must end in one of {', '.join(readers)}")
    return readers[path.suffix](path, number)


def _one(
    path: Path, number: int, times: Any, table: dict[str, list[Any]], history: Any, arrays: dict[str, Any], bins: Any
) -> DemMaps:
    """The maps of one time, out of a file's parts."""
    if not 0 <= number < len(times):
        raise ValueError(f"{path} has times 0 to {len(times) - 1}, not {number}")
    planes: Any = {name: array[number] if len(times) > 1 else array[...] for name, array in arrays.items()}
    fields: Any = {name: np.array(bins[name], np.float64) for name in ("logt", "dlogt", "response")}
    return DemMaps(
        **{name: np.asarray(plane)[None] for name, plane in planes.items()},
        shape=planes["chisq"].shape,
        **fields,
        bands=tuple((float(low), float(high)) for low, high in bins["bands"]),
        headers=(_headers(table)[number],),
        times=(str(times[number]),),
        history=tuple(map(str, history)),
    )


def _read_fits(path: Path, number: int) -> DemMaps:
    from astropy.io import fits

    with fits.open(path, memmap=True) as file:
        bins, times = file["TBINS"].data, file["TIMES"].data
        table = {key: times[key].tolist() for key in times.names if key != "time"}
        arrays = {name: file[name.upper()].data for name in PLANES}
        history = file[0].header.get("HISTORY", [])
        made = {name: bins[name] for name in ("logt", "dlogt", "response")} | {"bands": file["BANDS"].data}
        return _one(path, number, times["time"], table, history, arrays, made)


def _read_zarr(path: Path, number: int) -> DemMaps:
    import zarr

    group = zarr.open_group(str(path), mode="r")
    arrays, said = {name: group[name] for name in PLANES}, dict(group.attrs)
    bins = {name: group[name][...] for name in BINS}
    return _one(path, number, said["times"], said["pointing"], said["history"], arrays, bins)


def _read_asdf(path: Path, number: int) -> DemMaps:
    import asdf

    with asdf.open(path) as tree:
        arrays = {name: tree[name]["data"] for name in PLANES}
        times, table, history = (tree[key] for key in ("times", "pointing", "history_lines"))
        maps = _one(path, number, times, table, history, arrays, {name: tree[name] for name in BINS})
        return replace(maps, **{name: getattr(maps, name).copy() for name in PLANES})
