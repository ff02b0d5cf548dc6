"""What a result is worth: intervals of times and ratios, quality, gates, and the comparison of two runs.

It may import records and workloads.
"""
