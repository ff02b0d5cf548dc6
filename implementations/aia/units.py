"""What a unit says: of BUNIT, counts of an exposure or per second; of a response's column. Needs astropy.

Every spelling that a solar physicist writes is read: `DN`, `DN / (s pix)`, `ct / pixel`, `DN s-1 pix-1`, `1 / s`, ...
"""

import re
import warnings
from typing import Any

import numpy as np

from implementations.contract import Array

WORDS = {
    **dict.fromkeys(("dn", "dns", "ct", "cts", "count", "counts", "adu", "du"), "ct"),
    **dict.fromkeys(("px", "pix", "pixel", "pixels"), "pix"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
}
"""Spellings -> units of astropy's. The camera's counts have one unit here, whatever they are called."""
KINDS = {"ct": False, "ct / pix": False, "ct / s": True, "ct / (s pix)": True, "1 / s": True, "1 / (s pix)": True}
"""What a BUNIT may be equivalent to, and whether it is a rate."""


def of_counts(text: str) -> tuple[float, bool]:
    """The factor that takes values in a unit to DN (per pixel), or to DN s-1; and whether it is the latter.

    "" is DN, as AIA's own files have it. ValueError when the unit is neither.
    """
    if not text.strip():
        return 1.0, False
    unit = _unit(text)
    for base, rate in KINDS.items():
        if unit.is_equivalent(base):
            return float(unit.to(base)), rate
    raise ValueError(f"{text!r} is neither counts nor counts per time")


def response(column: Any) -> Array:
    """A response's column in DN cm5 s-1 px-1, as which it is taken without a unit. ValueError for another unit."""
    unit = getattr(column, "unit", None)
    if unit is None:
        return np.asarray(column)
    for base in ("ct cm5 / (s pix)", "ct cm5 / s", "cm5 / (s pix)", "cm5 / s"):
        if _unit(str(unit)).is_equivalent(base):
            return np.asarray(column.value) * _unit(str(unit)).to(base)
    raise ValueError(f"{unit} is no unit of a response, expected DN cm5 / (s pix)")


def _unit(text: str) -> Any:
    from astropy import units as u

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)  # of two slashes, as in DN/s/pix
        return u.Unit(re.sub(r"[A-Za-z]+", lambda word: WORDS.get(word[0].lower(), word[0]), text))
