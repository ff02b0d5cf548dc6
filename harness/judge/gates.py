"""What a solution must meet, as data, and the verdict with its reasons."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from implementations.contract import OUTPUTS, Bounds

PARITY = {"dem": 1e-9, "edem": 1e-9, "elogt": 1e-9, "chisq": 1e-9, "dn_reg": 1e-9}
"""Exact solvers: highest deviation from the baseline per output, relative to the pixel's peak."""
TIED_PIXELS = 0.001
"""Exact solvers: highest share of pixels one step away on the regularisation grid where two steps tie."""
CHISQ_STATISTICS = {"chisq_median": 1e-9, "chisq_iqr": 1e-9, "chisq_p95": 1e-9}
"""Exact solvers: highest relative difference of the chi-squared statistics from the baseline's."""
LEAST_TRUTH_DEM_ERROR = 0.2
"""Solvers that aren't exact: ratio of the DEM error to the baseline's below which it wasn't recovered from the
counts."""
TINY = 1e-12
"""Differences of chi-squared statistics below this are rounding, however small the statistic."""


@dataclass(frozen=True)
class Verdict:
    """`gate` is "pass", "fail", or "none" where there was nothing to judge by."""

    gate: str
    reasons: tuple[str, ...] = ()


def judge(
    accuracy: str,
    bounds: Bounds | None,
    got: dict[str, Any],
    baseline: dict[str, Any] | None,
    leaves_out: Sequence[str] = (),
) -> Verdict:
    """The verdict on the figures of one solution, given the baseline's figures on the same pixels.

    `leaves_out`: outputs that a solver declares it doesn't compute. They must be NaN throughout, iterations 0; every
    other output must be finite in every valid pixel. What an exact solver leaves out, iterations apart, deviates from
    the baseline.
    """
    if baseline is None:
        return Verdict("none", ("no baseline solution to judge by",))
    if accuracy == "exact":
        reasons = [*_exact(got, baseline, "iterations" in leaves_out)]
    elif bounds is None:
        reasons = [f"{accuracy}, but declares no bounds"]
    else:
        reasons = [*_left_out(leaves_out, got["flaws"]), *_within(accuracy, bounds, got, baseline, leaves_out)]
    reasons += _against_contract(got["flaws"], "iterations" in leaves_out, accuracy)
    return Verdict("fail" if reasons else "pass", tuple(reasons))


def _exact(got: dict[str, Any], baseline: dict[str, Any], without_iterations: bool) -> Iterator[str]:
    allowed = "at most {:.0e} allowed"
    for output in OUTPUTS:
        value, limit = got[f"parity_{output}"], PARITY[output]
        if not value <= limit:
            yield f"{output}: deviates from the baseline by {value:.2g}, {allowed.format(limit)}"
    value, limit = got["chisq_all"], PARITY["chisq"]
    if not value <= limit:
        yield f"chisq of its dem: deviates from the baseline in some pixel by {value:.2g}, {allowed.format(limit)}"
    if got["tied_pixels"] > TIED_PIXELS * got["compared_pixels"]:
        yield f"ties: {got['tied_pixels']} of {got['compared_pixels']} pixels, {TIED_PIXELS:.1%} allowed"
    for name, limit in CHISQ_STATISTICS.items():
        difference = abs(got[name] - baseline[name])
        if not (difference <= limit * abs(baseline[name]) or difference <= TINY):
            yield (
                f"{name}: deviates from the baseline's {baseline[name]:.6g} by {difference:.2g}, "
                f"{allowed.format(max(limit * abs(baseline[name]), TINY))}"
            )
    if got["status_differs"]:
        yield f"status: differs from the baseline's in {got['status_differs']} pixels, none allowed"
    if got["iterations_differ"] and not without_iterations:
        yield f"iterations: differ from the baseline's in {got['iterations_differ']} pixels, none allowed"


def _left_out(leaves_out: Sequence[str], flaws: dict[str, int]) -> Iterator[str]:
    for output in OUTPUTS:
        numbers, gaps = flaws.get(f"numbers {output}", 0), flaws.get(f"gaps {output}", 0)
        if output in leaves_out and numbers:
            yield f"{output}: declared as not computed, but {numbers} pixels have a number"
        elif output not in leaves_out and gaps:
            yield f"{output}: not finite in {gaps} valid pixels"


def _against_contract(flaws: dict[str, int], without_iterations: bool, accuracy: str) -> Iterator[str]:
    """What no solver may do, exact or not. max_iter is DEMREG's."""
    words = {
        "own chisq": "chisq: isn't what its dem gives in {} pixels",
        "own dn_reg": "dn_reg: isn't the counts of its dem in {} pixels",
        "status": "status: isn't what its dem and its counts call for in {} pixels",
        "nonzero": "invalid pixels: {} outputs are not zero",
    }
    if without_iterations:
        words["numbers iterations"] = "iterations: declared as not computed, but {} pixels have a number"
    else:
        words["iterations"] = "iterations: none in a valid pixel, or some in an invalid one, in {} pixels"
        if accuracy != "other":
            words["passes"] = "iterations: more than max_iter in {} pixels"
    for flaw, text in words.items():
        if flaws.get(flaw):
            yield text.format(flaws[flaw])


def _within(
    accuracy: str, bounds: Bounds, got: dict[str, Any], baseline: dict[str, Any], leaves_out: Sequence[str]
) -> Iterator[str]:
    """What lies beyond the declared bounds: of the baseline's figures, or for another method of what can be reached."""
    other = accuracy == "other"
    for name in CHISQ_STATISTICS:
        low, high = getattr(bounds, name)
        ratio = got[f"reached_{name}"] if other else _ratio(got[name], baseline[name])
        if not low <= ratio <= high:
            of = "what a DEM without negative bins can reach" if other else "the baseline's"
            yield f"{name}: {ratio:.6g} times {of}, {_range(low, high)} declared"
    known = not math.isnan(baseline["truth_dem_error"])  # of a real image nobody knows the truth
    ratio = _ratio(got["truth_dem_error"], baseline["truth_dem_error"])
    if known and not LEAST_TRUTH_DEM_ERROR <= ratio <= bounds.truth_dem_error:
        yield (
            f"DEM error against the truth: {ratio:.6g} times the baseline's, at most {bounds.truth_dem_error:.10g} "
            f"declared, and nothing recovers it better than {LEAST_TRUTH_DEM_ERROR:g} times"
        )
    for output in ("edem", "elogt"):
        if output in leaves_out or got["flaws"].get(f"gaps {output}"):  # is said already
            continue
        declared, (below, above) = getattr(bounds, output), got[f"ratio_{output}"]
        if declared is None:
            yield f"{output}: no bounds declared"
        elif not declared[0] <= below <= above <= declared[1]:
            yield (
                f"{output}: {_range(below, above)} times the baseline's in nine pixels of ten, "
                f"{_range(*declared)} declared"
            )
    excess = got["negative_share"] - (0 if other else baseline["negative_share"])
    if not excess <= bounds.negative_pixels:
        beyond = "" if other else " beyond the baseline's share"
        yield f"negative pixels: {excess:.3g} of all{beyond}, {bounds.negative_pixels:g} declared"


def _range(low: float, high: float) -> str:
    return f"{low:.10g} to {high:.10g}"


def _ratio(value: float, reference: float) -> float:
    """value / reference; 1 where both are 0, as an IQR over one pixel is."""
    if value == reference:
        return 1.0
    return value / reference if reference else math.copysign(math.inf, value)
