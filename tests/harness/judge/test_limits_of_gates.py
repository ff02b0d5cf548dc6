"""Every limit of the gates lies where it is stated: just within passes, just beyond fails with a reason of its own."""

import pytest

from harness.judge import gates
from implementations.contract import OUTPUTS, Bounds

BOUNDS = Bounds((0.5, 2.0), (0.5, 2.0), (0.5, 2.0), 1.5, negative_pixels=0.1, edem=(0.9, 1.1), elogt=(0.9, 1.1))
BASELINE = {"chisq_median": 1.0, "chisq_iqr": 1.0, "chisq_p95": 1.0, "truth_dem_error": 0.4, "negative_share": 0.2}
SAME = {
    **BASELINE,
    **{f"parity_{output}": 0.0 for output in OUTPUTS},
    "chisq_all": 0.0,
    "tied_pixels": 0,
    "compared_pixels": 1000,
    "status_differs": 0,
    "iterations_differ": 0,
    "flaws": {},
    "ratio_edem": (1.0, 1.0),
    "ratio_elogt": (1.0, 1.0),
}
ANOTHER = {**{f"reached_{name}": 1.0 for name in gates.CHISQ_STATISTICS}, "negative_share": 0.0, "chisq_p95": 50.0}
"""What is judged of another method's solution: its chi-squared isn't compared with the baseline's."""
EXACT = [
    *((f"parity_{output}", 0.99e-9, 1.01e-9) for output in OUTPUTS),
    *((name, 1 + 0.99e-9, 1 + 1.01e-9) for name in gates.CHISQ_STATISTICS),
    *((name, 1 - 0.99e-9, 1 - 1.01e-9) for name in gates.CHISQ_STATISTICS),
    ("chisq_all", 0.99e-9, 1.01e-9),
    ("tied_pixels", 1, 2),
    ("status_differs", 0, 1),
    ("iterations_differ", 0, 1),
]
APPROXIMATE = [
    *((name, 0.501, 0.499) for name in gates.CHISQ_STATISTICS),
    *((name, 1.999, 2.001) for name in gates.CHISQ_STATISTICS),
    ("truth_dem_error", 0.599, 0.601),
    ("truth_dem_error", 0.081, 0.079),
    ("negative_share", 0.299, 0.301),
    ("ratio_edem", (0.91, 1.09), (0.89, 1.09)),
    ("ratio_edem", (0.91, 1.09), (0.91, 1.11)),
    ("ratio_elogt", (0.91, 1.09), (0.89, 1.09)),
    ("ratio_elogt", (0.91, 1.09), (0.91, 1.11)),
]
OTHER = [
    *((f"reached_{name}", 0.501, 0.499) for name in gates.CHISQ_STATISTICS),
    *((f"reached_{name}", 1.999, 2.001) for name in gates.CHISQ_STATISTICS),
    ("negative_share", 0.099, 0.101),
    *(case for case in APPROXIMATE if case[0] not in (*gates.CHISQ_STATISTICS, "negative_share")),
]
FLAWS = ["own chisq", "own dn_reg", "status", "nonzero", "iterations", "passes"]


def reasons(changed, accuracy="exact", baseline=BASELINE):
    got = SAME | ANOTHER if accuracy == "other" else SAME
    verdict = gates.judge(accuracy, None if accuracy == "exact" else BOUNDS, got | changed, baseline)
    assert verdict.gate == ("fail" if verdict.reasons else "pass")
    return verdict.reasons


@pytest.mark.parametrize(
    ("accuracy", "figure", "within", "beyond"),
    [("exact", *case) for case in EXACT]
    + [("approximate", *case) for case in APPROXIMATE]
    + [("other", *case) for case in OTHER],
)
def test_a_limit_is_where_it_is_stated(accuracy, figure, within, beyond):
    assert not reasons({figure: within}, accuracy)
    assert len(reasons({figure: beyond}, accuracy)) == 1


@pytest.mark.parametrize("accuracy", ["exact", "approximate", "other"])
@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_in_one_pixel_fails_whoever_has_it(accuracy, flaw):
    if (accuracy, flaw) == ("other", "passes"):
        assert not reasons({"flaws": {flaw: 1}}, accuracy), "max_iter is DEMREG's"
        return
    (reason,) = reasons({"flaws": {flaw: 1}}, accuracy)
    assert " 1 " in reason


def test_statistics_that_are_nearly_zero_may_differ_by_rounding_only():
    nothing = dict.fromkeys(BASELINE, 0.0)
    tiny = dict.fromkeys(gates.CHISQ_STATISTICS, 0.9e-12)
    assert not reasons(nothing | tiny, baseline=nothing)
    assert len(reasons(nothing | dict.fromkeys(gates.CHISQ_STATISTICS, 1.1e-12), baseline=nothing)) == 3
