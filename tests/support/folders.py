"""Where the tests' own files are."""

from implementations.places import ROOT

TESTS = ROOT / "tests"
PLUGINS = TESTS / "plugins"
BAD = PLUGINS / "bad.py"
"""Solvers that are bad on purpose."""
TROUBLE = PLUGINS / "trouble.py"
SUPPORT = TESTS / "support"
