"""How a cell is measured: the plan, a process for each contender, shuffled rounds, and the rows of the result.

It may import judge, machine, records, show and workloads.
"""
