"""What airspeed velocity stored of this project's commits, as a tidy table, and the steps in it.

Reads results/asv alone: a folder per machine with a file per commit, and the suite's notes of cells without figures.
"""

import ast
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from implementations.places import ROOT

FOLDER = ROOT / "results" / "asv"
NOT_RESULTS = ("machine.json", "benchmarks.json")
FEWEST_ROUNDS = 8
"""With fewer samples there is no 99% interval of a median from their order, and what asv stores is a guess."""


class Metric(NamedTuple):
    """How a tracked quantity is shown. For all of them, rising means worse."""

    title: str
    group: str
    floor: float
    """A change between values that are all below this is rounding, not a step."""
    step: float
    """Changes by a smaller share are not marked; it is larger for times that have no interval."""


METRICS = {
    "time_solve": Metric("time, s", "Time", 0.0, 0.05),
    "track_time_to_baseline": Metric("time / the baseline's", "Time", 0.0, 0.15),
    "track_oneoff": Metric("one-off (compilation), s", "Time", 0.05, 0.50),
    "peakmem_solve": Metric("peak memory, MB", "Memory", 1.0, 0.05),
    "track_chisq_median": Metric("χ² median", "Quality", 0.0, 0.05),
    "track_chisq_iqr": Metric("χ² IQR", "Quality", 1e-9, 0.05),
    "track_chisq_p95": Metric("χ² 95th percentile", "Quality", 0.0, 0.05),
    "track_dem_error": Metric("DEM error against the truth", "Quality", 0.0, 0.05),
    "track_worst_parity": Metric("worst deviation from the baseline", "Quality", 1e-9, 0.05),
    "track_gate_violation": Metric("gate violated", "Quality", 0.0, 0.05),
}
"""In the order they are shown."""
TIMED, SHARE, ONCE = "time_solve", "track_time_to_baseline", "track_oneoff"
"""What has intervals; what comes from the same rounds; what is timed once."""
UNIT = {"peakmem_solve": 1 / 2**20}
CELL = ["machine", "solver", "pixels", "bins"]
SERIES = ["machine", "metric", "solver", "pixels", "bins"]
COLUMNS = [*SERIES, "commit", "date", "value", "low", "high", "n"]


@dataclass(frozen=True, eq=False)
class History:
    """All that is known of the commits."""

    points: pd.DataFrame
    """A row per machine, metric, cell and commit, the oldest first. Times have their 99% interval and n rounds."""
    steps: pd.DataFrame
    """Columns of a series, the commit at which it changes, `before`, `after`, and `worse`."""
    machines: dict[str, str]
    """Name -> the line that describes it."""
    notes: pd.DataFrame
    """Cells without figures and violated gates: commit, solver, pixels, bins, status, reason, gate, gate_reasons."""
    caveat: str
    """Why no steps are marked; "" where they are."""


def read(folder: Path = FOLDER) -> History:
    """The history in asv's results folder. ValueError, in one line, when there is none."""
    machines = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/machine.json"))}
    rows = [point for name in machines for path in _result_files(folder / name) for point in _points_of(name, path)]
    if not rows:
        raise ValueError(f"{folder} holds no results of airspeed velocity; make history measures some")
    points = pd.DataFrame(rows, columns=COLUMNS).sort_values(["machine", "date"], kind="stable", ignore_index=True)
    rounds = points[points.metric == TIMED].set_index([*CELL, "commit"]).n
    points.n = points.n.where(points.metric != SHARE, points.set_index([*CELL, "commit"]).index.map(rounds.to_dict()))
    found, caveat = steps_of(points)
    described = {name: _describe(facts) for name, facts in machines.items()}
    return History(points, found, described, _notes(folder), caveat)


def _result_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if path.name not in NOT_RESULTS]


