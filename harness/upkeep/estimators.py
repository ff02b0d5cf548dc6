"""Which clock and which statistic tell code from load: an experiment, for docs/clocks.md.

`python -m harness.upkeep.estimators [--minutes 20]` times solvers beside their like and beside copies with 2% and 5%
more work, in cells of a few seconds, with and without four burners on the cores, and keeps
what each estimator says of each pair. `--write` makes the page's tables from what is kept, and measures nothing.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.judge import intervals
from harness.machine import facts
from harness.measure.contender import Contender
from harness.proof import trial
from harness.records.files import load, write_atomically
from harness.records.schema import Cell
from harness.show import markdown
from implementations import command_line as cli
from implementations.places import ROOT

KEPT, PAGE = ROOT / "results" / "clocks" / "clocks.json", ROOT / "docs" / "clocks.md"
SECONDS = 6.0
"""Of a cell's rounds."""
BURNERS = (0, 4)
MORE = (0.0, 0.02, 0.05)
KINDS = {
    "arrays, 0.2 ms": ("work[kind=arrays,units=100{}]", 20, 0.0002),
    "calls, 5 ms": ("work[kind=calls,units=2500{}]", 20, 0.005),
    "memory, 6 ms": ("work[kind=memory,units=100{}]", 20, 0.006),
    "numba, 10 ms": ("repeats[solver=numba{}]", 4000, 0.010),
    "numba, 2 threads": ("repeats[solver=numba,threads=2{}]", 20000, 0.030),
}
"""Solvers: how they are addressed, pixels, and about how long a run takes."""
MODES = {"turns of 100 ms": 0.1, "turns of 10 ms": 0.01, "single runs": 0.0, "duets": 0.02}
"""How they take turns, and how long a turn is at least."""
Statistic = Callable[[Contender, int], float]


def _wall(contender: Contender, number: int) -> np.ndarray:
    return np.array([run.total for run in contender.turns[number]])


def _own(contender: Contender, number: int) -> np.ndarray:
    return _wall(contender, number) - [run.queued for run in contender.used[number]]


def _cpu(contender: Contender, number: int) -> np.ndarray:
    return np.array([run.cpu for run in contender.used[number]])


def _undisturbed(contender: Contender, number: int) -> float:
    whole = np.array([run.preempted == 0 for run in contender.used[number]])
    return float(np.median(_wall(contender, number)[whole])) if whole.any() else np.nan


STATISTICS: dict[str, Statistic] = {
    "wall, median": lambda c, r: float(np.median(_wall(c, r))),
    "wall, minimum": lambda c, r: float(_wall(c, r).min()),
    "wall, lowest tenth": lambda c, r: float(np.quantile(_wall(c, r), 0.1)),
    "wall, runs without preemption": _undisturbed,
    "wall less queue, median": lambda c, r: float(np.median(_own(c, r))),
    "CPU, median": lambda c, r: float(np.median(_cpu(c, r))),
    "CPU, lowest quarter": lambda c, r: float(np.quantile(_cpu(c, r), 0.25)),
    "CPU, minimum": lambda c, r: float(_cpu(c, r).min()),
    "CPU of the whole turn, by the parent": lambda c, r: c.spent[r].passed / c.spent[r].runs,
}
"""What stands for a turn; the ratio is the median over rounds of two turns' quotient."""


def _pairs(specs: Sequence[float]) -> list[tuple[int, int]]:
    """Equal ones, and the first two beside each that has more to do."""
    return [(a, b) for a, b in itertools.combinations(range(len(specs)), 2) if specs[a] == 0.0]


