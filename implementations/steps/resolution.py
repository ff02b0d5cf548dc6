"""The temperature resolution elogt, from K-dagger: the width of each bin's profile."""

from typing import Any

import numpy as np

from implementations import baseline
from implementations.contract import Array
from implementations.maths import uncertainty
from implementations.maths.namespace import array_namespace
from implementations.step_problem import StepProblem
from implementations.steps.published import inverted

INPUTS, OUTPUTS, SCALED = ("inverse", "kernel", "edn", "alpha", "beta", "u", "mu", "constraint"), ("elogt",), "inverse"
before = inverted


def published(given: StepProblem) -> tuple[Array, ...]:
    """Bin by bin, each profile interpolated at 51 points."""
    pairs = zip(given.inputs["inverse"], given.inputs["kernel"], strict=True)
    widths = [baseline.temperature_resolution(k @ kernel, given.logt, given.dlogt) for k, kernel in pairs]
    return (np.array(widths),)


def arrays(given: StepProblem, placed: dict[str, Any]) -> tuple[Any, ...]:
    """The profiles of all bins at once."""
    xp, rmatrix = array_namespace(placed["edn"]), placed["rmatrix"]
    per_count = xp.permute_dims(placed["inverse"], (0, 2, 1)) / placed["edn"][:, :, None]
    peak, sampling = uncertainty.profile_peak(per_count, rmatrix), uncertainty.sampling(placed["logt"])
    return (uncertainty.elogt(per_count, rmatrix, peak, sampling, placed["dlogt"]),)


def doubles(given: StepProblem) -> int:
    """Numbers of a pixel's largest arrays."""
    return given.sizes[2] * (given.sizes[2] + 2 * uncertainty.SAMPLES)


def for_loops(given: StepProblem) -> tuple[Any, ...]:
    """What `loops.resolution` takes."""
    constants = (np.ascontiguousarray(given.logt), np.ascontiguousarray(given.dlogt))
    return given.inputs["inverse"], given.inputs["kernel"], *constants


def for_fused(given: StepProblem) -> tuple[Any, ...]:
    """What `fused.resolution` takes beside setup and working memory: the rows that profiles are products of.

    A profile is W_i sum_k Y[k, i] Y[k, t], with Y = (s^2 + mu)^(-1/2) U^T K and W = L^-2; a factor does not matter.
    """
    rank = min(given.sizes[1:])
    s, u = given.inputs["alpha"][:, :rank] / given.inputs["beta"][:, :rank], given.inputs["u"][:, :, :rank]
    y = given.inputs["kernel"].transpose(0, 2, 1) @ u / np.sqrt(s * s + given.inputs["mu"][:, None])[:, None, :]
    return (np.ascontiguousarray(y / given.inputs["constraint"][:, :, None] ** 2),)
