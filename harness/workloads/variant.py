"""A problem like another, for one timed run alone: no answer to the one, of a map or of a pixel, answers the other."""

import hashlib
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Problem
from implementations.step_problem import StepProblem

SPREAD = 1e-3
"""Counts and errors are multiplied by a factor of their pixel's own, at most so far from 1."""
PIECES = 128
"""Maps are cut into at least so many pieces, which change places: to move single pixels would take twice as long."""
CHUNK = 4096
"""About so many pixels are worked on at once: what is in between stays in the core's cache."""
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


def of(problem: Problem, seed: int) -> Variant:
    """The variant that the seed says."""
    cut = _cut(problem.sizes[0], seed)
    return Variant(staged(problem, seed, room(problem)), cut.order(), cut.factors(problem.sizes[0]))


def staged(problem: Problem, seed: int, into: tuple[Array, Array]) -> Problem:
    """Its problem alone, in the memory of an earlier one."""
    pixels, channels, _ = problem.sizes
    cut = _cut(pixels, seed)
    if isinstance(problem, StepProblem):
        return problem.varied(cut.order(), cut.factors(pixels))
    norm = None if problem.dem_norm0 is None else problem.dem_norm0[cut.order()]
    several, moved = max(1, CHUNK // cut.length), pixels - cut.rest
    for first in range(0, len(cut.places), several):
        places = cut.places[first : first + several]
        start = first * cut.length
        end = start + len(places) * cut.length
        wide = np.repeat(cut.factors(end - start), channels, axis=1)  # twice as fast as products of (P, F) by (P, 1)
        for counts, changed in zip((problem.dn, problem.edn), into, strict=True):
            pieces, part = counts[cut.rest :].reshape(len(cut.places), -1), changed[start:end]
            # Of take's modes, "clip" is the one that makes no copy of its own.
            np.take(pieces, places, axis=0, out=part.reshape(len(places), -1), mode="clip")
            part *= wide
    factors = cut.factors(cut.rest)
    for counts, changed in zip((problem.dn, problem.edn), into, strict=True):
        np.multiply(counts[: cut.rest], factors, out=changed[moved:])
    return _with(problem, *into, norm)


class Cut(NamedTuple):
    """A map in pieces of neighbours: pixels that make up no whole one come first, and last in the variant."""

    rng: np.random.Generator
    places: NDArray[np.intp]
    """Which piece each one of the variant is."""
    length: int
    rest: int

    def order(self) -> NDArray[np.intp]:
        """(P,): which pixel of the original each one is."""
        pieces = self.rest + self.length * self.places[:, None] + np.arange(self.length)
        return np.concatenate([pieces.ravel(), np.arange(self.rest)])

    def factors(self, pixels: int) -> Array:
        """Those (n, 1) of the next pixels."""
        return self.rng.uniform(1 - SPREAD, 1 + SPREAD, (pixels, 1))


def _cut(pixels: int, seed: int) -> Cut:
    rng, length = np.random.default_rng(seed), max(1, pixels // PIECES)
    return Cut(rng, rng.permutation(pixels // length), length, pixels % length)


def _with(problem: Problem, dn: Array, edn: Array, dem_norm0: Array | None) -> Problem:
    """Those pixels, unchecked: what was > 0 still is, and looking at a large map takes as long as copying it."""
    other = copy(problem)
    for name, array in {"dn": dn, "edn": edn, "dem_norm0": dem_norm0}.items():
        view = None if array is None else array.view()
        if view is not None:
            view.flags.writeable = False
        object.__setattr__(other, name, view)
    return other


def seed(secret: str, *words: object) -> int:
    """A seed for the words; the secret can't be told from it."""
    text = " ".join(map(str, (secret, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])
