"""SDO/AIA's full disc from FITS to FITS and to Zarr, and a day of it: how long, and in how much memory.

`python -m harness.upkeep.full_disc` enlarges the real disc of `make data` to 4096 x 4096, and runs `implementations.
invert` on it as a user would, in turns with what it can't do without: the kernel alone on the same pixels, and writing
as many bytes. Then the disc as it is, 1024 x 1024, once and as a time series. The figures go to results/full-disc; the
files, some 16 GB at most, are removed. Exit code 1: slower or larger than asked for.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine import facts
from harness.records.files import plain, write_atomically
from harness.upkeep.full_frame import watched
from implementations import command_line as cli
from implementations.aia import files, frames, images, instrument, maps, products, stream
from implementations.aia.files import CHANNELS
from implementations.contract import Problem
from implementations.maths import response
from implementations.registry import Registry

THREADS = 2
SIDE, REAL = 4096, 1024
BINS, LOGT = 34, (5.7, 7.4)
MOST_TIMES, MOST_MB, MOST_SMALL_S = 1.3, 2500 * 1e6 / 2**20, 4.0
"""Asked for: of the slower of kernel and writing; MiB; seconds of 1024 x 1024 pixels, imports included."""
SERIES = (4, 32)
"""Sets of a time series, of whose memory the ratio is taken: the first fills what is read ahead."""
FOLDER, FILE = Path("results") / "full-disc", "full-disc.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.full_disc", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--side", type=int, default=SIDE, help=f"pixels, a multiple of {REAL} ({SIDE})")
    parser.add_argument("--scratch", type=Path, help="where the files lie meanwhile (the system's temporary folder)")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"of the result ({FOLDER})")
    given = parser.parse(arguments)
    parser.folder(given.out)
    try:
        if given.side < REAL or given.side % REAL or given.rounds < 1:
            raise ValueError(f"--side must be a multiple of {REAL} and --rounds at least 1")
        with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
            figures = measure(Path(scratch), given.side, given.rounds)
        write_atomically(given.out / FILE, json.dumps(plain(figures), indent=1) + "\n")
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    for line in said(figures):
        print(line)
    print(given.out / FILE)
    return cli.OK if not figures["missed"] else cli.GATE_FAILED


def measure(scratch: Path, side: int, rounds: int) -> dict[str, Any]:
    """Everything in the folder `scratch`. ValueError when it has no room or the disc isn't here."""
    disc = [Path(path) for path in files.image_set(files.DISC_SET)]
    size = side * side * (4 * (3 * BINS + len(CHANNELS) + 1 + products.BANDS + 2) + 1)
    if shutil.disk_usage(scratch).free < 2.2 * size:
        raise ValueError(f"{scratch} needs {2.2 * size / 1e9:.0f} GB free")
    large = enlarged(disc, scratch, side)
    turns: dict[str, Callable[[], tuple[float, float]]] = {
        "kernel": lambda: (kernel_alone(large), 0.0),
        "writing": lambda: (writing_alone(scratch / "bytes", size, stream.WriteBehind().wrote), 0.0),
        "writing, kept": lambda: (writing_alone(scratch / "bytes", size, lambda *piece: None), 0.0),
        "FITS to FITS": lambda: inverted(large, scratch / "out.fits"),
        "FITS to Zarr": lambda: inverted(large, scratch / "out.zarr"),
    }
    load = os.getloadavg()[0]
    measured = in_turns(turns, rounds)
    small = in_turns({"1024 x 1024": lambda: inverted(disc, scratch / "small.fits")}, rounds)
    series = {n: inverted(later(disc, scratch, n), scratch / "series.fits")[1] for n in SERIES}
    figures: dict[str, Any] = {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "software": facts.software(),
        "command": f"python -m implementations.invert FITS... -o out.fits --threads {THREADS}",
        "threads": THREADS,
        "side": side,
        "bins": BINS,
        "bytes": size,
        "load_before": load,
        "seconds": {name: [s for s, _, _ in each] for name, each in (measured | small).items()},
        "core_seconds": {name: [cpu for _, _, cpu in each] for name, each in measured.items() if name != "kernel"},
        "peak_mb": {name: max(mb for _, mb, _ in each) for name, each in (measured | small).items() if each[0][1]},
        "series_peak_mb": series,
    }
    figures["times"] = {name: times(figures["seconds"], name) for name in measured if name.startswith("FITS")}
    figures["least_times"] = least_times(figures["seconds"], figures["core_seconds"]["writing"])
    figures["missed"] = missed(figures)
    return figures


