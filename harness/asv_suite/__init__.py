"""What airspeed velocity tracks over this project's commits. `make history` runs it; asv.conf.json names it.

The suite comes from the working tree, the solvers and the harness from the commit under measurement. All that it asks
of a commit is `python -m harness.sweep`, its records, and, in `calls` and `pixel_loop`, `implementations.dn2dem`.
Nothing is measured that isn't asked for: `setup_cache` only lists solvers, and a cell is measured by the first metric
that reads it. What the suite writes lies in .asv, which git leaves alone.
"""
