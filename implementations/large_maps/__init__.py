"""Maps larger than memory, from one Zarr store to another.

It may import the contract, maths, and cluster.
"""
