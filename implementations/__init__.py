"""Solvers of DEMREG behind one contract: one strategy, one file."""

from implementations.api import demmap, dn2dem

__all__ = ["demmap", "dn2dem"]
