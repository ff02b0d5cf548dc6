"""An hour of sweeps under load: do the harness's memory, open files and threads stay what they were?

`python -m harness.soak [--minutes 60]` sweeps small cells over and over in one process, beside two burners, and looks
at that process after each. Exit code 1 when memory, handles, threads or children grow: when the interval of the slope
over the last three quarters of the looks (Theil and Sen) lies above zero and the growth matters.
"""

import gc
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from scipy.stats import theilslopes

from harness.machine import facts
from harness.measure import cell as measure_cell
from harness.measure import record_row
from harness.measure.plan import Plan
from harness.proof.trial import burners
from harness.records.schema import Cell
from harness.show import terminal
from implementations import command_line as cli

SOLVERS = ("baseline", "vectorized", "batched", "l2", "numba")
MATTERS = {"MB": 8.0, "handles": 1.0, "threads": 1.0, "children": 1.0}
"""Growth from the first to the last of the looks that count, below which it is nothing."""


def look() -> dict[str, float]:
    """What this process holds."""
    gc.collect()
    process = psutil.Process()
    held = process.memory_info().rss / 2**20
    return {
        "MB": held,
        "handles": process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children()),
    }


def growth(looks: Sequence[dict[str, float]]) -> dict[str, float]:
    """What grows surely, and by how much, from the second quarter of the looks on."""
    later, found = looks[len(looks) // 4 :], {}
    for name, matters in MATTERS.items():
        values = np.array([each[name] for each in later])
        if len(values) > 2:
            slope, _, low, _ = theilslopes(values, np.arange(len(values)), 0.99)
            if low > 0 and slope * (len(values) - 1) >= matters:
                found[name] = float(slope * (len(values) - 1))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Sweep, show, and return the exit code."""
    parser = cli.Parser("harness.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--json", action="store_true", help="every look, as JSON, with machine and commit")
    given = parser.parse(arguments)
    if not given.minutes > 0:
        parser.error(f"--minutes must be > 0, got {given.minutes:g}")
    console, looks, seed = terminal.console(), list[dict[str, float]](), 0
    deadline, plan = time.monotonic() + 60 * given.minutes, Plan(solvers=SOLVERS, repeats=3, max_seconds=10.0)
    with burners(2), tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < deadline or len(looks) < 4:
            seed += 1
            cell = Cell("random-response", 50, 34, seed)
            result = measure_cell.measure(cell, SOLVERS, plan, Path(folder), measure_cell.Nobody())
            for contender in result.contenders:
                record_row.row_of(contender, result)
            del result
            looks.append(look())
    found = growth(looks)
    if given.json:
        origin = facts.origin() | {"minutes": given.minutes}
        print(json.dumps(origin | {"looks": looks, "growth": found}, indent=1))
    else:
        first, last = looks[len(looks) // 4], looks[-1]
        for name in MATTERS:
            console.print(
                f"{name}: {first[name]:.4g} after a quarter of {len(looks)} cells, {last[name]:.4g} at the end"
            )
        console.print(f"grows: {', '.join(f'{n} by {v:.3g}' for n, v in found.items())}" if found else "nothing grows")
    return cli.GATE_FAILED if found else cli.OK


if __name__ == "__main__":
    cli.run(main)
