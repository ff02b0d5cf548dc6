"""What is kept: a run's folder, its records and tidy table, and the history of commits.

It may import nothing of the harness.
"""
