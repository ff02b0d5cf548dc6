"""Temperature responses from files: IDL save, NumPy's npz, csv, ECSV; of AIA's channels, or of another instrument's.

logt (N,), log10 K; response (N, F), DN cm5 s-1 px-1; a name for each channel.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from implementations.contract import Array

LOGT, TRESP, CHANNELS = "logt", "tresp", "channels"
EXPECTED = {
    ".npz": f"arrays {LOGT} (N,), log10 K, {TRESP} (N, F), DN cm5 s-1 px-1, and {CHANNELS} (F,), their names",
    ".csv": f"a first line of names, {LOGT} among them, then for each temperature log10 K and the channels' "
    "DN cm5 s-1 px-1",
    ".ecsv": f"a column {LOGT}, log10 K, and one for each channel, DN cm5 s-1 px-1, or with its unit",
}
SAVED = "an IDL save file with logt, tr and channels, as demregpy ships it"


class Response(NamedTuple):
    """A table: logt (N,), values (N, F), the channels' names."""

    logt: Array
    values: Array
    names: tuple[str, ...]

    def of(self, channels: Sequence[Any], path: Path) -> Array:
        """The columns (N, F) of these channels, found by name: 94 is also A94, 94A, AIA_94. ValueError without one."""
        columns = []
        for channel in channels:
            found = [i for i, name in enumerate(self.names) if _is(name, str(channel))]
            if len(found) != 1:
                what = "no channel" if not found else "more than one channel"
                raise ValueError(f"{path} has {what} {channel}: its channels are {', '.join(self.names)}")
            columns.append(self.values[:, found[0]])
        return np.stack(columns, axis=1)


def _is(name: str, channel: str) -> bool:
    """Whether a column's name is a channel's: the same, or with the same number as its last and letters about it."""
    return name == channel or (channel.isdigit() and re.findall(r"\d+", name)[-1:] == [channel])


def read(path: Path) -> Response:
    """The response of a file. ValueError, saying what is expected, when it is none."""
    readers = {".npz": _npz, ".csv": _csv, ".ecsv": _ecsv}
    suffix = path.suffix.lower()
    expected = EXPECTED.get(suffix, SAVED)
    try:
        logt, values, names = readers.get(suffix, _saved)(path)
        table = Response(np.asarray(logt, np.float64), np.asarray(values, np.float64), tuple(map(str, names)))
    except FileNotFoundError:
        raise ValueError(f"{path} isn't there: expected a response, {expected}") from None
    except Exception as error:  # readers raise whatever the bytes make them stumble over
        raise ValueError(f"{path} is not a temperature response ({_said(error)}): expected {expected}") from error
    if table.logt.ndim != 1 or table.values.shape != (len(table.logt), len(table.names)):
        shapes = f"{LOGT} {table.logt.shape}, {TRESP} {table.values.shape}, {len(table.names)} names"
        raise ValueError(f"{path} has {shapes}: expected {expected}")
    return table


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:100]


def _npz(path: Path) -> tuple[Any, Any, Any]:
    with np.load(path) as file:
        lacking = [name for name in (LOGT, TRESP, CHANNELS) if name not in file]
        if lacking:
            raise ValueError(f"no {', '.join(lacking)}; it has {', '.join(file.files)}")
        return file[LOGT], file[TRESP], file[CHANNELS]


def _csv(path: Path) -> tuple[Any, Any, Any]:
    with path.open() as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    names = [name.strip() for name in lines[0].split(",")]
    at = names.index(LOGT)
    values = np.array([[float(word) for word in line.split(",")] for line in lines[1:]])
    return values[:, at], np.delete(values, at, axis=1), names[:at] + names[at + 1 :]


def _ecsv(path: Path) -> tuple[Any, Any, Any]:
    from astropy.table import QTable

    from implementations.aia import units

    table = QTable.read(path, format="ascii.ecsv")
    names = [name for name in table.colnames if name != LOGT]
    values = [units.response(table[name]) for name in names]
    return np.asarray(table[LOGT]), np.stack(values, axis=1), names


def _saved(path: Path) -> tuple[Any, Any, Any]:
    from scipy.io import readsav

    with path.open("rb") as file:
        if file.read(2) != b"SR":  # readsav would leave it open
            raise ValueError("no IDL save file")
    table = readsav(path)
    names = [name.decode() for name in table["channels"]]
    logt = np.asarray(table["logt"], dtype=np.float64).round(6)  # single precision in the table
    return logt, np.stack([*table["tr"]], axis=1).astype(np.float64), names
