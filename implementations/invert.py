"""AIA images of your own to DEMs: six FITS files, one for each channel, to a DEM for every pixel.

`python -m implementations.invert FITS... -o dem.fits` writes DEM, errors, temperature resolution, chi-squared, status
and recovered counts with the WCS of the images, as .fits, .zarr or .asdf. Several sets of six are a time series.

`python -m implementations.invert IN.zarr OUT.zarr --solver dask` inverts counts and errors out of a Zarr store into
another, however large they are; the same command again goes on where one ended. See `large_maps.inversion`.
"""

import argparse
import importlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.progress import Progress

from implementations import command_line as cli
from implementations.aia import files, formats, images, instrument, maps
from implementations.contract import Options, Solver, Status
from implementations.registry import Registry

LOGT_RANGE, BINS = (5.7, 7.4), 34


def _parser() -> cli.Parser:
    parser = cli.Parser("implementations.invert", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="FITS", help="AIA images, level 1.5, six for each time; or one .zarr")
    add("-o", "--out", type=Path, help="where to: .fits, .zarr or .asdf")
    add("--solver", default="numba", help="name or name[key=value,...] (numba)")
    add("--threads", type=int, default=1, help="of a solver that doesn't say otherwise (1)")
    add("--bins", type=int, default=BINS, help=f"temperature bins ({BINS})")
    add("--logt", type=float, nargs=2, default=LOGT_RANGE, metavar=("LOW", "HIGH"), help="log10 K; 5.7 7.4 by default")
    add("--gloci", action="store_true", help="shape the constraint by the EM loci")
    add("--response", type=Path, help="table of the temperature response, IDL save file (demregpy's)")
    add("--plot", type=Path, metavar="PNG", help="draw the maps too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Words of the command line; None for this process's own.

    Returns
    -------
    int
        Exit code.
    """
    parser = _parser()
    given = parser.parse(arguments)
    try:
        stores = [*given.inputs, *([given.out] if given.out else [])]
        if len(stores) == 2 and all(path.suffix == ".zarr" for path in stores):
            return _invert_store(given, *stores)
        if given.out is None:
            raise ValueError("-o is missing: where to, .fits, .zarr or .asdf")
        return _invert_images(given)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        parser.error(" ".join(str(error).split()))


def _invert_store(given: argparse.Namespace, source: Path, target: Path) -> int:
    if given.response or given.plot:
        raise ValueError("--response and --plot are for FITS files; a Zarr store holds its own response")
    if not find_spec("zarr"):
        raise ValueError("Zarr is not installed: pip install 'demreg-bench[zarr]'")
    inversion = importlib.import_module("implementations.large_maps.inversion")
    options = Options(gloci=int(given.gloci))
    return inversion.invert_store(source, target, given.solver, given.threads, given.bins, tuple(given.logt), options)


def _invert_images(given: argparse.Namespace) -> int:
    if images.unavailable():
        raise ValueError(images.unavailable())
    low, high = given.logt
    if not (3 <= given.bins <= 1000 and 3 <= low < high <= 10):
        raise ValueError(
            f"--bins must be from 3 to 1000 and --logt rise within 3 to 10, got {given.bins}, {low:g} {high:g}"
        )
    write = formats.writer_of(given.out)
    solver = solver_of(given.solver, given.threads)
    response_file = given.response or files.response_file()
    table = instrument.read_response(response_file)
    sets = [images.read_set(six) for six in images.sets_of(given.inputs)]
    for remark in dict.fromkeys(remark for image_set in sets for remark in image_set.remarks):
        print(f"note: {remark}")
    options = Options(gloci=int(given.gloci))
    history = [
        f"demreg-bench {version('demreg-bench')}, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, solver {given.solver}",
        f"{options}",
        f"response {response_file.name}; errors: photon and read noise of one detector pixel",
        *(Path(name).name for image_set in sets for name in image_set.files),
    ]
    start = time.perf_counter()
    with Progress(transient=True) as progress:
        bar = progress.add_task("DEM", total=sum(s.dn[..., 0].size for s in sets))
        result = maps.invert(
            sets,
            table,
            np.logspace(low, high, given.bins + 1),
            options,
            solver.run,
            history,
            lambda pixels: progress.advance(bar, pixels),
        )
    _say(result, time.perf_counter() - start)
    write(result, given.out)
    print(f"maps: {given.out}")
    if given.plot:
        from implementations.aia import plot

        plot.save(result, given.plot)
        print(f"plot: {given.plot}")
    return cli.OK


def solver_of(spec: str, threads: int) -> Solver:
    """The solver of a name.

    Parameters
    ----------
    spec, threads
        As `Registry.create` has them.

    Returns
    -------
    Solver
        One that this machine can run.

    Raises
    ------
    ValueError
        When it is unknown or can't run here.
    """
    try:
        return Registry().ready(spec, threads)
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def _say(result: maps.DemMaps, seconds: float) -> None:
    counts = np.bincount(result.status.ravel(), minlength=len(Status))
    inverted = counts[Status.OK] + counts[Status.HIT_MAX_ITER]
    print(
        f"{inverted} of {result.status.size} pixels inverted in {seconds:.1f} s (compilation included); "
        f"{counts[Status.HIT_MAX_ITER]} with negative bins left, {counts[Status.INVALID]} with a channel or error <= 0"
    )


if __name__ == "__main__":
    cli.run(main)
