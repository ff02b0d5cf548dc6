"""A problem like another, for one timed run alone: no answer to the one, of a map or of a pixel, answers the other."""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Problem
from implementations.step_problem import StepProblem

SPREAD = 1e-3
"""Counts and errors are multiplied by a factor of their pixel's own, at most so far from 1."""
PIECES, FEW_PIECES = 4096, 128
"""Maps are cut into about so many pieces, which change places; single pixels' places would cost more to draw."""
FEWER_FROM = 65_536
"""Pixels from which on the pieces are few: copying pieces of 512 pixels and more is twice as fast as picking pixels."""
SCHEME = 2
"""Of what a seed says. A worker of an older commit that has another one can't be told by its seeds what to stage."""


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
    first, length = _pieces(pixels, rng)
    order = (first[:, None] + np.arange(length)).ravel()
    order = order[order < pixels]
    factor = rng.uniform(1 - SPREAD, 1 + SPREAD, (pixels, 1))
    if isinstance(problem, StepProblem):
        return Variant(problem.varied(order, factor), order, factor)
    if pixels < FEWER_FROM:
        dn, edn = _picked(problem, order, factor)
    else:
        dn, edn = _pieced(problem, first, length, factor)
    norm = None if problem.dem_norm0 is None else problem.dem_norm0[order]
    return Variant(problem.with_pixels(dn, edn, norm), order, factor)


def _pieces(pixels: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], int]:
    """Where pieces of neighbours begin, in random order, and their length."""
    length = -(-pixels // (PIECES if pixels < FEWER_FROM else FEW_PIECES))
    return length * rng.permutation(-(-pixels // length)), length


def _picked(problem: Problem, order: NDArray[np.intp], factor: Array) -> tuple[Array, Array]:
    """Counts and errors pixel by pixel."""
    dn, edn = (np.take(counts, order, axis=0) for counts in (problem.dn, problem.edn))  # a quarter of dn[order]'s time
    wide = np.repeat(factor, dn.shape[1], axis=1)  # twice as fast as a product of (P, F) by (P, 1), twice
    dn *= wide
    edn *= wide
    return dn, edn


def _pieced(problem: Problem, first: NDArray[np.intp], length: int, factor: Array) -> tuple[Array, Array]:
    """Counts and errors piece by piece."""
    dn, edn, end = np.empty_like(problem.dn), np.empty_like(problem.edn), 0
    for begin in first.tolist():
        start, end = end, end + len(problem.dn[begin : begin + length])
        wide = np.repeat(factor[start:end], dn.shape[1], axis=1)
        np.multiply(problem.dn[begin : begin + length], wide, out=dn[start:end])
        np.multiply(problem.edn[begin : begin + length], wide, out=edn[start:end])
    return dn, edn


def seed(secret: str, *words: object) -> int:
    """A seed for the words; the secret can't be told from it."""
    text = " ".join(map(str, (secret, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])
