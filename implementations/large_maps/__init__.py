"""Maps larger than memory, from one Zarr store to another.

It imports the contract, maths, and cluster.
"""
