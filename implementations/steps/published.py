"""What comes before a step, by the published algorithm, pixel by pixel: the inputs that all forms of a step share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from implementations import baseline
from implementations.contract import Array, Problem

Inputs = dict[str, Array]
"""By name, one pixel's or all pixels' with the pixel axis first."""


def of_pixels(problem: Problem, function: Callable[[Problem, int], dict[str, Any]]) -> Inputs:
    """What the function makes of each pixel, stacked."""
    rows = [function(problem, pixel) for pixel in range(problem.sizes[0])]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def whitened(problem: Problem, pixel: int) -> tuple[Array, Array]:
    """Kernel (F, T) and data (F,) over the errors."""
    dn, edn = problem.dn[pixel], problem.edn[pixel]
    return problem.rmatrix.T / edn[:, None], dn / edn


def first_solution(problem: Problem, pixel: int) -> dict[str, Any]:
    """The DEM under uniform weights, from which self-normalised weights are made."""
    kernel, data = whitened(problem, pixel)
    alpha, beta, u, w = baseline.gsvd(kernel, np.diag(1 / np.sqrt(problem.dlogt)))
    mu = baseline.regularisation(alpha, beta, u, data, problem.options.reg_tweak, problem.options.nmu)
    return {"first": baseline.regularised_inverse(alpha, beta, u, w, mu) @ data, "dn": problem.dn[pixel]}


def constrained(problem: Problem, pixel: int) -> dict[str, Any]:
    """The whitened problem and the diagonal of its constraint."""
    kernel, data = whitened(problem, pixel)
    search = baseline.regularisation
    weight = baseline.constraint_weight(problem.dn[pixel], kernel, data, None, problem, search)
    size = np.abs(weight)
    constraint = 1 / size if problem.options.l_emd else np.sqrt(problem.dlogt) / np.sqrt(size)
    return {"kernel": kernel, "data": data, "constraint": constraint, "edn": problem.edn[pixel]}


def factorised(problem: Problem, pixel: int) -> dict[str, Any]:
    """The same with its generalised SVD."""
    found = constrained(problem, pixel)
    alpha, beta, u, w = baseline.gsvd(found["kernel"], np.diag(found["constraint"]))
    return found | {"alpha": alpha, "beta": beta, "u": u, "w": w}


def regularised(problem: Problem, pixel: int) -> dict[str, Any]:
    """The same with the regularisation of the first pass."""
    found = factorised(problem, pixel)
    alpha, beta, u, data = (found[name] for name in ("alpha", "beta", "u", "data"))
    return found | {"mu": baseline.regularisation(alpha, beta, u, data, problem.options.reg_tweak, problem.options.nmu)}


def inverted(problem: Problem, pixel: int) -> dict[str, Any]:
    """The same with K-dagger."""
    found = regularised(problem, pixel)
    parts = (found[name] for name in ("alpha", "beta", "u", "w", "mu"))
    return found | {"inverse": baseline.regularised_inverse(*parts)}
