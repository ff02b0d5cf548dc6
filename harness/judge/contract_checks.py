"""What every solver promises, whatever its accuracy, and what an exact one owes the baseline, as checks.

Each takes a solver and raises `OffError`, in one line, at what is off. The tests run them on every registered solver;
`harness.check` on any, in a process of its own.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from harness.judge.replay import OffError, Pixel, Tally, compare, replay, require
from harness.workloads.awkward import Draw, drawn, problem, with_invalid
from implementations.contract import OUTPUTS, Array, Problem, Solution, Solver, Status
from implementations.registry import Registry
from implementations.solver_faults import reason_of

DRAWS = 40
"""Drawn problems that `parity_with_the_baseline` tries."""
Check = Callable[[Solver], None]


def assert_close(got: Array, expected: Array, what: str = "deviates") -> None:
    """Equal within 1e-9 of each pixel's peak."""
    peak = np.abs(expected.reshape(len(expected), -1)).max(axis=1, initial=0)
    with np.errstate(all="ignore"):
        worst = np.abs(got - expected).reshape(len(expected), -1).max(axis=1, initial=0)
        relative = np.where(worst == 0, 0, worst / peak)
    off = np.where(np.isfinite(relative), relative, np.inf).max(initial=0)
    require((worst <= 1e-9 * peak).all(), f"{what} by {off:.2g} of a pixel's peak, at most 1e-09 allowed")


def computed(solver: Solver) -> list[str]:
    """The outputs that a solver doesn't leave out."""
    return [output for output in OUTPUTS if output not in solver.leaves_out]


def run(solver: Solver, given: Problem) -> Solution:
    """The solution, of the types and shapes that the problem calls for."""
    solution = solver.run(given)
    Solution.check(solution, given)
    return solution


def any_number_of_pixels(solver: Solver) -> None:
    """0, 1 and more."""
    for pixels in (0, 1, 2, 7, 33):
        solution, where = run(solver, problem(pixels)), f"with {pixels} pixels"
        for output in computed(solver):
            require(np.isfinite(getattr(solution, output)).all(), f"{output}: not finite in valid pixels, {where}")
        require((solution.status != Status.INVALID).all(), f"status: valid pixels are called invalid, {where}")


def any_number_of_bins_and_channels(solver: Solver) -> None:
    """More channels than bins, as many, fewer; every shape of the constraint."""
    sizes = ((3, 2), (3, 12), (5, 6), (6, 6), (7, 6), (61, 12), (300, 6))
    for (bins, channels), gloci in product(sizes, (0, 1)):
        solution = run(solver, problem(3, bins, channels, gloci=gloci))
        where = f"with {bins} bins, {channels} channels and gloci {gloci}"
        require((np.abs(solution.dem).max(axis=1) > 0).all(), f"dem: some pixel has none, {where}")
        if "edem" in computed(solver):
            require((solution.edem > 0).any(axis=1).all(), f"edem: some pixel has none, {where}")


def invalid_pixels_are_zeros_and_leave_the_others_alone(solver: Solver) -> None:
    """Counts that aren't finite and positive, errors that aren't finite."""
    whole = problem(20)
    spoilt, invalid = with_invalid(whole)
    expected, got = run(solver, whole), run(solver, spoilt)
    valid = np.delete(np.arange(20), invalid)
    for output in OUTPUTS:
        require((getattr(got, output)[invalid] == 0).all(), f"{output}: not zero in invalid pixels")
        if output in computed(solver):
            what = f"{output}: deviates beside invalid pixels"
            assert_close(getattr(got, output)[valid], getattr(expected, output)[valid], what)
    require((got.iterations[invalid] == 0).all(), "iterations: not 0 in invalid pixels")
    require((got.status[invalid] == Status.INVALID).all(), "status: invalid pixels aren't called so")
    require((got.status[valid] == expected.status[valid]).all(), "status: differs beside invalid pixels")


def all_pixels_invalid(solver: Solver) -> None:
    """A map of missing counts."""
    given = problem(5)
    missing = Problem(given.dn * np.nan, given.edn, given.rmatrix, given.logt, given.dlogt, given.options)
    solution = run(solver, missing)
    require((solution.status == Status.INVALID).all(), "status: not all pixels are called invalid, where all are")
    for output in OUTPUTS:
        require(not getattr(solution, output).any(), f"{output}: not zero, where all pixels are invalid")


def a_pixel_does_not_depend_on_its_neighbours(solver: Solver) -> None:
    """The same in another order, and alone."""
    given = problem(30)
    whole, reverse = run(solver, given), run(solver, given.take(np.arange(30)[::-1]))
    alone = run(solver, given.take(slice(17, 18)))
    for output in computed(solver):
        expected, turned = getattr(whole, output), getattr(reverse, output)[::-1]
        assert_close(turned, expected, f"{output}: deviates in another order of pixels")
        assert_close(getattr(alone, output), expected[17:18], f"{output}: deviates where a pixel is alone")


def the_same_again(solver: Solver) -> None:
    """Bit by bit, from a state that was solved once already."""
    for gloci in (0, 1):
        given = problem(9, gloci=gloci)
        first, state = run(solver, given), solver.prepare(given)
        solver.solve(state)
        again = solver.collect(state, solver.solve(state))
        for output in vars(first):
            same = np.array_equal(getattr(first, output), getattr(again, output), equal_nan=True)
            require(same, f"{output}: differs when the same state is solved again")


