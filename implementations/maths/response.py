"""From an instrument's response to the matrix that maps a DEM to counts, and its whitening by the errors.

The first functions run once per call on the host (NumPy); `whiten` is array-API style.
Units: tresp DN cm5 s-1 px-1, temps K, logt and dlogt log10 K, rmatrix 1e-15 DN cm5 K s-1 px-1.
"""

from typing import Any

import numpy as np

from implementations.contract import Array
from implementations.maths.namespace import array_namespace

SCALE = 1e15
"""What rmatrix is multiplied by, and the DEM divided. The regularisation grid is not scale-invariant, so it matters."""


EQUAL = 1e-6
"""Bins whose widths differ by no more are of equal width, dex."""


def bins_of(temps: Array) -> tuple[Array, Array]:
    """Bin edges (T+1,) in K -> centres logt (T,) and widths dlogt (T,).

    Centres of equal bins are computed as the published code does, logt[i] = log10(temps[0]) + dlogt[i]·(i + 1/2). For
    other bins that isn't their centre, and the true one is taken.
    """
    edges = np.log10(np.asarray(temps, dtype=np.float64))
    dlogt = np.diff(edges)
    if np.ptp(dlogt) > EQUAL:
        return (edges[:-1] + edges[1:]) / 2, dlogt
    return edges[0] + dlogt * (np.arange(len(dlogt)) + 0.5), dlogt


def repaired(tresp: Array) -> Array:
    """The response (N, F) with values <= 0 replaced by the channel's smallest positive one, so that it has a logarithm.

    Raises ValueError when a channel has no positive value.
    """
    tresp = np.array(tresp, dtype=np.float64)
    positive = tresp > 0
    if not positive.any(axis=0).all():
        raise ValueError(f"tresp has a channel without any positive value, shape {tresp.shape}")
    return np.where(positive, tresp, np.min(tresp, axis=0, where=positive, initial=np.inf))


def response_matrix(tresp: Array, tresp_logt: Array, logt: Array, dlogt: Array, emd_int: bool = False) -> Array:
    """rmatrix (T, F): the repaired response, linear in log-log between its points, times the bins' widths in K.

    Beyond the ends of tresp_logt the end values hold. With `emd_int` the unknown is the emission measure of a bin, and
    the width stays out.
    """
    log_response = np.log10(repaired(tresp))
    at_bins = 10 ** np.stack([np.interp(logt, tresp_logt, channel) for channel in log_response.T], axis=1)
    width = 1.0 if emd_int else (10**logt * np.log(10**dlogt))[:, None]
    return at_bins * width * SCALE


def whiten(rmatrix: Any, dn: Any, edn: Any) -> tuple[Any, Any]:
    """Divide by the errors: rmatrix (T, F), dn, edn (P, F) -> K (P, F, T), d (P, F), whose noise is the identity."""
    xp = array_namespace(rmatrix, dn, edn)
    return xp.permute_dims(rmatrix, (1, 0))[None, :, :] / edn[:, :, None], dn / edn
