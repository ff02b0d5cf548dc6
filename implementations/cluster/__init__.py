"""Solvers that hand blocks of pixels to several threads, processes or machines.

It may import the contract, executors and itself; the solver inside is known by name only.
"""
