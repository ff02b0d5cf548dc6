"""The figures in docs/prior-work.md: what was published of attempts to speed DEMREG up, beside the committed runs.

`harness.reports.readme` writes them; `make reference`, `make cluster` and `make prior` make the runs. Published seconds
are another machine's: only ratios are compared. A record that isn't there is a row that says so.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

from harness.advice import breakeven, evidence
from harness.advice.candidates import Request
from harness.figures import processes
from harness.figures.common import STYLE, span
from harness.machine import facts as machine_facts
from harness.records import files
from harness.records.run import Run
from harness.reports import contention
from harness.show import markdown
from harness.show.terminal import ratio, seconds
from implementations.places import ROOT

PAGE = ROOT / "docs" / "prior-work.md"
PICTURE = ROOT / "plots" / "processes.svg"
FIGURE = "![Several processes over one, and the memory of each](../plots/processes.svg)"
RESULTS = ROOT / "results"
REFERENCES = tuple(RESULTS / name for name in ("reference", "reference-loci", "reference-threads"))
PRIOR, WORKERS, CONTENTION, STEPS = (RESULTS / f"reference-{n}" for n in ("prior", "workers", "contention", "steps"))
DEVICE, DEVICE_STEPS = RESULTS / "gpu-l2", RESULTS / "gpu-steps"
"""What was measured on a device's machine; ratios are to the baseline there."""
STARTING, PREFETCH = RESULTS / "reference-starting" / "starting.json", RESULTS / "reference-prefetch" / "prefetch.json"
MISSING = "not yet measured"

PUBLISHED = {
    "CPU": (3.69, 17.1, 7.09, 38.9),
    "vectorized": (2.53, 12.3, 5.15, 29.5),
    "GPU-L2": (0.0039, 0.0057, 0.0197, 0.0196),
    "direct CuPy port": (29.9, None, None, None),
    "Dask": (13.3, None, None, None),
}
"""Median seconds at `SIZES`, as the prior study published them."""
SIZES = ((200, 200), (200, 400), (5000, 200), (5000, 400))
"""Pixels and temperature bins; 6 channels."""
OURS = (
    ("vectorized", "vectorized"),
    ("GPU-L2", "gpu-l2"),
    ("GPU-L2", "l2"),
    ("direct CuPy port", "cupy"),
    ("Dask", "dask[inner=baseline,workers=2]"),
)
"""Its variant, and the solver here that does so; `l2` has the method of GPU-L2 on one core."""
FIT = {"CPU": "0.24 to 0.36", "vectorized": "100.2 to 101.2", "GPU-L2": "25.5 to 25.8", "direct CuPy port": "101.2"}
FIT |= {"Dask": "0.33"}
"""Median chi-squared, as the prior study published it."""
STEP = {"published form": 53.3, "NumPy": 4.38, "Numba, parallel and fastmath": 7.69, "Numba": 4.1}
"""Milliseconds of the search over the regularisation grid, one pixel, nmu 500, as published."""
STEP_FORMS = {"NumPy": "numpy", "Numba, parallel and fastmath": "numba-parallel[threads=2]", "Numba": "numba"}
STEP_FORMS |= {"CuPy": "cupy"}
NMU = "nmu=500"


def sweep(table: pd.DataFrame) -> str:
    """Speedups over the baseline at the published sizes, published and measured, and both fits."""
    head = ["variant", "pixels x bins", "published", "here", "solver here", "χ² over CPU's, published", "here"]
    rows = []
    for variant, ours in OURS:
        for size, theirs, base in zip(SIZES, PUBLISHED[variant], PUBLISHED["CPU"], strict=True):
            if theirs is None or base is None:
                continue
            row, baseline = _row(table, ours, *size), _row(table, "baseline", *size)
            known = row is not None and baseline is not None
            fit = f"{row.chisq_median / baseline.chisq_median:.3f}" if known else MISSING
            here = ratio(row.speedup) if known else MISSING
            cells = [variant, f"{size[0]} x {size[1]}", ratio(base / theirs), here, f"`{ours}`", _fit(variant), fit]
            rows.append(cells)
    on_device = _opened(DEVICE)
    lines = markdown.table(head, rows, left=2)
    return lines if on_device is None else f"{lines}\n\n`gpu-l2`: {_label(on_device.provenance)}."


