"""The instrument's full frame, Zarr to Zarr, on two cores: how long, in how much memory, and whether it is `numba`'s.

`python -m harness.upkeep.full_frame` writes a map of 4096 x 4096 pixels, runs `implementations.invert` on it as a user
would, into single precision as FITS maps are, watches the memory of all its processes, and compares every output with
the `numba` solver's, bit for bit, block by block. The figures go to results/full-frame; the stores, some 7 GB, are
removed. Exit code 1: unequal, or above the limit.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine import facts
from harness.measure import family
from harness.records.files import plain, write_atomically
from harness.upkeep import mapfile
from implementations import command_line as cli
from implementations.api import dn2dem
from implementations.contract import OUTPUTS

LIMIT_MB = 2048
CORES = 2
LOOK_S = 0.05
LOGT = (5.7, 7.1)  # where the map's response is known
FOLDER, FILE = Path("results") / "full-frame", "full-frame.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.full_frame", description=__doc__)
    parser.add_argument("--shape", type=cli.whole_numbers, default=(4096, 4096), help="rows,columns (4096,4096)")
    parser.add_argument("--bins", type=int, default=34, help="temperature bins (34)")
    parser.add_argument("--solver", default=f"dask[inner=numba,workers={CORES},memory=1200MiB]")
    parser.add_argument("--dtype", default="float32", help="of the maps: float32 or float64 (float32)")
    parser.add_argument("--scratch", type=Path, help="where the stores lie meanwhile (the system's temporary folder)")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"of the result ({FOLDER})")
    given = parser.parse(arguments)
    parser.folder(given.out)
    try:
        with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
            figures = measure(Path(scratch), given.shape, given.bins, given.solver, given.dtype)
        write_atomically(given.out / FILE, json.dumps(plain(figures), indent=1) + "\n")
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    print(
        f"{figures['pixels']:,} pixels in {figures['seconds']:.0f} s, {figures['peak_mb']:,.0f} of {LIMIT_MB} MiB; "
        f"differing from numba's: {', '.join(figures['differing']) or 'nothing'}; {given.out / FILE}"
    )
    return cli.OK if not figures["differing"] and figures["peak_mb"] <= LIMIT_MB else cli.GATE_FAILED


def measure(scratch: Path, shape: tuple[int, ...], bins: int, solver: str, dtype: str = "float64") -> dict[str, Any]:
    """Everything in the folder `scratch`. ValueError when it has no room, RuntimeError when the inversion fails."""
    pixels = int(np.prod(shape))
    needed = pixels * (8 * (3 * bins + 1 + 6 + 2 * 6) + 1) * 1.05
    if len(shape) != 2 or shutil.disk_usage(scratch).free < needed:
        raise ValueError(f"{scratch} needs {needed / 1e9:.0f} GB free for a map of rows,columns {shape}")
    source, target = scratch / "in.zarr", scratch / "out.zarr"
    mapfile.write(source, "solar-mix", (shape[0], shape[1]), bins)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    asked = [str(source), str(target), "--solver", solver, "--bins", str(bins), "--logt", *map(str, LOGT)]
    asked += ["--dtype", dtype]
    load = os.getloadavg()[0]
    seconds, peak = watched([sys.executable, "-m", "implementations.invert", *asked], cores)
    return {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "cores": len(cores),
        "command": " ".join(["python -m implementations.invert in.zarr out.zarr", *asked[2:]]),
        "shape": list(shape),
        "pixels": pixels,
        "bins": bins,
        "dtype": dtype,
        "seconds": seconds,
        "pixels_per_s": pixels / seconds,
        "peak_mb": peak,
        "limit_mb": LIMIT_MB,
        "load_before": load,
        "compared": list(OUTPUTS),
        "differing": _differing(source, target, bins),
    }


def watched(command: list[str], cores: list[int]) -> tuple[float, float]:
    """Seconds from a command's start to its end, and the most memory, MiB, that its processes had resident at once.

    Pages that processes share count for each of them.
    """
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, cores)) as process:
        while process.poll() is None:
            peak = max(peak, family.held_mb(os.getpid()))
            time.sleep(LOOK_S)
    if process.returncode:
        raise RuntimeError(f"implementations.invert ended with exit code {process.returncode}")
    return time.perf_counter() - start, peak


def _differing(source: Path, target: Path, bins: int) -> list[str]:
    """Names of the outputs that aren't bit for bit what `dn2dem` gives with `numba`, rounded to the type of the maps.

    Compared a few rows at a time.
    """
    import zarr

    given, got = zarr.open_group(source, mode="r"), zarr.open_group(target, mode="r")
    response, edges = (given["tresp"][:], given["tresp_logt"][:]), np.logspace(*LOGT, bins + 1)
    rows, differing = got["chisq"].chunks[0], set()
    for first in range(0, got["chisq"].shape[0], rows):
        part = slice(first, first + rows)
        with warnings.catch_warnings(action="ignore"):  # of pixels that are no fit: the same in both
            expected = dn2dem(given["dn"][part], given["edn"][part], *response, edges, solver="numba")
        for name, values in zip(OUTPUTS, expected, strict=True):
            if not np.array_equal(got[name][part], np.asarray(values, got[name].dtype)):
                differing.add(name)
    return sorted(differing)


if __name__ == "__main__":
    cli.run(main)
