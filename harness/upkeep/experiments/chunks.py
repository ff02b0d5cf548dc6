"""Chunk sizes and codecs of maps, Zarr to Zarr: what they cost in time and room.

`python -m harness.upkeep.experiments.chunks` inverts one map from store to store on two threads, for each codec and
chunk size, in an order drawn anew for each round. The figures go to results/chunks; docs/scale.md has the table.
"""

import contextlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine import facts
from harness.records.files import plain, write_atomically
from harness.reports.pages import scale_page
from harness.upkeep import mapfile
from harness.upkeep.full_frame import LOGT
from implementations import command_line as cli
from implementations.large_maps.inversion import invert_store
from implementations.large_maps.store import CODECS, MOST_PIXELS, Layout

SHAPE, BINS, CORES = (512, 512), 34, 2
CHUNKS = (4096, 16_384, 65_536)
TYPES = ("float64", "float32")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.experiments.chunks", description=__doc__)
    parser.add_argument("--shape", type=cli.whole_numbers, default=SHAPE, help="rows,columns (512,512)")
    parser.add_argument("--chunks", type=cli.whole_numbers, default=CHUNKS, help="pixels, by commas")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--scratch", type=Path, help="where the stores lie meanwhile (the system's temporary folder)")
    parser.add_argument("--out", type=Path, default=scale_page.CHUNKS.parent, metavar="DIR", help="of the result")
    given = parser.parse(arguments)
    parser.folder(given.out)
    try:
        if len(given.shape) != 2 or given.rounds < 1:
            raise ValueError("--shape must be rows,columns and --rounds at least 1")
        with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
            figures = measure(Path(scratch), given.shape, given.chunks, given.rounds)
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    path = given.out / scale_page.CHUNKS.name
    write_atomically(path, json.dumps(plain(figures), indent=1) + "\n")
    print(scale_page.chunk_table(figures))
    print(path)
    return cli.OK


def measure(scratch: Path, shape: tuple[int, ...], chunks: Sequence[int], rounds: int) -> dict[str, Any]:
    """Everything in the folder `scratch`. ValueError when the sizes are none."""
    ways = [Layout(chunk, codec, dtype) for chunk in chunks for codec in CODECS for dtype in TYPES]
    source = {}
    for chunk in chunks:
        source[chunk] = scratch / f"in-{chunk}.zarr"
        mapfile.write(source[chunk], "solar-mix", (shape[0], shape[1]), BINS, chunk)
    seconds: dict[Layout, list[float]] = {way: [] for way in ways}
    sizes: dict[Layout, int] = {}
    load, rng = os.getloadavg()[0], np.random.default_rng(0)
    inverted(source[chunks[0]], scratch / "out.zarr", ways[0])  # compiles
    for _ in range(rounds):
        for number in rng.permutation(len(ways)):
            way = ways[number]
            taken, sizes[way] = inverted(source[way.chunk], scratch / "out.zarr", way)
            seconds[way].append(taken)
    pixels = int(np.prod(shape))
    return {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "cores": CORES,
        "shape": list(shape),
        "bins": BINS,
        "default_chunk": MOST_PIXELS,
        "load_before": load,
        "layouts": [
            {
                "chunk": way.chunk,
                "codec": way.codec,
                "dtype": way.dtype,
                "seconds": seconds[way],
                "bytes_per_pixel": sizes[way] / pixels,
            }
            for way in ways
        ],
    }


def inverted(source: Path, target: Path, way: Layout) -> tuple[float, int]:
    """Seconds, and bytes of the store, which is removed; what was written before is on the disk."""
    os.sync()
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = invert_store(source, target, f"dask[inner=numba,workers={CORES}]", 1, BINS, LOGT, None, way)
    if code:
        raise RuntimeError(f"the inversion into {way} ended with exit code {code}")
    taken = time.perf_counter() - start
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    shutil.rmtree(target)
    return taken, size


if __name__ == "__main__":
    cli.run(main)
