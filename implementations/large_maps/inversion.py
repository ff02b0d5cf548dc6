"""Maps larger than memory: counts in one Zarr store, DEMs into another, block by block.

What the stores hold: `large_maps.store`. Where the solver is `dask`, blocks are computed as it says, in threads or by
workers, which read the one store and write the other themselves. Any other solver has as many blocks at a time as
threads, where these can run it side by side, else one.
"""

import math
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from implementations import command_line as cli
from implementations.calls.inversion import no_fit_text, way_out
from implementations.cluster.session import BLOCKS_PER_SLOT, BlockError, Threads, memory_for_each
from implementations.cluster.tiled import DaskTiled
from implementations.contract import Options, Problem
from implementations.large_maps.store import MOST_PIXELS, Layout, MapRequest, Stores, target_of, unfit, unmarked
from implementations.registry import Registry

if TYPE_CHECKING:
    from implementations.cluster.workers import Workers


def invert_store(
    source: Path,
    target: Path,
    solver: str,
    threads: int = 1,
    bins: int = 34,
    logt: tuple[float, float] = (5.7, 7.4),
    options: Options | None = None,
    layout: Layout | None = None,
) -> int:
    """Invert the store `source` into `target`, or go on where an earlier call ended; the command's exit code.

    `solver` with `threads`, as in the registry; `bins` bins over `logt`, log10 K. A `target` that
    is gone on with keeps its chunks and codec. Raises ValueError, naming what is wrong, when the stores or the settings
    don't fit, RuntimeError when no workers answer.
    """
    if not (3 <= bins <= 1000 and 3 <= logt[0] < logt[1] <= 10):
        raise ValueError(f"--bins must be from 3 to 1000 and --logt rise within 3 to 10, got {bins}, {logt}")
    layout = layout or Layout()
    request = MapRequest(source, target, solver, np.logspace(*logt, bins + 1), options or Options(), layout)
    group = request.opened()
    constants = request.constants(group)
    pixels, stores = math.prod(group["dn"].shape[:-1]), None
    try:
        with closing(_session(solver, threads, constants)) as session, Progress(transient=True) as progress:
            stores = target_of(request, group, constants, _block(session, constants, pixels, layout))
            todo = unmarked(stores)
            bar = progress.add_task("DEM", total=len(stores.indices), completed=len(stores.indices) - len(todo))
            session.run(stores.blocks(todo, lambda _: progress.advance(bar)))
    except (BlockError, MemoryError, KeyboardInterrupt) as end:
        return _ended(end, request, stores)
    if bad := unfit(stores):
        print(f"note: {no_fit_text(bad, pixels)}{way_out()}")
    print(f"{pixels} pixels, {len(stores.indices)} blocks ({len(todo)} of them now): {target}")
    return 0


def _block(session: "Threads | Workers", constants: Problem, pixels: int, layout: Layout) -> int:
    """Pixels in a block: as asked for, as far as memory goes, whether or not each thread then has several."""
    if layout.chunk is None:
        return session.pixels_per_block(constants, pixels, MOST_PIXELS)
    return session.pixels_per_block(constants, layout.chunk * session.slots * BLOCKS_PER_SLOT, layout.chunk)


def _session(spec: str, threads: int, constants: Problem) -> "Threads | Workers":
    solver, slots = Registry().create(spec, threads), 1
    if isinstance(solver, DaskTiled):
        return solver.session(constants)
    if solver.releases_lock:
        solver, slots = Registry().create(spec, 1), threads
    return Threads(slots=slots, memory=memory_for_each(slots), solver=solver)


def _ended(end: BaseException, request: MapRequest, stores: Stores | None) -> int:
    """Print why it ended and how many blocks are whole; the exit code."""
    interrupted = isinstance(end, KeyboardInterrupt)
    why = "interrupted" if interrupted else str(end)
    whole = "no block was begun"
    if stores:
        count = len(stores.indices)
        whole = f"{count - len(unmarked(stores))} of {count} blocks are whole in {request.target}"
    print(f"{why}; {whole}; the same command again goes on from there", file=sys.stderr)
    return cli.INTERRUPTED if interrupted else cli.CELL_FAILED
