"""What a run leaves behind: a folder with its provenance, one file per cell and solver, and the tidy table.

Files are written whole or not at all, and the existence of a cell's file means that it is done. Raw repeat times stay
in the cell files; the table holds one row for each.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.files import dump, write_atomically
from harness.records.schema import COLUMNS, COUNTS, SCHEMA, WORDS, Cell, solver_slug

RUN_FILE, TABLE_FILE, CELLS, SCRATCH = "run.json", "table.csv", "cells", ".scratch"


class Run:
    """A run's folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, provenance: dict[str, Any]) -> "Run":
        """A new run. ValueError, in one line, when the folder holds one already or can't be written."""
        if (folder / RUN_FILE).exists():
            raise ValueError(f"{folder} holds a run already; continue it with --resume {folder}, or name another --out")
        try:
            (folder / CELLS).mkdir(parents=True, exist_ok=True)
            write_atomically(folder / RUN_FILE, dump({"schema": SCHEMA, "run": folder.name, **provenance}))
        except OSError as error:
            raise ValueError(f"output folder {folder} can't be written: {error.strerror or error}") from error
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """A run that exists. ValueError, in one line, when there is none or its schema is another."""
        try:
            schema = json.loads((folder / RUN_FILE).read_text())["schema"]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{folder} is not a run: {RUN_FILE} can't be read ({type(error).__name__})") from error
        if schema != SCHEMA:
            raise ValueError(f"{folder} has record schema {schema}, expected {SCHEMA}")
        return cls(folder)

    @property
    def provenance(self) -> dict[str, Any]:
        """Grid, machine, versions, commit."""
        return json.loads((self.folder / RUN_FILE).read_text())

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for problems while they are measured; what a killed run left of it, and of its files, goes first."""
        folder = self.folder / SCRATCH
        shutil.rmtree(folder, ignore_errors=True)
        for left in (*self.folder.glob(".*"), *(self.folder / CELLS).glob(".*")):
            left.unlink()
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def path(self, cell: Cell, spec: str) -> Path:
        """Where the record of a cell and solver is, once it is done."""
        return self.folder / CELLS / f"{cell.slug}--{solver_slug(spec)}.json"

    def done(self, cell: Cell, spec: str) -> bool:
        """Whether that record exists."""
        return self.path(cell, spec).exists()

    def add(self, cell: Cell, spec: str, row: dict[str, Any], detail: dict[str, Any]) -> None:
        """Write one record: the table's row, and what stands behind it (raw times, threads, traceback)."""
        unknown = set(row) - set(COLUMNS)
        assert not unknown, f"columns not in the schema: {unknown}"
        record = {"schema": SCHEMA, "cell": asdict(cell), "row": row, **detail}
        write_atomically(self.path(cell, spec), dump(record))

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record, in file-name order."""
        for path in sorted((self.folder / CELLS).glob("*.json")):
            yield json.loads(path.read_text())

    def table(self) -> pd.DataFrame:
        """The tidy table: one row per solver and cell, every column of the schema."""
        table = pd.DataFrame([record["row"] for record in self.records()], columns=list(COLUMNS))
        numbers = [c for c in COLUMNS if c not in (*WORDS, "external")]
        table[numbers] = table[numbers].apply(pd.to_numeric)
        table = table.astype(dict.fromkeys(COUNTS, "Int64"))
        table[WORDS] = table[WORDS].astype(object).fillna("")
        order = {spec: i for i, spec in enumerate(self.provenance["grid"]["solvers"])}
        keys = ["dataset", "bins", "pixels", "seed", "solver"]
        return table.sort_values(keys, key=lambda c: c.map(order) if c.name == "solver" else c, ignore_index=True)

    def write_table(self) -> Path:
        """Write the tidy table as CSV beside the records it is made from."""
        path = self.folder / TABLE_FILE
        write_atomically(path, self.table().to_csv(index=False))
        return path
