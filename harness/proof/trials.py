"""Verdicts of sweep, compare and regression on solvers that are known to be equal, or slower, or wrong.

A cell has a solver twice and, beside it, copies with a share of its work more. What a sweep says is each one's ratio to
the first; what `compare` says, of two such cells, is the row of the later one beside the first's; `regression` has
copies of this project's packages, with the same solvers in them.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.judge.comparison import Comparison
from harness.judge.intervals import Estimate
from harness.measure import cell as measure_cell
from harness.measure import record_row, rounds
from harness.measure.contender import Contender
from harness.measure.plan import REFERENCE, Plan, threads_of
from harness.proof.trial import PLUGIN
from harness.records.schema import COLUMNS, WORDS, Cell
from harness.reports import two_runs
from harness.reports.checkout import PACKAGES, Checkout
from harness.reports.two_commits import Match
from implementations.places import ROOT

COMMANDS = ("sweep", "compare", "regression")
KINDS = {
    "arrays, 0.2 ms": ("work[kind=arrays,units=100{}]", 20),
    "calls, 5 ms": ("work[kind=calls,units=2500{}]", 20),
    "memory, 6 ms": ("work[kind=memory,units=100{}]", 20),
    "numba, 15 ms": ("repeats[solver=numba{}]", 5000),
    "calls, 100 ms": ("work[kind=calls,units=50000{}]", 20),
    "interpreted, 5 ms": ("work[kind=interpreted,units=5000{}]", 20),
    "numba, 2 threads": ("repeats[solver=numba,threads=2{}]", 20000),
    "calls, 1 s": ("work[kind=calls,units=500000{}]", 20),
    "calls, 10 s": ("work[kind=calls,units=5000000{}]", 20),
}
"""Solvers, as they are addressed, and pixels; the times are about those of one core."""
REPORTED = ("interpreted, 5 ms", "numba, 2 threads", "calls, 1 s", "calls, 10 s")
"""Of these the verdicts are shown, and not judged."""
OUTPUTS = ("dem", "edem", "elogt", "chisq", "dn_reg", "status", "iterations")
Trial = dict[str, Any]


def spec_of(kind: str, more: float) -> str:
    """A solver's address with that share of its work more."""
    return KINDS[kind][0].format(f",more={more}" * bool(more))


def sweep(kind: str, mores: Sequence[float], seed: int) -> tuple[list[Trial], list[dict[str, Any]]]:
    """What a sweep says of copies beside the first of them, at its defaults; and everyone's rows."""
    specs = [spec_of(kind, more) for more in (0.0, *mores)]
    plan = Plan(plugins=(str(PLUGIN),))
    cell = Cell("random-response", KINDS[kind][1], 34, seed)
    contenders = [Contender(spec, threads_of(spec, 1), plan.max_seconds) for spec in specs]
    satisfy = partial(rounds.satisfied, rel_ci=plan.rel_ci, reference=specs[0])
    with tempfile.TemporaryDirectory() as folder:
        result = measure_cell.measure_contenders(
            cell, contenders, plan, Path(folder), measure_cell.Nobody(), satisfy=satisfy
        )
    first, rows = contenders[0], [_row(contender, result) for contender in contenders]
    trials = []
    for more, contender, row in zip(mores, contenders[1:], rows[1:], strict=True):
        if row["status"] == rows[0]["status"] == "ok":
            ratio = first.speedup(contender)
            trials.append(
                _trial("sweep", kind, more, ratio, first.clock_beside(contender))
                | {"rounds": row["n"], "processes": contender.processes}
            )
        else:
            trials.append(_failed("sweep", kind, more, row["reason"] or rows[0]["reason"]))
    return trials, rows


def _row(contender: Contender, result: measure_cell.CellResult) -> dict[str, Any]:
    """A row as a run's table has it."""
    empty = {name: "" if name in WORDS else math.nan for name in COLUMNS}
    return empty | {"solver": contender.spec, "source": "1"} | record_row.row_of(contender, result)


