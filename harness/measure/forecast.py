"""How long a sweep will still take, learned from the cells that it has finished and from warm-ups in the present one.

Each solver's time in a cell to come is its time in the known cell most like it, scaled by pixels · bins · (1 + (bins /
130)^2): what the slowest solvers cost, who decide how long a sweep takes (results/reference). Only as much as the
baseline took there is scaled: what a solver takes beyond that is overhead, a scheduler's say. The rounds are then
played through by the rules that `harness.measure.cell` plays them by. Starting a solver's process takes what it took
last, and the rest of a cell (judging, ending) what it took in the cells before. Until a solver was measured in this
sweep, earlier runs on this machine stand in for it: so that there is a time left while the first cell warms up.
"""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.measure.clock import repeats_for
from harness.records.run import TABLE_FILE
from harness.records.schema import Cell

REFERENCE = "baseline"
CELL, TIMES = ("dataset", "pixels", "bins", "seed"), ("median_s", "oneoff_s", "n")
MOST_RUNS = 10
"""Earlier runs that are looked at."""
KNEE_BINS = 130.0
MOST_ROUNDS = 1000
REST_S = 0.2
"""Seconds a solver that a cell takes beyond starts and runs, as long as no cell has told (results/reference)."""
STILL = 0.1
"""Share of what was predicted for the rest of a cell that is taken to be left when that time has passed."""


def work(cell: Cell) -> float:
    """What a cell costs a slow solver, in units that cancel."""
    return cell.pixels * cell.bins * (1 + (cell.bins / KNEE_BINS) ** 2)


def earlier_rows(folder: Path, machine: str) -> list[tuple[Cell, dict[str, Any]]]:
    """Measured rows of the newest runs in a folder of runs that are of a machine of that id, the newest last.

    A table that can't be read is left out: nothing but the time left depends on it.
    """
    tables = sorted(folder.glob(f"*/{TABLE_FILE}"), key=lambda path: path.stat().st_mtime)
    found = []
    for path in tables[-MOST_RUNS:]:
        with contextlib.suppress(OSError, ValueError, KeyError):
            table = pd.read_csv(path, usecols=[*CELL, *TIMES, "solver", "status", "machine"], low_memory=False)
            rows = table[(table.status == "ok") & (table.machine == machine)].to_dict("records")
            found += [(Cell(*(row[name] for name in CELL)), row) for row in rows]
    return found


class Forecast:
    """Predictions of cells' wall times, better with every cell that is done; `earlier`: rows of other runs' cells."""

    def __init__(
        self,
        cells: Sequence[Cell],
        solvers: Iterable[str],
        budget_s: float,
        repeats: int | None,
        earlier: Iterable[tuple[Cell, dict[str, Any]]] = (),
    ):
        self.to_do, self.solvers = list(cells), list(solvers)
        self.budget_s, self.repeats = budget_s, repeats
        self._run_s: dict[str, dict[Cell, float]] = {}
        """Solver -> cell -> seconds of a run."""
        self._start_s: dict[str, float] = {}
        """Seconds that starting a solver took last: its process, imports, compiling."""
        self._rest_s: list[float] = []
        """Seconds that finished cells took beyond starts and runs."""
        self._rounds: list[int] = []
        self._warmed: dict[str, float] = {}
        """Seconds that solvers' warm-ups took in the present cell, starts included."""
        for cell, row in earlier:
            self.know(cell, [row])
        self._earlier, self._run_s = self._run_s, {}
        self._rounds = []  # how many there were says nothing: they may have been asked for

    def know(self, cell: Cell, rows: Sequence[dict[str, Any]]) -> None:
        """Take in measured rows of a cell; a solver that ended there is expected to cost nothing from then on."""
        for row in rows:
            ran = row["status"] == "ok"
            self._run_s.setdefault(row["solver"], {})[cell] = float(row["median_s"]) if ran else 0.0
            self._start_s.setdefault(row["solver"], float(row["oneoff_s"]) if ran else 0.0)
        counts = [int(row["n"]) for row in rows if row["status"] == "ok"]
        self._rounds += [max(counts)] if counts else []

    def warmed(self, cell: Cell, solver: str, wall_s: float, run_s: float) -> None:
        """A solver's warm-up in the present cell is over after `wall_s` seconds, `run_s` of them a whole run."""
        self._warmed[solver], self._start_s[solver] = wall_s, wall_s - run_s
        self._run_s.setdefault(solver, {})[cell] = run_s

    def done(self, cell: Cell, rows: Sequence[dict[str, Any]], wall_s: float) -> None:
        """A cell ended after `wall_s` seconds with these rows; with none, it needed no measuring."""
        self.to_do = [c for c in self.to_do if c != cell]
        if rows:
            self.know(cell, rows)
            self._rest_s.append(max(wall_s - sum(self._solving(cell)), 0.0))
        self._warmed = {}

    def left(self, current: Cell | None = None, elapsed_s: float = 0.0) -> float | None:
        """Seconds to the end, `elapsed_s` of the `current` cell being over; None while nothing was measured."""
        if not self.to_do:
            return 0.0
        if not self._known:
            return None
        rest = float(np.median(self._rest_s[-3:])) if self._rest_s else REST_S * len(self.solvers)
        expected = {cell: sum(self._solving(cell, cell == current)) + rest for cell in self.to_do}
        if current not in expected:
            return sum(expected.values())
        here = expected.pop(current)
        slower = max(elapsed_s / here, 1.0) if here else 1.0  # and the later ones will be so, too
        unknown = here - sum(self._warmed.values())
        return max(here - elapsed_s, STILL * unknown) + slower * sum(expected.values())

    @property
    def _known(self) -> dict[str, dict[Cell, float]]:
        """Solver -> cell -> seconds of a run: in this sweep, or else in earlier runs."""
        return {solver: self._earlier[solver] for solver in self.solvers if solver in self._earlier} | self._run_s

    def _solving(self, cell: Cell, present: bool = True) -> tuple[float, float]:
        """Seconds of all solvers' warm-ups, and of the rounds."""
        times = {solver: self._predicted(solver, cell) for solver in self._known}
        usual = float(np.mean(list(self._start_s.values())))
        starts = {solver: self._start_s.get(solver, usual) + times.get(solver, 0.0) for solver in self.solvers}
        return sum((starts | (self._warmed if present else {})).values()), self._playing(list(times.values()))

    def _predicted(self, solver: str, cell: Cell) -> float:
        """A solver's time in the known cell most like this one, scaled; what it takes beyond the baseline is not."""
        known, of_baseline = self._known[solver], self._run_s.get(REFERENCE, {}) | self._earlier.get(REFERENCE, {})
        nearest = min(known, key=lambda other: _unlike(other, cell))
        scaled = min(known[nearest], of_baseline.get(nearest, np.inf))
        return known[nearest] - scaled + scaled * work(cell) / work(nearest)

    def _playing(self, times: Sequence[float]) -> float:
        """Seconds of the rounds: everyone within the budget takes part, later only those whose turn still fits."""
        most = self.repeats or int(np.median(self._rounds or [MOST_ROUNDS]))
        turns = [repeats_for(t) * t for t in times if 0 < t <= self.budget_s]
        elapsed = 0.0
        for number in range(min(most, MOST_ROUNDS)):
            if number:
                turns = [t for t in turns if elapsed + t <= self.budget_s]
            elapsed += sum(turns)
        return elapsed


def _unlike(other: Cell, cell: Cell) -> tuple[bool, float]:
    return other.dataset != cell.dataset, abs(np.log(work(other) / work(cell)))
