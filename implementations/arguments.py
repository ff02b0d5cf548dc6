"""Checks what users hand to `dn2dem` and `demmap`: each error names the argument, what was given and what is expected.

What solvers can rely on is checked by the contract's `Options` and `Problem`, in the same manner; here stands what is
the calls' own: shapes of the counts, the user's weights, the response table and the temperature edges. Dask arrays
are known by their shapes; their values are checked when they are computed.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implementations.contract import Array, Options, Problem, as_problem

COLDEST, HOTTEST = 3.0, 10.0
"""What log10 K may be: no corona is colder or hotter, and neither kelvin nor their millions lie in between."""
MARGIN = 0.5
"""How far beyond the response's temperatures a bin's centre may lie, dex."""


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
    if not dn.shape[-1]:
        raise ValueError(f"the counts have shape {dn.shape}, expected at least one channel on the last axis")
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
    """The temperature response (N, F) and its log10 T (N,), in rising order of temperature."""
    table, logt = np.asarray(tresp, dtype=np.float64), np.asarray(tresp_logt, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != channels or logt.shape != table.shape[:1]:
        transposed = ": tresp is transposed" if table.shape == (channels, *logt.shape) else ""
        raise ValueError(
            f"tresp and tresp_logt have shapes {table.shape} and {logt.shape}, expected (N, {channels}) and (N,)"
            f"{transposed}"
        )
    if not np.isfinite(table).all():
        point, channel = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(
            f"tresp must be finite, got {table[point, channel]} at point {point} of channel {channel} (from 0)"
        )
    if not (len(logt) and logt.min() >= COLDEST and logt.max() <= HOTTEST):  # nor is NaN
        given = f"{logt.min():g} to {logt.max():g}" if len(logt) else "no point"
        raise ValueError(f"tresp_logt must be log10 K, {COLDEST:g} to {HOTTEST:g}, got {given}; give log10 of kelvin")
    if not (np.diff(logt) > 0).all():
        order = np.argsort(logt)
        table, logt = table[order], logt[order]
        if not (np.diff(logt) > 0).all():
            raise ValueError(f"tresp_logt has {logt[:-1][np.diff(logt) == 0][0]:g} twice, expected each point once")
    return table, logt


def within_response(logt: Array, tresp_logt: Array) -> None:
    """Warn of bins outside of the response's temperatures, where its end values are taken; refuse ones far outside."""
    if logt[0] >= tresp_logt[0] and logt[-1] <= tresp_logt[-1]:
        return
    beyond = np.maximum(tresp_logt[0] - logt, logt - tresp_logt[-1])
    bins = ", ".join(f"{t:.3g}" for t in logt[beyond > 0])
    what = f"temps has bins outside of the response, which is known at log T {tresp_logt[0]:g} to {tresp_logt[-1]:g}"
    if beyond.max() > MARGIN:
        raise ValueError(f"{what}: {bins}; expected at most {MARGIN:g} dex beyond it")
    warnings.warn(f"{what}: {bins}; its end values are taken there", stacklevel=3)


def temperature_edges(temps: ArrayLike) -> Array:
    """Edges (T+1,) of at least three bins, K."""
    edges = np.asarray(temps, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 4:
        raise ValueError(f"temps has shape {edges.shape}, expected (T+1,), the edges of T >= 3 bins")
    if not (np.isfinite(edges).all() and edges[0] > 0 and (np.diff(edges) > 0).all()):
        raise ValueError(f"temps must be finite, > 0 and increasing, K; got {edges[0]:g} to {edges[-1]:g}")
    if edges[0] < 10**COLDEST or edges[-1] > 10**HOTTEST:
        looks = "; log10 K or MK? give 10**temps or 1e6*temps" if edges[-1] < 10**COLDEST else ""
        raise ValueError(
            f"temps must be K, {10**COLDEST:g} to {10**HOTTEST:g}, got {edges[0]:g} to {edges[-1]:g}{looks}"
        )
    return edges


def constants(rmatrix: ArrayLike, logt: ArrayLike, dlogt: ArrayLike, options: Options, channels: int) -> Problem:
    """What all pixels share, as a problem without pixels."""
    nothing = np.empty((0, channels))
    return as_problem(nothing, nothing, rmatrix, logt, dlogt, options, None)
