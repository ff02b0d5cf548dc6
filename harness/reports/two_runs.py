"""Two runs of one machine, row by row: what became faster, slower, worse, what came and went, and by which clock.

A solver is judged by its own time in both runs: CPU time where it has one thread and doesn't wait, else wall time. The
baseline tells whether the machine was the same: where its source is, its times must agree, or nothing is said of any.
Where its source changed, that is said, and the others are judged all the same.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import median_abs_deviation

from harness.judge import clocks, intervals
from harness.judge.comparison import NO_ESTIMATE, SETTLED, WITHIN, Comparison, Row, Tolerance, bounded
from harness.judge.intervals import Array, Estimate
from harness.machine import facts as machine_facts
from harness.measure.plan import threads_of
from harness.records.run import Run
from harness.reports import matched

BETWEEN_RUNS = 0.01
"""Two runs of the same code may differ by this beyond what their turns show. Whether it is enough, `python -m
harness.selfcheck` says."""
OTHERS = 0.25
"""Cores that others kept busy in one run more than in the other, from which on wall times of the two say nothing."""
FEWEST_ALIKE, SURE = 4, 2.58
"""Rows of unchanged source by whose scatter two runs are known to differ more; so many times that scatter is rare."""
UNSHARED = 2.0
"""By no more than this a machine is taken to slow one solver and not the baseline of its cell."""
BENEATH = ("python", "numpy", "scipy", "numba", "llvmlite", "dask", "joblib", "demregpy", "utu", "EMToolKit")
ON_DEVICE = ("cupy-cuda12x", "cupy-cuda13x")
"""Packages that solvers' time stands on: where they differ, an unchanged source doesn't tell of the machine, except the
baseline's; those of devices are of solvers there alone."""


@dataclass(frozen=True)
class Change(Comparison):
    """A solver in a cell that either run has."""

    @property
    def row(self) -> Row:
        """What it is of."""
        row = self.head or self.base
        assert row is not None
        return row

    @property
    def verdict(self) -> str:
        """In a word or two. What is the same record is the same, whatever is in it."""
        if self.base is not None and self.head is not None and _alike(self.base, self.head):
            return "same"
        return self.words

    @property
    def regression(self) -> bool:
        """Slower, worse, gate violated or failed."""
        return self.verdict != "same" and bool(self.code)

    @property
    def settled(self) -> bool:
        """Nothing to look at."""
        return self.verdict in SETTLED


def _alike(a: Row, b: Row) -> bool:
    return all(a[name] == b[name] or (pd.isna(a[name]) and pd.isna(b[name])) for name in a if name != "run")


def rows(a: Run, b: Run, tolerance: Tolerance, chosen: Callable[[Row], bool] = lambda _: True) -> Iterator[Change]:
    """Every chosen row that either run has. ValueError, in one line, when they can't be compared."""
    machines = [run.provenance["machine"] for run in (a, b)]
    if not machine_facts.same(*machines):
        names = " and ".join(dict.fromkeys(machine_facts.machine_label(machine) for machine in machines))
        raise ValueError(f"runs of different machines can't be compared: {a.folder} and {b.folder} are of {names}")
    before, after = matched.by_key(a), matched.by_key(b)
    edited = matched.edited(before, after)
    if not (before.keys() & after.keys()) - edited:
        raise ValueError(f"{a.folder} and {b.folder} have no row in common: {matched.apart(before, after, edited)}")
    baselines = matched.baselines(a, b, before, after)
    confined = machine_facts.unlike(*machines)
    between = scatter(of_the_machine(a, b))
    for key in dict.fromkeys([*before, *after]):
        base, head = before.get(key), after.get(key)
        row = head or base
        if key in edited or row is None or not chosen(row):
            continue
        if base is None or head is None:
            doubt = _why_missing(*(("B", b, after) if head is None else ("A", a, before)), row)
            yield Change(row["solver"], base, head, NO_ESTIMATE, tolerance(row), doubt=doubt)
            continue
        pair = baselines[0].get(key[:4]), baselines[1].get(key[:4])
        found = judged(base, head, pair, tolerance(row), between)
        if confined and found.clock == clocks.WALL:
            found = replace(found, doubt=f"its clock is the wall, and A had another part of the machine: {confined}")
        yield found


