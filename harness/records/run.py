"""What a run leaves behind: a folder with its provenance, one file per cell and solver, and the tidy table.

Files are written whole or not at all, and the existence of a cell's file means that it is done. Raw repeat times stay
in the cell files; the table holds one row for each.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.files import dump, load, write_atomically
from harness.records.lock import LOCK_FILE, locked
from harness.records.schema import COLUMNS, COUNTS, SCHEMA, WORDS, Cell, check_record, file_name, is_text

RUN_FILE, TABLE_FILE, CELLS, PLOTS, SCRATCH = "run.json", "table.csv", "cells", "plots", ".scratch"
PROVENANCE = {"run": str, "created": str, "commit": str, "machine": dict, "software": dict, "grid": dict}
"""What every run's own file holds beside its schema."""
NUMBER = int | float
MACHINE = {"id": str, "cpu": str, "cores": int, "memory_gb": NUMBER, "system": str}
MACHINE |= {"usable_cores": NUMBER, "cpu_numbers": str, "devices": list}
UNSAID: dict[str, Any] = {"usable_cores": 1, "cpu_numbers": "", "devices": []}
"""What older records don't say, or that there is none of."""
OPTIONAL = {"devices": list, "limits": dict, "workloads": dict, "load": dict, "named": list, "plugin_sources": dict}


