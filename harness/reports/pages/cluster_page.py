"""The figures in docs/cluster.md on clusters and large maps, from the committed runs of both.

`harness.reports.readme` writes them; `make cluster` and `make full-frame` make the runs.
"""

import json
from typing import Any

import pandas as pd

from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.reports import scaling
from harness.show import markdown
from implementations.places import ROOT

PAGE = ROOT / "docs" / "cluster.md"
CLUSTER = ROOT / "results" / "cluster"
FULL_FRAME = ROOT / "results" / "full-frame" / "full-frame.json"


def table() -> str:
    """Strong and weak scaling on this machine's cores, a row per map and number of Dask's threads."""
    run = Run.open(CLUSTER)
    rows = [_cells(row) for _, row in scaling.of_run(run).iterrows()]
    facts = run.provenance
    made = f"{machine_facts.machine_label(facts['machine'])}, {facts['created'][:10]}, commit {facts['commit']}"
    lines = markdown.table(list(rows[0]), [list(row.values()) for row in rows], left=0)
    return f"{lines}\n\nMedians over rounds; made on {made}."


def _cells(row: pd.Series) -> dict[str, str]:
    def share(name: str) -> str:
        if pd.isna(row[name]):
            return ""
        interval = f" [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]" if f"{name}_low" in row else ""
        return f"{row[name]:.2f}{interval}"

    return {
        "pixels": f"{row.pixels:,}",
        "bins": f"{row.bins}",
        "threads": f"{row.workers}",
        "rounds": f"{row.n}",
        "time": f"{row.seconds:.2f} s",
        "strong efficiency": share("strong"),
        "weak efficiency": share("weak"),
        "rate beside `numba` on as many threads": share("beside"),
        "beside the work, per block": f"{1e3 * row.overhead_s:.0f} ms",
    }


def full_frame() -> str:
    """What inverting a full frame took, in a sentence."""
    got: dict[str, Any] = json.loads(FULL_FRAME.read_text())
    rows, columns = got["shape"]
    same = "every output bit for bit that of `numba`" if not got["differing"] else f"{got['differing']} differ"
    if got.get("dtype") == "float32":
        same += " in single precision"
    on = f"{got['cores']} cores"
    if got["load_before"] > got["cores"]:
        on += f" (load of other work: {got['load_before']:.0f})"
    return (
        f"Measured: {rows} x {columns} pixels at {got['bins']} bins in {got['seconds']:.0f} s on {on}, "
        f"{got['peak_mb']:,.0f} MiB resident at most for all\nprocesses together, {same} "
        f"([result](../results/full-frame/full-frame.json); {machine_facts.machine_label(got['machine'])})."
    )


def rewritten() -> str:
    """The page with the run's figures between its markers."""
    return markdown.rewritten(markdown.rewritten(PAGE.read_text(), "scaling", table()), "full-frame", full_frame())