def _why_missing(name: str, run: Run, known: dict[matched.Key, Row], row: Row) -> str:
    """Why a run that was asked for a row may be without it; "" where it wasn't asked."""
    if run.damaged(row):
        return f"its record in {name} can't be used"
    grid = run.provenance["grid"]
    asked = {"solver": "solvers", "dataset": "datasets", "pixels": "pixels", "bins": "bins"}
    unfinished = all(row[one] in grid.get(several, ()) for one, several in asked.items())
    threads = threads_of(row["solver"], grid.get("threads", 1))
    own = {each["seed"] for each in known.values() if each["dataset"] == row["dataset"]}
    seeds = own if grid.get("seed") is None else {grid["seed"]}
    unfinished &= (not seeds or row["seed"] in seeds) and threads == row["threads"]
    return f"{name} isn't finished, and has no record of it yet" if unfinished else ""


def scatter(logs: Array) -> float:
    """By what share two runs differ where only the machine can: what all rows have in common, and the rest."""
    if logs.size < FEWEST_ALIKE:
        return BETWEEN_RUNS
    apart = np.hypot(np.median(logs), SURE * median_abs_deviation(logs, scale="normal"))
    return max(BETWEEN_RUNS, float(np.expm1(apart)))


def _of_baselines(base: Row | None, head: Row | None) -> Estimate:
    """What a cell's baselines of one source differ by, for all that is known; NaN where there are none."""
    if base is None or head is None or matched.differ(base, head, "source"):
        return NO_ESTIMATE
    return bounded(of_times(base, head)[0])


def _moved(baselines: Estimate) -> float:
    """By what share a cell's baselines differ, whether surely or not: as far may the machine have moved all others."""
    apart = abs(math.log(baselines.value))
    return math.expm1(apart) if math.isfinite(apart) else 0.0


def _beyond(ratio: Estimate, baselines: Estimate, times: float = UNSHARED) -> bool:
    """Whether a ratio is so many times beyond what a cell's baselines may differ by, which no machine makes."""
    return ratio.low > times * baselines.high or ratio.high < baselines.low / times


def of_the_machine(a: Run, b: Run) -> Array:
    """Logarithms of those ratios of times that only the machine can have made, and that say something of it."""
    before, after, told = matched.by_key(a), matched.by_key(b), []
    baselines = matched.baselines(a, b, before, after)
    other, on_device = matched.versions(a, b, BENEATH), matched.versions(a, b, ON_DEVICE)
    for key in sorted((before.keys() & after.keys()) - matched.edited(before, after)):
        base, head = before[key], after[key]
        pair = baselines[0].get(key[:4]), baselines[1].get(key[:4])
        of_host = head["device"] == "cpu"
        if (other and (pair[1] is None or pair[1]["solver"] != head["solver"])) or (on_device and not of_host):
            continue
        ratio, clock = of_times(base, head)
        doubted = clock == clocks.WALL and _doubt(base, head, clock)  # others' work, and not a lasting difference
        beyond = of_host and _beyond(Estimate(*[ratio.value] * 3), _of_baselines(*pair))
        if base["source"] and base["source"] == head["source"] and not doubted and not beyond:
            told.append(math.log(ratio.value))
    logs = np.array(told)
    return logs[np.isfinite(logs)]


def judged(
    base: Row, head: Row, baselines: tuple[Row | None, Row | None], tolerance: float, between: float = BETWEEN_RUNS
) -> Change:
    """Two rows of a solver in a cell, beside the two runs' baselines in it; same code may differ by `between`."""
    moved = _of_baselines(*baselines)
    between = max(between, _moved(moved))
    ratio, clock = of_times(base, head, between)
    doubt = _doubt(base, head, clock) or machine_differed(moved) if clock else ""
    times = WITHIN if clocks.was_busy(base) or clocks.was_busy(head) else UNSHARED
    if clock == clocks.CPU and head["device"] == "cpu" and _beyond(bounded(ratio, between), moved, times):
        doubt = ""
    return Change(head["solver"], base, head, ratio, tolerance, clock, doubt, between)


