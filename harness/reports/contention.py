"""What processes cost each other, from a run's records, on the cores and on a device, and which of the two is faster.

`gain`: pixels per second over those of one process with the same solver (as many as there are processes would be all
that can be had). Memory is per process: resident on the host, with its share's solution; on the device, by its pool.
"""

from statistics import median
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from harness.records.files import write_atomically
from harness.records.run import Run
from harness.show import terminal
from implementations import solver_spec

FILE = "contention.csv"
CELL = ["dataset", "bins", "pixels"]
COLUMNS = [*CELL, *"inner processes seconds pixels_per_s gain process_rss_mb process_device_mb".split()]


def of_run(run: Run) -> pd.DataFrame:
    """A row for every measured record whose solver says that it ran in processes; empty where none did."""
    rows = [row for record in run.records() if (row := _row(record)) is not None]
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values([*CELL, "inner", "processes"], ignore_index=True)
    for _, same in table.groupby([*CELL, "inner"]):
        alone = same[same.processes == 1]
        if len(alone):
            table.loc[same.index, "gain"] = same.pixels_per_s / alone.pixels_per_s.iloc[0]
    return table


def _row(record: dict[str, Any]) -> dict[str, Any] | None:
    row = record["row"]
    facts = [f for number in record.get("turns", ()) for f in record.get("facts", {}).get(number, [])]
    if row["status"] != "ok" or not facts or "processes" not in facts[0]:
        return None
    device = [f["process_device_mb"] for f in facts if "process_device_mb" in f]
    return {name: row[name] for name in CELL} | {
        "inner": solver_spec.parse(row["solver"])[1].get("inner", "numba"),
        "processes": int(facts[0]["processes"]),
        "seconds": row["median_s"],
        "pixels_per_s": row["pixels_per_s"],
        "process_rss_mb": median(f["process_rss_mb"] for f in facts),
        "process_device_mb": median(device) if device else float("nan"),
        "gain": float("nan"),
    }


def turns(table: pd.DataFrame) -> list[str]:
    """For each solver on a device: from how many processes on those on the cores are faster with as many."""
    said = []
    for cell, rows in table.groupby(CELL):
        cores = rows[rows.process_device_mb.isna()].groupby("processes").pixels_per_s.max()
        for inner, ours in rows[rows.process_device_mb.notna()].groupby("inner"):
            both = ours.set_index("processes").pixels_per_s.to_frame("device").join(cores.rename("cores"), how="inner")
            slower = both.index[both.device < both.cores]
            if both.empty:
                continue
            counts = ", ".join(map(str, both.index))
            lost = (
                f"slower than the cores with {', '.join(map(str, slower))}"
                if len(slower)
                else "never slower than the cores"
            )
            said.append(f"{inner}, {cell[2]:,} pixels x {cell[1]} bins: {lost} (of {counts} processes)")
    return said


def conclude(run: Run, console: Console) -> None:
    """Write and show the table, if several numbers of processes stand beside each other in it."""
    table = of_run(run)
    if table.processes.nunique() < 2:
        return
    path = run.folder / FILE
    write_atomically(path, table.to_csv(index=False))
    for (dataset, bins, pixels), rows in table.groupby(CELL, sort=False):
        title = f"Processes: {dataset}, {pixels:,} pixels x {bins} bins"
        view = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        for name in ("inner", "processes", "time", "px/s", "gain", "MB/process", "device MB/process"):
            view.add_column(name, justify="left" if name == "inner" else "right", no_wrap=True)
        for _, row in rows.iterrows():
            gain = f"{row.gain:.2f}x" if pd.notna(row.gain) else "–"
            device = f"{row.process_device_mb:,.0f}" if pd.notna(row.process_device_mb) else "–"
            view.add_row(
                row.inner,
                str(row.processes),
                terminal.seconds(row.seconds),
                f"{row.pixels_per_s:,.0f}",
                gain,
                f"{row.process_rss_mb:,.0f}",
                device,
            )
        console.print(view)
    for line in turns(table):
        console.print(line)
    console.print(f"contention: {path}", soft_wrap=True)
