"""Sweeps that are killed, stopped, run out of disk, find records damaged or another sweep there: every row once."""

import json
import os
import subprocess
import sys

import pytest
from folders import SUPPORT

SHORT, LONG = 12, 200


@pytest.fixture(scope="module")
def driver():
    """Carries out the schedule of every number that is written to it."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, SUPPORT / "faults.py"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process


@pytest.mark.parametrize(
    "number", [*range(SHORT), *(pytest.param(n, marks=pytest.mark.slow) for n in range(SHORT, LONG))]
)
def test_every_row_is_there_once_whatever_happened(driver, number):
    print(number, file=driver.stdin, flush=True)
    problem = json.loads(driver.stdout.readline())
    assert not problem, problem
