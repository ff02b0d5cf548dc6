"""The figures in docs/scale.md: what a day, a year and the archive of AIA cost, from rates in committed records.

`harness.reports.readme` writes them. `make peers`, `make full-disc`, `make real-time`, `make chunks` and `make
scheduling` make the records; what has none is "not yet measured".
"""

import json
import statistics
from datetime import date
from pathlib import Path
from typing import Any

from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.reports.pages import real_time_table
from harness.show import markdown
from implementations.aia.files import CHANNELS
from implementations.aia.products import BANDS
from implementations.places import ROOT

PAGE = ROOT / "docs" / "scale.md"
DISC = ROOT / "results" / "reference-peers-disc"
FULL_DISC = ROOT / "results" / "full-disc" / "full-disc.json"
CHUNKS = ROOT / "results" / "chunks" / "chunks.json"
SCHEDULING = ROOT / "results" / "scheduling" / "scheduling.json"
NOT = "not yet measured"
SIDE, SETS_A_DAY, BINS = 4096, 7200, 34
FIRST = date(2010, 5, 13)
"""The first day of AIA's archive."""
SHARE = 0.02
"""Of a block's time that its scheduling may take."""


def record(path: Path) -> dict[str, Any] | None:
    """A record's figures, if it is there."""
    return dict(json.loads(path.read_text())) if path.is_file() else None


def core_seconds_per_pixel() -> float:
    """Of `numba` on the real disc, invalid pixels included. ValueError when it has no record."""
    row = _disc_row()
    if row is None:
        raise ValueError(f"{DISC} has no run of numba: make peers makes one")
    return float(row.threads / row.pixels_per_s)


def _disc_row() -> Any:
    if not DISC.is_dir():
        return None
    table = Run.open(DISC).table()
    rows = table[(table.solver == "numba") & (table.status == "ok")]
    return rows.iloc[0] if len(rows) else None


def bytes_per_pixel() -> int:
    """Of maps in single precision, status a byte."""
    return 4 * (3 * BINS + len(CHANNELS) + 1 + BANDS + 2) + 1


def costs() -> str:
    """A row per cost, a column for a day, a year and the archive up to the day of the rate's record."""
    row = _disc_row()
    made = date.fromisoformat(Run.open(DISC).provenance["created"][:10]) if row is not None else date.today()
    spans = {"a day": 1.0, "a year": 365.25, f"archive, {FIRST:%Y} to {made:%Y}": float((made - FIRST).days)}
    pixels = SIDE * SIDE * SETS_A_DAY
    kernel = core_seconds_per_pixel() * pixels / 3600 if row is not None else None
    disc = record(FULL_DISC)
    command = disc and statistics.median(disc["seconds"]["FITS to FITS"]) * disc["threads"] / disc["side"] ** 2
    whole = command * pixels / 3600 if command else None
    rows = [
        ["sets of six images", *(f"{SETS_A_DAY * days:,.0f}" for days in spans.values())],
        ["core-hours of the kernel", *(_number(kernel, days) for days in spans.values())],
        ["core-hours of `invert`, FITS to FITS", *(_number(whole, days) for days in spans.values())],
        [
            "images read, single precision, TB",
            *(_number(4e-12 * len(CHANNELS) * pixels, days) for days in spans.values()),
        ],
        [
            "maps written, uncompressed, TB",
            *(_number(1e-12 * bytes_per_pixel() * pixels, days) for days in spans.values()),
        ],
    ]
    for codec, share in _shrinks().items():
        stored = 1e-12 * share * pixels if share else None
        rows.append([f"maps of `numba`'s outputs, {codec}, TB", *(_number(stored, days) for days in spans.values())])
    return markdown.table(["", *spans], rows)


def _number(per_day: float | None, days: float) -> str:
    return NOT if per_day is None else f"{per_day * days:,.0f}"


def _shrinks() -> dict[str, float | None]:
    """Bytes a pixel of each codec, single precision, at the default chunk."""
    got, names = record(CHUNKS), {"none": "no codec", "lz4": "LZ4", "zstd": "Zstd"}
    if got is None:
        return dict.fromkeys(names.values())
    usual = (one for one in got["layouts"] if (one["chunk"], one["dtype"]) == (got["default_chunk"], "float32"))
    of = {one["codec"]: one["bytes_per_pixel"] for one in usual}
    return {text: of.get(name) for name, text in names.items()}


