"""What this machine can do at most, measured once and kept; how far a solver is from it.

The figures are kept per machine, and a copy goes into every run's provenance.

A rate is what one core, or all cores at once, sustained in the best of several rounds: a limit is what a quiet machine
does. The median of the rounds stands beside it, since a machine that is shared is not always quiet.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.machine import counted_work, facts, pinning
from harness.records.files import write_atomically
from implementations import places
from implementations.solver_spec import parse

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
            [sys.executable, "-m", "harness.machine.probes"],
            env=pinning.worker_environment(1),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(f"the machine's limits can't be measured: {(done.stderr.splitlines() or ['?'])[-1]}")
        found = {"schema": SCHEMA, "machine": machine, **json.loads(done.stdout)}
        try:
            places.cache().mkdir(parents=True, exist_ok=True)
            write_atomically(_file(machine), json.dumps(found, indent=1) + "\n")
        except OSError:
            pass  # a read-only installation measures each time
    return found


def _file(machine: dict[str, Any]) -> Path:
    """Figures hold for what the process that measured them could use of the machine."""
    confined = repr([machine.get(name) for name in ("cpu_numbers", *facts.CONFINED)])
    return places.cache() / f"limits-{machine['id']}-{hashlib.sha256(confined.encode()).hexdigest()[:6]}.json"


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
    cores = limits.get("cores_used", limits["machine"]["cores"])
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
