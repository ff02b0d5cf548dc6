"""The generalised SVD of kernel and constraint, or what else gives (B B^T + mu)^-1 for B = K L^-1 and the grid's ends.

Forms differ in what they leave: U and s, or P and a bidiagonal matrix. What they are compared by is common to all: an
orthonormal basis (F, r), and the tridiagonal matrix that B B^T is in it, by its diagonal and what is beside that.
"""

from typing import Any

import numpy as np

from implementations import baseline
from implementations.contract import Array
from implementations.maths import factorise
from implementations.maths.namespace import array_namespace
from implementations.step_problem import StepProblem
from implementations.steps.published import constrained

INPUTS, SCALED = ("kernel", "constraint", "edn"), "constraint"
OUTPUTS = ("basis", "diagonal", "beside", "ends")
before = constrained


def published(given: StepProblem) -> tuple[Array, ...]:
    """A full SVD padded to a square, and the pseudo-inverse of an inverse."""
    rank = min(given.sizes[1:])
    found = []
    for kernel, constraint in zip(given.inputs["kernel"], given.inputs["constraint"], strict=True):
        alpha, beta, u, _ = baseline.gsvd(kernel, np.diag(constraint))
        square = (alpha[:rank] / beta[:rank]) ** 2
        found.append((u[:, :rank], square, np.zeros(rank), np.array([square[-1], square[0]])))
    return tuple(np.array(column) for column in zip(*found, strict=True))


def arrays(given: StepProblem, placed: dict[str, Any]) -> tuple[Any, ...]:
    """An orthogonal factorisation, and the thin SVD of its triangle."""
    xp = array_namespace(placed["edn"])
    c = factorise.reduced(placed["rmatrix"], 1 / placed["constraint"])
    u, s = factorise.thin_svd(c, placed["edn"])
    return u, s * s, xp.zeros_like(s), xp.stack([s[:, -1] ** 2, s[:, 0] ** 2], axis=1)


def doubles(given: StepProblem) -> int:
    """Numbers of a pixel's largest arrays."""
    return 3 * given.sizes[1] * given.sizes[2]


def for_loops(given: StepProblem) -> tuple[Any, ...]:
    """What `loops.factorisation` takes."""
    return given.inputs["kernel"], given.inputs["constraint"]


def for_fused(given: StepProblem) -> tuple[Any, ...]:
    """What `fused.factorisation` takes beside setup and working memory: L^-2 and the errors."""
    return 1 / given.inputs["constraint"] ** 2, given.inputs["edn"]