def real_time() -> str:
    """What keeping up with the instrument takes: cores, and bytes a second."""
    seconds = 86400 / SETS_A_DAY
    row, pixels = _disc_row(), SIDE * SIDE
    if row is None:
        return f"Real time: {NOT}."
    cores = core_seconds_per_pixel() * pixels / seconds
    read, written = (per_pixel * pixels / seconds / 1e6 for per_pixel in (4 * len(CHANNELS), bytes_per_pixel()))
    disc = record(FULL_DISC)
    peak = NOT if disc is None else f"{disc['peak_mb']['FITS to FITS']:,.0f} MiB"
    return (
        f"A set in {seconds:.0f} s, as they are taken, keeps {cores:.1f} cores of the kernel busy; {read:,.0f} MB/s "
        f"are read and {written:,.0f} MB/s written without a codec.\nMemory of a process of two threads, whatever the "
        f"number of sets: {peak}."
    )


def chunk_table(figures: dict[str, Any] | None = None) -> str:
    """Time and room of each chunk size and codec, a row each."""
    got = figures or record(CHUNKS)
    if got is None:
        return f"Chunks and codecs: {NOT}."
    rows = []
    for one in got["layouts"]:
        seconds = statistics.median(one["seconds"])
        spread = f" ({min(one['seconds']):.2f} to {max(one['seconds']):.2f})"
        size = f"{one['bytes_per_pixel']:.0f}"
        rows.append([f"{one['chunk']:,}", one["codec"], one["dtype"], f"{seconds:.2f} s{spread}", size])
    pixels = " x ".join(map(str, got["shape"]))
    table = markdown.table(["pixels in a chunk", "codec", "type", "time (least to most)", "bytes a pixel"], rows)
    return (
        f"{table}\n\n{pixels} pixels of `solar-mix` at {got['bins']} bins, {got['cores']} threads, {len(rows)} layouts "
        f"in turns; {_where(got)}."
    )


def _where(got: dict[str, Any]) -> str:
    busy = f" (load of other work: {got['load_before']:.1f})" if got["load_before"] > 0.5 else ""
    return f"{machine_facts.machine_label(got['machine'])}{busy}, {got['created'][:10]}, commit {got['commit']}"


def scheduling() -> str:
    """What scheduling costs, and how large blocks must be."""
    got = record(SCHEDULING)
    if got is None:
        return f"Scheduling: {NOT}."
    rows = [
        [
            f"{run['blocks']:,}",
            f"{run['seconds']:.0f} s",
            f"{1e3 * run['scheduler_s_per_block']:.2f} ms",
            f"{1e3 * run['worker_s_per_block']:.2f} ms",
            f"{run['busy']:.0%}",
            f"{run['memory_mb'][0]:,.0f} to {run['memory_mb'][-1]:,.0f} MiB",
        ]
        for run in got["runs"]
    ]
    titles = ["blocks", "time", "scheduler and client, CPU per block", "worker, CPU per block", "threads in blocks"]
    table = markdown.table([*titles, "memory of all processes, first to last"], rows, left=0)
    cost = max(run["scheduler_s_per_block"] + run["worker_s_per_block"] for run in got["runs"])
    serial = max(run["scheduler_s_per_block"] for run in got["runs"])
    per_pixel = got["wait_s"] / got["pixels"]
    return (
        f"{table}\n\n{got['processes']} processes of {got['threads']} threads, blocks of {got['pixels']:,} pixels, "
        f"{1e3 * got['wait_s']:.0f} ms each; {_where(got)}.\n\nAll of a block's scheduling is under {SHARE:.0%} of its "
        f"computing from {cost / SHARE / per_pixel:,.0f} pixels on. The scheduler is one thread: at {got['pixels']:,} "
        f"pixels a block it keeps {got['wait_s'] / serial:,.0f} cores of `numba` busy, and more with larger blocks."
    )


def rewritten() -> str:
    """The page with the figures between its markers."""
    text = PAGE.read_text()
    parts = {"costs": costs, "real-time": real_time, "commits": real_time_table.text_of}
    for name, made in (parts | {"chunks": chunk_table, "scheduling": scheduling}).items():
        text = markdown.rewritten(text, name, made())
    return text
