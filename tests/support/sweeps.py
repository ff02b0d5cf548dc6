"""The command `python -m harness.sweep`, and the table it leaves."""

import subprocess
import sys
from pathlib import Path

import pandas as pd


def sweep(*arguments, check=None, **kwargs):
    command = [sys.executable, "-m", "harness.sweep", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **kwargs)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done


def rows_of(folder):
    return pd.read_csv(Path(folder) / "table.csv", keep_default_na=False).set_index("solver")
