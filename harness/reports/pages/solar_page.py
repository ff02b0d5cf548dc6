"""The figures in docs/solar.md: time and memory of a disc from files to files, from the record of `make full-disc`.

`harness.reports.readme` writes them; without the record they are "not yet measured".
"""

import json
import statistics
from typing import Any

from harness.machine import facts as machine_facts
from harness.show import markdown
from implementations.places import ROOT

PAGE = ROOT / "docs" / "solar.md"
RECORD = ROOT / "results" / "full-disc" / "full-disc.json"
NOT = "not yet measured"
ROWS = {
    "kernel": "{side} x {side}: the kernel alone",
    "writing": "{side} x {side}: writing as many bytes alone",
    "writing, kept": "{side} x {side}: the same, left in memory by the system",
    "FITS to FITS": "{side} x {side}: FITS to FITS",
    "FITS to Zarr": "{side} x {side}: FITS to Zarr",
    "1024 x 1024": "1024 x 1024: FITS to FITS",
}
"""What was timed, as the record has it -> what the page calls it."""


def text_of(got: dict[str, Any] | None = None) -> str:
    """A row for each thing timed, what the memory of a series is, and on what."""
    if got is None and not RECORD.is_file():
        rows = [[name.format(side=4096), NOT, "", "", ""] for name in ROWS.values()]
        return f"{_table(rows)}\n\nMemory of a series beside that of a short one: {NOT}."
    got = got or dict(json.loads(RECORD.read_text()))
    rows = []
    for name, said in ROWS.items():
        times, peak, ratio = got["seconds"][name], got["peak_mb"].get(name), got["times"].get(name)
        spread = f"{statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})"
        memory, beside = f"{peak:,.0f} MiB" if peak else "", f"{ratio:.2f}" if ratio else ""
        cores = got["core_seconds"].get(name)
        used = f"{statistics.median(cores):.1f}" if cores else ""
        rows.append([said.format(side=got["side"]), spread, used, beside, memory])
    series = ", ".join(f"{sets} sets {mb:,.0f} MiB" for sets, mb in got["series_peak_mb"].items())
    busy = f" (load of other work: {got['load_before']:.1f})" if got["load_before"] > 0.5 else ""
    return (
        f"{_table(rows)}\n\nWriting is work of the cores, too: kernel and writing alone would take "
        f"{got['least_times']:.2f} times the slower of the two if no core ever waited. "
        f"A series of 1024 x 1024 pixels: {series}. Imports included, {got['threads']} threads, "
        f"{got['bins']} bins, {len(got['seconds']['kernel'])} rounds; "
        f"{machine_facts.machine_label(got['machine'])}{busy}, {got['created'][:10]}, commit {got['commit']}. Asked "
        "for: 1.3 times the slower of both parts, 2.5 GB, 4 s for 1024 x 1024. "
        f"Missed: {'; '.join(got['missed']) or 'nothing'}."
    )


def in_short() -> str:
    """What a full frame takes, in a sentence."""
    what = "A full AIA frame, six images of 4096 x 4096 pixels (enlarged ones)"
    if not RECORD.is_file():
        return f"{what}: {NOT}."
    got = dict(json.loads(RECORD.read_text()))
    whole, kernel = (statistics.median(got["seconds"][name]) for name in ("FITS to FITS", "kernel"))
    return (
        f"{what}, takes {whole:.0f} s on {got['threads']} cores from file to file in "
        f"{got['peak_mb']['FITS to FITS']:,.0f} MiB,\nof which the inversion alone {kernel:.0f} s "
        f"([measured](docs/solar.md#time-and-memory) on {got['created'][:10]}, commit {got['commit']})."
    )


def _table(rows: list[list[str]]) -> str:
    of = "of the slower of kernel and writing"
    titles = ["from start to end", "time (least to most)", "core-seconds", of, "most memory"]
    return markdown.table(titles, rows)


def rewritten() -> str:
    """The page with the figures between its markers."""
    return markdown.rewritten(PAGE.read_text(), "full-disc", text_of())
