"""The figures in docs/gpu.md: parity and speed of the solvers on a device, from the committed runs of its check.

`harness.reports.readme` writes them; `make gpu-check` makes the runs.
"""

from typing import Any

import pandas as pd

from harness.machine import facts as machine_facts
from harness.records import files
from harness.records.run import Run
from harness.show import markdown
from harness.show.terminal import seconds
from implementations.places import ROOT

PAGE = ROOT / "docs" / "gpu.md"
RESULTS = ROOT / "results"
PARITY, BINS = RESULTS / "gpu-parity", RESULTS / "gpu-bins"
CHECKS = RESULTS / "gpu-correctness.json"
RATES = RESULTS / "gpu-rates" / "rates.json"
CHECKED = ("contract", "memcheck", "racecheck", "initcheck", "gates")
OUTPUTS = ("dem", "edem", "elogt", "chisq", "dn_reg")


def parity() -> str:
    """The largest deviation of every output from the baseline's, per solver."""
    run = Run.open(PARITY)
    table = run.table()
    rows = [
        [
            f"`{row.solver}`",
            row.accuracy,
            *(f"{getattr(row, f'parity_{name}'):.1e}" for name in OUTPUTS),
            row.gate,
            seconds(row.median_s),
        ]
        for row in table.itertuples()
    ]
    size = f"{table.pixels.iloc[0]} pixels x {table.bins.iloc[0]} bins of {table.dataset.iloc[0]}"
    head = markdown.table(["solver", "held as", *OUTPUTS, "gate", "time"], rows, left=2)
    return (
        f"{head}\n\nLargest deviation from the baseline, relative to a pixel's peak; time of one run of the {size}, "
        f"too few for a device. {_made(run.provenance)}"
    )


def checks() -> str:
    """How the other steps of the check of correctness ended, a row each, with the last that each said."""
    rows = [
        [step["step"], step["ended"], f"{step['seconds']:.0f} s", _last(step["said"])]
        for step in files.load(CHECKS)["steps"]
        if step["step"] in CHECKED
    ]
    return markdown.table(["step", "ended", "after", "said"], rows, left=2)


def _last(said: list[str]) -> str:
    return next((line.strip("= ") for line in reversed(said) if line.strip("= ")), "")


def rates() -> str:
    """Maps there and back: the whole, and its phases by the device's clock."""
    got = files.load(RATES)
    rows = [
        [
            f"`{row['solver']}`",
            f"{row['pixels']:,} x {row['bins']}",
            seconds(row["wall_s"]),
            f"{row['pixels'] / row['wall_s'] / 1e6:.3g}",
            f"{row['pixels'] / row['kernel_s'] / 1e6:.3g}",
            *(seconds(row[f"{phase}_s"]) for phase in ("upload", "kernel", "download")),
        ]
        for row in got["rows"]
    ]
    head = ["solver", "pixels x bins", "whole", "million DEM/s", "in the kernel", "upload", "kernel", "download"]
    limits = got["limits"]
    copies = ", ".join(
        f"{limits[f'pinned_to_{end}_bytes_per_s'] / 1e9:.0f} GB/s to the {end}" for end in ("device", "host")
    )
    flops = f"{limits['plain_flops_per_s'] / 1e12:.0f} TFLOP/s of plain multiply-adds in double precision"
    return (
        f"{markdown.table(head, rows, left=2)}\n\nMedians of a few runs, nothing judged; phases overlap; outputs go to "
        f"the same arrays in every run. The device's limits: {copies}, {flops}. {_made(got)}"
    )


def beside_cores() -> str:
    """The fused kernel beside the compiled one on all the host's cores, in the same rounds and judged."""
    run = Run.open(BINS)
    rows = [
        [
            f"`{row.solver}`",
            f"{row.pixels:,} x {row.bins}",
            _time(row),
            f"{row.pixels_per_s / 1e6:.3g}",
            f"{row.truth_dem_error:.3f}",
            row.gate,
        ]
        for row in run.table().sort_values(["bins", "solver"]).itertuples()
    ]
    head = markdown.table(["solver", "pixels x bins", "time", "million DEM/s", "DEM error", "gate"], rows, left=2)
    return f"{head}\n\nMedians of rounds; outputs are new arrays in every run. {_made(run.provenance)}"


def _time(row: Any) -> str:
    doubted = "?" * bool(pd.notna(row.doubts) and row.doubts)
    if pd.isna(row.ci_low_s):
        return f"{seconds(row.median_s)}{doubted} (n={row.n})"
    return f"{seconds(row.median_s)}{doubted} [{seconds(row.ci_low_s)}, {seconds(row.ci_high_s)}]"


def _made(facts: dict[str, Any]) -> str:
    return f"{machine_facts.machine_label(facts['machine'])}, {facts['created'][:10]}, commit {facts['commit']}."


def rewritten() -> str:
    """The page with the runs' figures between its markers."""
    text = PAGE.read_text()
    for name, part in (("parity", parity), ("checks", checks), ("rates", rates), ("cores", beside_cores)):
        text = markdown.rewritten(text, name, part())
    return text
