"""The algorithm's steps, once: array-API style, pixel axis first, namespace inferred from the arguments.

It may import the contract.
"""
