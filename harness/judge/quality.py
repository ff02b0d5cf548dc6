"""What a solution is worth, computed outside the solver, in float64, over valid pixels only.

Chi-squared is recomputed from the DEM for every pixel: a solver's own is one of the outputs under judgement. What
needs a second answer to compare with (the baseline's, the truth) is computed on a fixed sample of pixels.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import OUTPUTS, Array, Problem, Solution, Status

SAMPLE_SEED = 20130401
SAMPLE_PIXELS = 4096
"""Most pixels that are kept of a solution for comparison with the truth and the baseline."""
REFERENCE_PIXELS = 256
"""How many of them the baseline solves for comparison where it isn't itself part of the cell."""
CHUNK = 65536


def sample_of(pixels: int) -> NDArray[np.intp]:
    """The fixed sample of a map of `pixels`: all of a small one, else `SAMPLE_PIXELS` drawn once for all solvers."""
    if pixels <= SAMPLE_PIXELS:
        return np.arange(pixels)
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(pixels, SAMPLE_PIXELS, replace=False))


@dataclass(frozen=True, eq=False)
class Summary:
    """What is kept of a solution: per-pixel figures of all P pixels, whole outputs of the S sampled ones."""

    chisq: Array
    """(P,), recomputed from the DEM; NaN where the pixel is invalid."""
    status: NDArray[np.int8]
    """(P,), as the solver reports it."""
    negative: NDArray[np.bool_]
    """(P,), some temperature bin is below zero."""
    sample: NDArray[np.intp]
    """(S,), which pixels the outputs below are of."""
    dem: Array
    edem: Array
    elogt: Array
    chisq_sample: Array
    dn_reg: Array
    iterations: NDArray[np.int32]

    def of(self, output: str) -> Array:
        """One of the five outputs at the sampled pixels, with its bins or channels last: (S, n)."""
        values = self.chisq_sample if output == "chisq" else getattr(self, output)
        return values.reshape(len(self.sample), -1)

    def at(self, pixels: NDArray[np.intp]) -> "Summary":
        """The same summary with only those sampled pixels that are among `pixels`."""
        rows = np.isin(self.sample, pixels)
        kept = ("sample", "dem", "edem", "elogt", "chisq_sample", "dn_reg", "iterations")
        return replace(self, **{name: getattr(self, name)[rows] for name in kept})


def summarise(problem: Problem, solution: Solution) -> Summary:
    """Reduce a solution to what the judge needs. ValueError when it isn't what the problem calls for."""
    Solution.check(solution, problem)
    pixels = problem.sizes[0]
    chisq = np.full(pixels, np.nan)
    negative = np.zeros(pixels, bool)
    valid = problem.valid()
    for start in range(0, pixels, CHUNK):
        part = slice(start, min(start + CHUNK, pixels))
        dem = np.asarray(solution.dem[part], dtype=np.float64)
        with np.errstate(all="ignore"):
            misfit = (problem.dn[part] - dem @ problem.rmatrix) / problem.edn[part]
            chisq[part] = np.where(valid[part], (misfit**2).mean(axis=1), np.nan)
        negative[part] = (dem < 0).any(axis=1) & valid[part]
    sample = sample_of(pixels)
    dem, edem, elogt, own_chisq, dn_reg = (np.array(getattr(solution, n)[sample], dtype=np.float64) for n in OUTPUTS)
    status = np.array(solution.status, dtype=np.int8)
    iterations = np.array(solution.iterations[sample], dtype=np.int32)
    return Summary(chisq, status, negative, sample, dem, edem, elogt, own_chisq, dn_reg, iterations)


def save(summary: Summary, path: Path) -> None:
    """Write a summary for the process that judges."""
    np.savez(path, **vars(summary))


def load(path: Path) -> Summary:
    """Read what `save` wrote."""
    with np.load(path) as arrays:
        return Summary(**arrays)


def chisq_figures(chisq: Array) -> dict[str, float]:
    """Median, quartiles, IQR and 95th percentile over valid pixels; NaN in a valid pixel makes all of them NaN."""
    if chisq.size == 0:
        return dict.fromkeys(("chisq_median", "chisq_p25", "chisq_p75", "chisq_iqr", "chisq_p95"), np.nan)
    p25, p50, p75, p95 = (float(x) for x in np.percentile(chisq, [25, 50, 75, 95]))
    return {"chisq_median": p50, "chisq_p25": p25, "chisq_p75": p75, "chisq_iqr": p75 - p25, "chisq_p95": p95}


def deviation(got: Array, expected: Array) -> Array:
    """Worst difference (S,) per pixel, relative to the pixel's peak in `expected` (S, n); infinite where not finite."""
    with np.errstate(all="ignore"):
        worst = np.abs(got - expected).max(axis=1, initial=0.0)
        peak = np.abs(expected).max(axis=1, initial=0.0)
        relative = np.where(worst == 0, 0.0, worst / peak)
    return np.where(np.isfinite(relative), relative, np.inf)


