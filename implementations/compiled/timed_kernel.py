"""A run of the fused kernel with the processor's cycle counter read between its stages.

For profiles only (`harness.profiling.stages`): the same source compiled once more, with a counter. The kernel that
solvers run has none in it.
"""

import platform
import time
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.compiled import tiles as compiled_tiles
from implementations.compiled.ticks import STAGES
from implementations.contract import Problem, Solution


def unavailable() -> str:
    """Why the counter can't be read on this machine, "" when it can: others don't let programs read theirs."""
    return "" if platform.machine() in ("x86_64", "AMD64") else f"no cycle counter on {platform.machine()}"


def stages(solver: Any, problem: Problem) -> tuple[Solution, float, dict[str, float]]:
    """A run of a `NumbaFused` solver with counters: solution, seconds, and how they divide among the stages.

    Beside `STAGES`: "transfers" is the staging of the constant arrays, "pool overhead" the threads' start and end and
    the time that they waited for one another.
    """
    start = time.perf_counter()
    state = compiled_tiles.prepare(problem, getattr(np, solver.precision), solver.threads)
    staged = time.perf_counter()
    answer = compiled_tiles.unfilled(problem)
    tiles = deque(range(0, len(problem.dn), state.tile))
    others = [state.pool.submit(_count, state, answer, tiles) for _ in range(state.others)] if state.pool else []
    found = [_count(state, answer, tiles), *(other.result() for other in others)]
    compiled_tiles.finish(state)
    end = time.perf_counter()
    ticks = np.sum([each[0] for each in found], axis=0)
    inside = sum(each[1] for each in found) / (state.others + 1)
    seconds = dict(zip(STAGES, (inside * ticks / ticks.sum()).tolist(), strict=True))
    return answer, end - start, seconds | {"transfers": staged - start, "pool overhead": end - staged - inside}


def _count(state: Any, answer: Solution, tiles: deque[int]) -> tuple[NDArray[np.int64], float]:
    """One thread's cycles per stage, and its seconds from its first tile to its last."""
    ticks, start = np.zeros(len(STAGES), np.int64), time.perf_counter()
    compiled_tiles.take_tiles(state, answer, tiles, ticks)
    return ticks, time.perf_counter() - start
