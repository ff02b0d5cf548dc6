"""One sweep per commit, which every metric of every cell reads; why a cell has no figures is kept beside the results.

A solver that crashes, hangs or can't run here ends its own row of the sweep, once, and the reason stays in
results/asv/notes. asv itself stores none.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / "results" / "asv" / "notes"
SIZES_VARIABLE = "DEMREG_BENCH_ASV_SIZES"
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], float]] = {
    "default": ((50, 200), (34, 100), 8.0),
    "full": ((200, 2000), (34, 200), 60.0),
    "tiny": ((8,), (12,), 3.0),
}
"""Pixels, temperature bins, and the time budget in seconds of a cell's rounds. `tiny` is for the suite's own tests."""

Cells = dict[tuple[str, int, int], dict[str, Any]]
"""(solver, pixels, bins) -> the record of that solver and cell, as `harness.records.run` wrote it."""


def sizes() -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """The grid that the environment variable names. ValueError when it names none."""
    name = os.environ.get(SIZES_VARIABLE) or "default"
    if name not in SIZES:
        raise ValueError(f"{SIZES_VARIABLE}={name} is not one of {', '.join(SIZES)}")
    return SIZES[name]


def solvers() -> list[str]:
    """The names registered in the working tree, whatever the commit under measurement has."""
    return [row["name"] for row in json.loads(_sweep("--list", "--json", cwd=ROOT).stdout)]


def measure() -> Cells:
    """Sweep the installed commit's solvers over the grid, keep its notes, and return the records.

    The working folder is asv's own, for the time of one commit. RuntimeError when the sweep can't be carried out.
    """
    pixels, bins, seconds = sizes()
    folder = Path("sweep").absolute()
    done = _sweep(
        "--pixels", _commas(pixels), "--bins", _commas(bins), "--max-seconds", f"{seconds:g}", "--out", folder
    )
    if not (folder / "table.csv").exists():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RuntimeError(f"the sweep ended with exit code {done.returncode}: {said[-1] if said else '(no word)'}")
    records = [json.loads(path.read_text()) for path in sorted((folder / "cells").glob("*.json"))]
    _keep_notes(json.loads((folder / "run.json").read_text()), [record["row"] for record in records])
    return {(row["solver"], row["pixels"], row["bins"]): record for record in records for row in [record["row"]]}


def _sweep(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m harness.sweep`, of the folder `cwd` or else of the installed commit."""
    command = [sys.executable, "-m", "harness.sweep", *map(str, words)]
    # Kernels that an earlier run left compiled would hide what compiling costs.
    cold = {**os.environ, "NUMBA_CACHE_DIR": str(Path("numba").absolute())}
    return subprocess.run(command, cwd=cwd, env=cold, capture_output=True, text=True, check=False)


def _commas(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def _keep_notes(run: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """What asv's own files have no place for: why a cell failed or was skipped or violates its gate; the versions."""
    facts = {name: run[name] for name in ("commit", "created", "machine", "software")}
    names = ("solver", "pixels", "bins", "status", "reason", "gate", "gate_reasons")
    notable = [row for row in rows if row["status"] != "ok" or row["gate"] != "pass"]
    lines = [facts, *({name: row.get(name) for name in names} for row in notable)]
    NOTES.mkdir(parents=True, exist_ok=True)
    path = NOTES / f"{run['machine']['id']}-{run['commit'] or 'unknown'}.jsonl"  # asv wants no further .json there
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
