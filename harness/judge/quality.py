"""What a solution is worth, by its summary: the figures that rows show and gates judge, over valid pixels only.

What history tracks is computed on a fixed sample of pixels; what is judged, on a secret one beside it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from harness.judge.summary import Summary
from harness.workloads import variant
from implementations.contract import OUTPUTS, Array, Problem, Status

SAMPLE_SEED = 20130401
SAMPLE_PIXELS = 4096
"""Most pixels of the fixed sample, which is compared with the truth and the baseline."""
REFERENCE_PIXELS, FEWEST_OF_A_ROUND = 256, 64
"""How many pixels the baseline solves for comparison where it didn't take part itself, in all rounds together, and in
each one at least."""
WATCHED_PIXELS = 1024
"""Most pixels of a timed run that are compared in all outputs."""


def sample_of(pixels: int) -> NDArray[np.intp]:
    """The fixed sample of a map of `pixels`: all of a small one, else `SAMPLE_PIXELS` drawn once for all solvers."""
    if pixels <= SAMPLE_PIXELS:
        return np.arange(pixels)
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(pixels, SAMPLE_PIXELS, replace=False))


def watched(pixels: int, secret: str) -> NDArray[np.intp]:
    """The pixels that a timed run is judged by, output by output: a draw that a solver can't know beforehand."""
    rng = np.random.default_rng(variant.seed(secret, "watched"))
    return np.sort(rng.choice(pixels, min(WATCHED_PIXELS, pixels), replace=False))


def judged(pixels: int, secret: str) -> NDArray[np.intp]:
    """The pixels that a first run is judged by, output by output: the fixed sample and those watched."""
    return np.union1d(sample_of(pixels), watched(pixels, secret))


