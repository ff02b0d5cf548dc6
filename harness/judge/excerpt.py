"""What a record keeps of a solution to be drawn: chi-squared percentiles, a few pixels' DEMs with the truth.

Arrays are kept as text of four figures: a record stays small, and nothing is computed from what is only drawn.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from harness.judge.summary import Summary
from implementations.contract import Array, Problem

PIXELS = 3
"""A faint one, a middling one, a bright one."""
PERCENTILES = np.arange(101)


def of(summary: Summary, problem: Problem, true_dem: Array) -> dict[str, Any]:
    """For drawing, from valid pixels alone. true_dem (S, T) is of the summary's sample, NaN where there is no truth."""
    chisq = summary.chisq[np.isfinite(summary.chisq)]
    kept: dict[str, Any] = {"logt": pack(problem.logt), "pixels": []}
    if not chisq.size:
        return kept
    kept["chisq_percentiles"] = pack(np.percentile(chisq, PERCENTILES))
    for row in _chosen(summary, problem):
        arrays = {"truth": true_dem, "dem": summary.dem, "edem": summary.edem, "elogt": summary.elogt}
        kept["pixels"].append(
            {"pixel": int(summary.sample[row]), **{name: pack(values[row]) for name, values in arrays.items()}}
        )
    return kept


def _chosen(summary: Summary, problem: Problem) -> list[int]:
    """Rows of the sample, by the pixels' summed signal to noise: the middle of each third."""
    rows = np.flatnonzero(problem.valid()[summary.sample])
    if rows.size <= PIXELS:
        return rows.tolist()
    signal = (problem.dn / problem.edn)[summary.sample[rows]].sum(axis=1)
    thirds = ((np.arange(PIXELS) + 0.5) / PIXELS * rows.size).astype(int)
    return rows[np.argsort(signal, kind="stable")[thirds]].tolist()


def pack(values: ArrayLike) -> str:
    """An array (n,) as text."""
    return " ".join(f"{value:.4g}" for value in np.asarray(values, dtype=float))


def unpack(text: str) -> Array:
    """The array (n,) that `pack` wrote."""
    return np.array(text.split(), dtype=float)
