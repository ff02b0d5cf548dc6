"""The choice of mu on the regularisation grid: from GSVD and data to the point whose misfit is nearest the target."""

from typing import Any

import numpy as np

from implementations import baseline
from implementations.contract import Array
from implementations.maths import discrepancy
from implementations.maths.namespace import array_namespace
from implementations.step_problem import StepProblem
from implementations.steps.published import factorised

INPUTS, OUTPUTS, SCALED = ("alpha", "beta", "u", "data"), ("mu",), "data"
before = factorised


def published(given: StepProblem) -> tuple[Array, ...]:
    """Grid point by grid point, channel by channel."""
    options = given.options
    rows = zip(*(given.inputs[name] for name in INPUTS), strict=True)
    rest = options.reg_tweak, options.nmu
    return (np.array([baseline.regularisation(alpha, beta, u, data, *rest) for alpha, beta, u, data in rows]),)


def arrays(given: StepProblem, placed: dict[str, Any]) -> tuple[Any, ...]:
    """All points of all pixels' grids at once."""
    xp, (_, channels, bins) = array_namespace(placed["data"]), given.sizes
    rank = min(channels, bins)
    s = placed["alpha"][:, :rank] / placed["beta"][:, :rank]
    projection, outside = discrepancy.project(placed["u"][:, :, :rank], placed["data"])
    mu = discrepancy.grid(s, given.options.nmu)
    misfit = discrepancy.misfit(mu, s, projection, outside)
    target = xp.full_like(mu[:, 0], channels * given.options.reg_tweak)
    return (discrepancy.morozov(mu, misfit, target),)


def doubles(given: StepProblem) -> int:
    """Numbers of a pixel's largest arrays."""
    return 4 * given.options.nmu


def for_loops(given: StepProblem) -> tuple[Any, ...]:
    """What `loops.regularisation` takes."""
    options = given.options
    return (*(given.inputs[name] for name in INPUTS), float(options.reg_tweak), options.nmu)


def for_fused(given: StepProblem) -> tuple[Any, ...]:
    """What `fused.regularisation` takes beside setup and working memory: a diagonal matrix is a bidiagonal one."""
    rank = min(given.sizes[1:])
    s = given.inputs["alpha"][:, :rank] / given.inputs["beta"][:, :rank]
    return s * s, given.inputs["u"], given.inputs["data"]
