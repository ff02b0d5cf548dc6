"""Every solver of this project and of installed packages, one row each, for the tests that hold of all of them.

Peers have test_peers.py.
"""

import atexit
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
from folders import SUPPORT

from implementations.contract import Solver
from implementations.registry import PEERS, Registry

REGISTRY = Registry()
QUICK_START = {
    "processes": "processes[inner=batched,workers=2]",
    "dask": "dask[inner=numba,threads=2]",
    "dask-delayed": "dask-delayed[inner=numba,scheduler=synchronous]",
}
"""Tunables for the tests that run over all solvers, where a default starts processes for each of hundreds of problems.
What the defaults do is in test_dask.py."""


@cache
def cluster() -> str:
    """The address of a cluster for all tests of this process, which ends with it."""
    command = [sys.executable, str(SUPPORT / "cluster.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)
    assert process.stdout is not None
    return process.stdout.readline().strip()


def spec(name: str) -> str:
    """What the tests call the solver of that name by."""
    return QUICK_START.get(name, name)


def rows(accuracy: str | None = None) -> list[Any]:
    """The registered solvers' names as pytest parameters; one that this machine can't run is skipped, and says why."""
    found = []
    for facts in map(REGISTRY.describe, [name for name in REGISTRY.names() if name not in PEERS]):
        name = facts["name"]
        if accuracy is None or facts["accuracy"] in ("", accuracy):
            marks = [] if facts["available"] else [pytest.mark.skip(reason=facts["reason"])]
            marks += [pytest.mark.gpu] if facts["device"] == "gpu" else []
            found.append(pytest.param(name, marks=marks))
    return found


def create(name: str) -> Solver:
    """The solver with the tunables of `spec`."""
    return REGISTRY.create(spec(name))
