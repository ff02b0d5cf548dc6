"""AIA images of your own to DEMs: six FITS files, one for each channel, to a DEM for every pixel.

`python -m implementations.invert FITS... -o dem.fits` writes DEM, errors, temperature resolution, chi-squared, status
and recovered counts with the WCS of the images, as .fits, .zarr or .asdf. Several sets of six are a time series.

`python -m implementations.invert IN.zarr OUT.zarr --solver dask` inverts counts and errors out of a Zarr store into
another, however large they are; the same command again goes on where one ended. See `large_maps.inversion`.
"""

import argparse
import importlib
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn, track

from implementations import command_line as cli
from implementations.aia import degradation, files, formats, frames, images, instrument, maps, opening, products
from implementations.aia.figures import place
from implementations.calls import arguments
from implementations.calls.channels import by_channels
from implementations.calls.inversion import mark_no_fit, no_fit_text, way_out
from implementations.contract import Array, Options, Problem, Solution, Solver, Status
from implementations.maths import response
from implementations.pixel import draw_pixel
from implementations.registry import Registry

LOGT_RANGE, BINS = (5.7, 7.4), 34
LAYOUT = ("chunk", "codec", "dtype")
"""Options of stores that are inverted into others; files of images have one layout, in single precision."""
PEAKS = 1e-30, 1e-20
"""Of the response's channels, DN cm5 s-1 px-1, among which AIA's are."""
PICTURES = (".png", ".pdf", ".svg")
DRAWS = 200
"""Of the Monte Carlo errors of a pixel."""


def _parser() -> cli.Parser:
    parser = cli.Parser("implementations.invert", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="FITS", help="AIA images, level 1.5, six for each time; or one .zarr")
    add("-o", "--out", "--output", type=Path, help="where to: .fits, .zarr or .asdf")
    add("--solver", default="numba", help="name or name[key=value,...] (numba)")
    add("--threads", type=int, default=1, help="of a solver that doesn't say otherwise (1)")
    add("--bins", type=int, default=BINS, help=f"temperature bins ({BINS})")
    add("--logt", type=float, nargs=2, default=LOGT_RANGE, metavar=("LOW", "HIGH"), help="log10 K; 5.7 7.4 by default")
    add("--bands", type=float, nargs="+", metavar="EDGE", help="of emission measure maps, log10 K (three equal ones)")
    add("--gloci", action="store_true", help="shape the constraint by the EM loci")
    add("--systematic", type=float, default=0.0, metavar="SHARE", help="error of calibration, 0.2 of the counts (0)")
    add("--fewest-channels", type=int, default=6, metavar="N", help="invert pixels that lack counts in others too (6)")
    add("--response", type=Path, help="temperature response: IDL save file (demregpy's), .npz, .csv or .ecsv")
    add("--register", action="store_true", help="bring the channels of a set to the grid of 171")
    add(
        "--degradation",
        type=Path,
        nargs="?",
        const=degradation.OWN,
        metavar="TABLE",
        help="undo the loss of sensitivity: by JSOC's table (aia.response), as SolarSoft and aiapy have it, or by the "
        "project's own",
    )
    add("--chunk", type=int, metavar="PIXELS", help="of Zarr to Zarr: pixels in a chunk (at most 65536)")
    add("--codec", help="of Zarr to Zarr: none, lz4 or zstd (lz4)")
    add("--dtype", help="of Zarr to Zarr: float64 or float32 (float64)")
    add("--plot", type=Path, metavar="PNG", help="draw the maps too")
    add(
        "--pixel",
        metavar="X,Y",
        help="draw one pixel's DEM, with errors and counts: --pixel=-300,120 in arcsec, --pixel 400,500px from 0; "
        "beside the maps, or alone with -o of .png, .pdf or .svg",
    )
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
    asked = {name: getattr(given, name) for name in LAYOUT if getattr(given, name) is not None}
    layout = inversion.Layout(**asked)
    run = given.solver, given.threads, given.bins, tuple(given.logt), options, layout
    return inversion.invert_store(source, target, *run)


