"""The method of `plowman` once more, plainly: one pixel, dense T x T matrices, NumPy's solver and exponential."""

from typing import Any

import numpy as np

from implementations.contract import Array, Problem

DELTA = 8.0


def hats(problem: Problem) -> Array:
    """What a hat of height 1 at each node (columns) puts into each bin (rows), in the units of a DEM, but for a
    constant."""
    logt, step = problem.logt, np.diff(problem.logt)
    mass = np.diag((np.append(step, 0) + np.append(0, step)) / 3) + (np.diag(step, 1) + np.diag(step, -1)) / 6
    per_bin = np.ones(len(logt)) if problem.options.l_emd else 10.0 ** (logt.mean() - logt) / problem.dlogt
    return mass * per_bin[:, None]


def roughness(problem: Problem) -> Array:
    """D: s^T D s is F times the integral of (ds / dlogT)^2 over DELTA^2 and the range of logT."""
    logt, channels = problem.logt, problem.sizes[1]
    difference = np.diff(np.eye(len(logt)), axis=0)
    weight = channels / (DELTA**2 * (logt[-1] - logt[0]) * np.diff(logt))
    return difference.T @ (weight[:, None] * difference)


def start_of(problem: Problem, pixel: int) -> Array:
    """The start before it is scaled (T,): flat, the user's, or the EM loci."""
    _, channels, bins = problem.sizes
    logt, flat = problem.logt, np.ones(bins)
    unit = problem.dlogt if problem.options.l_emd else 10.0 ** (logt.mean() - logt)
    if problem.dem_norm0 is not None and problem.dem_norm0[pixel, 0] != 0 and (problem.dem_norm0[pixel] != 1).any():
        found = np.abs(problem.dem_norm0[pixel]) / unit
    else:
        mask = problem.options.loci_mask(channels)
        if mask is None:
            return flat
        response = np.where(problem.rmatrix[:, mask] > 0, problem.rmatrix[:, mask], np.nan)
        found = np.nanmin(problem.dn[pixel, mask] / response, axis=1) / unit
    return found if (found > 0).all() and np.isfinite(found).all() else flat


def invert(problem: Problem, pixel: int) -> dict[str, Any]:
    """All outputs of one valid pixel, and how many problems were linearised."""
    channels, bins = problem.sizes[1:]
    target, rough, into_bins = problem.options.reg_tweak, roughness(problem), hats(problem)
    kernel = problem.rmatrix.T / problem.edn[pixel][:, None] @ into_bins
    data = problem.dn[pixel] / problem.edn[pixel]
    x = start_of(problem, pixel)
    seen = kernel @ x
    x = x * (data @ seen) / (seen @ seen)
    level = kernel @ x / (data @ (kernel @ x))
    s, steps, before, share, slope, way = np.log(x), 0, np.inf, 0.0, 0.0, np.zeros(bins)
    while True:
        m = kernel * np.exp(s)
        residual = data - m.sum(axis=1)
        chisq = (residual**2).mean()
        off = abs(chisq - target)
        if off <= 0.1 * target or (steps == 0 and chisq <= target) or steps >= 100:
            break
        if steps > 5 and not before - off > 1e-3 * off:
            break
        before = off
        aim = np.linalg.solve(rough + m.T @ m, m.T @ (residual + m @ s))
        scale = min(1, 1 / np.abs(aim - s).max()) * (-1 if chisq < target else 1)
        way = (aim - s) * scale
        near, far = (((data - kernel @ np.exp(s + a * way)) ** 2).mean() for a in (0.1, 0.5))
        step = float(np.clip(0.1 + 0.4 * (target - near) / (far - near), 0.1, 0.5))
        slope = (far - near) / 0.4 if 0.1 < step < 0.5 else 0.0
        share += step * scale * (1 - share)
        s, steps = s + step * way, steps + 1
    gain = np.linalg.solve(rough + m.T @ m, m.T)
    moved = share * gain + (1 - share) * level[None, :]
    if slope < 0:
        answer = -2 / channels * (residual - (m @ moved).T @ residual) / slope
        moved = moved + np.outer(way, answer * min(1, 0.2 / np.linalg.norm(answer)))
    dem, e = into_bins @ np.exp(s), into_bins @ (np.exp(s)[:, None] * moved)
    profile = e @ (problem.rmatrix.T / problem.edn[pixel][:, None])
    return {
        "dem": dem,
        "edem": np.sqrt((e**2).sum(axis=1)),
        "elogt": np.array([_half_width(problem, profile[:, t], t) for t in range(bins)]),
        "chisq": chisq,
        "dn_reg": problem.rmatrix.T @ dem,
        "iterations": steps + 1,
        "share": share,
    }


def _half_width(problem: Problem, profile: Array, t: int) -> float:
    """Half the distance between the outermost of 51 samples that reach half of the greatest value."""
    logt = problem.logt
    points = logt[0] + 1e-8 + (logt[-1] - logt[0]) * np.arange(51) / 51
    reached = points[np.interp(points, logt, profile) >= max(profile.max(), 0) / 2]
    return float((reached[-1] - reached[0]) / 2 if len(reached) else problem.dlogt[t])
