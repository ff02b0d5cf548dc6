"""What is measured on: facts of the machine, its devices and limits, and the operations that solvers count.

It may import records and show.
"""
