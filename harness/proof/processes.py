"""By how much processes of the same code differ: an experiment, for docs/clocks.md and `harness.judge.intervals`.

`python -m harness.proof.processes` starts each of several solvers twelve times, lets the twelve take turns, with and
without four burners on the cores, and keeps how far the processes are apart beyond what their turns' scatter explains,
and how far the farthest is from the middle. Eight minutes or so. `--write` makes the page's table from what is kept,
and measures nothing.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.judge import clocks
from harness.machine import facts
from harness.proof import trial
from harness.records.files import load, write_atomically
from harness.records.schema import Cell
from harness.show import markdown
from implementations import command_line as cli
from implementations.places import ROOT

KEPT, PAGE = ROOT / "results" / "clocks" / "processes.json", ROOT / "docs" / "clocks.md"
PROCESSES, SECONDS, BURNERS = 12, 24.0, (0, 4)
KINDS = {
    "arrays, 0.1 ms": ("work[kind=arrays,units=50]", 20),
    "calls of NumPy, 5 ms": ("work[kind=calls,units=2500]", 20),
    "bare loop, 5 ms": ("work[kind=interpreted,units=5000]", 20),
    "memory, 6 ms": ("work[kind=memory,units=100]", 20),
    "`numba`, 10 ms": ("numba", 7500),
    "`l2`, 10 ms": ("l2", 5000),
    "`vectorized`, 10 ms": ("vectorized", 20),
    "`baseline`, 30 ms": ("baseline", 20),
}
"""Solvers with one thread: how they are addressed, and pixels."""
HEAD = ("solver", "burners", "rounds", "turns scatter by", "processes differ by", "the farthest by")


def apart(times: Sequence[Mapping[int, float]]) -> tuple[int, float, float, float]:
    """Rounds that all had a turn in, the turns' scatter within a process, the processes' beyond it, and the farthest.

    Standard deviations of logarithms, from middle deviations, relative to each round's middle; and the largest
    deviation of a process. `times`: of each process, round -> seconds.
    """
    shared = sorted(set.intersection(*({*each} for each in times)))
    logs = np.log([[each[number] for number in shared] for each in times])
    logs -= np.median(logs, axis=0)
    middles = np.median(logs, axis=1)
    away = np.abs(middles - np.median(middles))
    within = float(np.median(1.4826 * np.median(np.abs(logs - middles[:, None]), axis=1)))
    of_turns = np.pi / 2 * within**2 / len(shared)
    spread = (1.4826 * np.median(away)) ** 2 * len(away) / (len(away) - 1)
    return len(shared), within, float(np.sqrt(max(spread - of_turns, 0.0))), float(away.max())


def measure(kind: str, burning: int) -> dict[str, Any]:
    """One solver's processes beside each other."""
    spec, pixels = KINDS[kind]
    with trial.burners(burning):
        contenders = trial.turns(Cell("random-response", pixels, 34, 1), [spec] * PROCESSES, SECONDS)
    rounds, within, between, farthest = apart([each.turn_times(clocks.CPU) for each in contenders])
    return {
        "kind": kind,
        "burners": burning,
        "rounds": rounds,
        "within": round(within, 5),
        "between": round(between, 5),
        "farthest": round(farthest, 5),
    }


def table(kept: dict[str, Any]) -> str:
    """The page's table, and where it is from."""
    lines = [
        [row["kind"], str(row["burners"]), str(row["rounds"])]
        + [f"{row[name]:.2%}" for name in ("within", "between", "farthest")]
        for row in kept["rows"]
    ]
    middle = float(np.median([row["between"] for row in kept["rows"]]))
    origin = f"{PROCESSES} processes each, which differ by {middle:.2%} in the middle of all. {facts.told(kept)}."
    return f"{markdown.table(HEAD, lines, 1)}\n\n{origin}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, and return the exit code."""
    parser = cli.Parser("harness.proof.processes", description=__doc__)
    parser.add_argument("--write", action="store_true", help="only the page's table, from what is kept")
    parser.add_argument("--out", type=Path, default=KEPT, help="where it is kept, instead of for the page")
    given = parser.parse(arguments)
    if not given.write:
        parser.folder(given.out.parent)
        rows = [measure(kind, burning) for kind, burning in itertools.product(KINDS, BURNERS)]
        kept = facts.origin() | {"rows": rows}
        write_atomically(given.out, json.dumps(kept, indent=1) + "\n")
    try:
        told = table(load(given.out))
    except ValueError as error:
        parser.error(f"{given.out} {error}")
    if given.out == KEPT:
        write_atomically(PAGE, markdown.rewritten(PAGE.read_text(), "processes", told))
    else:
        print(told)
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
