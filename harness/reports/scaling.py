"""How a solver on a cluster scales, from a run's records: strong, weak, and what its workers' time goes to beside it.

Strong scaling: the same map on more workers, efficiency T1 / (w Tw). Weak: as many times the pixels as workers,
efficiency T1 / Tw. T is what is left of the headline time without starting and ending workers, which stands apart. A
solver of the same cell that has as many threads in one process shows what the cores do without a cluster.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any, Self

import pandas as pd
from rich.console import Console
from rich.table import Table

from harness.judge import intervals
from harness.records.files import write_atomically
from harness.records.run import Run

FILE = "scaling.csv"
CELL = ["dataset", "bins", "pixels"]
COLUMNS = """solver dataset bins pixels workers blocks n seconds startup_s shutdown_s strong strong_low strong_high weak
    beside beside_low beside_high beside_solver overhead_s bytes_sent""".split()
"""`workers` counts the blocks computed at a time; `strong`, `weak` are efficiencies; `beside` is the time of
`beside_solver`, the fastest that is as exact, over `seconds`; `overhead_s`: of a worker's time, what a block takes
beside the work in it (messages, waiting for the slowest at the end); bytes are of one run."""


@dataclass(frozen=True)
class Timed:
    """One solver in one cell."""

    row: dict[str, Any]
    seconds: dict[str, float]
    """Round -> median time without starting and ending workers."""
    facts: list[dict[str, float]]
    """Of every timed run, what a solver on a cluster says; empty for others."""

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """From its record."""
        given: dict[str, list[dict[str, float]]] = record.get("facts", {})
        facts = {r: given[r] for r in record["turns"] if all("slots" in f for f in given.get(r, [{}]))}
        seconds = {}
        for number, runs in record["turns"].items():
            apart = [f["startup_s"] + f["shutdown_s"] for f in facts.get(number, [])] or [0.0] * len(runs)
            seconds[number] = median(sum(run) - s for run, s in zip(runs, apart, strict=True))
        return cls(record["row"], seconds, [f for one in facts.values() for f in one])

    @property
    def cell(self) -> tuple[Any, ...]:
        """What it was measured on."""
        return tuple(self.row[name] for name in (*CELL, "seed"))

    @property
    def workers(self) -> int:
        """How many blocks are computed at a time; threads, where there are no workers."""
        return int(self.facts[0]["slots"]) if self.facts else int(self.row["threads"])

    @property
    def load(self) -> tuple[Any, ...]:
        """What they have in common that differ by pixels in proportion to workers."""
        return self.row["dataset"], self.row["bins"], self.row["seed"], self.row["pixels"] / self.workers

    def middle(self, name: str) -> float:
        """Median of a fact."""
        return float(median(f[name] for f in self.facts))

    def times_faster(self, other: "Timed") -> intervals.Estimate:
        """The other's time over this one's, paired by round where they were measured in the same ones."""
        shared = sorted(self.seconds.keys() & other.seconds.keys())
        return intervals.paired_ratio([other.seconds[r] for r in shared], [self.seconds[r] for r in shared])


def of_run(run: Run) -> pd.DataFrame:
    """A row for every record whose solver had workers; empty where none had."""
    timed = [Timed.of(record) for record in run.records() if record["row"]["status"] == "ok"]
    clustered, others = [t for t in timed if t.facts], [t for t in timed if not t.facts]
    rows = [_row(one, clustered, others) for one in clustered]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values([*CELL, "workers"], ignore_index=True)


def _row(one: Timed, clustered: list[Timed], others: list[Timed]) -> dict[str, Any]:
    figures = {name: one.row[name] for name in ("solver", *CELL)} | {
        "workers": one.workers,
        "n": len(one.seconds),
        "seconds": median(one.seconds.values()),
        "overhead_s": median((f["wall_s"] * f["slots"] - f["task_s"]) / f["blocks"] for f in one.facts),
        **{name: one.middle(name) for name in ("blocks", "startup_s", "shutdown_s", "bytes_sent")},
    }
    fewest = min((t for t in clustered if t.cell == one.cell), key=lambda t: t.workers)
    if fewest.workers < one.workers:
        share = fewest.workers / one.workers
        figures |= _named("strong", [share * value for value in one.times_faster(fewest)])
    lightest = min((t for t in clustered if t.load == one.load), key=lambda t: t.workers)
    if lightest.workers < one.workers:
        figures["weak"] = median(lightest.seconds.values()) / figures["seconds"]
    alike = [t for t in others if (t.cell, t.workers) == (one.cell, one.workers)]
    alike = [t for t in alike if t.row.get("accuracy") == one.row.get("accuracy")]
    if alike:
        best = min(alike, key=lambda t: median(t.seconds.values()))
        figures |= _named("beside", one.times_faster(best)) | {"beside_solver": best.row["solver"]}
    return figures


def _named(name: str, estimate: Any) -> dict[str, float]:
    value, low, high = estimate
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def conclude(run: Run, console: Console) -> None:
    """Write and show the table, if there is one."""
    table = of_run(run)
    if table.empty:
        return
    path = run.folder / FILE
    write_atomically(path, table.to_csv(index=False))
    for (dataset, bins), rows in table.groupby(["dataset", "bins"], sort=False):
        view = Table(title=f"Workers: {dataset}, {bins} bins", title_justify="left", box=None, padding=(0, 1, 0, 0))
        for name in _texts(rows.iloc[0]):
            view.add_column(name, justify="right", no_wrap=True)
        for _, row in rows.iterrows():
            view.add_row(*_texts(row).values())
        console.print(view)
    if table.beside.notna().any():
        others = ", ".join(table.beside_solver.dropna().unique())
        console.print(f"beside: time of {others} over that of as many workers")
    console.print(f"scaling: {path}", soft_wrap=True)


def _texts(row: pd.Series) -> dict[str, str]:
    def share(name: str) -> str:
        return f"{row[name]:.0%}" if pd.notna(row[name]) else "–"

    return {
        "pixels": f"{row.pixels:,}",
        "workers": f"{row.workers}",
        "blocks": f"{row.blocks:.0f}",
        "time": f"{row.seconds:.3g} s",
        "start, end": f"{row.startup_s:.2g} s, {row.shutdown_s:.2g} s",
        "strong": share("strong"),
        "weak": share("weak"),
        "beside": share("beside"),
        "overhead/block": f"{1e3 * row.overhead_s:.3g} ms",
        "sent": f"{row.bytes_sent / 1e6:,.0f} MB",
    }
