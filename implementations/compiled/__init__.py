"""The algorithm's steps for one pixel or a vector of them, under the names of `maths`, compiled by Numba.

It may import the contract and itself.
"""
