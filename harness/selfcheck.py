"""Does the harness tell the truth? A solver against a copy of itself, and against a copy slowed by a tenth.

`python -m harness.selfcheck [--cells 100]` measures that many quick cells (seeds differ) of three solvers in the same
rounds and counts in how many the copy's speedup interval contains 1 and the slowed copy's doesn't. Exit code 0 when
both counts are at least 95 in 100.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from harness.machine import facts
from harness.measure import cell as measure_cell
from harness.measure.plan import Plan
from harness.records.schema import Cell
from harness.show import terminal
from implementations import command_line as cli
from implementations import registry

REQUIRED = 0.95
COPIES = '''
import time
from implementations.baseline import Baseline

class Copy(Baseline):
    name = "copy"

class Slowed(Baseline):
    """Busy for a tenth as long again."""
    name = "slowed"

    def solve(self, state):
        start = time.perf_counter()
        solution = super().solve(state)
        end = time.perf_counter() + 0.1 * (time.perf_counter() - start)
        while time.perf_counter() < end:
            pass
        return solution
'''
PLAN = Plan(pixels=(20,), bins=(34,), max_seconds=8.0, rel_ci=0.03)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return its exit code."""
    parser = cli.Parser("harness.selfcheck", description=__doc__)
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the first cell's workload")
    given = parser.parse(arguments)
    console = terminal.console()
    same = different = 0
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "copies.py"
        plugin.write_text(COPIES)
        plan = replace(PLAN, plugins=(str(plugin),), solvers=(measure_cell.REFERENCE, "copy", "slowed"))
        plan = plan.resolved(registry.Registry(plan.plugins))
        for seed in track(range(given.seed, given.seed + given.cells), console=console, transient=True):
            cell = Cell(plan.datasets[0], plan.pixels[0], plan.bins[0], seed)
            measured = measure_cell.measure(cell, plan.solvers, plan, Path(folder), measure_cell.Nobody())
            baseline, copy, slowed = measured.contenders
            to_copy, to_slowed = copy.speedup(baseline), slowed.speedup(baseline)
            same += to_copy.low <= 1 <= to_copy.high
            different += to_slowed.high < 1
            console.print(
                f"seed {seed}: {len(baseline.turns)} rounds, copy {to_copy.value:.3f} [{to_copy.low:.3f}, "
                f"{to_copy.high:.3f}], slowed {to_slowed.value:.3f} [{to_slowed.low:.3f}, {to_slowed.high:.3f}]",
            )
    console.print(f"machine: {facts.machine_label(facts.machine())}")
    console.print(f"copy: interval contains 1 in {same} of {given.cells} cells")
    console.print(f"slowed by a tenth: told apart in {different} of {given.cells} cells")
    return cli.OK if min(same, different) >= REQUIRED * given.cells else cli.GATE_FAILED


if __name__ == "__main__":
    cli.run(main)
