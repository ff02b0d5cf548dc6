"""Maps larger than memory: counts in one Zarr store, DEMs into another, block by block.

What the stores hold: `large_maps.store`. Where the solver is `dask`, blocks go to its workers, which read the
one store and write the other themselves, each writing a block while it computes the next. Any other solver runs in this
process.
"""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import zarr
from rich.progress import Progress

from implementations import command_line as cli
from implementations.cluster import blocks
from implementations.cluster.tiled import DaskTiled
from implementations.contract import Options, Problem, Solution, Solver
from implementations.large_maps.store import Call, Stores, StoreTask, target_of, unmarked
from implementations.registry import Registry

MEMORY_OF_ONE_PROCESS = 0.5
"""Share of the memory available that a solver without workers may plan with."""


def invert_store(
    source: Path,
    target: Path,
    solver: str,
    threads: int = 1,
    bins: int = 34,
    logt: tuple[float, float] = (5.7, 7.4),
    options: Options | None = None,
) -> int:
    """Invert the store `source` into `target`, or go on where an earlier call ended; the command's exit code.

    `solver` with `threads`, as in the registry; `bins` bins over `logt`, log10 K. Raises ValueError, naming what is
    wrong, when the stores or the settings don't fit, RuntimeError when no workers answer.
    """
    if not (3 <= bins <= 1000 and 3 <= logt[0] < logt[1] <= 10):
        raise ValueError(f"--bins must be from 3 to 1000 and --logt rise within 3 to 10, got {bins}, {logt}")
    call = Call(source, target, solver, np.logspace(*logt, bins + 1), options or Options())
    group = call.opened()
    constants, made = call.constants(group), Registry().create(solver, threads)
    sample = _sample(group)
    done, stores = 0, None
    try:
        with _Runner(made, constants, sample) as runner, Progress(transient=True) as progress:
            stores = target_of(call, group, constants, runner.pixels_per_block(math.prod(group["dn"].shape[:-1])))
            todo = unmarked(stores)
            done = len(stores.indices) - len(todo)
            bar = progress.add_task("DEM", total=len(stores.indices), completed=done)
            for _ in runner.run(stores, todo):
                done += 1
                progress.advance(bar)
    except (blocks.BlockError, KeyboardInterrupt) as end:
        return _ended(end, call, done, stores)
    assert stores is not None
    status = zarr.open_group(target, mode="r")["status"]
    print(f"{math.prod(status.shape)} pixels, {len(stores.indices)} blocks ({len(todo)} of them now): {target}")
    return 0


def _ended(end: BaseException, call: Call, done: int, stores: Stores | None) -> int:
    """Say why, and what is there."""
    interrupted = isinstance(end, KeyboardInterrupt)
    why = "interrupted" if interrupted else str(end)
    whole = f"{done} of {len(stores.indices)} blocks are whole in {call.target}" if stores else "no block was begun"
    print(f"{why}; {whole}; the same command again goes on from there", file=sys.stderr)
    return cli.INTERRUPTED if interrupted else cli.CELL_FAILED


class _Runner:
    """Computes blocks: on Dask's workers where the solver has them, else one after another in this process."""

    def __init__(self, solver: Solver, constants: Problem, sample: blocks.Pixels):
        self.solver, self.constants = solver, constants
        self.session = None
        if isinstance(solver, DaskTiled):
            self.session, self.job, self.seconds = solver.start(constants, sample)
        else:
            self.seconds = blocks.seconds_per_pixel(self._invert, sample) if len(sample[0]) else 0.0

    def __enter__(self) -> "_Runner":
        return self

    def __exit__(self, *_: object) -> None:
        if self.session is not None:
            self.session.close()

    def _invert(self, pixels: blocks.Pixels) -> Solution:
        c, (dn, edn, norm) = self.constants, pixels
        return self.solver.run(Problem(dn, edn, c.rmatrix, c.logt, c.dlogt, c.options, norm))

    def pixels_per_block(self, pixels: int) -> int:
        _, channels, bins = self.constants.sizes
        slots, memory = 1, int(psutil.virtual_memory().available * MEMORY_OF_ONE_PROCESS)
        if self.session is not None:
            slots, memory = self.session.slots, self.session.memory
        return blocks.pixels_per_block(pixels, self.seconds, channels, bins, slots, memory)

    def run(self, stores: Stores, todo: list[int]) -> Iterator[int]:
        if self.session is not None:
            yield from (block for block, _ in blocks.run(self.session, self.job, stores, todo))
            return
        for block in todo:
            task = stores.task(block)
            try:
                task.write(self._invert(task.read()))
            except OSError as error:
                raise blocks.explained(error, stores.describe(block)) from error
            yield block


def _sample(group: zarr.Group) -> blocks.Pixels:
    """Valid pixels of the input's middle chunk along each axis, to see what one costs."""
    dn = group["dn"]
    middle = tuple(slice(s // 2 // c * c, s // 2 // c * c + c) for s, c in zip(dn.shape[:-1], dn.chunks, strict=False))
    block = StoreTask(str(group.store_path.store.root), "", (), tuple((m.start, m.stop) for m in middle))
    pixels, errors, _ = block.read()
    valid = np.flatnonzero((np.isfinite(pixels) & (pixels > 0) & np.isfinite(errors)).all(axis=1))
    chosen = valid[:: max(1, math.ceil(len(valid) / blocks.PROBE_PIXELS))]
    return pixels[chosen], errors[chosen], None