def _invert_images(given: argparse.Namespace) -> int:
    """Check all that can be wrong, then invert, then say how it went."""
    write_to = _checked(given)
    solver, threads = _dealt(given.solver, given.threads)
    response_file = given.response or files.response_file()
    edges = np.logspace(given.logt[0], given.logt[1], given.bins + 1)
    with _noted():
        table = _response(response_file, edges)
    bands = products.bands_of(given.bands, *response.bins_of(edges))
    sets = frames.frames_of(track(given.inputs, "reading headers", transient=True, disable=not sys.stdout.isatty()))
    job = opening.Job.of(sets, given.register, given.degradation)
    for remark in job.remarks:
        print(f"note: {remark}")
    options = Options(gloci=int(given.gloci))
    if given.pixel:
        _draw_pixel(given, job, table, edges)
        if given.out.suffix in PICTURES:
            return cli.OK
    history = (
        f"demreg-bench {version('demreg-bench')}, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, solver {given.solver}",
        f"{options}",
        f"response {response_file.name}; errors: photon and read noise of one detector pixel"
        + (f", systematic {given.systematic:g} of the counts" if given.systematic else ""),
        *([f"pixels with {given.fewest_channels} channels or more"] if given.fewest_channels < 6 else []),
        *job.history,
    )
    start = time.perf_counter()
    with _progress(sum(math.prod(images[0].shape) for images in sets)) as done:
        most = maps.STRIP if solver.device == "gpu" else maps.PIECE
        unfit: list[int] = []
        run = _counted(solver, options, given.systematic, given.fewest_channels, unfit)
        inversion = maps.Inversion(run, table, edges, options, bands, most, done)
        with formats.writing(job.description(inversion, history), write_to) as writer:
            maps.invert(job.openings, inversion, writer, threads)
    for remark in job.afterwards(inversion.seen):
        print(f"note: {remark}")
    if sum(unfit):
        print(f"note: {no_fit_text(sum(unfit), int(inversion.counts.sum()))}{way_out()}")
    _say(inversion.counts, time.perf_counter() - start)
    print(f"maps: {write_to}")
    if given.plot:
        _plot(write_to, len(sets), given.plot)
    return cli.OK


def _checked(given: argparse.Namespace) -> Path:
    """Where to. ValueError when what is asked for can't be done, whatever the files hold."""
    if images.unavailable():
        raise ValueError(images.unavailable())
    if any(getattr(given, name) is not None for name in LAYOUT):
        raise ValueError("--chunk, --codec and --dtype are for a Zarr store inverted into another, not for images")
    if given.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {given.threads}")
    low, high = given.logt
    if not (3 <= given.bins <= 1000 and 3 <= low < high <= 10):
        raise ValueError(
            f"--bins must be from 3 to 1000 and --logt rise within 3 to 10, got {given.bins}, {low:g} {high:g}"
        )
    if not 0 <= given.systematic <= 1:
        raise ValueError(
            f"--systematic must be a share of the counts from 0 to 1, 0.2 for 20%, got {given.systematic:g}"
        )
    if not 1 <= given.fewest_channels <= len(files.CHANNELS):
        raise ValueError(f"--fewest-channels must be from 1 to {len(files.CHANNELS)}, got {given.fewest_channels}")
    if given.pixel and given.out.suffix in PICTURES:
        if given.plot:
            raise ValueError(f"--plot draws maps, which -o {given.out} makes none of: -o ends in .fits, .zarr or .asdf")
        formats.check_folder(given.out)
    else:
        formats.writer_of(given.out)
    if given.plot:
        if given.plot.suffix not in PICTURES:
            raise ValueError(f"--plot {given.plot} must end in one of {', '.join(PICTURES)}")
        formats.check_folder(given.plot)
    _check_not_read(given)
    return given.out


def _check_not_read(given: argparse.Namespace) -> None:
    """ValueError when an output would be written over a file that is read."""
    inputs = [*given.inputs, *(path for path in (given.response, given.degradation) if path)]
    for out in (path for path in (given.out, given.plot) if path and path.exists()):
        if any(out.samefile(path) for path in inputs):
            raise ValueError(f"{out} is an input: name another file to write to")


def _response(path: Path, edges: Array) -> tuple[Array, Array]:
    """logt (N,) and response (N, 6) of a file. ValueError when it is none, or the bins are far outside of it."""
    logt, values = instrument.read_response(path)
    bins = response.bins_of(edges)
    try:
        values, logt = arguments.response_table(values, logt, values.shape[1])
        rmatrix = response.response_matrix(values, logt, *bins)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    peaks = values.max(axis=0)
    if not (PEAKS[0] < peaks.min() <= peaks.max() < PEAKS[1]):
        said = f"{peaks.min():.1e} to {peaks.max():.1e}, expected {PEAKS[0]:g} to {PEAKS[1]:g} DN cm5 s-1 px-1"
        raise ValueError(f"{path} has channels that peak at {said}: is it scaled, or in another unit?")
    arguments.within_response(bins[0], logt)
    arguments.all_seen("--logt", arguments.unseen(rmatrix, bins[0]))
    return logt, values


