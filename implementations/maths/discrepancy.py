"""How strongly to regularise: a grid of mu, the misfit on it, and Morozov's choice.

The misfit of the solution at mu is |K x - d|^2 = sum_k (mu / (s_k^2 + mu) u_k·d)^2 + what of d lies outside the span of
U. It does not depend on the target, so that it is computed once and every pass of the positivity loop chooses anew.
"""

from typing import Any

from implementations.maths.namespace import array_namespace


def grid(s: Any, nmu: int) -> Any:
    """Grid of mu (P, nmu), equidistant in the logarithm from min(s)^2·1e-4 to max(s), for s (P, r).

    It descends where max(s) is the smaller of the two, which the choice below does not mind.
    """
    xp = array_namespace(s)
    lowest = 2 * xp.log(xp.min(s, axis=1, keepdims=True)) - 4 * _LN10
    highest = xp.log(xp.max(s, axis=1, keepdims=True))
    steps = xp.arange(nmu, dtype=s.dtype) / (nmu - 1)
    return xp.exp(lowest + (highest - lowest) * steps[None, :])


_LN10 = 2.302585092994046


def misfit(mu: Any, s: Any, projection: Any, outside: Any) -> Any:
    """Misfit (P, nmu) on the grid mu (P, nmu), for s and the projections u_k·d (P, r), and |d - U U^T d|^2 (P,)."""
    total = outside[:, None]
    for k in range(s.shape[1]):  # component by component: no (P, nmu, r) array
        left = mu / (s[:, k, None] ** 2 + mu) * projection[:, k, None]
        total = total + left * left
    return total


def project(u: Any, d: Any) -> tuple[Any, Any]:
    """U^T d (P, r) and |d - U U^T d|^2 (P,), the part of d (P, F) that no mu can fit; 0 unless F > r."""
    xp = array_namespace(u, d)
    projection = xp.sum(u * d[:, :, None], axis=1)
    if u.shape[1] == u.shape[2]:
        return projection, xp.zeros_like(d[:, 0])
    rest = d - xp.sum(u * projection[:, None, :], axis=2)
    return projection, xp.sum(rest * rest, axis=1)


def morozov(mu: Any, misfits: Any, target: Any) -> Any:
    """The mu (P,) of the grid point whose misfit is nearest to `target` (P,), the first of equals."""
    xp = array_namespace(mu, misfits)
    best = xp.argmin(xp.abs(misfits - target[:, None]), axis=1)
    return xp.take_along_axis(mu, best[:, None], axis=1)[:, 0]