def tied(got: Summary, expected: Summary, problem: Problem) -> NDArray[np.bool_]:
    """Which sampled pixels (S,) may sit one step away on the regularisation grid because two steps tie.

    The misfit of a solution is F times its chi-squared, the target F·reg_tweak·rgt_fact^(iterations-1): at a tie both
    solutions are equally far from the same target, one above and one below, though their DEMs differ.
    """
    options = problem.options
    target = options.reg_tweak * options.rgt_fact ** (expected.iterations - 1.0)
    ours, theirs = got.chisq[got.sample] - target, expected.chisq[expected.sample] - target
    same_pass = got.iterations == expected.iterations
    with np.errstate(invalid="ignore"):
        return same_pass & (ours * theirs < 0) & (np.abs(np.abs(ours) - np.abs(theirs)) <= 1e-9 * target)


def parity(got: Summary, baseline: Summary, problem: Problem) -> dict[str, Any]:
    """Worst deviation of each output, ties apart; ties and differing status, counted. Both hold the same pixels.

    `gaps` and `numbers` count, for each output, the valid pixels where some value isn't finite, and where some is.
    """
    valid = problem.valid()[got.sample]
    ties = tied(got, baseline, problem) & valid
    figures: dict[str, Any] = {}
    for output in OUTPUTS:
        worst = deviation(got.of(output), baseline.of(output))[valid & ~ties]
        figures[f"parity_{output}"] = float(worst.max(initial=0.0))
    figures["tied_pixels"] = int(ties.sum())
    figures["compared_pixels"] = int(valid.sum())
    finite = {output: np.isfinite(got.of(output))[valid] for output in OUTPUTS}
    figures["gaps"] = {output: int((~values.all(axis=1)).sum()) for output, values in finite.items()}
    figures["numbers"] = {output: int(values.any(axis=1).sum()) for output, values in finite.items()}
    figures["status_differs"] = int((got.status[got.sample] != baseline.status[baseline.sample])[~ties].sum())
    figures["invalid_not_zero"] = int(sum(np.any(got.of(name) != 0, axis=1)[~valid].sum() for name in OUTPUTS))
    return figures


def judged_figures(summary: Summary, problem: Problem, true_dem: Array) -> dict[str, float]:
    """What solver and baseline are compared by, over the sampled valid pixels; true_dem (S, T) is of those sampled."""
    rows = summary.sample[problem.valid()[summary.sample]]
    share = float(summary.negative[rows].mean()) if rows.size else 0.0
    figures = chisq_figures(summary.chisq[rows]) | against_truth(summary, problem, true_dem)
    return figures | {"negative_share": share}


def against_truth(summary: Summary, problem: Problem, true_dem: Array) -> dict[str, float]:
    """Distance to the DEM that made the counts, medians over the sampled valid pixels.

    `truth_dem_error`: root of summed squared differences over that of the true DEM; `truth_peak_logt_error`: distance
    of the peaks in dex; `truth_coverage`: share of temperature bins whose true value is within one standard error. The
    errors propagate noise only, not the bias of regularisation, so coverage may lie far below 0.68.
    """
    valid = problem.valid()[summary.sample]
    dem, edem, truth = summary.dem[valid], summary.edem[valid], true_dem[valid]
    if dem.shape[0] == 0:
        return dict.fromkeys(("truth_dem_error", "truth_peak_logt_error", "truth_coverage"), np.nan)
    with np.errstate(all="ignore"):
        error = np.linalg.norm(dem - truth, axis=1) / np.linalg.norm(truth, axis=1)
    logt = problem.logt
    peak = np.abs(logt[dem.argmax(axis=1)] - logt[truth.argmax(axis=1)])
    return {
        "truth_dem_error": float(np.median(error)),
        "truth_peak_logt_error": float(np.median(peak)),
        "truth_coverage": float((np.abs(dem - truth) <= edem).mean()) if np.isfinite(edem).any() else np.nan,
    }


def counts(summary: Summary, problem: Problem) -> dict[str, int]:
    """How many pixels are invalid (by the problem, not by the solver's word), out of passes, or have negative bins."""
    return {
        "invalid_pixels": int((~problem.valid()).sum()),
        "hit_max_iter": int((summary.status == Status.HIT_MAX_ITER).sum()),
        "negative_pixels": int(summary.negative.sum()),
    }


def placed(summary: Summary, pixels: NDArray[np.intp], total: int) -> Summary:
    """A summary of a problem made of some `pixels` of a larger one, as a summary of the larger one's sample."""
    chisq, status, negative = np.full(total, np.nan), np.full(total, Status.INVALID, np.int8), np.zeros(total, bool)
    chisq[pixels], status[pixels], negative[pixels] = summary.chisq, summary.status, summary.negative
    return replace(summary, chisq=chisq, status=status, negative=negative, sample=pixels[summary.sample])
