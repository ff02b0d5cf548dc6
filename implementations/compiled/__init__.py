"""The algorithm's steps for one pixel or a vector of them, under the names of `maths`, compiled by Numba.

It imports the contract and itself.
"""