def _missing(facts: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    return [key for key, kind in expected.items() if not isinstance(facts.get(key), kind)]


class Run:
    """A run's folder. Records that are damaged are named on standard error, once, and are taken not to be there."""

    def __init__(self, folder: Path, provenance: dict[str, Any]):
        self.folder = folder
        self.provenance = provenance
        """Grid, machine, versions, commit."""
        self._named: set[str] = set()
        self._table: pd.DataFrame | None = None
        self._drawn: list[dict[str, Any]] = []
        self.asked: frozenset[Path] | None = None
        """Where the records of the grid stand, while it is measured."""
        self._written: dict[Path, str] = {}
        """Records of this process's own, as they were written: a solver that runs later may get at them."""

    @classmethod
    def create(cls, folder: Path, provenance: dict[str, Any]) -> "Run":
        """A new run. ValueError, in one line, when the folder holds one already or can't be written."""
        run = cls(folder, provenance)
        with run.owned():
            run.begin()
        return run

    def begin(self) -> None:
        """Write what is known of a new run, while its folder is owned. ValueError as `create` does."""
        path = self.folder / RUN_FILE
        if path.exists():
            again = f"continue it with --resume {self.folder}, or name another --out"
            raise ValueError(f"{self.folder} holds a run already; {again}")
        self.provenance = {"schema": SCHEMA, "run": self.folder.name, **self.provenance}
        try:
            (self.folder / CELLS).mkdir(exist_ok=True)
            write_atomically(path, dump(self.provenance))
        except OSError as error:
            raise ValueError(f"output folder {self.folder} can't be written: {error.strerror or error}") from error

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """A run that exists. ValueError, in one line, when there is none or its schema is another."""
        try:
            found = load(folder / RUN_FILE)
        except ValueError as error:
            raise ValueError(f"{folder} is not a run: {RUN_FILE} {error}") from error
        if found.get("schema") != SCHEMA:
            raise ValueError(f"{folder} has record schema {found.get('schema')}, expected {SCHEMA}")
        missing = _missing(found, PROVENANCE) or _missing(UNSAID | found["machine"], MACHINE)
        missing += _missing(
            {name: kind() for name, kind in OPTIONAL.items()} | {k: v for k, v in found.items() if v is not None},
            OPTIONAL,
        )
        solvers = None if missing else found["grid"].get("solvers")
        if not isinstance(solvers, list) or not all(isinstance(spec, str) for spec in solvers):
            raise ValueError(f"{folder} is not a run: {RUN_FILE} lacks its {(missing or ['solvers'])[0]}")
        if not is_text(json.dumps(found, ensure_ascii=False)):
            raise ValueError(f"{folder} is not a run: {RUN_FILE} holds half a character")
        return cls(folder, found)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Let no other process measure in this folder meanwhile. ValueError, in one line, where that can't be."""
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self.folder))
            except OSError as error:
                raise ValueError(f"output folder {self.folder} can't be written: {error.strerror or error}") from error
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for problems while they are measured; what a killed run left of it, and of its files, goes first."""
        folder = self.folder / SCRATCH
        shutil.rmtree(folder, ignore_errors=True)
        (self.folder / CELLS).mkdir(exist_ok=True)
        for place in (self.folder, self.folder / CELLS, self.folder / PLOTS):
            for left in place.glob(".*"):
                if left.name != LOCK_FILE:
                    left.unlink()
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def path(self, cell: Cell, spec: str) -> Path:
        """Where the record of a cell and solver is, once it is done."""
        return self.folder / CELLS / file_name(cell, spec)

    def done(self, cell: Cell, spec: str) -> bool:
        """Whether that record exists and is whole."""
        path = self.path(cell, spec)
        return path.exists() and self._record(path) is not None

    def damaged(self, row: dict[str, Any]) -> bool:
        """Whether there is a record of that row's solver and cell, but none that can be used."""
        cell = Cell(*(row[key] for key in ("dataset", "pixels", "bins", "seed")))
        path = self.path(cell, row["solver"])
        return not self.done(cell, row["solver"]) and (path.exists() or path.with_suffix(".damaged").exists())

    def add(self, cell: Cell, spec: str, row: dict[str, Any], detail: dict[str, Any]) -> None:
        """Write one record: the table's row, and what stands behind it (raw times, threads, traceback)."""
        unknown = set(row) - set(COLUMNS)
        assert not unknown, f"columns not in the schema: {unknown}"
        record = {"schema": SCHEMA, "cell": asdict(cell), "row": row, **detail}
        path = self.path(cell, spec)
        if path.is_dir():  # which no file can replace
            path.rename(path.with_suffix(".damaged"))
        text = dump(record)
        write_atomically(path, text)
        self._written[path] = hashlib.sha256(text.encode()).hexdigest()
        self._table = None

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record, in file-name order."""
        for path in sorted({*(self.folder / CELLS).glob("[!.]*.json"), *self._written}):
            if (record := self._record(path)) is not None:
                yield record

    def _record(self, path: Path) -> dict[str, Any] | None:
        try:
            record = load(path)
            check_record(record, path.name)
            if path in self._written and self._written[path] != hashlib.sha256(path.read_bytes()).hexdigest():
                path.rename(path.with_suffix(".damaged"))  # so that --resume measures its row anew
                raise ValueError("was changed after it had been written")
            if self.asked is not None and path not in self.asked:
                path.rename(path.with_suffix(".damaged"))  # so that nobody who reads the run later has it
                raise ValueError("is no row of the run's grid")
        except ValueError as error:
            if path.name not in self._named:
                print(f"{path} {error}; not used", file=sys.stderr)
            self._named.add(path.name)
            return None
        return record

    @property
    def unused(self) -> list[str]:
        """Files of records that are damaged."""
        self.table()
        return sorted(self._named)

    def table(self) -> pd.DataFrame:
        """The tidy table: one row per solver and cell, every column of the schema."""
        if self._table is None:
            self._table = self._tidy()
        return self._table.copy()

    def drawn(self) -> list[dict[str, Any]]:
        """Of every record, what a report needs beside the table: its row, what is drawn, libraries' threads."""
        self.table()
        return self._drawn

    def _tidy(self) -> pd.DataFrame:
        """Read every record, once."""
        self._drawn = [
            {"row": each["row"], "shown": each.get("shown") or {}, "hello": each.get("hello") or {}}
            for each in self.records()
        ]
        table = pd.DataFrame([record["row"] for record in self._drawn], columns=list(COLUMNS))
        numbers = [c for c in COLUMNS if c not in (*WORDS, "external")]
        table[numbers] = table[numbers].apply(pd.to_numeric)
        table = table.astype(dict.fromkeys(COUNTS, "Int64"))
        table[WORDS] = table[WORDS].astype(object).fillna("")
        table["method"] = table["method"].replace("", "demreg")
        order = {spec: i for i, spec in enumerate(self.provenance["grid"]["solvers"])}
        keys = ["dataset", "bins", "pixels", "seed", "solver"]
        return table.sort_values(keys, key=lambda c: c.map(order) if c.name == "solver" else c, ignore_index=True)

    def write_table(self) -> Path:
        """Write the tidy table as CSV beside the records it is made from."""
        path = self.folder / TABLE_FILE
        write_atomically(path, self.table().to_csv(index=False))
        return path
