"""Where a solver's time and memory go: profilers, stages, threads.

It may import what measure may, and measure.
"""
