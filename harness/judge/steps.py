"""What a form of a step must meet, against the step as published on the same inputs: a gate of each step's own."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from harness.judge.gates import PARITY, TIED_PIXELS, Verdict
from implementations.contract import Array
from implementations.step_problem import StepProblem

SAME = 1e-9
"""What is the same number: relative, of rows relative to the row's greatest. Points of a grid are further apart."""
FACTOR = 100
"""Multiples of rounding that are granted to what a condition number makes uncertain."""
Outputs = dict[str, Any]
EPS = float(np.finfo(float).eps)


def judge(given: StepProblem, got: Outputs, expected: Outputs) -> tuple[Verdict, dict[str, int]]:
    """The verdict on a form's outputs, and how many pixels were compared and tied."""
    for name in given.outputs:
        if np.shape(got[name]) != np.shape(expected[name]):
            shapes = f"{np.shape(got[name])}, expected {np.shape(expected[name])}"
            return Verdict("fail", (f"{name} has shape {shapes}",)), {}
        if not np.isfinite(got[name]).all():
            return Verdict("fail", (f"{name} has values that are not finite",)), {}
    counts = {"compared_pixels": len(given.dn), "tied_pixels": 0}
    if given.step == "regularisation":
        counts["tied_pixels"] = int(_ties(given, got["mu"], expected["mu"]).sum())
    reasons = tuple(GATES[given.step](given, got, expected))
    return Verdict("fail" if reasons else "pass", reasons), counts


def _off(got: Array, expected: Array) -> Array:
    """The worst difference (S,) of each pixel, relative to its greatest expected value."""
    rows = len(got), -1
    worst = np.abs(got - expected).reshape(rows).max(axis=1)
    return np.where(worst == 0, 0.0, worst / np.abs(expected).reshape(rows).max(axis=1))


def _beyond(name: str, off: Array, allowed: Any) -> Iterator[str]:
    if count := int((~(off <= allowed)).sum()):
        most = float(np.max(allowed))
        yield f"{name}: off by up to {off.max():.2g} in {count} of {len(off)} pixels, at most {most:.0e} allowed"


def _grid_point(given: StepProblem, got: Outputs, expected: Outputs) -> Iterator[str]:
    """The same point of the grid, but for points that are equally near the target."""
    other, ties = _off(got["mu"], expected["mu"]) > SAME, _ties(given, got["mu"], expected["mu"])
    if wrong := int((other & ~ties).sum()):
        yield f"mu: another grid point than the published search's in {wrong} of {len(other)} pixels"
    if ties.sum() > TIED_PIXELS * len(other):
        yield f"mu: {ties.sum()} of {len(other)} pixels at a tie, {TIED_PIXELS:.1%} allowed"


def _ties(given: StepProblem, mu: Array, expected: Array) -> Any:
    """Which pixels (S,) have another mu, whose misfit is as near the target as that of the expected one."""
    target = given.options.reg_tweak * given.sizes[1]
    ours, theirs = (np.abs(_misfit(given, each) - target) for each in (mu, expected))
    return (_off(mu, expected) > SAME) & (np.abs(ours - theirs) <= SAME * target)


def _misfit(given: StepProblem, mu: Array) -> Array:
    """|K x - d|^2 (S,) of the solutions at mu (S,)."""
    alpha, beta, u, data = (given.inputs[name] for name in ("alpha", "beta", "u", "data"))
    damped = mu[:, None] * beta**2
    return ((damped / (alpha**2 + damped) * np.einsum("pfk,pf->pk", u, data)) ** 2).sum(axis=1)


def _factors(given: StepProblem, got: Outputs, expected: Outputs) -> Iterator[str]:
    """The same B B^T, and the same ends of the grid as far as the condition of B lets them be known."""
    matrices = []
    for each in (got, expected):
        core = np.einsum("pk,kl->pkl", each["diagonal"], np.eye(each["diagonal"].shape[1]))
        for k in range(core.shape[1] - 1):
            core[:, k, k + 1] = core[:, k + 1, k] = each["beside"][:, k]
        matrices.append(each["basis"] @ core @ each["basis"].transpose(0, 2, 1))
    yield from _beyond("B B^T", _off(*matrices), SAME)
    low, high = expected["ends"].T
    condition = np.sqrt(high / np.maximum(low, high * EPS**2))
    off = np.abs(got["ends"] / expected["ends"] - 1)
    yield from _beyond("least singular value, squared", off[:, 0], np.maximum(SAME, FACTOR * EPS * condition))
    yield from _beyond("greatest singular value, squared", off[:, 1], SAME)


def _same(name: str, allowed: float = SAME) -> Callable[..., Iterator[str]]:
    return lambda given, got, expected: _beyond(name, _off(got[name], expected[name]), allowed)


def _dem(given: StepProblem, got: Outputs, expected: Outputs) -> Iterator[str]:
    """The same DEM, and the same answer to whether it goes on."""
    yield from _beyond("dem", _off(got["dem"], expected["dem"]), PARITY["dem"])
    if differ := int((got["negative"] != expected["negative"]).sum()):
        yield f"negative: another answer in {differ} pixels, none allowed"


GATES: dict[str, Callable[[StepProblem, Outputs, Outputs], Iterator[str]]] = {
    "regularisation": _grid_point,
    "factorisation": _factors,
    "positivity": _dem,
    "temperature-resolution": _same("elogt", PARITY["elogt"]),
    "weights": _same("weight"),
}
