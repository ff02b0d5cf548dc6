"""Is it a solver, and right? The contract, parity with the baseline if it says exact, and the gates on one small cell.

`python -m harness.check NAME ...`, or `--plugin FILE.py` for those of a file, takes seconds a solver. Each runs in a
process of its own. Says pass, or a line for everything that is off.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.judge import contract_checks
from harness.machine import confinement
from harness.measure import cell as measure_cell
from harness.measure import record_row
from harness.measure.plan import REFERENCE, Plan, threads_of
from harness.measure.supervisor import Supervisor, WorkerEnded
from harness.workloads import problem as workload
from implementations import command_line as cli
from implementations import registry

EXIT_CODES = """exit codes: 0 all pass; 1 something is off; 2 the call can't be carried out as given; 3 a solver is at
fault, can't run here, failed, crashed, hung or ran out of memory"""
PLAN = Plan(pixels=(200,), bins=(34,), repeats=1)
LONGEST_S = 300.0
"""The longest wait for all checks of the contract."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the solvers and return the exit code."""
    parser = cli.Parser("harness.check", description=__doc__, epilog=EXIT_CODES)
    parser.add_argument("solvers", nargs="*", help="names or name[key=value,...] (all of the plugins)")
    parser.add_argument("--plugin", dest="plugins", action="append", default=[], metavar="FILE.py", help="repeatable")
    given = parser.parse(arguments)
    try:
        table = registry.Registry(given.plugins)
        specs = given.solvers or [e.name for e in table.entries.values() if e.origin.startswith("plugin")]
        if not specs:
            parser.error("name a solver, or a file by --plugin")
        for spec in specs:
            if not table.unavailable(spec):
                table.check(spec)
    except ValueError as error:
        parser.error(" ".join(str(error).split()))
    codes = {_checked(spec, table) for spec in specs}
    return max(codes)


def _checked(spec: str, table: registry.Registry) -> int:
    """Say what is off, or that nothing is; the exit code of this solver alone."""
    reason = table.unavailable(spec)
    if reason:
        print(f"{spec}: {'at fault' if table.fault(spec) else 'cannot run here'}: {reason}")
        return cli.CELL_FAILED
    try:
        off = list(_off(spec, table))
    except WorkerEnded as end:
        print(f"{spec}: {end.status}: {end}")
        return cli.CELL_FAILED
    for line in off:
        print(f"{spec}: off: {line}")
    if not off:
        print(f"{spec}: pass")
    return cli.GATE_FAILED if off else cli.OK


def _off(spec: str, table: registry.Registry) -> Iterator[str]:
    """A line for everything that is off. Raises WorkerEnded when the solver fails."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "problem"
        folder.mkdir()
        plan = replace(PLAN, plugins=tuple(map(str, table.plugins)))
        (cell,) = plan.cells()
        workload.write(plan.specification(cell.dataset), 1, cell.bins, cell.seed, folder, np.arange(0))
        threads = threads_of(spec, plan.threads)
        limit_mb = int(confinement.memory_mb() * measure_cell.MEMORY_SHARE)
        with Supervisor(folder, spec, table.words(spec), threads, limit_mb) as worker:
            worker.reply(LONGEST_S)
            yield from worker.ask(LONGEST_S, do="watch", how=contract_checks.__name__)["off"]
        specs = list(dict.fromkeys((REFERENCE, spec)))
        measured = measure_cell.measure(cell, specs, plan, Path(scratch), measure_cell.Nobody())
        contender = measured.contenders[-1]
        if contender.ended is not None:
            raise contender.ended
        row = record_row.row_of(contender, measured)
        yield from (f"gate: {line}" for line in row["gate_reasons"].split("; ") if line)


if __name__ == "__main__":
    cli.run(main)
