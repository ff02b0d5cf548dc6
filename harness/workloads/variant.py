"""A problem like another, for one timed run alone: no answer to the one, of a map or of a pixel, answers the other."""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Problem
from implementations.step_problem import StepProblem

SPREAD = 1e-3
"""Counts and errors are multiplied by a factor of their pixel's own, at most so far from 1."""
PIECES = 4096
"""Large maps are cut into about so many pieces, which change places; single pixels' places would cost more to draw."""


class Variant(NamedTuple):
    """A problem's pixels in another order, each with its counts and errors scaled."""

    problem: Problem
    order: NDArray[np.intp]
    """(P,): which pixel of the original each one is."""
    factor: Array
    """(P, 1), of each pixel in the new order."""


def of(problem: Problem, seed: int) -> Variant:
    """The variant that the seed says."""
    rng, pixels = np.random.default_rng(seed), problem.sizes[0]
    order = _shuffled(pixels, rng)
    factor = rng.uniform(1 - SPREAD, 1 + SPREAD, (pixels, 1))
    if isinstance(problem, StepProblem):
        return Variant(problem.varied(order, factor), order, factor)
    dn, edn = (np.take(counts, order, axis=0) for counts in (problem.dn, problem.edn))  # a quarter of dn[order]'s time
    wide = np.repeat(factor, dn.shape[1], axis=1)  # twice as fast as a product of (P, F) by (P, 1), twice
    dn *= wide
    edn *= wide
    norm = None if problem.dem_norm0 is None else problem.dem_norm0[order]
    return Variant(problem.with_pixels(dn, edn, norm), order, factor)


def _shuffled(pixels: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Every pixel once, in pieces of neighbours whose order is random."""
    length = -(-pixels // PIECES)
    first = length * rng.permutation(-(-pixels // length))
    order = (first[:, None] + np.arange(length)).ravel()
    return order[order < pixels]


def seed(secret: str, *words: object) -> int:
    """A seed for the words; the secret can't be told from it."""
    text = " ".join(map(str, (secret, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])
