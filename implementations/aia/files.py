"""Where response tables and real images are: in an installed demregpy, else in the cache that `make data` fills.

demregpy 1.0.0 (MIT) ships six full-disc images, 60 flare cutouts and three response tables; older versions the tables
only. Nothing of the package is imported.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from implementations import places

CHANNELS = (94, 131, 171, 193, 211, 335)
"""Wavelengths of the six channels, angstrom, in the order of every array here."""
PACKAGE, VERSION = "demregpy", "1.0.0"
CACHE_VARIABLE = "DEMREG_BENCH_DATA"
"""Environment variable that names another folder than that of `cache`."""
RESPONSE = "aia_tresp_en.dat"
"""The table that the workloads and `implementations.invert` use: effective areas fitted to EVE, coronal abundances."""
DISC_SET = "aia/aia_synoptic_2014-01-01T00-00-00"
FLARE_TIMES = "01-44 01-46 01-48 01-50 01-52 01-54 01-56 01-58 02-00 02-02".split()
FLARE_SETS = tuple(f"aia_flare/aia_flare_2011-02-15T{time}" for time in FLARE_TIMES)


class MissingError(ValueError):
    """A file is neither in an installed package nor in the cache; the message says what to do."""


def cache() -> Path:
    """The folder that `make data` fills."""
    return Path(os.environ.get(CACHE_VARIABLE) or places.cache() / f"{PACKAGE}-{VERSION}")


def _folders() -> list[Path]:
    """The installed package's folder, if there is one, then the cache's copy of it."""
    spec = find_spec(PACKAGE)
    installed = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    return [*installed, cache() / PACKAGE]


def find(pattern: str) -> list[Path]:
    """Files that match a name pattern, from the first place that has any. MissingError when none has."""
    for folder in _folders():
        found = sorted(folder.glob(f"**/{pattern}"))
        if found:
            return found
    raise MissingError(f"needs {pattern} of {PACKAGE} {VERSION}, which isn't here: {places.command('data')} fetches it")


def response_file() -> Path:
    """The response table."""
    return find(RESPONSE)[0]


def image_set(name: str) -> list[Path]:
    """The six images whose names begin so, in the order of `CHANNELS`; the channels' times differ by seconds."""
    return [find(f"{name}*_{channel:03d}.fits")[0] for channel in CHANNELS]
