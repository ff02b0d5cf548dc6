"""Is reading the next block of a map while one is computed worth it? On and off, in the same rounds.

`python -m harness.upkeep.experiments.prefetch` writes a map as a Zarr store, and takes it from there into another,
block by block, with one thread computing: with the pipeline of the AIA maps (`aia.stream`: blocks are read ahead and
written behind), and with the same pipeline when the next block is read only once the last is written. What each stage
takes alone is beside it, and so the most that could be had.
"""

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness.judge import intervals
from harness.machine import facts, load
from harness.records.files import plain, write_atomically
from harness.upkeep import mapfile
from implementations import command_line as cli
from implementations.aia import stream
from implementations.contract import Options, Solution
from implementations.registry import Registry

DATASET, LOGT = "solar-mix", (5.7, 7.1)
FOLDER, FILE = Path("results") / "reference-prefetch", "prefetch.json"
AHEAD = {"on": stream.AHEAD, "off": 0}
"""Blocks beside the one that is computed."""
BLOCK = 65_536


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.experiments.prefetch", description=__doc__)
    parser.add_argument("--shape", type=cli.whole_numbers, default=(1024, 1024), help="rows,columns (1024,1024)")
    parser.add_argument("--bins", type=int, default=34, help="temperature bins (34)")
    parser.add_argument("--solvers", type=cli.words, default=("numba", "l2"), help="by commas (numba,l2)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scratch", type=Path, help="where the stores lie meanwhile (the system's temporary folder)")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"of the result ({FOLDER})")
    given = parser.parse(arguments)
    parser.folder(given.out)
    try:
        with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
            mapfile.write(Path(scratch) / "in.zarr", DATASET, given.shape, given.bins)
            rows = [measure(Path(scratch), name, given.bins, given.rounds) for name in given.solvers]
    except ImportError:
        parser.error("Zarr is not installed: pip install 'demreg-bench[zarr]'")
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    made = {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "load": load.now(),
        "command": "python -m harness.upkeep.experiments.prefetch",
        "shape": list(given.shape),
        "bins": given.bins,
        "rows": rows,
    }
    write_atomically(given.out / FILE, json.dumps(plain(made), indent=1) + "\n")
    for row in rows:
        print(f"{row['solver']}: off / on {row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
    print(given.out / FILE)
    return cli.OK


def measure(scratch: Path, solver: str, bins: int, rounds: int) -> dict[str, Any]:
    """Seconds of a map with reading ahead and without, in shuffled rounds, and of each stage alone."""
    made = Registry().create(solver, 1)
    seconds: dict[str, list[float]] = {name: [] for name in AHEAD}
    stages: dict[str, list[float]] = {name: [] for name in ("read", "compute", "write")}
    for number in range(rounds + 1):
        for name in random.sample(sorted(AHEAD), len(AHEAD)):
            took = _timed(lambda name=name: _through(scratch, made, bins, AHEAD[name]))  # type: ignore[misc]
            seconds[name] += [took] * (number > 0)  # the first warms up
    for task in _tasks(scratch, solver, bins):
        stages["read"].append(_timed(task.read))
        problem = task.read()
        stages["compute"].append(_timed(lambda problem=problem: made.run(problem)))  # type: ignore[misc]
        solution = made.run(problem)
        stages["write"].append(_timed(lambda task=task, solution=solution: _written(task, solution)))  # type: ignore[misc]
    ratio = intervals.paired_ratio(seconds["off"], seconds["on"])
    alone = {f"{name}_s": sum(each) for name, each in stages.items()}
    figures = {f"{name}_s": median(each) for name, each in seconds.items()}
    return {"solver": solver, "ratio": ratio.value, "low": ratio.low, "high": ratio.high, **figures, **alone} | {
        "most": sum(alone.values()) / max(alone.values()),
        "rounds_s": seconds,
    }


def _timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _through(scratch: Path, solver: Any, bins: int, ahead: int) -> None:
    """The whole map, from one store into another."""

    def given() -> Iterator[tuple[Any, Any]]:
        for task in _tasks(scratch, solver.name, bins):
            yield task, task.read()

    kept = stream.AHEAD
    stream.AHEAD = ahead
    try:
        stream.run(given(), lambda item, _: solver.run(item[1]), lambda item, made: _written(item[0], made), 1)
    finally:
        stream.AHEAD = kept


def _written(task: Any, solution: Solution) -> None:
    """Write a block as the command does: through memory of blocks before it."""
    from implementations.large_maps.store import fill

    memory = task.idle.pop() if task.idle else task.memory()
    pixels = solution.dem.shape[0]
    fill(memory, slice(0, pixels), solution)
    task.write(memory, pixels)
    task.idle.append(memory)


def _tasks(scratch: Path, solver: str, bins: int) -> list[Any]:
    """The blocks of the map, to be written into an empty store."""
    from implementations.large_maps.store import Layout, MapRequest, target_of

    target = scratch / "out.zarr"
    shutil.rmtree(target, ignore_errors=True)
    request = MapRequest(scratch / "in.zarr", target, solver, np.logspace(*LOGT, bins + 1), Options(), Layout())
    group = request.opened()
    stores = target_of(request, group, request.constants(group), BLOCK)
    return [block.task for block in stores.blocks(list(range(len(stores.indices))), lambda _: None)]


if __name__ == "__main__":
    cli.run(main)
