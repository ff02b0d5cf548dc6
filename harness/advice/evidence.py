"""The records that a recommendation stands on: the newest row of every solver and size, of one machine."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.judge import clocks
from harness.machine import facts as machine_facts
from harness.records import fingerprint
from harness.records.run import RUN_FILE, Run
from harness.records.schema import COLUMNS
from harness.workloads import specification
from implementations import registry
from implementations.solver_spec import parse

KEY = ["solver", "threads", "dataset", "bins", "pixels"]
"""What makes two rows measurements of the same thing."""


@dataclass(frozen=True)
class Evidence:
    """Rows by `KEY`, the newest of each, and where they are from. `solver` is without its threads: those have a column.

    Two more columns than a run's table: `run_folder`, and `pinned`, whether the solver was told its threads by name.
    `median_s` and its interval are of CPU time where the machine was busy, and unknown where that isn't either.
    """

    table: pd.DataFrame
    machine: dict[str, Any]
    used: list[str]
    left_out: list[str]
    """A line for each run that wasn't used, with its reason."""
    guess: str = ""
    """How these came from another machine's records; "" where they are this machine's."""

    @property
    def measured(self) -> pd.DataFrame:
        """The rows of solvers that ran."""
        return self.table[self.table.status == "ok"]

    def dataset(self, asked: str | None) -> str:
        """The workload to predict: the one asked for, else the one with most rows. ValueError where there is none."""
        counts = self.measured.dataset.value_counts()
        if asked is not None and asked not in counts:
            raise ValueError(
                f"no records of the workload '{asked}'; there are some of {', '.join(sorted(counts.index))}"
            )
        return asked or sorted(counts.index, key=lambda name: (-counts[name], name))[0]

    def without(self, cell: pd.Series) -> "Evidence":
        """The same without a row's solver at the row's size."""
        same = (self.table[KEY] == cell[KEY]).all(axis=1)
        return replace(self, table=self.table[~same])


def folders(root: Path) -> list[Path]:
    """Every run's folder right below `root`."""
    return sorted(path.parent for path in root.glob(f"*/{RUN_FILE}"))


def gather(runs: Sequence[Path], machine: dict[str, Any], leave: Sequence[Path] = ()) -> Evidence:
    """The records in `runs` of the machine with that `id`; runs in `leave` are left out. ValueError on a bad run.

    Where runs measured the same thing the newest row counts.
    """
    tables, used, left_out = [], [], []
    for run in sorted((Run.open(folder) for folder in runs), key=lambda run: run.provenance["created"]):
        facts = run.provenance
        if run.folder.resolve() in [path.resolve() for path in leave]:
            left_out.append(f"{run.folder}: held out")
        elif step := facts["grid"].get("step"):
            left_out.append(f"{run.folder}: of the step {step} alone")
        elif not machine_facts.same(facts["machine"], machine):
            left_out.append(f"{run.folder}: another machine, {facts['machine']['id']} ({facts['machine']['cpu']})")
        elif unlike := machine_facts.unlike(facts["machine"], machine):
            left_out.append(f"{run.folder}: measured with another part of the machine, {unlike}")
        else:
            table = run.table().assign(run_folder=str(run.folder))
            edited = _edited(table)
            left_out += [f"{run.folder}: its rows of {name}, which was edited since" for name in edited]
            table = _timed(table[~table.dataset.isin(edited)])
            unknown = int(((table.status == "ok") & table.median_s.isna()).sum())
            left_out += [f"{run.folder}: times of {unknown} rows, by the wall on a busy machine"] * bool(unknown)
            tables.append(table)
            edited = [solver for solver, _ in changed(table)]
            since = f"; source changed since: {', '.join(edited)}" if edited else ""
            used.append(f"{run.folder} ({facts['created'][:10]}, commit {facts['commit'] or 'unknown'}{since})")
    if not tables:
        return Evidence(pd.DataFrame(columns=[*COLUMNS, "run_folder", "pinned"]), machine, used, left_out)
    rows = pd.concat(tables, ignore_index=True)
    rows["pinned"] = rows.solver.str.contains(r"\bthreads=")
    rows["solver"] = rows.solver.map(without_threads)
    # Equal to the last page: the mark of the harness's process, which older records took for the solver's.
    inherited = rows.duplicated(["run", "dataset", "seed", "bins", "pixels", "peak_rss_mb"], keep=False)
    rows.loc[inherited, "peak_rss_mb"] = float("nan")
    silent = (rows.status == "skipped") | ((rows.gate == "pass") & rows.median_s.isna())
    newest = pd.concat([rows[silent], rows[~silent]]).drop_duplicates(KEY, keep="last")
    return Evidence(newest.sort_values(KEY, ignore_index=True), machine, used, left_out)


def _timed(table: pd.DataFrame) -> pd.DataFrame:
    """With each row's headline as its time; without a time where the machine was busy, and the clock is the wall."""
    table = table.copy()
    for index, row in table[table.doubts.str.startswith(clocks.BUSY)].iterrows():
        columns = clocks.headline(row)
        table.loc[index, [*clocks.OF_WALL]] = row[[*columns]].to_numpy() if columns == clocks.OF_CPU else float("nan")
    return table


def _edited(table: pd.DataFrame) -> list[str]:
    """Workloads that are not any more what these rows were measured on; rows from before that was kept don't say."""
    known = table[table.workload != ""].drop_duplicates(["dataset", "workload"])
    known = known[known.dataset.map(lambda name: re.split(r"[.\[]", name)[0] in specification.names())]
    return sorted({row.dataset for row in known.itertuples() if _fingerprint(row.dataset) != row.workload})


def _fingerprint(dataset: str) -> str:
    try:
        return specification.load(dataset).fingerprint
    except ValueError:  # a crop that is no more
        return ""


def changed(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Solvers, with the source that rows name, of this project whose source is another by now."""
    known = table[(table.source != "") & (table.status == "ok")].drop_duplicates(["solver", "source"])
    here = registry.Registry() if len(known) else None
    return [
        (row.solver, row.source)
        for row in known.itertuples()
        if here and parse(row.solver)[0] in here.entries and fingerprint.of_solver(row.solver, here) != row.source
    ]


def without_threads(spec: str) -> str:
    """`numba[threads=2]` -> `numba`; other tunables stay."""
    spec = re.sub(r"(?<=[\[,])\s*threads=\w+\s*,?", "", spec)
    return spec.replace(",]", "]").replace("[]", "")
