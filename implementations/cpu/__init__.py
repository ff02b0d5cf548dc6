"""Solvers that compute on this machine's processor.

It imports the contract, maths and compiled.
"""
