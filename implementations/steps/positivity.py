"""One pass of the positivity loop: the DEM at a mu, and whether it has negative bins."""

from typing import Any

import numpy as np

from implementations import baseline
from implementations.maths import inverse
from implementations.maths.namespace import array_namespace
from implementations.step_problem import StepProblem
from implementations.steps.published import regularised

INPUTS, SCALED = ("alpha", "beta", "u", "w", "data", "mu", "constraint", "edn"), "data"
OUTPUTS = ("dem", "negative")
before = regularised


def published(given: StepProblem) -> tuple[Any, ...]:
    """The whole regularised inverse, times the data."""
    rows = zip(*(given.inputs[name] for name in ("alpha", "beta", "u", "w", "mu", "data")), strict=True)
    dem = np.array([baseline.regularised_inverse(*parts) @ data for *parts, data in rows])
    return dem, (dem < 0).any(axis=1)


def arrays(given: StepProblem, placed: dict[str, Any]) -> tuple[Any, ...]:
    """The DEM without the inverse."""
    xp, rank = array_namespace(placed["data"]), min(given.sizes[1:])
    u = placed["u"][:, :, :rank]
    s = placed["alpha"][:, :rank] / placed["beta"][:, :rank]
    projection = xp.sum(u * placed["data"][:, :, None], axis=1)
    parts = (u, s, projection, placed["mu"], 1 / placed["constraint"], placed["rmatrix"], placed["edn"])
    dem = inverse.solution(*parts)
    return dem, xp.any(dem < 0, axis=1)


def doubles(given: StepProblem) -> int:
    """Numbers of a pixel's largest arrays."""
    return 4 * given.sizes[2]


def for_loops(given: StepProblem) -> tuple[Any, ...]:
    """What `loops.positivity` takes."""
    rank = min(given.sizes[1:])
    s = given.inputs["alpha"][:, :rank] / given.inputs["beta"][:, :rank]
    rest = (given.inputs[name] for name in ("u", "data", "mu", "constraint", "edn"))
    return (np.ascontiguousarray(given.rmatrix), s, *rest)


def for_fused(given: StepProblem) -> tuple[Any, ...]:
    """What `fused.positivity` takes beside setup and working memory."""
    rank = min(given.sizes[1:])
    s = given.inputs["alpha"][:, :rank] / given.inputs["beta"][:, :rank]
    u, data, mu, constraint, edn = (given.inputs[name] for name in ("u", "data", "mu", "constraint", "edn"))
    return s * s, u, data, mu, 1 / constraint**2, edn
