"""A sweep for each solver and cell, when its first metric asks; why a cell has no figures is kept beside the results.

All benchmarks share `setup_cache`, and so asv's working folder for the time of one commit, where records lie. A solver
that crashes, hangs or can't run here ends its own cell, once, and the reason stays in .asv/results/notes. asv itself
stores none.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / ".asv" / "results" / "notes"
KERNELS = ROOT / ".asv" / "kernels"
"""Compiled kernels, kept from one commit to the next: Numba looks at the sources, the project at their fingerprint."""
SIZES_VARIABLE = "DEMREG_BENCH_ASV_SIZES"
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], float]] = {
    "default": ((50, 200), (34, 100), 3.0),
    "full": ((200, 2000), (34, 200), 60.0),
    "tiny": ((8,), (12,), 1.0),
}
"""Pixels, temperature bins, and the time budget in seconds of a cell's rounds. `tiny` is for the suite's own tests."""
BASELINE = "baseline"

Listing = dict[str, str]
"""The solvers of the commit under measurement, and why each can't run here; "" where it can."""


def sizes() -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """The grid that the environment variable names. ValueError when it names none."""
    name = os.environ.get(SIZES_VARIABLE) or "default"
    if name not in SIZES:
        raise ValueError(f"{SIZES_VARIABLE}={name} is not one of {', '.join(SIZES)}")
    return SIZES[name]


def solvers() -> list[str]:
    """The names registered in the working tree, whatever the commit under measurement has."""
    return list(_listed(ROOT))


def setup_cache() -> Listing:
    """What the commit under measurement can run."""
    return _listed(None)


setup_cache.timeout = 600  # type: ignore[attr-defined]


def demand(listing: Listing, solver: str) -> None:
    """NotImplementedError, which asv takes for a skip, where the commit or the machine can't run a solver."""
    reason = listing.get(solver, f"{solver} isn't registered at this commit")
    if reason:
        raise NotImplementedError(reason)


def record(listing: Listing, solver: str, pixels: int, bins: int) -> dict[str, Any]:
    """The record of a solver and cell, measured now or before, in the same rounds as the baseline.

    The baseline's own is from the first sweep of that cell. RuntimeError, with the sweep's last words, where there is
    none: a sweep that left none is not started again.
    """
    path = Path(f"{solver}-{pixels}-{bins}.json")
    said = path.with_suffix(".said")
    if not path.exists() and not said.exists():
        said.write_text("it ended without a word")
        said.write_text(_measure(listing, solver, pixels, bins))
    if not path.exists():
        raise RuntimeError(f"{solver}, {pixels} pixels x {bins} bins: {said.read_text()}")
    return dict(json.loads(path.read_text()))


def kept_kernels() -> dict[str, str]:
    """The environment of a process that finds kernels compiled, once some process has compiled them."""
    return {**os.environ, "NUMBA_CACHE_DIR": str(KERNELS)}


def _measure(listing: Listing, solver: str, pixels: int, bins: int) -> str:
    """Sweep over one cell and keep its records; the sweep's last words."""
    _compile(solver, bins)
    folder = Path("sweeps", f"{solver}-{pixels}-{bins}").absolute()
    names = solver if solver == BASELINE else f"{BASELINE},{solver}"
    grid = ("--pixels", pixels, "--bins", bins, "--max-seconds", f"{sizes()[2]:g}")
    done = _sweep("--solvers", names, *grid, "--out", folder)
    if (folder / "table.csv").exists():
        records = [json.loads(path.read_text()) for path in (folder / "cells").glob("*.json")]
        for each in records:
            place = Path(f"{each['row']['solver']}-{pixels}-{bins}.json")
            if not place.exists():
                place.write_text(json.dumps(each))
        rows = [each["row"] for each in records if each["row"]["solver"] == solver]
        _keep_notes(json.loads((folder / "run.json").read_text()), rows + _skipped(listing, pixels, bins))
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return f"exit code {done.returncode}: {lines[-1] if lines else '(no word)'}"


def _compile(solver: str, bins: int) -> None:
    """Have the solver's kernels compiled, so that no metric depends on whether an earlier commit left them."""
    mark = Path(f"{solver}.compiled")
    if solver != BASELINE and not mark.exists():
        mark.touch()
        folder = Path("sweeps", solver).absolute()
        _sweep("--solvers", solver, "--pixels", 1, "--bins", bins, "--repeats", 1, "--out", folder)


def _listed(folder: Path | None) -> Listing:
    done = _sweep("--list", "--json", cwd=folder)
    if done.returncode:
        raise RuntimeError(f"the solvers can't be listed: {done.stderr.strip()[-300:]}")
    return {row["name"]: "" if row["available"] else str(row["reason"]) for row in json.loads(done.stdout)}


def _sweep(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m harness.sweep`, of the folder `cwd` or else of the installed commit."""
    command = [sys.executable, "-m", "harness.sweep", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=kept_kernels(), capture_output=True, text=True, check=False)


def _skipped(listing: Listing, pixels: int, bins: int) -> list[dict[str, Any]]:
    """The rows of what can't run here, which no sweep is started for."""
    return [
        {"solver": name, "pixels": pixels, "bins": bins, "status": "skipped", "reason": reason, "gate": "none"}
        for name, reason in listing.items()
        if reason
    ]


def _keep_notes(run: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """What asv's own files have no place for: why a cell failed or was skipped or violates its gate; the versions."""
    facts = {name: run[name] for name in ("commit", "created", "machine", "software")}
    names = ("solver", "pixels", "bins", "status", "reason", "gate", "gate_reasons")
    NOTES.mkdir(parents=True, exist_ok=True)
    path = NOTES / f"{run['machine']['id']}-{run['commit'] or 'unknown'}.jsonl"  # asv wants no further .json there
    before = [json.loads(line) for line in path.read_text().splitlines()[1:]] if path.exists() else []
    kept = {(row["solver"], row["pixels"], row["bins"]): row for row in before}
    for row in rows:
        place = (row["solver"], row["pixels"], row["bins"])
        kept.pop(place, None)
        if row["status"] != "ok" or row["gate"] != "pass":
            kept[place] = {name: row.get(name) for name in names}
    path.write_text("".join(json.dumps(line) + "\n" for line in (facts, *kept.values())))
