"""The weight that shapes the constraint: from the EM loci of the counts, or from a first solution."""

from typing import Any

import numpy as np

from implementations import baseline
from implementations.contract import Array
from implementations.maths import constraint
from implementations.step_problem import StepProblem
from implementations.steps.published import first_solution

INPUTS, OUTPUTS, SCALED = ("first", "dn"), ("weight",), "first"
before = first_solution


def published(given: StepProblem) -> tuple[Array, ...]:
    """Channel by channel, bin by bin."""
    mask = given.options.loci_mask(given.sizes[1])
    weights = []
    for first, dn in zip(given.inputs["first"], given.inputs["dn"], strict=True):
        if mask is None:
            weight = np.ones(len(first))
            large = first > 1e-4 * np.max(first)
            weight[large] = first[large]
        else:
            with np.errstate(divide="ignore"):
                loci = [dn[f] / given.rmatrix[:, f] for f in range(len(dn)) if mask[f]]
            weight = np.min(np.array(loci), axis=0)
        weights.append(baseline.smoothed(weight))
    return (np.array(weights),)


def arrays(given: StepProblem, placed: dict[str, Any]) -> tuple[Any, ...]:
    """All pixels at once."""
    mask = given.options.loci_mask(given.sizes[1])
    if mask is None:
        return (constraint.solution_weight(placed["first"]),)
    return (constraint.loci_weight(placed["dn"][:, mask], placed["rmatrix"][:, mask]),)


def doubles(given: StepProblem) -> int:
    """Numbers of a pixel's largest arrays."""
    return 4 * given.sizes[2]


def for_loops(given: StepProblem) -> tuple[Any, ...]:
    """What `loops.weights` takes; no channel is chosen where the first solution shapes the weight."""
    mask = given.options.loci_mask(given.sizes[1])
    chosen = np.zeros(given.sizes[1], bool) if mask is None else mask
    return given.inputs["first"], given.inputs["dn"], np.ascontiguousarray(given.rmatrix), chosen


def for_fused(given: StepProblem) -> tuple[Any, ...]:
    """What `fused.weights` takes beside setup and working memory."""
    return given.inputs["first"], given.inputs["dn"]
