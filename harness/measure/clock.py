"""Wall time of the three phases of one solve, how often a short solve must be repeated, and memory high-water marks."""

import gc
import math
import resource
import sys
import time
from pathlib import Path
from typing import NamedTuple

from implementations.contract import Problem, Solution, Solver

SHORTEST_TURN_S = 0.05
"""A turn repeats a solve until it lasts this long: far above the cost of a timer, a message and a clock tick."""
MOST_REPEATS = 200
"""Runs of one turn: solves below a quarter of a millisecond have shorter turns; so records stay of bounded size."""


class Phases(NamedTuple):
    """Seconds of staging, inverting, and bringing home; the headline time is their sum."""

    prepare: float
    solve: float
    collect: float

    @property
    def total(self) -> float:
        """prepare + solve + collect."""
        return self.prepare + self.solve + self.collect


def timed_run(solver: Solver, problem: Problem, facts: list[dict[str, float]] | None = None) -> tuple[Phases, Solution]:
    """One complete run. Solvers return from each phase only when its work is done, so the host's clock sees it all.

    Python's cyclic collector is held off meanwhile, since whose turn it strikes in is chance. What a solver measured
    itself, by a device's clock say, is added to `facts`.
    """
    gc.disable()
    try:
        start = time.perf_counter()
        state = solver.prepare(problem)
        staged = time.perf_counter()
        solution = solver.solve(state)
        solved = time.perf_counter()
        home = solver.collect(state, solution)
        end = time.perf_counter()
    finally:
        gc.enable()
    if facts is not None and (own := solver.facts(state)):
        facts.append(own)
    return Phases(staged - start, solved - staged, end - solved), home


def repeats_for(seconds: float) -> int:
    """How many solves of `seconds` make a turn long enough to be timed well."""
    return max(1, min(math.ceil(SHORTEST_TURN_S / max(seconds, 1e-7)), MOST_REPEATS))


def peak_rss_mb() -> float:
    """This process's own memory high-water mark (children apart), MB.

    Linux hands the parent's mark down in ru_maxrss, through fork and exec; VmHWM begins anew with the program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        marks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        if marks:
            return int(marks[0].split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
