"""A problem like another, for one timed run alone: no answer to the one, of a map or of a pixel, answers the other."""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Problem
from implementations.step_problem import StepProblem

SPREAD = 1e-3
"""Counts and errors are multiplied by a factor of their pixel's own, at most so far from 1."""
PIECES = 128
"""Maps are cut into at most so many pieces, which change places; single pixels' places would cost more to draw."""
CHUNK = 4096
"""Pixels that are worked on at once: what is in between stays in the core's cache."""
SCHEME = 3
"""Of what a seed says. A worker of an older commit that has another one can't be told by its seeds what to stage."""


class Variant(NamedTuple):
    """A problem's pixels in another order, each with its counts and errors scaled."""

    problem: Problem
    order: NDArray[np.intp]
    """(P,): which pixel of the original each one is."""
    factor: Array
    """(P, 1), of each pixel in the new order."""


def room(problem: Problem) -> tuple[Array, Array]:
    """Memory for a variant's counts and errors."""
    return np.empty(problem.dn.shape), np.empty(problem.dn.shape)


def of(problem: Problem, seed: int, into: tuple[Array, Array] | None = None) -> Variant:
    """The variant that the seed says, its counts and errors in new memory or in that of an earlier one."""
    rng, pixels = np.random.default_rng(seed), problem.sizes[0]
    order, factor = _order(pixels, rng), rng.uniform(1 - SPREAD, 1 + SPREAD, (pixels, 1))
    if isinstance(problem, StepProblem):
        return Variant(problem.varied(order, factor), order, factor)
    dn, edn = into or room(problem)
    for start in range(0, pixels, CHUNK):
        part = slice(start, start + CHUNK)
        wide = np.repeat(factor[part], dn.shape[1], axis=1)  # twice as fast as products of (P, F) by (P, 1)
        for counts, changed in ((problem.dn, dn[part]), (problem.edn, edn[part])):
            np.take(counts, order[part], axis=0, out=changed, mode="clip")  # of its modes, the one without a copy
            changed *= wide
    norm = None if problem.dem_norm0 is None else problem.dem_norm0[order]
    return Variant(problem.with_pixels(dn, edn, norm), order, factor)


def _order(pixels: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The pixels (P,) in pieces of neighbours, these in random order."""
    length = -(-pixels // PIECES)
    first = length * rng.permutation(-(-pixels // length))
    order = (first[:, None] + np.arange(length)).ravel()
    return order if len(order) == pixels else order[order < pixels]


def seed(secret: str, *words: object) -> int:
    """A seed for the words; the secret can't be told from it."""
    text = " ".join(map(str, (secret, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])