def _fit(variant: str) -> str:
    """The published range of chi-squared over that of the CPU's, at its narrowest and widest."""
    theirs, base = ([float(word) for word in FIT[name].split(" to ")] for name in (variant, "CPU"))
    return f"{min(theirs) / max(base):.1f} to {max(theirs) / min(base):.1f}"


def _row(table: pd.DataFrame, solver: str, pixels: int, bins: int) -> Any:
    found = table[(table.solver == solver) & (table.pixels == pixels) & (table.bins == bins) & (table.status == "ok")]
    return found.iloc[0] if len(found) else None


def growth(table: pd.DataFrame) -> str:
    """How times grow with pixels and bins, published and measured."""
    pairs = [(SIZES[0], SIZES[2]), (SIZES[0], SIZES[1]), (SIZES[2], SIZES[3])]
    rows = []
    for variant, ours in (("CPU", "baseline"), ("vectorized", "vectorized")):
        for small, large in pairs:
            theirs = [PUBLISHED[variant][SIZES.index(size)] for size in (small, large)]
            here = [_row(table, ours, *size) for size in (small, large)]
            known = all(row is not None for row in here)
            measured = ratio(here[1].median_s / here[0].median_s) if known else MISSING
            step = f"{small[0]} x {small[1]} to {large[0]} x {large[1]}"
            rows.append([variant, step, ratio((theirs[1] or 0.0) / (theirs[0] or 1.0)), measured])
    return markdown.table(["variant", "pixels x bins", "time grows, published", "here"], rows, left=2)


def step(path: Path, device_path: Path) -> str:
    """The single step: every form's speedup over the published form on its machine."""
    run, on_device = _opened(path), _opened(device_path)
    base = STEP["published form"]
    said = {form: ratio(base / ms) for form, ms in STEP.items() if ms != base} | {"CuPy": "no gain"}
    rows = [
        [form, words, _step(on_device if form == "CuPy" else run, STEP_FORMS[form])] for form, words in said.items()
    ]
    table = markdown.table(["form of the step", "published", "here"], rows, left=1)
    made = table if run is None else _made(table, run.provenance)
    return made if on_device is None else f"{made} CuPy: on {_label(on_device.provenance)}."


def _step(run: Run | None, form: str) -> str:
    """How much faster one form is on the wall, at one pixel and as many points of the grid as were published."""
    if run is None:
        return MISSING
    table = run.table()
    single = (table.pixels == 1) & (table.bins == 34) & table.dataset.str.contains(NMU)
    rows = table[single & (table.status == "ok")].set_index("solver")
    name, published = f"regularisation.{form}", "regularisation.published"
    return ratio(rows.median_s[published] / rows.median_s[name]) if name in rows.index else MISSING


def executors(run: Run) -> str:
    """What ways to have several workers cost and gain, over the baseline in one process."""
    table = run.table()
    head = ["solver", "pixels", "start, prepare", "solve", "whole, over serial", "peak MB"]
    rows = []
    for spec in run.provenance["grid"]["solvers"]:
        for row in table[(table.solver == spec) & (table.status == "ok")].itertuples():
            over = ratio(row.speedup) if pd.notna(row.speedup) else ""
            times = seconds(row.prepare_s), seconds(row.solve_s)
            rows.append([f"`{spec}`", f"{row.pixels:,}", *times, over, f"{row.peak_rss_mb:.0f}"])
    return _made(markdown.table(head, rows, left=1), run.provenance)


def starting(data: dict[str, Any] | None) -> str:
    """Start-up and memory by method and number of workers."""
    if data is None:
        return MISSING.capitalize() + "."
    head = ["workers", "method", "all ready after", "memory of its own, each", "its share of shared pages"]
    rows = [
        [f"{r['workers']}", r["method"], seconds(r["start_s"]), f"{r['own_mb']:.0f} MiB", f"{r['shared_mb']:.0f} MiB"]
        for r in data["rows"]
    ]
    return _made(markdown.table(head, rows, left=2), data)