def cell(kind: str, mode: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """What every estimator says of every pair of one cell."""
    text, pixels, run_s = KINDS[kind]
    more = [0.0, *MORE]
    specs = [text.format(f",more={share}" * bool(share)) for share in more]
    where = Cell("random-response", pixels, 34, seed)
    repeats = max(1, min(round(MODES[mode] / run_s), 100))
    with trial.burners(count):
        if mode == "duets":
            found = {p: trial.duet(where, (specs[p[0]], specs[p[1]]), SECONDS / 3, repeats) for p in [(0, 1), (0, 3)]}
            told = [(pair, "duet: wall, median", turns, 0.0) for pair, turns in found.items()]
        else:
            contenders = trial.turns(where, specs, SECONDS, repeats)
            others = float(np.sum([c.machine[r][1] for c in contenders for r in c.turns]))
            others /= float(np.sum([c.machine[r][0] for c in contenders for r in c.turns]))
            told = [
                (pair, name, _turns([contenders[place] for place in pair], each), others)
                for pair in _pairs(more)
                for name, each in STATISTICS.items()
            ]
    for pair, name, turns, others in told:
        logs = np.round(np.log(turns[:, 1] / turns[:, 0]), 5).tolist()
        yield {
            "kind": kind,
            "mode": mode,
            "burners": count,
            "others": round(others, 2),
            "estimator": name,
            "more": more[pair[1]],
            "logs": logs,
        }


def _turns(pair: Sequence[Contender], each: Statistic) -> np.ndarray:
    """The statistic (R, 2) in the rounds that both had a turn in."""
    shared = sorted(pair[0].turns.keys() & pair[1].turns.keys() - {0})
    values = np.array([[each(contender, number) for contender in pair] for number in shared]).reshape(-1, 2)
    return values[np.isfinite(values).all(axis=1) & (values > 0).all(axis=1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, and return the exit code."""
    parser = cli.Parser("harness.upkeep.estimators", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="how long it measures (20); every cell once at least"
    )
    parser.add_argument("--write", action="store_true", help="only the page's tables, from what is kept")
    parser.add_argument("--out", type=Path, default=KEPT, help="where it is kept, instead of for the page")
    given = parser.parse(arguments)
    parser.folder(given.out.parent)
    rows: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60 * given.minutes
    for seed in () if given.write else itertools.count(1):
        for kind, mode, count in itertools.product(KINDS, MODES, BURNERS):
            if mode == "duets" and "threads" in kind:
                continue
            rows += cell(kind, mode, count, seed)
            kept = facts.origin() | {"seconds": SECONDS, "rows": rows}
            write_atomically(given.out, json.dumps(kept) + "\n")
            if seed > 1 and time.monotonic() > deadline:
                break
        if time.monotonic() > deadline:
            break
    try:
        kept = load(given.out)
    except ValueError as error:
        parser.error(f"{given.out} {error}")
    if given.out == KEPT:
        write_atomically(PAGE, markdown.rewritten(PAGE.read_text(), "clocks", tables(kept)))
    else:
        print(tables(kept))
    return cli.OK


def tables(kept: dict[str, Any]) -> str:
    """The page's tables: of the way that was chosen every estimator, of the others those that the rows have."""
    rows = pd.DataFrame(kept["rows"])
    rows = rows[(rows["mode"] == CHOSEN[1]) | rows.estimator.isin([CHOSEN[0], *HEADLINES])]
    rows = _judged(rows[rows.logs.map(len) >= intervals.FEWEST])
    lines = [
        [str(burning), mode, name, *_figures(same)]
        for (burning, mode, name), same in rows.groupby(["burners", "mode", "estimator"], sort=False)
    ]
    curve = _curve(rows[(rows.estimator == CHOSEN[0]) & (rows["mode"] == CHOSEN[1])])
    head = ("burners", "how they take turns", "what stands for a turn", "equal ones are off by", "false alarms", *SEEN)
    origin = f"{facts.told(kept)}; {kept['seconds']:g} s of rounds a cell."
    title = f"After so many rounds ({CHOSEN[0]}, {CHOSEN[1]}):"
    return f"{markdown.table(head, lines, 3)}\n\n{title}\n\n{curve}\n\n{origin}"


CHOSEN, HEADLINES = ("CPU, lowest quarter", "turns of 100 ms"), ("wall, median", "duet: wall, median")
ROUNDS = (6, 12, 25, 50)


def _judged(rows: pd.DataFrame) -> pd.DataFrame:
    """With each pair's ratio and the interval that its rounds give: that these two processes differ isn't in it."""
    ratios = [intervals.Estimate(*np.exp(intervals.median(logs))) for logs in rows.logs]
    return rows.assign(**{name: [getattr(each, name) for each in ratios] for name in intervals.Estimate._fields})


def _curve(rows: pd.DataFrame) -> str:
    """How narrow the interval is after some rounds, and what is seen then: where the default of `--rel-ci` is from."""
    lines = []
    for burning, same in rows.groupby("burners"):
        for count in ROUNDS:
            enough = same[same.logs.map(len) >= count]
            if len(enough):
                part = _judged(enough.assign(logs=[logs[:count] for logs in enough.logs]))
                half = np.median((part.high - part.low) / (2 * part.value))
                lines.append([str(burning), str(count), f"{half:.2%}", *_figures(part)[1:]])
    return markdown.table(("burners", "rounds", "half width", "false alarms", *SEEN), lines, 0)


SEEN = ("2% seen", "5% seen", "5% reads as")


def _figures(same: pd.DataFrame) -> list[str]:
    """By how much equal ones' ratio is usually off, false alarms, what is seen and how large it reads."""
    equal = same[same.more == 0]
    found = [f"{np.median(np.abs(np.log(equal.value))):.2%}", _count((equal.low > 1) | (equal.high < 1))]
    for share in MORE[1:]:
        found.append(_count(same[same.more == share].low > 1))
    return [*found, f"{same[same.more == MORE[-1]].value.median():.3f}"]


def _count(which: pd.Series) -> str:
    return f"{int(which.sum())} of {len(which)}"


if __name__ == "__main__":
    cli.run(main)
