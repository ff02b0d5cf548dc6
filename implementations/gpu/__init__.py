"""Solvers that compute on an NVIDIA device, and what they stand on: the device's verbs and the pipeline of chunks.

It may import the contract, maths, compiled, and the cpu solvers that it moves to a device.
"""