def _points_of(machine: str, path: Path) -> Iterator[tuple[Any, ...]]:
    """Every figure of one commit; asv keeps lists over all combinations of a benchmark's parameters."""
    stored = json.loads(path.read_text())
    columns = stored["result_columns"]
    date = pd.Timestamp(stored["date"], unit="ms", tz="UTC")
    for name, values in stored["results"].items():
        metric = name.rpartition(".")[2]
        entry = dict(zip(columns, values, strict=False))
        if metric not in METRICS or not isinstance(entry.get("result"), list):
            continue  # of another suite, or one that failed as a whole
        cells = itertools.product(*([ast.literal_eval(text) for text in texts] for texts in entry["params"]))
        low, high = (entry.get(f"stats_ci_99_{side}") or itertools.repeat(None) for side in "ab")
        rounds = entry.get("stats_repeat") or itertools.repeat(None)
        for (solver, pixels, bins), n, *figures in zip(cells, rounds, entry["result"], low, high, strict=False):
            if _number(n) < FEWEST_ROUNDS:
                figures[1:] = None, None
            value, *ends = (_number(figure) * UNIT.get(metric, 1.0) for figure in figures)
            if not math.isnan(value):
                yield (machine, metric, solver, pixels, bins, stored["commit_hash"][:8], date, value, *ends, _number(n))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _describe(facts: dict[str, Any]) -> str:
    cores = f"{facts['num_cpu']} cores" if facts.get("num_cpu") else ""
    system = f"{facts.get('os', '')} {facts.get('arch', '')}".strip()
    return ", ".join(filter(None, (facts.get("cpu") or facts["machine"], cores, facts.get("ram"), system)))


def _notes(folder: Path) -> pd.DataFrame:
    """The suite's own notes, in the order that the commits were measured in."""
    columns = ["commit", "solver", "pixels", "bins", "status", "reason", "gate", "gate_reasons"]
    runs = [[json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("notes/*.jsonl")]
    runs.sort(key=lambda lines: lines[0]["created"])
    rows = [{"commit": facts["commit"][:8], **row} for facts, *rest in runs for row in rest]
    return pd.DataFrame(rows, columns=columns).fillna("")


def steps_of(points: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Where series change for good by asv's own detection, and, where asv isn't installed, why there are none."""
    columns = [*SERIES, "commit", "before", "after", "worse"]
    try:
        from asv.step_detect import detect_steps
    except ImportError:
        return pd.DataFrame(columns=columns), "steps are not marked: asv is not installed (pip install asv)"
    rows = []
    for key, series in points.groupby(SERIES, sort=False):
        series = series.reset_index(drop=True)
        levels = [(left, right, level) for left, right, level, *_ in detect_steps(series.value.tolist())]
        for (start, _, before), (left, end, after) in itertools.pairwise(levels):
            clear = _is_clear(series.iloc[start:left], series.iloc[left:end])
            if clear and _is_step(before, after, METRICS[str(series.metric[0])]):
                rows.append((*key, series.commit[left], before, after, after > before))
    return pd.DataFrame(rows, columns=columns), ""


def changes(points: pd.DataFrame) -> pd.DataFrame:
    """What changed between a series' oldest and newest commit, by the rule that marks steps.

    What is timed once takes two commits on both sides, and so is never among them.
    """
    rows = []
    for key, series in points.groupby(SERIES, sort=False):
        before, after = series.iloc[:1], series.iloc[-1:]
        values = float(before.value.iloc[0]), float(after.value.iloc[0])
        if _is_clear(before, after) and _is_step(*values, METRICS[str(series.metric.iloc[0])]):
            rows.append((*key, after.commit.iloc[0], *values, values[1] > values[0]))
    return pd.DataFrame(rows, columns=[*SERIES, "commit", "before", "after", "worse"]).astype({"worse": bool})


def _is_clear(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    """No accident of timing: by the points next to the change; for what is timed once, by two commits on both sides."""
    last, first = before.iloc[-1], after.iloc[0]
    if last.metric == TIMED:
        return bool(last.high < first.low or first.high < last.low)
    if last.metric == SHARE:
        return bool(min(last.n, first.n) >= FEWEST_ROUNDS)
    return last.metric != ONCE or min(len(before), len(after)) > 1


def _is_step(before: float, after: float, metric: Metric) -> bool:
    return max(before, after) > metric.floor and abs(after - before) > metric.step * min(before, after)
