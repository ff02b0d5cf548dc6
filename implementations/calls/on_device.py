"""Counts that are CuPy arrays: inverted on their device by a solver of it, and handed back as CuPy arrays.

A solver of the processor, and settings that change which channels a pixel has or rescale its DEM, go through host
memory and back.
"""

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from implementations.calls import channels
from implementations.calls.arguments import at_home, placed
from implementations.contract import OUTPUTS, Array, Problem, Solution


def solved(call: Any, solver: Any, dn: Any, edn: Any, norm: Any) -> Solution | None:
    """The solution of pixels (P, F), its outputs on their device, status and iterations on the host.

    None where the call's solver or settings need host memory. `call`: an `Inversion`; norm: (T,), (..., T) or None.
    """
    if not hasattr(solver, "work") or call.rscl or not call.handling.plain:
        return None
    from implementations.gpu import resident

    leading = dn.shape[:-1]
    c: Problem = call.constants
    xp = import_module("cupy")
    dn, edn = (xp.ascontiguousarray(placed(a).reshape(-1, c.sizes[1])) for a in (dn, edn))  # as kernels take them
    beyond = channels.beyond_scales(xp, dn, edn, placed(channels.strongest(c).each))
    if count := int(xp.count_nonzero(beyond)):
        channels.warn_beyond(count, len(dn), stacklevel=6)
        edn = xp.where(beyond[:, None], xp.nan, edn)
    rows = None if norm is None else np.broadcast_to(norm, (*leading, c.sizes[2])).reshape(-1, c.sizes[2])
    if rows is not None:  # of as many pixels, for the contract's checks of weights
        nothing = np.ones((len(rows), c.sizes[1]))
        c = replace(c, dn=nothing, edn=nothing, dem_norm0=rows)
    norm = None if rows is None else placed(np.ascontiguousarray(rows))
    found = resident.inverted(solver.work(c), dn, edn, norm)
    return Solution(**{name: array if name in OUTPUTS else at_home(array) for name, array in found.items()})


def back(outputs: tuple[Array, ...]) -> tuple[Any, ...]:
    """Outputs of the host on the device."""
    asarray = import_module("cupy").asarray
    return tuple(asarray(array) for array in outputs)
