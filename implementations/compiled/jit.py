"""How kernels are compiled: the steps into one function, and that function kept on disk."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

part = numba.njit(error_model="numpy", forceinline=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""A step of a kernel, inlined, so that arrays are not handed on through memory.

Without Numba's run-time: an allocation in a kernel would not compile, and no reference is counted on the way. And
without what Python would call a step by, whose compilation takes long.
"""


called = numba.njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""A step that is a function of its own: whose loops want all registers, whatever stands around them."""


def entry(function: Callable[..., Any]) -> Any:
    """A kernel for Python to call, without the interpreter's lock; cached on disk where there is a place for it."""
    flags = {"nogil": True, "error_model": "numpy", "_nrt": False}
    try:
        return numba.njit(cache=True, **flags)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return numba.njit(**flags)(function)


def sources(folder: Path = Path(__file__).parent) -> list[Path]:
    """The files that kernels are made of: all of this folder."""
    return sorted(folder.glob("*.py"))


def fingerprint(folder: Path = Path(__file__).parent) -> int:
    """A number for the kernels' sources. To see whether its cache is stale, Numba looks at the entry's file only.

    RuntimeError where there are none: every kernel would then look like every other.
    """
    digest = hashlib.sha256()
    for path in sources(folder):
        digest.update(path.read_bytes())
    if not sources(folder):
        raise RuntimeError(f"no sources of kernels in {folder}: a stale kernel could be taken from the cache")
    return int.from_bytes(digest.digest()[:7])
