"""The library that an array is of, by the names of the array API standard.

array-api-compat says it. Where that is missing, an array that knows its namespace (those of NumPy 2 and of the strict
library) says so itself, and another library (CuPy) is given those names that the maths uses and that it may lack.
"""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

try:
    from array_api_compat import array_namespace
except ImportError:

    def array_namespace(*arrays: Any) -> Any:
        """The library of the first array."""
        first = arrays[0]
        if isinstance(first, np.generic):
            return np
        if hasattr(first, "__array_namespace__"):
            return first.__array_namespace__()
        return Standard(import_module(type(first).__module__.partition(".")[0]))


class Standard:
    """A library with NumPy 1's names, as CuPy has them, under the standard's too where it lacks those."""

    def __init__(self, library: Any):
        self._library = library
        self.linalg = SimpleNamespace(svd=library.linalg.svd, vector_norm=library.linalg.norm, pinv=self._pinv)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def permute_dims(self, array: Any, axes: tuple[int, ...]) -> Any:
        """Dimensions in another order."""
        return self._library.transpose(array, axes)

    def concat(self, arrays: Any, axis: int = 0) -> Any:
        """Arrays one after another."""
        return self._library.concatenate(arrays, axis=axis)

    def astype(self, array: Any, dtype: Any, copy: bool = True) -> Any:
        """An array as another type."""
        return array.astype(dtype, copy=copy)

    def _pinv(self, array: Any, rtol: float) -> Any:
        return self._library.linalg.pinv(array, rcond=rtol)


__all__ = ["array_namespace"]
