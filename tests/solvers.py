"""Every registered solver, one row each, for the tests that hold of all of them."""

from typing import Any

import pytest

from harness.registry import Registry
from implementations.contract import Solver

REGISTRY = Registry()


def rows(accuracy: str | None = None) -> list[Any]:
    """The registered solvers' names as pytest parameters; one that this machine can't run is skipped, and says why."""
    found = []
    for name in REGISTRY.names():
        facts = REGISTRY.describe(name)
        if accuracy is None or facts["accuracy"] in ("", accuracy):
            marks = () if facts["available"] else (pytest.mark.skip(reason=facts["reason"]),)
            found.append(pytest.param(name, marks=marks))
    return found


def create(name: str) -> Solver:
    """The solver with its default tunables."""
    return REGISTRY.create(name)
