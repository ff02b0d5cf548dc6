"""What `dn2dem` and `demmap` do with what they are given: arguments, containers, sets of channels, one inversion.

It may import the contract, maths, the registry and, for dask and CuPy arrays, the cluster's and the device's.
"""
