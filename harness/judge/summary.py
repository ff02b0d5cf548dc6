"""What is kept of a solution for the judge, computed outside the solver, in float64, over valid pixels only.

Chi-squared is recomputed from the DEM for every pixel: a solver's own is one of the outputs under judgement. So are the
counts, and whatever of the contract a solution can be held to by itself (`flaws`). Whole outputs are kept of a sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Problem, Status

CHUNK = 65536
OWN = 1e-6
"""How far a solver's chi-squared and counts may be from what its DEM gives: relative to chi-squared or 1, whichever is
more, and to the pixel's largest count."""


class Outputs(Protocol):
    """Gives an output by its name."""

    def __getitem__(self, name: str, /) -> Any:
        """The array of all pixels."""


@dataclass(frozen=True, eq=False)
class Summary:
    """What is kept of a solution: figures of N pixels, whole outputs of S of them."""

    pixels: NDArray[np.intp]
    """(N,), rising: which pixels of the map the figures are of."""
    chisq: Array
    """(N,), recomputed from the DEM; NaN where the pixel is invalid."""
    status: NDArray[np.int8]
    """(N,), as the solver reports it."""
    iterations: NDArray[np.int32]
    """(N,), as the solver reports them."""
    negative: NDArray[np.bool_]
    """(N,), some temperature bin is below zero."""
    sample: NDArray[np.intp]
    """(S,), rising: which pixels of the map the outputs below are of."""
    dem: Array
    edem: Array
    elogt: Array
    chisq_sample: Array
    """(S,), the solver's own."""
    dn_reg: Array
    flaws: dict[str, int] = field(default_factory=dict)
    """In how many pixels of the whole solution something is so: `gaps dem`, some value isn't finite, and `numbers dem`,
    some is, among valid pixels; `own chisq`, `own dn_reg`, not what its DEM gives; `status`, `iterations`, `passes`
    (more than max_iter), `nonzero`, not as the contract says; `numbers iterations`, any."""

    @property
    def rows(self) -> NDArray[np.intp]:
        """(S,): where the sample's pixels are among `pixels`."""
        return np.searchsorted(self.pixels, self.sample)

    def of(self, output: str) -> Array:
        """One of the five outputs at the sampled pixels, with its bins or channels last: (S, n)."""
        values = self.chisq_sample if output == "chisq" else getattr(self, output)
        return values.reshape(len(self.sample), -1)

    def at(self, pixels: NDArray[np.intp]) -> "Summary":
        """The same summary with only those pixels that are among `pixels`."""
        return self._with(np.isin(self.pixels, pixels), np.isin(self.sample, pixels))

    def sampled_at(self, pixels: NDArray[np.intp]) -> "Summary":
        """The same summary with only those sampled pixels that are among `pixels`."""
        return self._with(slice(None), np.isin(self.sample, pixels))

    def restored(self, numbers: NDArray[np.intp], factor: Array) -> "Summary":
        """With `pixels` called by the `numbers` (N,), in their order, and scaled outputs divided by `factor` (N, 1)."""
        scale = factor[self.rows]
        outputs = {name: getattr(self, name) / scale for name in ("dem", "edem", "dn_reg")}
        named = replace(self, pixels=numbers, sample=numbers[self.rows], **outputs)
        return named._with(np.argsort(named.pixels), np.argsort(named.sample))

    def _with(self, of_pixels: Any, of_sample: Any) -> "Summary":
        figures = {n: getattr(self, n)[of_pixels] for n in ("pixels", "chisq", "status", "iterations", "negative")}
        names = ("sample", "dem", "edem", "elogt", "chisq_sample", "dn_reg")
        return replace(self, **figures, **{n: getattr(self, n)[of_sample] for n in names})


