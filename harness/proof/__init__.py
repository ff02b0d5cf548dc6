"""The harness measured as it measures others: solvers with a slowness or a fault put into them, and what is seen of it.

It may import every room before the commands, and the commands import it.
"""
