"""SDO/AIA as solvers' users meet it: where its files are, its response and noise, its images. Knows no solver.

It may import the contract, maths, and what is compiled.
"""
