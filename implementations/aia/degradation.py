"""How much of its sensitivity a channel of AIA had left at a time, from a table of JSOC's series aia.response.

Columns WAVE_STR, T_START, T_STOP, EFF_AREA, EFFA_P1, EFFA_P2, EFFA_P3 and, with several versions, VER_NUM: as SolarSoft
and aiapy have it, in any text format that astropy reads. A response at launch, which this project's table is, holds for
counts divided by this share; Boerner et al. 2014 (Solar Phys. 289, 2377).
"""

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from implementations.aia.files import CHANNELS
from implementations.contract import Array

OWN = Path(__file__).with_name("degradation_v8.txt")
"""Version 8, where no other table is given."""
OWN_UNTIL = np.datetime64("2017-12-10")
COLUMNS = "WAVE_STR T_START T_STOP EFF_AREA EFFA_P1 EFFA_P2 EFFA_P3".split()


class Degradation:
    """A table, read. ValueError when the file is none."""

    def __init__(self, path: Path = OWN):
        self.path = path
        rows = _rows(path)
        if rows and "VER_NUM" in rows[0]:
            newest = max(int(row["VER_NUM"]) for row in rows)
            rows = [row for row in rows if int(row["VER_NUM"]) == newest]
        try:
            self.epochs = {channel: _epochs(rows, channel) for channel in CHANNELS}
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path} is not a table of AIA's degradation: expected columns {', '.join(COLUMNS)} as in JSOC's "
                f"aia.response, with rows like 171_THIN for all of {', '.join(map(str, CHANNELS))}"
            ) from error

    def sensitivity(self, time: str) -> Array:
        """What the channels have left (6,), as a share of that at launch. ValueError for a time before."""
        at = np.datetime64(time, "ms")
        return np.array([self._share(channel, at) for channel in CHANNELS])

    def _share(self, channel: int, at: np.datetime64) -> float:
        epochs = self.epochs[channel]
        for start, stop, area, *terms in epochs:
            if start <= at < stop:
                days = float((at - start) / np.timedelta64(1, "D"))
                return area / epochs[0][2] * (1 + sum(term * days ** (n + 1) for n, term in enumerate(terms)))
        raise ValueError(f"{self.path} has no sensitivity of {channel} at {at}")

    def said(self, time: str) -> str:
        """The shares at a time, for people."""
        shares = zip(CHANNELS, self.sensitivity(time), strict=True)
        extrapolated = ", extrapolated" if self.path == OWN and np.datetime64(time, "ms") > OWN_UNTIL else ""
        left = ", ".join(f"{channel} {share:.2f}" for channel, share in shares)
        return f"sensitivity left by {time[:10]}: {left} ({self.path.stem}{extrapolated})"


def _rows(path: Path) -> list[dict[str, Any]]:
    """The table's rows, by the names of its columns."""
    if path == OWN:  # plain enough, and astropy.table takes half a second to import
        lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
        return list(csv.DictReader(lines, delimiter=" "))
    from astropy.io import ascii as text
    from astropy.io.ascii import InconsistentTableError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of leap seconds until 2030, where the last epochs end
            table = text.read(str(path))
            return [{name: str(row[name]) for name in table.colnames} for row in table]
    except (OSError, InconsistentTableError, ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read as a table: {' '.join(str(error).split())[:120]}") from error


def _epochs(rows: list[dict[str, Any]], channel: int) -> list[Any]:
    """(start, stop, area, p1, p2, p3) of a channel, sorted by time."""
    found = [row for row in rows if str(row["WAVE_STR"]).split("_")[0] == str(channel)]
    epochs = [
        (
            *(np.datetime64(str(row[key]).removesuffix("Z"), "ms") for key in ("T_START", "T_STOP")),
            *(float(row[key]) for key in COLUMNS[3:]),
        )
        for row in found
    ]
    if not epochs:
        raise ValueError(f"no rows of {channel}")
    return sorted(epochs)
