"""Which solver for a map: laws fitted to records, candidates, gaps in what was measured.

It may import judge, machine, records, show and workloads.
"""
