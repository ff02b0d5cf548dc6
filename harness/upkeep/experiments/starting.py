"""What worker processes cost before they compute anything: fork, spawn and forkserver, with 1 to 8 workers.

`python -m harness.upkeep.experiments.starting` starts them in rounds of shuffled order, each time from a fresh
process that has the solver imported, as a caller has, and times until every worker has imported the solver, too, and
said so. Memory is each worker's own (what would come back if it alone ended) and its share of pages that several
have. Solvers here spawn theirs: a fork copies locks that other threads hold, and no GPU context survives it.
"""

import json
import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from harness.machine import facts, load
from harness.records.files import plain, write_atomically
from implementations import command_line as cli
from implementations.places import ROOT
from implementations.registry import Registry

METHODS = ("fork", "forkserver", "spawn")
SOLVER = "baseline"
FOLDER, FILE = Path("results") / "reference-starting", "starting.json"
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.experiments.starting", description=__doc__)
    parser.add_argument("--workers", type=cli.whole_numbers, default=(1, 2, 4, 8), help="by commas (1,2,4,8)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--solver", default=SOLVER, help=f"what each worker imports ({SOLVER})")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"of the result ({FOLDER})")
    parser.add_argument(
        "--one", nargs=2, metavar=("METHOD", "WORKERS"), help="start them once, and print what they say"
    )
    given = parser.parse(arguments)
    if given.one:
        print(json.dumps(started(given.one[0], int(given.one[1]), given.solver)))
        return cli.OK
    if given.rounds < 1 or min(given.workers) < 1:
        parser.error(f"--rounds and --workers must be at least 1, got {given.rounds} and {min(given.workers)}")
    parser.folder(given.out)
    rows = measure(given.workers, given.rounds, given.solver)
    write_atomically(given.out / FILE, json.dumps(plain(provenance(rows, given.solver)), indent=1) + "\n")
    for row in rows:
        print(f"{row['method']}, {row['workers']} workers: {row['start_s']:.3f} s, {row['own_mb']:.0f} MiB each")
    print(given.out / FILE)
    return cli.OK


def provenance(rows: list[dict[str, Any]], solver: str) -> dict[str, Any]:
    """The rows with where they are from."""
    return {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "load": load.now(),
        "command": "python -m harness.upkeep.experiments.starting",
        "solver": solver,
        "rows": rows,
    }


def measure(workers: Sequence[int], rounds: int, solver: str) -> list[dict[str, Any]]:
    """A row for each method and number of workers: medians over the rounds, and the rounds' seconds."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {(m, n): [] for n in workers for m in METHODS}
    for _ in range(rounds):
        for method, count in random.sample(sorted(found), len(found)):
            command = [
                sys.executable,
                "-m",
                "harness.upkeep.experiments.starting",
                "--solver",
                solver,
                "--one",
                method,
                str(count),
            ]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            found[method, count].append(json.loads(done.stdout.splitlines()[-1]))
    names = ("start_s", "own_mb", "shared_mb")
    return [
        {"method": method, "workers": count}
        | {name: median(one[name] for one in runs) for name in names}
        | {"rounds_s": [one["start_s"] for one in runs]}
        for (method, count), runs in found.items()
    ]


def started(method: str, workers: int, solver: str) -> dict[str, float]:
    """Seconds until all workers are ready, and each one's memory, MiB: medians over them."""
    Registry().create(solver)
    context: Any = multiprocessing.get_context(method)
    pipes, processes = [], []
    begun = time.perf_counter()
    for _ in range(workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=worker, args=(theirs, solver), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    seconds = time.perf_counter() - begun
    for pipe in pipes:  # once all are there, so that shares of pages are those of all
        pipe.send("weigh")
    weights = [pipe.recv() for pipe in pipes]
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.close()
        process.join()
    return {"start_s": seconds} | {name: median(w[name] for w in weights) for name in ("own_mb", "shared_mb")}


def worker(pipe: Connection, solver: str) -> None:
    """In a worker: import the solver, say so, and, when asked, what memory this process has."""
    Registry().create(solver)
    pipe.send("ready")
    pipe.recv()
    memory: Any = psutil.Process().memory_full_info()
    pipe.send({"own_mb": memory.uss / MIB, "shared_mb": (memory.pss - memory.uss) / MIB})


if __name__ == "__main__":
    cli.run(main)
