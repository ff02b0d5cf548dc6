"""Wall time of the three phases of one solve, how often a short solve must be repeated, and memory high-water marks."""

import gc
import math
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.machine.usage import Meter
from implementations.contract import Problem, Solution, Solver
from implementations.step_problem import StepProblem

LONG_S = 0.005
"""Solves from which on what the harness does between them shall be a twentieth of their time at most."""
SHORTEST_TURN_S, SHORTEST_OF_LONG_S = 0.1, 0.2
"""A turn repeats a solve until it lasts this long: far above the cost of a timer, a message and a clock tick, and, of
long solves, so that what a turn costs once, of which messages and looks at the processes are most, is little."""
MOST_REPEATS, MOST_OF_SEVERAL = 200, 8
"""Runs of one turn, and of one with several threads, whose use takes up to a millisecond to read: that must stay within
the slack. Solves below half a millisecond have shorter turns; so records stay of bounded size."""
SLACK_S, SLACK, GAP_S = 0.01, 0.1, 2e-5
"""What may pass in a turn beside its runs: seconds for messages, a share of the turn, and seconds for every run."""
CLEAR_TURNS, CLEAR_S = 5, 1.0
"""After so many turns, or at so many seconds that nobody accounts for, a solver's claims are judged."""
ARRAYS = ("dem", "edem", "elogt", "chisq", "dn_reg", "iterations", "status")
CAUGHT_PIXELS = 512
"""Most pixels of a kept solution whose outputs are copied as they are when the clock stops."""


class Phases(NamedTuple):
    """Seconds of staging, inverting, and bringing home; the headline time is their sum."""

    prepare: float
    solve: float
    collect: float

    @property
    def total(self) -> float:
        """prepare + solve + collect."""
        return self.prepare + self.solve + self.collect


class Kept:
    """A timed run's problem and solution, and some of its pixels as they were when the clock stopped."""

    def __init__(self, problem: Problem, pixels: NDArray[np.intp]):
        self.problem, self.pixels = problem, pixels
        self.names = problem.outputs if isinstance(problem, StepProblem) else ARRAYS

    def catch(self, solution: Solution) -> None:
        """Copy those pixels."""
        self.solution = solution
        self.then = {name: getattr(solution, name)[self.pixels] for name in self.names}

    def changed(self) -> str:
        """Outputs that aren't any more what they were then, at those pixels."""
        now = {name: getattr(self.solution, name)[self.pixels] for name in self.names}
        return ", ".join(
            name for name, then in self.then.items() if not np.array_equal(then, now[name], equal_nan=True)
        )

    def save(self, path: Path) -> None:
        """Write it all, and the inputs as the solver left them."""
        arrays = {name: getattr(self.solution, name) for name in self.names}
        arrays |= {f"then_{name}": values for name, values in self.then.items()}
        np.savez(path, pixels=self.pixels, dn=self.problem.dn, edn=self.problem.edn, **arrays)


def keeping(problem: Problem) -> Kept:
    """For a run of that problem, with pixels that nobody knew before."""
    pixels = problem.sizes[0]
    return Kept(problem, np.random.default_rng().choice(pixels, min(CAUGHT_PIXELS, pixels), replace=False))


def timed_run(
    solver: Solver,
    problem: Problem,
    facts: list[dict[str, float]] | None = None,
    kept: Kept | None = None,
    meter: Meter | None = None,
) -> tuple[Phases, Solution]:
    """One complete run. Solvers return from each phase only when its work is done, so the host's clock sees it all.

    Python's cyclic collector is held off meanwhile, since whose turn it strikes in is chance. What a solver measured
    itself, by a device's clock say, is added to `facts`, and what the process used to the `meter`. TypeError or
    ValueError for a solution that isn't one.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        if meter is not None:
            meter.begin()
        start = perf_counter()
        state = solver.prepare(problem)
        staged = perf_counter()
        solution = solver.solve(state)
        solved = perf_counter()
        home = solver.collect(state, solution)
        end = perf_counter()
        if meter is not None:
            meter.end()
    finally:
        if collecting:
            gc.enable()
    if type(home) is not Solution or kept is not None:
        check_plain(home, problem)
    if kept is not None:
        kept.catch(home)
    if facts is not None and (own := solver.facts(state)):
        facts.append(own)
    return Phases(staged - start, solved - staged, end - solved), home


def check_plain(solution: Solution, problem: Problem) -> None:
    """ValueError unless all a solution holds are plain arrays, with nothing left to be worked out."""
    if isinstance(problem, StepProblem):
        problem.check(solution)
        return
    if isinstance(solution, Solution):
        for name, held in (
            ("solution", solution),
            *((f"solution's {name}", getattr(solution, name)) for name in ARRAYS),
        ):
            if type(held) not in (Solution, np.ndarray):
                raise ValueError(f"{name} is a {type(held).__name__}, expected plain NumPy arrays in a plain Solution")
    Solution.check(solution, problem)


def repeats_for(seconds: float, threads: int = 1) -> int:
    """How many solves of `seconds` make a turn long enough to be timed well."""
    most = MOST_REPEATS if threads == 1 else MOST_OF_SEVERAL
    shortest = SHORTEST_TURN_S if seconds < LONG_S else SHORTEST_OF_LONG_S
    return max(1, min(math.ceil(shortest / max(seconds, 1e-7)), most))


class Claim(NamedTuple):
    """Seconds that a worker says its runs took, those that passed meanwhile by the harness's clock, and the runs."""

    claimed: float
    passed: float
    runs: int
    waited: float = 0.0
    """Of those that passed, seconds that the worker and the harness waited for a core, by the kernel's count; and, of a
    worker with several threads, what these took to come to rest after its reply."""

    @property
    def missing(self) -> float:
        """Seconds that nothing accounts for."""
        return self.passed - self.waited - self.claimed - SLACK * self.passed - SLACK_S - GAP_S * self.runs


def misfit(turns: Sequence[Claim], over: bool, of: str = "") -> str:
    """Why the seconds that a worker claims for its turns can't be, "" if they can; of wall time, or `of` what is named.

    No more is claimed than passed, and what passed is claimed, but for the slack, in a quarter of the turns at least: a
    busy machine comes between. A few turns are judged when they are `over`, or when more than a second is missing.
    """
    impossible = [turn for turn in turns if not 0 <= turn.claimed <= turn.passed + bool(of) * _ticks(turn)]
    suspects = impossible or sorted(turns, key=lambda turn: turn.missing)[(len(turns) - 1) // 4 :][:1]
    for turn in suspects:
        known = over or len(turns) >= CLEAR_TURNS or turn.missing >= CLEAR_S
        if turn in impossible or (known and turn.missing > 0):
            return (
                f"its times can't be: it claims {turn.claimed:.6g} s{' of ' * bool(of)}{of} for a turn that took "
                f"{turn.passed:.6g} s by the harness's clock"
            )
    return ""


def _ticks(turn: Claim) -> float:
    """What CPU time may differ by: that of each process that has ended is known to the kernel's tick, down or up."""
    return SLACK_S + SLACK * turn.passed


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
