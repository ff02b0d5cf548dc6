"""What this machine can do at most, measured once and kept; how far a solver is from it.

`python -m harness.limits` shows the figures, and measures them anew with --again. They are kept per machine in .cache/
of the checkout, which git ignores, and a copy goes into every run's provenance.

A rate is what one core, or all cores at once, sustained in the best of several rounds: a limit is what a quiet machine
does. The median of the rounds stands beside it, since a machine that is shared is not always quiet.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from harness.machine import counted_work, facts
from harness.records.run import write_atomically
from harness.show import terminal
from implementations import command_line as cli
from implementations.places import ROOT
from implementations.solver_spec import parse

CACHE = ROOT / ".cache"
SCHEMA = 1


def cached(machine: dict[str, Any]) -> dict[str, Any] | None:
    """The kept figures of a machine, or None."""
    try:
        found = json.loads(_file(machine).read_text())
    except (OSError, ValueError):
        return None
    return found if found.get("schema") == SCHEMA else None


def known(again: bool = False) -> dict[str, Any]:
    """This machine's figures: the kept ones, or else measured now, in a process of their own, which takes ten seconds.

    ValueError, in one line, when they can't be measured.
    """
    machine = facts.machine()
    found = None if again else cached(machine)
    if found is None:
        done = subprocess.run(
            [sys.executable, "-m", "harness.machine.probes"], env=facts.worker_environment(1), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ValueError(f"the machine's limits can't be measured: {(done.stderr.splitlines() or ['?'])[-1]}")
        found = {"schema": SCHEMA, "machine": machine, **json.loads(done.stdout)}
        try:
            CACHE.mkdir(exist_ok=True)
            write_atomically(_file(machine), json.dumps(found, indent=1) + "\n")
        except OSError:
            pass  # a read-only installation measures each time
    return found


def _file(machine: dict[str, Any]) -> Path:
    return CACHE / f"limits-{machine['id']}.json"


def rate(figures: dict[str, Any], threads: int, cores: int) -> float:
    """The best rate of `threads` threads, between that of one core and that of all of them."""
    one, all_cores = figures["core"]["best"], figures["all"]["best"]
    if threads <= 1 or cores <= 1:
        return one
    return one + (all_cores - one) * (min(threads, cores) - 1) / (cores - 1)


def seconds(work: counted_work.Work, pixels: int, limits: dict[str, Any], threads: int) -> float:
    """The least time for `pixels` times that work: the slowest of multiply-adds, divisions and memory traffic.

    Memory is as fast as for the smallest block measured that holds all the bytes.
    """
    cores = limits["machine"]["cores"]
    blocks = limits["copy_bytes_per_s"]
    block = next((b for b in blocks if b["bytes"] >= work.bytes * pixels), blocks[-1])
    return pixels * max(
        work.flops / rate(limits["flops_per_s"], threads, cores),
        work.divisions / rate(limits["divisions_per_s"], threads, cores),
        work.bytes / rate(block, threads, cores),
    )


def columns(
    spec: str, shape: counted_work.Shape, pixels: int, median_s: float, limits: dict[str, Any], threads: int
) -> dict[str, float]:
    """The table's columns on the limit, for a solver on the processor; `pixels` are the valid ones.

    A pool of workers may use as many cores as it has workers.
    """
    needed, done = counted_work.algorithm(shape), counted_work.strategy(spec, shape)
    workers = parse(spec)[1].get("workers")
    limit = seconds(needed, pixels, limits, max(threads, workers if isinstance(workers, int) else 1))
    figures = {"limit_s": limit, "of_limit": limit / median_s}
    figures |= {"algorithm_flops": needed.flops, "algorithm_bytes": needed.bytes}
    if done is not None:
        figures |= {"strategy_flops": done.flops, "strategy_bytes": done.bytes}
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the figures and return the exit code."""
    parser = cli.Parser("harness.limits", description=__doc__)
    parser.add_argument("--again", action="store_true", help="measure, whatever is kept")
    parser.add_argument("--json", action="store_true")
    given = parser.parse(arguments)
    limits = known(given.again)
    if given.json:
        print(json.dumps(limits, indent=1))
        return cli.OK
    view = Table("what", box=None, padding=(0, 2, 0, 0))
    for name in ("one core, best", "median", "all cores, best", "median", "scaling"):
        view.add_column(name, justify="right")
    named = [("multiply-adds, Gflop/s", limits["flops_per_s"], 1e9)]
    named += [("divisions, G/s", limits["divisions_per_s"], 1e9), ("square roots, G/s", limits["roots_per_s"], 1e9)]
    named += [(f"copy of {b['bytes'] // 1024:,} KiB, GB/s", b, 1e9) for b in limits["copy_bytes_per_s"]]
    for name, figures, unit in named:
        one, both = figures["core"], figures["all"]
        texts = (f"{x / unit:.3g}" for x in (one["best"], one["median"], both["best"], both["median"]))
        view.add_row(name, *texts, f"{both['median'] / one['median']:.2f}x")
    console = terminal.console()
    console.print(view)
    console.print(
        f"memory's first use: {limits['first_use_bytes_per_s'] / 1e9:.3g} GB/s; a Python call: "
        f"{terminal.seconds(limits['call_s'])}; an interpreter's start: {terminal.seconds(limits['interpreter_s'])}; "
        f"device: {'none' if limits['device'] is None else limits['device']}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(f"machine: {facts.machine_label(limits['machine'])}; {limits['vectors']}", highlight=False)
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
