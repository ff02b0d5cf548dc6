"""Solvers of DEMREG behind one contract: one strategy, one file."""