@contextmanager
def _noted() -> Iterator[None]:
    """Print as notes, once each, what is warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        yield
    for remark in dict.fromkeys(str(warning.message) for warning in said):
        print(f"note: {remark}")


def _dealt(spec: str, threads: int) -> tuple[Solver, int]:
    """The solver, and how many strips it has at a time: as many as threads, where these can run it side by side."""
    solver = solver_of(spec, 1)
    return (solver, threads) if solver.releases_lock else (solver_of(spec, threads), 1)


@contextmanager
def _progress(pixels: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal that says when a kernel is compiled; what is yielded is told how many pixels are done."""
    from numba.core import event

    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(SpinnerColumn(), *columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("DEM", total=pixels)

        class Compiling(event.Listener):
            def on_start(self, event: Any) -> None:
                progress.update(bar, description="compiling")

            def on_end(self, event: Any) -> None:
                progress.update(bar, description="DEM")

        with event.install_listener("numba:compile", Compiling()):
            yield lambda done: progress.advance(bar, done)


def _counted(
    solver: Solver, options: Options, share: float, fewest: int, unfit: list[int]
) -> Callable[[Problem], Solution]:
    """The solver's `run`, of errors that have a share of the counts added; `unfit` has how many pixels are no fit.

    Pixels with at least `fewest` channels are inverted with those that they have.
    """

    def run(problem: Problem) -> Solution:
        if share:
            problem = replace(problem, edn=np.hypot(problem.edn, share * problem.dn))
        whole = fewest == len(files.CHANNELS) or bool(np.isfinite(problem.dn).all())
        solution = solver.run(problem) if whole else by_channels(problem, fewest, solver.run)[0]
        unfit.append(mark_no_fit(solution, options, solver))
        if not whole:
            lacking = ~np.isfinite(problem.dn).all(axis=1) & (solution.status == Status.OK)
            solution.status[lacking] = maps.MapStatus.LACKING
        return solution

    return run


def _draw_pixel(given: argparse.Namespace, job: opening.Job, table: tuple[Array, Array], edges: Array) -> None:
    """Draw the pixel asked for, of each time; beside the maps, or as the only output."""
    out = given.out if given.out.suffix in PICTURES else given.out.with_name(f"{given.out.stem}_pixel.png")
    settings = {
        "solver": given.solver,
        "gloci": int(given.gloci),
        "nmu": Options().nmu,
        "draws": DRAWS,
        "systematic": given.systematic,
    }
    for number, (one, opened) in enumerate(zip(job.sets, job.openings, strict=True)):
        frame = one[frames.REFERENCE]
        x, y, where = place.found(given.pixel, frame.header, frame.shape)
        with opened() as reading:
            counts = reading.rows(slice(y, y + 1)).counts()
        with _noted():
            figure = draw_pixel(
                counts.dn[x], counts.edn[x], table[1], table[0], edges,
                names=list(map(str, files.CHANNELS)), title=f"SDO/AIA {frame.time} UTC, {where}", **settings,
            )  # fmt: skip
        name = out if len(job.sets) == 1 else out.with_stem(f"{out.stem}_{number:03d}")
        figure.savefig(name)
        print(f"pixel: {name}")


def _plot(path: Path, times: int, plot_to: Path) -> None:
    """Draw the maps of each time; a series has its number before the suffix."""
    from implementations.aia.figures import maps as figures

    for number in range(times):
        name = plot_to if times == 1 else plot_to.with_stem(f"{plot_to.stem}_{number:03d}")
        figures.save(formats.read(path, number), name)
    print(f"plot: {plot_to}")


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


def _say(counts: NDArray[np.int64], seconds: float) -> None:
    _, negative, invalid, saturated, lacking, _ = counts
    inverted, without = counts.sum() - invalid, f", {lacking} without some channel" if lacking else ""
    print(
        f"{inverted} of {counts.sum()} pixels inverted in {seconds:.1f} s (compilation included); "
        f"{negative} with negative bins left, {invalid} with a channel or error <= 0, {saturated} saturated{without}"
    )


if __name__ == "__main__":
    cli.run(main)
