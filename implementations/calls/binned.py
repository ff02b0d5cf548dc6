"""A response on the bins of a call, kept for the next one: those who loop over pixels give the same again."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from implementations.calls import arguments
from implementations.calls.arguments import REMEMBERED
from implementations.contract import Array, Options, Problem
from implementations.maths import response


@dataclass(frozen=True, eq=False)
class Binned:
    """A response table on temperature bins."""

    rmatrix: Array
    logt: Array
    dlogt: Array
    tresp_logt: Array
    width: Array
    """Of the bins, K."""

    @functools.cached_property
    def unseen(self) -> Array:
        """log T of the bins that no channel sees."""
        return arguments.unseen(self.rmatrix, self.logt)

    def unit(self, emd_int: bool, emd_ret: bool) -> float | Array:
        """What takes the inversion's unknown to the unit asked for: the scale of 1e15, and the bins' widths in K."""
        to_ret: Any = 1.0 if emd_int == emd_ret else (self.width if emd_ret else 1 / self.width)
        return response.SCALE * to_ret


@functools.lru_cache(maxsize=REMEMBERED)
def binned(
    channels: int, emd_int: bool, tresp: arguments.Content, tresp_logt: arguments.Content, temps: arguments.Content
) -> Binned:
    """The response of checked arguments, which are told apart by what they hold."""
    logt, dlogt = response.bins_of(arguments.temperature_edges(temps.array))
    table = arguments.response_table(tresp.array, tresp_logt.array, channels)
    rmatrix = response.response_matrix(*table, logt, dlogt, emd_int)
    return Binned(rmatrix, logt, dlogt, table[1], 10**logt * np.log(10**dlogt))


@functools.lru_cache(maxsize=REMEMBERED)
def constants(of: Binned, options: Options, channels: int) -> Problem:
    """The checked problem without pixels."""
    return arguments.constants(of.rmatrix, of.logt, of.dlogt, options, channels)
