"""`dn2dem` and `demmap` on dask arrays: nothing is computed, or loaded, until the outputs are.

A block of pixels, as the arrays are chunked, is one task that calls the solver; the outputs of a pixel travel as
one row and are cut apart afterwards, so that computing several outputs together inverts each pixel once. Where the
blocks are computed is up to the scheduler that the arrays are computed with. Imports Dask.
"""

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np

from implementations.contract import Array

Call = Callable[..., tuple[Any, ...]]
"""(dn (..., F), edn (..., F), weights (..., T) or None) -> dem, edem, elogt (..., T), chisq (...), dn_reg (..., F), and
more (...) or (..., n)."""


def is_lazy(*arrays: Any) -> bool:
    """Whether any of them is a dask array."""
    return any(isinstance(array, da.Array) for array in arrays)


def outputs(
    call: Call,
    dn: Any,
    edn: Any,
    norm: Any,
    bins: int,
    more: dict[str, tuple[Any, int | None]],
    dtype: np.dtype[Any],
) -> tuple[Any, ...]:
    """The outputs as dask arrays, chunked over the pixels like `dn` (like `edn` where only that is lazy).

    `norm`: user weights, (T,) or one row of `bins` for every pixel, or None. `more`: the types of the outputs that
    `call` returns beyond the five, and how many numbers a pixel has of each, None for a single one.
    `dtype`: that of the five.
    """
    like = dn if is_lazy(dn) else edn
    if np.shape(dn) != np.shape(edn):
        raise ValueError(f"the errors have shape {np.shape(edn)}, expected that of the counts, {np.shape(dn)}")
    leading, channels = like.chunks[:-1], like.shape[-1]
    given = [_chunked(dn, leading), _chunked(edn, leading)]
    per_pixel = norm is not None and np.ndim(norm) > 1
    if per_pixel:
        given.append(_chunked(norm, leading))
    five = 3 * bins + 1 + channels
    ends = np.cumsum([five, *(count or 1 for _, count in more.values())]).tolist()
    rows = da.map_blocks(
        _row,
        *given,
        call=call,
        norm=None if per_pixel else norm,
        kind=dtype,  # map_blocks keeps `dtype` for itself
        dtype=dtype,
        chunks=(*leading, (ends[-1],)),
        meta=np.empty((0,) * like.ndim, dtype),
    )
    dem, edem, elogt = (rows[..., i * bins : (i + 1) * bins] for i in range(3))
    others = (
        rows[..., first if count is None else slice(first, first + count)].astype(kind)
        for first, (kind, count) in zip(ends, more.values(), strict=False)
    )
    return dem, edem, elogt, rows[..., 3 * bins], rows[..., 3 * bins + 1 : five], *others


def _chunked(array: Any, leading: tuple[tuple[int, ...], ...]) -> Any:
    """As a dask array with those chunks of pixels and all of the last axis in one."""
    lazy = array if is_lazy(array) else da.from_array(np.asarray(array), chunks=(*leading, -1))
    return lazy.rechunk((*leading, (lazy.shape[-1],)))


def _row(
    dn: Array, edn: Array, weights: Array | None = None, *, call: Call, norm: Array | None, kind: np.dtype[Any]
) -> Any:
    """In a task: all outputs of a block, side by side."""
    dem, edem, elogt, chisq, dn_reg, *more = call(dn, edn, norm if weights is None else weights)
    columns = (a if np.ndim(a) == dem.ndim else np.asarray(a)[..., None] for a in (chisq, dn_reg, *more))
    return np.concatenate([dem, edem, elogt, *columns], axis=-1, dtype=kind)
