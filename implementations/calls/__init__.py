"""What `dn2dem` and `demmap` do with what they are given: arguments, containers, sets of channels, one inversion.

It may import the contract, maths, the registry and, for dask arrays, the cluster's.
"""
