"""Checks what users hand to `dn2dem` and `demmap`: each error names the argument, what was given and what is expected.

What solvers can rely on is checked by the contract's `Options` and `Problem`, in the same manner; here stands what is
the calls' own: shapes of the counts, the user's weights, the response table and the temperature edges. Dask arrays
are known by their shapes; their values are checked when they are computed.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implementations.contract import Array, Options, Problem, as_problem


def is_lazy(*arrays: Any) -> bool:
    """Whether one is a dask array; Dask is not imported to find out."""
    return any(type(array).__module__.startswith("dask.array") for array in arrays)


def as_array(values: Any) -> Any:
    """Dask arrays as they are, all else as float64."""
    return values if is_lazy(values) else np.asarray(values, dtype=np.float64)


def counts(dn: Any, edn: Any) -> tuple[Any, Any]:
    """Counts and errors of one shape, one to four axes."""
    dn, edn = as_array(dn), as_array(edn)
    if not 1 <= dn.ndim <= 4:
        raise ValueError(f"the counts have shape {dn.shape}, expected one to four axes, channels last")
    if edn.shape != dn.shape:
        raise ValueError(f"the errors have shape {edn.shape}, expected that of the counts, {dn.shape}")
    return dn, edn


def pixel_list(dd: ArrayLike, ed: ArrayLike) -> tuple[Any, Any]:
    """Counts and errors (P, F)."""
    dn, edn = counts(dd, ed)
    if dn.ndim != 2:
        raise ValueError(f"dd has shape {dn.shape}, expected (pixels, channels)")
    return dn, edn


def weights(dem_norm0: ArrayLike | None, leading: tuple[int, ...], bins: int) -> Any:
    """User weights, (T,) or one row for every pixel, or None."""
    if dem_norm0 is None:
        return None
    norm = as_array(dem_norm0)
    if norm.shape not in ((bins,), (*leading, bins)):
        raise ValueError(f"dem_norm0 has shape {norm.shape}, expected {(bins,)} or {(*leading, bins)}")
    if not is_lazy(norm) and not np.isfinite(norm).all():
        raise ValueError(f"dem_norm0 has values that are not finite, shape {norm.shape}")
    return norm


def response_table(tresp: ArrayLike, tresp_logt: ArrayLike, channels: int) -> tuple[Array, Array]:
    """The temperature response (N, F) and its log10 T (N,)."""
    table, logt = np.asarray(tresp, dtype=np.float64), np.asarray(tresp_logt, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != channels or logt.shape != table.shape[:1]:
        raise ValueError(
            f"tresp and tresp_logt have shapes {table.shape} and {logt.shape}, expected (N, {channels}) and (N,)"
        )
    return table, logt


def temperature_edges(temps: ArrayLike) -> Array:
    """Edges (T+1,) of at least three bins, K."""
    edges = np.asarray(temps, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 4:
        raise ValueError(f"temps has shape {edges.shape}, expected (T+1,), the edges of T >= 3 bins")
    if not (np.isfinite(edges).all() and edges[0] > 0 and (np.diff(edges) > 0).all()):
        raise ValueError(f"temps must be finite, > 0 and increasing, K; got {edges[0]:g} to {edges[-1]:g}")
    return edges


def mask(gloci: int | ArrayLike) -> int | tuple[int, ...]:
    """The channels that shape the constraint, as `Options` has them."""
    channels = np.asarray(gloci)
    return int(channels) if channels.ndim == 0 else tuple(channels.tolist())


def constants(rmatrix: ArrayLike, logt: ArrayLike, dlogt: ArrayLike, options: Options, channels: int) -> Problem:
    """What all pixels share, as a problem without pixels."""
    nothing = np.empty((0, channels))
    return as_problem(nothing, nothing, rmatrix, logt, dlogt, options, None)
