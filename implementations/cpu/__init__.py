"""Solvers that compute on this machine's processor.

It may import the contract, maths and compiled.
"""