def dealt(pixels: NDArray[np.intp], rounds: int) -> list[NDArray[np.intp]]:
    """Which of the pixels the baseline solves of each round: all are dealt out before one comes again."""
    share = min(max(REFERENCE_PIXELS // rounds, FEWEST_OF_A_ROUND), len(pixels))
    deck = np.resize(np.random.default_rng().permutation(pixels), (rounds, share))
    return [np.sort(hand) for hand in deck]


def hidden(drawn: int, pixels: int, chance: float = 0.01) -> float:
    """The largest share of wrong pixels of a map that `drawn` pixels miss with that chance; 0 when all are drawn."""
    return 0.0 if drawn >= pixels else 1 - chance ** (1 / drawn)


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
    """Which pixels (N,) may sit one step away on the regularisation grid because two steps tie.

    The misfit of a solution is F times its chi-squared, the target F·reg_tweak·rgt_fact^(iterations-1): at a tie both
    solutions are equally far from the same target, one above and one below, though their DEMs differ.
    """
    options = problem.options
    target = options.reg_tweak * options.rgt_fact ** (expected.iterations - 1.0)
    ours, theirs = got.chisq - target, expected.chisq - target
    same_pass = got.iterations == expected.iterations
    with np.errstate(invalid="ignore"):
        return same_pass & (ours * theirs < 0) & (np.abs(np.abs(ours) - np.abs(theirs)) <= 1e-9 * target)


def matched(got: Summary, baseline: Summary) -> tuple[Summary, Summary]:
    """The two with only those pixels that both have."""
    ours = got.at(baseline.pixels).sampled_at(baseline.sample)
    return ours, baseline.at(ours.pixels).sampled_at(ours.sample)


def parity(got: Summary, baseline: Summary, problem: Problem) -> dict[str, Any]:
    """Worst deviation of each output in the sample, of chi-squared in all pixels, ties apart; what differs, counted.

    Both hold the same pixels (`matched`). `flaws` are those of the whole solution.
    """
    valid = problem.valid()[got.pixels]
    ties = tied(got, baseline, problem) & valid
    clear, rows = valid & ~ties, got.rows
    figures: dict[str, Any] = {"flaws": got.flaws}
    for output in OUTPUTS:
        worst = deviation(got.of(output), baseline.of(output))[clear[rows]]
        figures[f"parity_{output}"] = float(worst.max(initial=0.0))
    figures["chisq_all"] = float(deviation(got.chisq[:, None], baseline.chisq[:, None])[clear].max(initial=0.0))
    figures["tied_pixels"] = int(ties.sum())
    figures["compared_pixels"] = int(valid.sum())
    figures["status_differs"] = int((got.status != baseline.status)[~ties].sum())
    figures["iterations_differ"] = int((got.iterations != baseline.iterations)[~ties].sum())
    for output in ("edem", "elogt"):
        figures[f"ratio_{output}"] = _ratios(got.of(output)[valid[rows]], baseline.of(output)[valid[rows]])
    return figures


def _ratios(got: Array, expected: Array) -> tuple[float, float]:
    """Between which ratios to `expected` (S, n) nine pixels of ten are, by the root of their summed squares."""
    if not len(got):
        return (1.0, 1.0)
    with np.errstate(all="ignore"):
        ratio = np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
    low, high = np.percentile(np.where(np.isfinite(ratio), ratio, np.inf), [5, 95], method="nearest")
    return float(low), float(high)


def judged_figures(summary: Summary, problem: Problem, true_dem: Array) -> dict[str, float]:
    """What solver and baseline are compared by, over the valid pixels; true_dem (S, T) is of those sampled."""
    valid = problem.valid()[summary.pixels]
    share = float(summary.negative[valid].mean()) if valid.any() else 0.0
    figures = chisq_figures(summary.chisq[valid]) | against_truth(summary, problem, true_dem)
    return figures | {"negative_share": share}


def against_truth(summary: Summary, problem: Problem, true_dem: Array) -> dict[str, float]:
    """Distance to the DEM that made the counts, medians over the sampled valid pixels.

    `truth_dem_error`: root of summed squared differences over that of the true DEM; `truth_peak_logt_error`: distance
    of the peaks in dex; `truth_coverage`: share of temperature bins whose true value is within one standard error. The
    errors propagate noise only, not the bias of regularisation, so coverage may lie far below 0.68.
    """
    valid = problem.valid()[summary.sample]
    dem, edem, truth = summary.dem[valid], summary.edem[valid], true_dem[valid]
    if dem.shape[0] == 0 or not np.isfinite(truth).any():  # of an image nobody knows the truth
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


NEAR_TARGET = 1.1
"""Chi-squared over its target up to which nobody asks whether less was to be had."""


def reached(summary: Summary, problem: Problem) -> dict[str, float]:
    """Chi-squared figures over the sampled valid pixels, each over what a DEM without negative bins can reach.

    That is the target, or, where the counts allow no such DEM, the least chi-squared of one (non-negative least
    squares).
    """
    valid, target = problem.valid()[summary.sample], problem.options.reg_tweak
    ratio = summary.chisq[summary.rows][valid] / target
    for at in np.flatnonzero(ratio > NEAR_TARGET):
        pixel = summary.sample[valid][at]
        ratio[at] /= max(1.0, _least_chisq(problem, int(pixel)) / target)
    return {f"reached_{name}": value for name, value in chisq_figures(ratio).items()}


def _least_chisq(problem: Problem, pixel: int) -> float:
    """0 where the search for it doesn't end, which asks the most of a solver."""
    error = problem.edn[pixel]
    try:
        return float(nnls(problem.rmatrix.T / error[:, None], problem.dn[pixel] / error)[1] ** 2 / len(error))
    except RuntimeError:
        return 0.0


def counts(summary: Summary, problem: Problem) -> dict[str, int]:
    """How many pixels are invalid (by the problem, not by the solver's word), out of passes, or have negative bins."""
    return {
        "invalid_pixels": int((~problem.valid()).sum()),
        "hit_max_iter": int((summary.status == Status.HIT_MAX_ITER).sum()),
        "negative_pixels": int(summary.negative.sum()),
    }
