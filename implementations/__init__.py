"""Solvers of DEMREG behind one contract: one strategy, one file."""

from implementations.api import demmap, dn2dem
from implementations.pixel import draw_pixel, monte_carlo

__all__ = ["demmap", "dn2dem", "draw_pixel", "monte_carlo"]
