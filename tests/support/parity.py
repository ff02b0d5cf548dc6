"""A solution held against the baseline's, pixel by pixel."""

from functools import lru_cache

import numpy as np
from draws import Draw
from replay import Pixel, Tally, compare, replay
from solvers import create

from implementations.contract import Solution, Status


@lru_cache(maxsize=512)
def expected(draw: Draw) -> tuple[Solution, dict[int, Pixel]]:
    """The baseline's solution, and what may be asked of others."""
    problem = draw.problem()
    facts = {int(pixel): replay(problem, pixel) for pixel in np.flatnonzero(problem.valid())}
    return create("baseline").run(problem), facts


def check_solution(got: Solution, draw: Draw, tally: Tally) -> None:
    problem = draw.problem()
    solution, facts = expected(draw)
    np.testing.assert_array_equal(got.status == Status.INVALID, ~problem.valid())
    found = compare(problem, got, solution, facts)
    tally.add(found)
