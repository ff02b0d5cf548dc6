"""Measures, judges, records and shows solvers, which it knows by name only."""

import os
import sys


def _one_line(kind, error, traceback):  # type: ignore[no-untyped-def]
    """How a command ends that is interrupted, be it while it still imports its libraries."""
    if not issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, traceback)
    print("interrupted", file=sys.stderr)
    raise SystemExit(130)


if os.path.basename(sys.argv[0]) in ("-m", "demreg-bench"):
    sys.excepthook = _one_line