def inputs_stay_as_they_are(solver: Solver) -> None:
    """The problem's arrays are read-only, and hold what they held."""
    given = problem(12)
    norm = np.random.default_rng(1).uniform(0.5, 2, (12, 14))
    given = Problem(given.dn, given.edn, given.rmatrix, given.logt, given.dlogt, given.options, norm)
    before = {name: value.copy() for name, value in vars(given).items() if isinstance(value, np.ndarray)}
    run(solver, given)
    for name, value in before.items():
        array = getattr(given, name)
        require(not array.flags.writeable and np.array_equal(array, value), f"{name} of the problem was changed")


def status_and_outputs_agree(solver: Solver) -> None:
    """Negative bins and status; counts and chi-squared of the DEM."""
    given = problem(60, max_iter=2)
    solution = run(solver, given)
    negative = (solution.dem < 0).any(axis=1)
    same = (solution.status == Status.HIT_MAX_ITER) == negative
    require(same.all(), f"status: HIT_MAX_ITER and negative bins don't agree in {np.count_nonzero(~same)} of 60 pixels")
    if solver.method == "demreg":
        require((solution.iterations <= 2).all(), "iterations: more than max_iter")
    own = solution.dem @ given.rmatrix
    chisq = (((given.dn - own) / given.edn) ** 2).mean(axis=1)
    if "dn_reg" in computed(solver):
        assert_close(solution.dn_reg, own, "dn_reg: deviates from the counts of its dem")
    if "chisq" in computed(solver):
        require(np.allclose(solution.chisq, chisq, rtol=1e-7, atol=0), "chisq: isn't what its dem gives")
    for output, kind in (("status", np.int8), ("iterations", np.int32)):
        found = getattr(solution, output).dtype
        require(found == kind, f"{output}: is of type {found}, expected {np.dtype(kind)}")


def a_pass_is_counted(solver: Solver) -> None:
    """Every valid pixel takes one at least."""
    if "iterations" not in solver.leaves_out:
        require((run(solver, problem(33)).iterations >= 1).all(), "iterations: 0 in valid pixels")


def baseline() -> Solver:
    """The measure of exact solvers."""
    return Registry().create("baseline")


def a_channel_blind_to_a_bin_sets_no_limit_to_the_em_loci(solver: Solver) -> None:
    """A response that is 0 somewhere."""
    plain = problem(6, gloci=1)
    rmatrix = plain.rmatrix.copy()
    rmatrix[3, :3] = 0
    given = Problem(plain.dn, plain.edn, rmatrix, plain.logt, plain.dlogt, plain.options)
    expected, got = baseline().run(given), run(solver, given)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output), f"{output}: deviates from the baseline")


def some_pixels_run_out_of_passes(solver: Solver) -> None:
    """With one pass alone."""
    hit = np.count_nonzero(run(solver, problem(60, max_iter=1)).status == Status.HIT_MAX_ITER)
    require(0 < hit < 60, f"status: {hit} of 60 pixels are HIT_MAX_ITER, where some are")


def parity_with_the_baseline(solver: Solver) -> None:
    """All outputs, iterations and status on drawn problems, pixel by pixel."""
    for seed in range(DRAWS):
        draw, tally = drawn(seed), Tally()
        try:
            held_to_the_baseline(run(solver, draw.problem()), draw, tally)
        except OffError as off:
            raise OffError(f"{off} (drawn problem {seed}: {draw.channels} channels x {draw.bins} bins)") from None


@lru_cache(maxsize=512)
def expected_of(draw: Draw) -> tuple[Solution, dict[int, Pixel]]:
    """The baseline's solution, and what may be asked of others."""
    given = draw.problem()
    facts = {int(pixel): replay(given, int(pixel)) for pixel in np.flatnonzero(given.valid())}
    return baseline().run(given), facts


def held_to_the_baseline(got: Solution, draw: Draw, tally: Tally) -> None:
    """Compare pixel by pixel, and count what was compared."""
    given = draw.problem()
    solution, facts = expected_of(draw)
    same = (got.status == Status.INVALID) == ~given.valid()
    require(same.all(), "status: other pixels are invalid than in the problem")
    tally.add(compare(given, got, solution, facts))


CONTRACT: tuple[Check, ...] = (
    any_number_of_pixels,
    any_number_of_bins_and_channels,
    invalid_pixels_are_zeros_and_leave_the_others_alone,
    all_pixels_invalid,
    a_pixel_does_not_depend_on_its_neighbours,
    the_same_again,
    inputs_stay_as_they_are,
    status_and_outputs_agree,
    a_pass_is_counted,
)
OF_EXACT: tuple[Check, ...] = (
    a_channel_blind_to_a_bin_sets_no_limit_to_the_em_loci,
    some_pixels_run_out_of_passes,
)


def watch(solver: Solver, _: Problem) -> dict[str, Any]:
    """What is off, a line each, in the worker whose solver it is; and how many checks were made."""
    exact = (*OF_EXACT, parity_with_the_baseline) if solver.accuracy == "exact" else ()
    checks, off = (*CONTRACT, *exact), []
    for check in checks:
        try:
            check(solver)
        except Exception as error:
            line = str(error) if isinstance(error, OffError) else reason_of(error)
            off.append(f"{check.__name__.replace('_', ' ')}: {line}")
    return {"off": off, "checks": len(checks)}