def compare(
    kind: str, mores: Sequence[float], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> list[Trial]:
    """What `compare` says of two runs: the first's row in one, its baseline, beside each copy's in the other."""
    found = []
    for more, row in zip(mores, after[1:], strict=True):
        change = two_runs.judged(before[0], row, (before[0], after[0]), 0.0)
        if change.ratio.value == change.ratio.value:
            undecided = {"doubt": change.doubt} if change.doubt else {}
            found.append(_trial("compare", kind, more, change.ratio, change.clock, bool(change.doubt)) | undecided)
        else:
            found.append(_failed("compare", kind, more, change.reason))
    return found


def regression(kinds: Sequence[str], more: float, seed: int, scratch: Path) -> Iterator[Trial]:
    """What `regression` says of a commit in which those solvers have a share of their work more."""
    checkouts = [_commit(scratch / f"{name}-{share}", share) for name, share in (("base", 0.0), ("head", more))]
    by_size: dict[int, list[str]] = {}
    for kind in kinds:
        by_size.setdefault(KINDS[kind][1], []).append(kind)
    for pixels, same in by_size.items():
        specs = {spec_of(kind, 0.0): kind for kind in same}
        plan = Plan(pixels=(pixels,), bins=(34,), max_seconds=60.0)
        match = Match(checkouts[0], checkouts[1], plan, lambda _: 0.0, scratch, tuple(specs))
        for found in match.compare(Cell("random-response", pixels, 34, seed)):
            yield _of_comparison(specs[found.solver], more, found)


def _of_comparison(kind: str, more: float, found: Comparison) -> Trial:
    if found.ratio.value != found.ratio.value:
        return _failed("regression", kind, more, found.reason)
    return _trial("regression", kind, more, found.ratio, found.clock, bool(found.doubt))


def _commit(folder: Path, more: float) -> Checkout:
    """A copy of this project's packages, as a commit's, with the planted solvers in its registry."""
    if not folder.exists():
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, folder / package, ignore=ignored)
        text = PLUGIN.read_text().replace("more: float = 0.0", f"more: float = {more}")
        (folder / "implementations" / "planted.py").write_text(text)
        registry = folder / "implementations" / "registry.py"
        rows = "".join(f'\n    "{c.lower()}": "implementations.planted:{c}",' for c in ("Work", "Repeats"))
        registry.write_text(registry.read_text().replace("IN_REPO = {", "IN_REPO = {" + rows, 1))
    return Checkout(str(more), f"{more:.0%} more", folder)


def quality(seed: int) -> Iterator[Trial]:
    """What the gates say of solvers of which one output is off, and of one of which none is."""
    specs = [f"off[output={output}]" for output in OUTPUTS]
    plan = Plan(plugins=(str(PLUGIN),), repeats=1, max_seconds=60.0)
    cell = Cell("random-response", 40, 34, seed)
    with tempfile.TemporaryDirectory() as folder:
        every = [REFERENCE, "off", *specs]
        result = measure_cell.measure(cell, every, plan, Path(folder), measure_cell.Nobody())
    for output, contender in zip(("", *OUTPUTS), result.contenders[1:], strict=True):
        row = record_row.row_of(contender, result)
        named = row["gate"] == "fail" and output in row["gate_reasons"].partition(":")[0]
        seen = named if output else row["gate"] == "fail"
        yield {"command": "gates", "kind": output or "nothing", "more": 0.0 if not output else 1e-6, "seen": seen}


def _trial(command: str, kind: str, more: float, ratio: Estimate, clock: str, doubted: bool = False) -> Trial:
    """A verdict: whether the interval excludes 1, and by how much the copy reads slower."""
    seen = not doubted and (ratio.low > 1 or (more == 0.0 and ratio.high < 1))
    figures = {"ratio": round(ratio.value, 5), "low": round(ratio.low, 5), "high": round(ratio.high, 5)}
    return {"command": command, "kind": kind, "more": more, "seen": bool(seen), "clock": clock, **figures}


def _failed(command: str, kind: str, more: float, reason: str) -> Trial:
    return {"command": command, "kind": kind, "more": more, "seen": False, "failed": str(reason)[:200]}
