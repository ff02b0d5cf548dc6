"""A function compiled with every flag that promises speed, beside the same one compiled plainly."""

import types
from collections.abc import Callable
from typing import Any

import numba


def with_every_flag(function: Callable[..., Any]) -> Any:
    """Compile with parallel=True and fastmath=True, and keep that on disk under a name of its own.

    Numba's cache tells functions apart by file, line and name, not by flags: under the same name, whichever was
    compiled first would be taken for both.

    Parameters
    ----------
    function
        Of `prange` loops; plainly compiled these are `range`.

    Returns
    -------
    Dispatcher
        Takes what the function takes.
    """
    code: types.CodeType = function.__code__
    twin = types.FunctionType(code, function.__globals__, f"{function.__name__}_with_every_flag")
    twin.__qualname__ = twin.__name__
    return numba.njit(cache=True, parallel=True, fastmath=True)(twin)