def contended(folder: Path) -> str:
    """Processes beside one another on the cores."""
    run = _opened(folder)
    if run is None:
        return MISSING.capitalize() + "."
    head = ["processes", "inner", "time", "pixels/s", "over one process", "MB each"]
    rows = []
    for r in contention.of_run(run).itertuples():
        figures = seconds(r.seconds), f"{r.pixels_per_s:,.0f}", ratio(r.gain), f"{r.process_rss_mb:.0f}"
        rows.append([f"{r.processes}", f"`{r.inner}`", *figures])
    return f"{_made(markdown.table(head, rows, left=2), run.provenance)}\n\n{FIGURE}"


def prefetched(data: dict[str, Any] | None) -> str:
    """Reading ahead, on and off."""
    if data is None:
        return MISSING.capitalize() + "."
    head = ["solver", "off", "on", "off / on [99% interval]", "read, compute, write alone", "at most"]
    rows = [
        [
            f"`{r['solver']}`",
            seconds(r["off_s"]),
            seconds(r["on_s"]),
            f"{r['ratio']:.2f} [{r['low']:.2f}, {r['high']:.2f}]",
            ", ".join(seconds(r[f"{name}_s"]) for name in ("read", "compute", "write")),
            f"{r['most']:.2f}",
        ]
        for r in data["rows"]
    ]
    return _made(markdown.table(head, rows, left=1), data)


def decisions(runs: tuple[Path, ...]) -> str:
    """`recommend --table` of the committed runs."""
    machine = Run.open(runs[0]).provenance["machine"]
    known = evidence.gather(runs, machine)
    request = Request(1, 0, "random-response", machine["memory_gb"] * 1024.0)
    bins = sorted(int(b) for b in known.measured[known.measured.dataset == request.dataset].bins.unique())
    rows = [
        [f"{leg.bins}", leg.needs, f"{leg.from_pixels:,.0f}", f"`{leg.solver}`", f"{leg.threads}"]
        for leg in breakeven.table(known, request, bins)
    ]
    return markdown.table(["bins", "solvers", "from pixels", "fastest", "threads"], rows, left=2)


def _label(facts: dict[str, Any]) -> str:
    return f"{machine_facts.machine_label(facts['machine'])}, {facts['created'][:10]}, commit {facts['commit']}"


def _made(table: str, facts: dict[str, Any]) -> str:
    load = facts.get("load", {}).get("load", [0.0])[0]
    busy = f"; load of other work: {load:.0f}" if load > facts["machine"]["cores"] else ""
    return f"{table}\n\nMedians; {_label(facts)}{busy}."


def _opened(folder: Path) -> Run | None:
    return Run.open(folder) if folder.is_dir() else None


def _loaded(path: Path) -> dict[str, Any] | None:
    return files.load(path) if path.is_file() else None


def draw() -> None:
    """The figure of `contended`, where there is a run."""
    run = _opened(CONTENTION)
    if run is not None:
        with mpl.rc_context(STYLE), files.replacing(PICTURE) as whole:
            origin = f"{_label(run.provenance)}; medians, n = {span(run.table().n.dropna())}"
            figure = processes.draw(contention.of_run(run), origin)
            figure.savefig(whole, format="svg", metadata={"Date": None})
            plt.close(figure)


def rewritten() -> str:
    """The page as the records say. ValueError when one can't be read."""
    others = [run.table() for run in map(_opened, (PRIOR, DEVICE)) if run]
    table = pd.concat([Run.open(REFERENCES[0]).table(), *others])
    text = PAGE.read_text()
    for name, part in (
        ("sweep", sweep(table)),
        ("growth", growth(table)),
        ("step", step(STEPS, DEVICE_STEPS)),
        ("executors", executors(Run.open(WORKERS))),
        ("starting", starting(_loaded(STARTING))),
        ("contention", contended(CONTENTION)),
        ("prefetch", prefetched(_loaded(PREFETCH))),
        ("decisions", decisions(REFERENCES)),
    ):
        text = markdown.rewritten(text, name, part)
    return text
