"""What every registered solver promises, whatever its accuracy, and that the checks of it can fail."""

from dataclasses import replace

import numpy as np
import pytest
from solvers import create, rows

from harness.judge import contract_checks as checks
from harness.judge.replay import OffError
from implementations.baseline import Baseline
from implementations.contract import Bounds

NAMES = [check.__name__ for check in checks.CONTRACT]


@pytest.mark.parametrize("name", rows())
@pytest.mark.parametrize("check", checks.CONTRACT, ids=NAMES)
def test_contract(check, name):
    check(create(name))


@pytest.mark.parametrize("name", rows("exact"))
@pytest.mark.parametrize("check", checks.OF_EXACT, ids=lambda check: check.__name__)
def test_contract_of_exact_solvers(check, name):
    check(create(name))


class Spoilt(Baseline):
    """The baseline, its solution changed by `spoil(problem, solution, calls)`."""

    name = "spoilt"

    def __init__(self, spoil):
        super().__init__()
        self.spoil, self.calls = spoil, 0

    def prepare(self, problem):
        self.problem, self.calls = problem, self.calls + 1
        return super().prepare(problem)

    def collect(self, state, solution):
        return self.spoil(self.problem, super().collect(state, solution), self.calls)


def nan_alone(problem, solution, calls):
    dem = solution.dem.copy()
    dem[: len(dem) == 1] = float("nan")
    return replace(solution, dem=dem)


def no_error_bars(problem, solution, calls):
    return replace(solution, edem=solution.edem * (problem.sizes[2] != 61))


def ones_in_invalid(problem, solution, calls):
    return replace(solution, elogt=solution.elogt + (solution.iterations == 0)[:, None])


def leaks(problem, solution, calls):
    return replace(solution, dn_reg=solution.dn_reg * (1 + 1e-6 * problem.dn[:1, :1] / 1e4))


def drifts(problem, solution, calls):
    return replace(solution, dem=solution.dem * (1 + 1e-15 * calls))


def writes(problem, solution, calls):
    problem.dn.base.flags.writeable = True
    problem.dn.base[:] += 1
    return solution


def no_passes(problem, solution, calls):
    return replace(solution, iterations=solution.iterations * 0)


def other_chisq(problem, solution, calls):
    return replace(solution, chisq=solution.chisq * 1.001)


@pytest.mark.parametrize(
    ("check", "spoil", "output"),
    [
        (checks.any_number_of_pixels, nan_alone, "dem"),
        (checks.any_number_of_bins_and_channels, no_error_bars, "edem"),
        (checks.invalid_pixels_are_zeros_and_leave_the_others_alone, ones_in_invalid, "elogt"),
        (checks.all_pixels_invalid, ones_in_invalid, "elogt"),
        (checks.a_pixel_does_not_depend_on_its_neighbours, leaks, "dn_reg"),
        (checks.the_same_again, drifts, "dem"),
        (checks.inputs_stay_as_they_are, writes, "dn"),
        (checks.status_and_outputs_agree, other_chisq, "chisq"),
        (checks.a_pass_is_counted, no_passes, "iterations"),
    ],
    ids=NAMES,
)
def test_each_check_can_fail(check, spoil, output):
    with pytest.raises(OffError, match=f"^{output}[: ]"):
        check(Spoilt(spoil))


@pytest.mark.parametrize("check", [*checks.OF_EXACT, checks.parity_with_the_baseline], ids=lambda check: check.__name__)
def test_an_approximate_solver_is_not_exact(check):
    if check is checks.some_pixels_run_out_of_passes:
        spoilt = Spoilt(lambda problem, solution, calls: replace(solution, status=solution.status * 0))
    else:
        spoilt = Spoilt(lambda problem, solution, calls: replace(solution, edem=solution.edem * (1 + 1e-6)))
    with pytest.raises(OffError):
        check(spoilt)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("chisq_median", (0.0, 2.0)),
        ("chisq_median", (0.5, np.inf)),
        ("chisq_iqr", (2.0, 0.5)),
        ("chisq_p95", (np.nan, 1.0)),
        ("edem", (0.0, np.inf)),
        ("elogt", (0.0, 1.0)),
        ("edem", 2.0),
        ("chisq_median", ("low", 2.0)),
        ("chisq_p95", (0.5, 1.0, 2.0)),
        ("truth_dem_error", "1.1"),
        ("truth_dem_error", np.inf),
        ("negative_pixels", 1.0),
    ],
)
def test_bounds_that_promise_nothing_are_refused(name, given):
    sane = {"chisq_median": (0.5, 2), "chisq_iqr": (0, 3), "chisq_p95": (0, 3), "truth_dem_error": 1.1}
    sane |= {"negative_pixels": 0.0, "edem": (0.5, 2), "elogt": None}
    Bounds(**sane)
    with pytest.raises(ValueError, match=f"bounds: {name} is .* expected"):
        Bounds(**sane | {name: given})