def summarise(problem: Problem, outputs: Outputs, sample: NDArray[np.intp] | None = None) -> Summary:
    """Reduce a solution's outputs, by name, to what the judge needs; of all pixels, or those of `sample`, all of it.

    Each output is looked up once, so that no two need be in memory. ValueError when a shape isn't what the problem
    calls for.
    """
    pixels, channels, bins = problem.sizes
    sample, valid = np.arange(pixels) if sample is None else sample, problem.valid()
    status, iterations = (_shaped(outputs[name], name, pixels, 1)[:, 0] for name in ("status", "iterations"))
    kept, flaws = {}, {"nonzero": 0}
    for name, length in {"dem": bins, "edem": bins, "elogt": bins, "chisq": 1, "dn_reg": channels}.items():
        whole = _shaped(outputs[name], name, pixels, length)
        kept[name] = np.array(whole[sample], dtype=np.float64)
        finite = np.isfinite(whole)
        flaws[f"gaps {name}"] = int(np.count_nonzero(~finite.all(axis=1) & valid))
        flaws[f"numbers {name}"] = int(np.count_nonzero(finite.any(axis=1) & valid))
        flaws["nonzero"] += int(np.count_nonzero((whole != 0).any(axis=1) & ~valid))
        if name == "dem":
            counts, chisq, negative = _seen(problem, whole, valid)
        elif name in ("chisq", "dn_reg"):
            off = _off(whole, chisq[:, None], 1.0) if name == "chisq" else _off(whole, counts, 0.0)
            flaws[f"own {name}"] = int(np.count_nonzero(off & valid & finite.all(axis=1)))
    expected = np.where(valid, np.where(negative, Status.HIT_MAX_ITER, Status.OK), Status.INVALID)
    flaws["status"] = int(np.count_nonzero(status != expected))
    flaws["iterations"] = int(np.count_nonzero(np.where(valid, iterations < 1, iterations != 0)))
    flaws["passes"] = int(np.count_nonzero((iterations > problem.options.max_iter) & valid))
    flaws["numbers iterations"] = int(np.count_nonzero(iterations != 0))
    dem, edem, elogt, own_chisq, dn_reg = kept.values()
    figures = (chisq, status.astype(np.int8), iterations.astype(np.int32), negative)
    return Summary(np.arange(pixels), *figures, sample, dem, edem, elogt, own_chisq[:, 0], dn_reg, flaws)


def _seen(problem: Problem, dem: Any, valid: NDArray[np.bool_]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """What a DEM (P, T) gives: counts (P, F), chi-squared (P,), and which valid pixels (P,) have a bin below zero."""
    counts, chisq, negative = np.zeros(problem.dn.shape), np.full(len(valid), np.nan), np.zeros(len(valid), bool)
    for part in (slice(start, start + CHUNK) for start in range(0, len(valid), CHUNK)):
        values = np.asarray(dem[part], dtype=np.float64)
        negative[part] = (values < 0).any(axis=1) & valid[part]
        with np.errstate(all="ignore"):
            counts[part] = values @ problem.rmatrix
            misfit = (problem.dn[part] - counts[part]) / problem.edn[part]
            chisq[part] = np.where(valid[part], (misfit**2).mean(axis=1), np.nan)
    return counts, chisq, negative


def _off(values: Any, own: Array, least: float) -> NDArray[np.bool_]:
    """Which pixels (P,) have values (P, n) that aren't their own, within what rounding may do."""
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(own).max(axis=1, keepdims=True), least)
        return np.asarray(~(np.abs(values - own) <= OWN * scale).all(axis=1))


def _shaped(array: Any, name: str, pixels: int, length: int) -> Any:
    """An output with its bins or channels last, (P, n)."""
    expected = {(pixels, length), (pixels,)} if length == 1 else {(pixels, length)}
    if np.shape(array) not in expected or np.asarray(array).dtype.kind not in "fiu":
        raise ValueError(f"{name} has shape {np.shape(array)}, expected numbers of shape {(pixels, length)}")
    return array.reshape(pixels, length)


def of_older_worker(arrays: Mapping[str, Any]) -> Summary:
    """What a worker of an older commit made of its first solution: iterations of the sample only, and no flaws."""
    figures = {name: arrays[name] for name in ("chisq", "status", "negative", "iterations", "sample")}
    figures |= {name: arrays[name] for name in ("dem", "edem", "elogt", "chisq_sample", "dn_reg")}
    sample, pixels = figures["sample"], len(figures["chisq"])
    iterations = np.zeros(pixels, np.int32)
    iterations[sample] = figures["iterations"]
    return Summary(np.arange(pixels), **figures | {"iterations": iterations}).at(sample)
