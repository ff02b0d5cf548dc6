"""What the harness itself takes between the solves that it times, for docs/trust.md.

`python -m harness.upkeep.experiments.overhead` gives solvers turns as a sweep does, each run a problem of its own,
and compares the wall time of whole turns, from one to the next, with what was timed in them; a minute, the machine
otherwise idle. What a plain loop around the same solves takes beside them, since each solution's memory is given back,
is measured too, in the same process. `--write` makes the page's table from what is kept, and measures nothing.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine import facts
from harness.measure import clock, rounds
from harness.measure.contender import Contender
from harness.measure.handover import Original
from harness.measure.plan import threads_of
from harness.records.files import plain, write_atomically
from harness.show import markdown
from harness.show.terminal import seconds
from harness.workloads import problem as workload
from harness.workloads.seal import Seal
from implementations import command_line as cli
from implementations.contract import Problem, Solver
from implementations.places import ROOT

KEPT, PAGE = ROOT / "results" / "overhead" / "overhead.json", ROOT / "docs" / "trust.md"
CELLS = (
    ("vectorized", 10),
    ("numba", 100),
    ("numba", 1000),
    ("numba", 10_000),
    ("l2", 10_000),
    ("l2", 100_000),
    ("l2", 300_000),
)
"""Solvers from a millisecond a solve to a quarter of a second, and pixels; 34 bins of `solar-mix`."""
BINS, TURNS, LIMIT_MB = 34, 30, 4096


def watch(solver: Solver, problem: Problem, runs: int, turns: int) -> dict[str, Any]:
    """Called in the worker: what so many runs one after another take beside themselves, as a share; for each turn."""
    shares = []
    for _ in range(turns):
        began = time.perf_counter()
        timed = sum(clock.timed_run(solver, problem)[0].total for _ in range(runs))
        shares.append((time.perf_counter() - began) / timed - 1)
    return {"shares": shares}


def beside(spec: str, pixels: int, turns: int = TURNS) -> dict[str, Any]:
    """What a solver's turns take beside what is timed in them; quartiles over turns. RuntimeError when it fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.save(workload.generate(workload.load("solar-mix"), pixels, BINS)[0], folder)
        contender, seal = Contender(spec, threads_of(spec, 1), 60.0), Seal(folder)
        try:
            contender.start(Original(workload.read(folder, mapped=False), folder, "overhead"), [], LIMIT_MB)
            contender.warm_up()
            shares, solves = [], []
            for number in range(turns + 1):  # the first finds how many runs a turn has
                began = time.perf_counter()
                contender.take_turn(number + 1)
                rounds.spoiled([contender], seal.touched())
                rounds.undisturbed([contender], number + 1)
                passed = time.perf_counter() - began
                if contender.ended is not None:
                    raise RuntimeError(f"{spec}: {contender.ended.reason}")
                claim = contender.claims[number + 1]
                shares.append(passed / claim.claimed - 1)
                solves.append(claim.claimed / claim.runs)
            assert contender.worker is not None
            plain_loop = contender.worker.ask(60.0, do="watch", how=__spec__.name, runs=claim.runs, turns=turns)
        finally:
            contender.stop()
    low, middle, high = np.quantile(shares[1:], (0.25, 0.5, 0.75))
    figures = {"solve_s": np.median(solves[1:]), "share": middle, "share_low": low, "share_high": high}
    figures["plain_loop"] = np.median(plain_loop["shares"])
    return {"solver": spec, "pixels": pixels, "bins": BINS, "runs": claim.runs, "turns": turns} | figures


def table(kept: dict[str, Any]) -> str:
    """The page's table."""
    head = (
        "solver",
        "pixels",
        "a solve",
        "runs in a turn",
        "beside them, of their time",
        "quartiles",
        "in a plain loop",
    )
    rows = [
        [
            f"`{row['solver']}`",
            f"{row['pixels']:,}",
            seconds(row["solve_s"]),
            f"{row['runs']}",
            f"{row['share']:.1%}",
            f"{row['share_low']:.1%} to {row['share_high']:.1%}",
            f"{row['plain_loop']:.1%}",
        ]
        for row in kept["rows"]
    ]
    origin = f"Medians over {TURNS} turns; {facts.told(kept)}."
    return f"{markdown.table(head, rows, 1)}\n\n{origin}\n\n{summary(kept['rows'])}"


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """What it comes to, in words."""
    long = [row for row in rows if row["solve_s"] >= clock.LONG_S]
    short = [row for row in rows if row["solve_s"] < clock.LONG_S]
    return f"Beside solves of {seconds(clock.LONG_S)} and more: {_span(long)}. Beside shorter ones: {_span(short)}."


def _span(rows: Sequence[dict[str, Any]]) -> str:
    plain, beyond = [row["plain_loop"] for row in rows], [row["share"] - row["plain_loop"] for row in rows]
    return f"{min(plain):.1%} to {max(plain):.1%} in a plain loop, and {min(beyond):.1%} to {max(beyond):.1%} beyond it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, and return the exit code."""
    parser = cli.Parser("harness.upkeep.experiments.overhead", description=__doc__)
    parser.add_argument("--write", action="store_true", help="only the page's table, from what is kept")
    given = parser.parse(arguments)
    if not given.write:
        kept = facts.origin() | {"rows": [beside(*cell) for cell in CELLS]}
        KEPT.parent.mkdir(exist_ok=True)
        write_atomically(KEPT, json.dumps(plain(kept), indent=1) + "\n")
    write_atomically(PAGE, markdown.rewritten(PAGE.read_text(), "overhead", table(json.loads(KEPT.read_text()))))
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
