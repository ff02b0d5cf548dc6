"""What is solved: specifications of `datasets/`, and the problems and true DEMs that are made from them.

It may import contract, maths and aia of implementations.
"""
