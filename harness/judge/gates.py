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

    `leaves_out`: outputs that an approximate solver declares it doesn't compute. They must be NaN throughout; every
    other output must be finite in every valid pixel. What an exact solver leaves out deviates from the baseline.
    """
    if baseline is None:
        return Verdict("none", ("no baseline solution to judge by",))
    if accuracy == "exact":
        reasons = _exact(got, baseline)
    elif bounds is None:
        reasons = ["approximate, but declares no bounds"]
    else:
        reasons = [*_left_out(leaves_out, got), *_approximate(bounds, got, baseline)]
    if got["status_differs"] and accuracy == "exact":
        reasons.append(f"status: differs from the baseline's in {got['status_differs']} pixels")
    if got["invalid_not_zero"]:
        reasons.append(f"invalid pixels: {got['invalid_not_zero']} outputs are not zero")
    return Verdict("fail" if reasons else "pass", tuple(reasons))


def _exact(got: dict[str, Any], baseline: dict[str, Any]) -> list[str]:
    reasons = []
    for output in OUTPUTS:
        value, limit = got[f"parity_{output}"], PARITY[output]
        if not value <= limit:
            reasons.append(f"{output}: deviates from the baseline by {value:.2g}, at most {limit:.0e} allowed")
    if got["tied_pixels"] > TIED_PIXELS * got["compared_pixels"]:
        reasons.append(f"ties: {got['tied_pixels']} of {got['compared_pixels']} pixels, {TIED_PIXELS:.1%} allowed")
    for name, limit in CHISQ_STATISTICS.items():
        difference = abs(got[name] - baseline[name])
        if not (difference <= limit * abs(baseline[name]) or difference <= TINY):
            reasons.append(f"{name}: {got[name]:.6g} against the baseline's {baseline[name]:.6g}")
    return reasons


def _left_out(leaves_out: Sequence[str], got: dict[str, Any]) -> Iterator[str]:
    for output in OUTPUTS:
        if output in leaves_out and got["numbers"][output]:
            yield f"{output}: declared as not computed, but {got['numbers'][output]} pixels have a number"
        elif output not in leaves_out and got["gaps"][output]:
            yield f"{output}: not finite in {got['gaps'][output]} valid pixels"


def _approximate(bounds: Bounds, got: dict[str, Any], baseline: dict[str, Any]) -> list[str]:
    reasons = []
    for name in CHISQ_STATISTICS:
        low, high = getattr(bounds, name)
        ratio = _ratio(got[name], baseline[name])
        if not low <= ratio <= high:
            reasons.append(f"{name}: {ratio:.3g} times the baseline's, {low:g} to {high:g} declared")
    ratio = _ratio(got["truth_dem_error"], baseline["truth_dem_error"])
    known = not math.isnan(baseline["truth_dem_error"])  # of a real image nobody knows the truth
    if known and not ratio <= bounds.truth_dem_error:
        reasons.append(
            f"DEM error against the truth: {ratio:.3g} times the baseline's, {bounds.truth_dem_error:g} declared"
        )
    excess = got["negative_share"] - baseline["negative_share"]
    if not excess <= bounds.negative_pixels:
        reasons.append(
            f"negative pixels: {excess:.3g} of all beyond the baseline's share, {bounds.negative_pixels:g} declared"
        )
    return reasons


def _ratio(value: float, reference: float) -> float:
    """value / reference; 1 where both are 0, as an IQR over one pixel is."""
    if value == reference:
        return 1.0
    return value / reference if reference else math.copysign(math.inf, value)
