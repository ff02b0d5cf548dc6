"""A map for `implementations.invert`: a workload's counts and errors as a Zarr store, of any size, in bounded memory.

`python -m harness.upkeep.mapfile IN.zarr --shape 4096,4096` writes dn, edn, the response, coordinates and the true
DEM's bins.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.workloads import problem as workload
from implementations import command_line as cli

CHUNK_PIXELS = 65536


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.mapfile", description=__doc__)
    parser.add_argument("store", type=Path, metavar="IN.zarr")
    parser.add_argument("--dataset", default="solar-mix", help="specification in datasets/ (solar-mix)")
    parser.add_argument("--shape", type=cli.whole_numbers, default=(256, 256), help="rows,columns (256,256)")
    parser.add_argument("--bins", type=int, default=34, help="at which the response is given (34)")
    parser.add_argument("--chunk", type=int, default=CHUNK_PIXELS, help=f"most pixels in a chunk ({CHUNK_PIXELS})")
    parser.add_argument("--codec", default="none", help="none, lz4 or zstd (none)")
    given = parser.parse(arguments)
    try:
        if len(given.shape) != 2 or min(given.shape) < 1:
            raise ValueError(f"--shape must be rows,columns, got {given.shape}")
        write(given.store, given.dataset, given.shape, given.bins, given.chunk, given.codec)
    except ImportError:
        parser.error("Zarr is not installed: pip install 'demreg-bench[zarr]'")
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    return cli.OK


def write(
    store: Path, dataset: str, shape: tuple[int, int], bins: int, chunk: int = CHUNK_PIXELS, codec: str = "none"
) -> None:
    """Write the store, in chunks of whole rows of at most `chunk` pixels, or one row.

    ValueError when the workload is unknown, of no such size, the store is there already or can't lie so.
    """
    import zarr

    from implementations.large_maps.store import Layout, compressors

    Layout(chunk, codec)
    spec = workload.load(dataset)
    rows, columns = shape
    workload.check_sizes(rows * columns, bins)
    if store.exists():
        raise ValueError(f"{store} is there already")
    shared = workload.frame(spec, bins, spec.seed)
    channels = shared.response.shape[1]
    group = zarr.open_group(store, mode="w-")
    group.attrs.update(dataset=dataset, seed=spec.seed, units="DN s-1 px-1")
    band = max(1, chunk // columns)
    names = ("y", "x", "channel")
    dn, edn = (
        group.create_array(
            name,
            shape=(*shape, channels),
            chunks=(band, columns, channels),
            compressors=compressors(codec),
            dtype=np.float64,
            dimension_names=names,
        )
        for name in ("dn", "edn")
    )
    group.create_array("tresp", data=shared.response, dimension_names=("response_temperature", "channel"))
    group.create_array("tresp_logt", data=shared.logt, dimension_names=("response_temperature",))
    group.create_array("y", data=np.arange(rows, dtype=np.float64), dimension_names=("y",))
    group.create_array("x", data=np.arange(columns, dtype=np.float64), dimension_names=("x",))
    for part, block in workload.stream(spec, rows * columns, bins, spec.seed, chunk=band * columns):
        lines = slice(part.start // columns, part.stop // columns)
        dn[lines], edn[lines] = (a.reshape(-1, columns, channels) for a in (block.dn, block.edn))


if __name__ == "__main__":
    cli.run(main)