def in_turns(what: dict[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, list[tuple[float, ...]]]:
    """Seconds, MiB and core-seconds of each; what was written is on the disk before the next.

    Every round has another order.
    """
    measured: dict[str, list[tuple[float, ...]]] = {name: [] for name in what}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for name in rng.permutation(list(what)):
            os.sync()
            before = sum(os.times()[:4])  # of the processes that it has ended, too
            found = what[name]()
            measured[name].append((*found, sum(os.times()[:4]) - before))
    return measured


def times(seconds: dict[str, list[float]], name: str) -> float:
    """The median over the rounds of what a command takes of the slower of kernel and writing in that round."""
    slower = map(max, seconds["kernel"], seconds["writing"])
    return statistics.median(whole / part for whole, part in zip(seconds[name], slower, strict=True))


def least_times(seconds: dict[str, list[float]], writing: list[float]) -> float:
    """What kernel and writing would take of the slower one, if they shared the cores and neither ever waited."""
    rounds = zip(seconds["kernel"], seconds["writing"], writing, strict=True)
    return statistics.median((kernel + cpu / THREADS) / max(kernel, alone) for kernel, alone, cpu in rounds)


def missed(figures: dict[str, Any]) -> list[str]:
    """What is slower or larger than asked for."""
    found = [f"{name}: {value:.2f} times" for name, value in figures["times"].items() if value > MOST_TIMES]
    found += [f"{name}: {mb:.0f} MiB" for name, mb in figures["peak_mb"].items() if mb > MOST_MB]
    small = statistics.median(figures["seconds"]["1024 x 1024"])
    found += [f"1024 x 1024: {small:.1f} s"] if small > MOST_SMALL_S else []
    few, many = (figures["series_peak_mb"][n] for n in SERIES)
    return (
        [*found, f"{SERIES[1]} sets: {many / few:.2f} times the memory of {SERIES[0]}"] if many > 1.1 * few else found
    )


def said(figures: dict[str, Any]) -> list[str]:
    """The figures for people."""
    lines = [f"{name}: {statistics.median(all_s):.1f} s" for name, all_s in figures["seconds"].items()]
    lines += [f"{name}: {value:.2f} times the slower of kernel and writing" for name, value in figures["times"].items()]
    lines += [f"{name}: {mb:,.0f} MiB" for name, mb in figures["peak_mb"].items()]
    lines += [f"series of {n}: {mb:,.0f} MiB" for n, mb in figures["series_peak_mb"].items()]
    return [*lines, f"missed: {'; '.join(figures['missed']) or 'nothing'}"]


def enlarged(disc: list[Path], scratch: Path, side: int) -> list[Path]:
    """The six images at another size, interpolated linearly, single precision: the Sun fills as much of them."""
    from astropy.io import fits
    from scipy import ndimage

    factor, paths = side // REAL, []
    for path in disc:
        file, hdu = frames.opened(path)
        with file:
            values, header = np.asarray(hdu.data, dtype=np.float32), hdu.header.copy()
        for key in ("CRPIX1", "CRPIX2"):
            header[key] = (header[key] - 0.5) * factor + 0.5
        for key in ("CDELT1", "CDELT2"):
            header[key] /= factor
        header.pop("BLANK", None)
        paths.append(scratch / f"large-{path.name}")
        larger = ndimage.zoom(values, factor, order=1, grid_mode=True, mode="nearest")
        fits.PrimaryHDU(larger, header).writeto(paths[-1])
    return paths


def later(disc: list[Path], scratch: Path, sets: int) -> list[Path]:
    """The disc, and so many times a minute later, less one."""
    from astropy.io import fits

    paths = []
    for number in range(sets):
        for path in disc:
            copy = scratch / f"{number}-{path.name}"
            shutil.copy(path, copy)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of BLANK beside real numbers, which the command says itself
                moment = np.datetime64(fits.getval(copy, "DATE-OBS")) + np.timedelta64(number, "m")
                fits.setval(copy, "DATE-OBS", value=str(moment))
            paths.append(copy)
    return paths


def inverted(paths: list[Path], out: Path) -> tuple[float, float]:
    """Seconds and MiB of the command, from its start to its end; what it wrote is removed."""
    asked = [*map(str, paths), "-o", str(out), "--threads", str(THREADS), "--bins", str(BINS)]
    cores = sorted(os.sched_getaffinity(0))[:THREADS]
    seconds, peak = watched([sys.executable, "-m", "implementations.invert", *asked], cores)
    _remove(out)
    return seconds, peak


def kernel_alone(paths: list[Path]) -> float:
    """Seconds that the solver computes on the same pixels, strip by strip: staging, files and results left out."""
    logt, dlogt = response.bins_of(np.logspace(*LOGT, BINS + 1))
    table = instrument.read_response(files.response_file())
    rmatrix = response.response_matrix(table[1], table[0], logt, dlogt)
    solver, seconds = Registry().create("numba", THREADS), 0.0
    with images.Reading(tuple(frames.frame_of(path) for path in paths)) as reading:
        for number, rows in enumerate(maps.strips(*reading.shape)):
            counts = reading.rows(rows).counts()
            state = solver.prepare(Problem(counts.dn, counts.edn, rmatrix, logt, dlogt))
            start = time.perf_counter()
            solution = solver.solve(state)
            seconds += (time.perf_counter() - start) * (number > 0)  # the first loads the kernel
            solver.collect(state, solution)
    return seconds * (number + 1) / number


def writing_alone(path: Path, size: int, wrote: Callable[[Path, int, int], None]) -> float:
    """Seconds in which so many bytes are written to a file, in pieces as of `implementations.invert`.

    `wrote` is told of each piece: `stream.WriteBehind.wrote`, as there, or nothing that keeps them in memory.
    """
    piece = np.random.default_rng(0).bytes(1 << 18)
    start = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for number in range(-(-size // len(piece))):
            file.write(piece)
            wrote(path, number * len(piece), len(piece))
    seconds = time.perf_counter() - start
    _remove(path)
    return seconds


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    cli.run(main)