def of_times(base: Row, head: Row, between: float = BETWEEN_RUNS) -> tuple[Estimate, str]:
    """Time of B over time of A, and the clock; errors of the two add in quadrature."""
    if not base["status"] == head["status"] == "ok":
        return NO_ESTIMATE, ""
    by_cpu = pd.notna(base["cpu_s"]) and pd.notna(head["cpu_s"])
    names = clocks.OF_CPU if by_cpu else clocks.OF_WALL
    (a, a_low, a_high), (b, b_low, b_high) = (np.log([float(row[n]) for n in names]) for row in (base, head))
    middle, down, up = b - a, np.hypot(b - b_low, a_high - a), np.hypot(b_high - b, a - a_low)
    logs = Estimate(middle, middle - down, middle + up)
    return intervals.widened(logs, between), clocks.CPU if by_cpu else clocks.WALL


def _doubt(base: Row, head: Row, clock: str) -> str:
    """What the two rows say themselves of their machines."""
    if clocks.was_busy(base) != clocks.was_busy(head):
        return f"the machine was busy during {'A' if clocks.was_busy(base) else 'B'} only"
    if clock != clocks.WALL:
        return ""
    if stolen := [name for name, row in (("A", base), ("B", head)) if clocks.STOLEN in str(row["doubts"])]:
        return f"its clock is the wall, and the host took a part of it in {' and '.join(stolen)}"
    more = head["others_cores"] - base["others_cores"]
    if pd.isna(base["others_cores"]) != pd.isna(head["others_cores"]):
        unknown = "A" if pd.isna(base["others_cores"]) else "B"
        return f"its clock is the wall, and whether others were at work during {unknown} isn't known"
    if abs(more) > OTHERS:
        return f"its clock is the wall, and others kept {abs(more):.1f} cores more busy in {'B' if more > 0 else 'A'}"
    return "the machine was busy, and its clock is the wall" if clocks.was_busy(base) else ""


def machine_differed(baselines: Estimate) -> str:
    """What a cell's baselines say of the machine: that it took another time though it is the same; "" otherwise."""
    apart = baselines.low > 1 + clocks.MATTERS or baselines.high < 1 / (1 + clocks.MATTERS)
    return f"the machine differed (the baseline took {baselines.value:.2f} times as long in B)" if apart else ""


def notes(a: Run, b: Run) -> list[str]:
    """What differs between two runs that the figures may come from, a line each."""
    facts_a, facts_b = a.provenance, b.provenance
    before, after = matched.by_key(a), matched.by_key(b)
    both = [(before[key], after[key]) for key in before if key in after]
    found = []
    if unlike := machine_facts.unlike(facts_a["machine"], facts_b["machine"]):
        found.append(f"A had another part of the machine than B: {unlike}")
    versions = matched.versions(a, b)
    found += [f"other versions in A: {matched.some(versions)}"] if versions else []
    edited = [head["dataset"] for base, head in both if matched.differ(base, head, "workload")]
    told = f"{len(edited)} rows are not compared: the workload was edited in between, {matched.some(edited)}"
    found += [told] if edited else []
    logs = of_the_machine(a, b)
    shift = float(np.median(logs)) if logs.size >= FEWEST_ALIKE else 0.0
    if abs(shift) > np.log1p(clocks.MATTERS):
        found.append(f"rows of the same source took {np.exp(shift):.2f} times as long in B, in the middle of all")
    for column in ("method", "device", "accuracy"):
        moved = [f"{h['solver']} ({b[column]}, then {h[column]})" for b, h in both if matched.differ(b, h, column)]
        found += [f"{column} differs: {matched.some(moved)}"] if moved else []
    changed = dict.fromkeys(head["solver"] for base, head in both if matched.differ(base, head, "source"))
    found += [f"source differs: {matched.some(changed)}"] if changed else []
    if "baseline" in changed:
        found.append("the baseline changed: speedups of A and B are ratios to different things")
    for name, run in (("A", a), ("B", b)):
        commits = sorted(set(run.table().commit) - {run.provenance["commit"], ""})
        found += [f"some rows of {name} are of other commits: {matched.some(commits)}"] if commits else []
        found += [f"records of {name} that can't be used: {matched.some(run.unused)}"] if run.unused else []
    return found
