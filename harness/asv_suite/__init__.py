"""What airspeed velocity tracks over this project's commits. `make history` runs it; asv.conf.json names it.

The suite comes from the working tree, the solvers and the harness from the commit under measurement: nothing here
imports `harness` or `implementations`, and all that it asks of a commit is `python -m harness.sweep` and its records.
"""
