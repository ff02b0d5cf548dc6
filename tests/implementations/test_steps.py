"""Every form of every step meets the step's own gate, on the step's inputs; and each gate notices what is wrong."""

from dataclasses import replace

import array_api_strict
import numba
import numpy as np
import pytest
from problems import mixed, problem, with_invalid

from harness.judge import steps
from harness.measure import clock
from harness.workloads import saved, variant
from implementations.contract import Options
from implementations.cpu import regmap_search
from implementations.gpu import device
from implementations.registry import Registry
from implementations.step_problem import StepSolution
from implementations.steps import forms, loops

PROBLEMS = {
    "34 bins": lambda: problem(11, bins=34),
    "sorted profiles": lambda: problem(9, bins=70),
    "loci": lambda: problem(9, bins=20, gloci=(1, 1, 0, 1, 1, 1), nmu=500),
    "emd": lambda: problem(9, bins=20, l_emd=True),
    "fewer bins than channels": lambda: problem(9, bins=4),
    "a map with invalid pixels": lambda: with_invalid(mixed(17))[0],
    "one pixel": lambda: problem(1, bins=34, nmu=500),
}
HERE = [name for name, cls in forms.TABLE.items() if cls.device == "cpu"]


def posed(step, name="34 bins"):
    return variant.of(forms.TABLE[f"{step}.published"]().pose(PROBLEMS[name]()), 3).problem


def run(form, given):
    made = forms.TABLE[form]()
    return made.run(replace(given, layout=made.laid_out(given)))


@pytest.fixture(scope="module")
def expected():
    """(step, problem) -> its inputs, and what the published form makes of them."""
    made = {}

    def of(step, name):
        if (step, name) not in made:
            given = posed(step, name)
            made[step, name] = given, vars(run(f"{step}.published", given))
        return made[step, name]

    return of


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("form", [form for form in HERE if not form.endswith(".published")])
def test_a_form_meets_the_gate_of_its_step(form, name, expected):
    given, published = expected(form.split(".")[0], name)
    solution = run(form, given)
    clock.check_plain(solution, given)
    verdict, counts = steps.judge(given, vars(solution), published)
    assert verdict == steps.Verdict("pass")
    assert counts == {"compared_pixels": len(given.dn), "tied_pixels": 0}


class Strict:
    """A device whose arrays are those of the strict array API."""

    xp = array_api_strict

    def settle(self):
        pass


@pytest.mark.parametrize("step", forms.STEPS)
def test_what_the_device_does_is_array_api_and_meets_the_gate(step, expected, monkeypatch):
    monkeypatch.setattr(device, "runtime", Strict)
    given, published = expected(step, "34 bins")
    verdict, _ = steps.judge(given, vars(run(f"{step}.cupy", given)), published)
    assert verdict.gate == "pass", verdict.reasons


FAULTS = {
    "regularisation": ("mu", lambda mu: mu * 1.5, "another grid point"),
    "factorisation": ("basis", lambda basis: basis[:, ::-1], "B B^T: off"),
    "positivity": ("negative", lambda negative: ~negative, "another answer in 11 pixels"),
    "temperature-resolution": ("elogt", lambda elogt: elogt * (1 + 2e-9), "elogt: off by up to 2e-09"),
    "weights": ("weight", lambda weight: weight * (1 + 2e-9), "weight: off by up to 2e-09"),
}


@pytest.mark.parametrize("step", forms.STEPS)
def test_a_gate_notices_one_wrong_output(step, expected):
    given, published = expected(step, "34 bins")
    name, fault, reason = FAULTS[step]
    verdict, _ = steps.judge(given, published | {name: fault(published[name])}, published)
    assert verdict.gate == "fail"
    assert reason in verdict.reasons[0]
    verdict, _ = steps.judge(given, published | {name: published[name][:-1]}, published)
    assert "has shape" in verdict.reasons[0]
    verdict, _ = steps.judge(given, published | {name: published[name] * np.nan}, published)
    assert "not finite" in verdict.reasons[0]


def test_a_gate_notices_wrong_numbers_in_each_output(expected):
    for step, name in (("factorisation", "ends"), ("factorisation", "diagonal"), ("positivity", "dem")):
        given, published = expected(step, "34 bins")
        wrong = published[name].copy()
        wrong[3, 0] *= 1 + 1e-6
        verdict, _ = steps.judge(given, published | {name: wrong}, published)
        assert verdict.gate == "fail", name


def test_points_of_the_grid_that_are_equally_near_the_target_are_ties(expected):
    """The target is put midway between the misfits of two neighbours."""
    given, published = expected("regularisation", "34 bins")
    next_to = published["mu"] * 1.0001
    misfits = [steps._misfit(given, mu)[0] for mu in (published["mu"], next_to)]
    midway = replace(given, options=Options(reg_tweak=float(np.mean(misfits)) / 6)).take(slice(0, 1))
    verdict, counts = steps.judge(midway, {"mu": next_to[:1]}, {"mu": published["mu"][:1]})
    assert counts["tied_pixels"] == 1
    assert verdict.reasons == ("mu: 1 of 1 pixels at a tie, 0.1% allowed",)


def test_a_step_comes_back_from_its_files(tmp_path):
    given = posed("positivity")
    saved.save(given, tmp_path)
    back = saved.read(tmp_path)
    assert (back.step, back.outputs, back.scaled) == (given.step, given.outputs, given.scaled)
    assert all((back.inputs[name] == array).all() for name, array in given.inputs.items())


def test_a_variant_changes_order_and_one_input_alone():
    given = posed("regularisation")
    other = variant.of(given, 5)
    assert (other.problem.inputs["u"] == given.inputs["u"][other.order]).all()
    ratio = other.problem.inputs["data"] / given.inputs["data"][other.order]
    np.testing.assert_allclose(ratio, np.broadcast_to(other.factor, ratio.shape), rtol=1e-14)


def test_what_is_no_solution_of_a_step_is_refused():
    given = posed("weights")
    for wrong in (
        None,
        StepSolution(mu=np.zeros(11)),
        StepSolution(weight=[1.0] * 11),
        StepSolution(weight=np.zeros(3)),
    ):
        with pytest.raises(ValueError, match="weights: "):
            clock.check_plain(wrong, given)


def test_a_problem_without_a_valid_pixel_has_no_step():
    whole = problem(2)
    nothing = whole.with_pixels(-whole.dn, whole.edn)
    with pytest.raises(ValueError, match="step weights: the problem has no valid pixel"):
        forms.TABLE["weights.published"]().pose(nothing)


def test_the_registry_of_a_step_has_its_forms_and_nothing_else():
    table = Registry(step="regularisation")
    assert table.names() == [f"regularisation.{form}" for form in forms.FORMS]
    assert not any(table.fault(name) for name in table.names())
    assert table.create("regularisation.numba-parallel", threads=2).threads == 2
    (word,) = table.words("regularisation.fused")
    assert Registry([word]).create("regularisation.fused").name == "regularisation.fused"
    assert "regularisation.fused" not in Registry().names()
    with pytest.raises(ValueError, match="unknown step 'regularization'; nearest known: regularisation"):
        Registry(step="regularization")


def test_a_step_from_a_mapped_file_is_of_the_same_kind_as_its_variants(tmp_path):
    """Numba compiles anew for arrays that may be written: a first turn of 12 microseconds had taken 620 ms."""
    made = forms.TABLE["regularisation.numba"]()
    saved.save(made.pose(PROBLEMS["34 bins"]()), tmp_path)
    mapped = saved.read(tmp_path)
    given = [mapped, mapped.take(slice(0, 2)), variant.of(mapped, 3).problem]
    kinds = [[numba.typeof(argument) for argument in made.laid_out(each)] for each in given]
    assert kinds[0] == kinds[1] == kinds[2]
    with pytest.raises(ValueError, match="read-only"):
        next(iter(given[2].inputs.values()))[:] = 0.0


def test_numba_keeps_the_forms_of_a_step_apart_on_disk():
    """Its cache goes by file, line and name: the parallel form had been the plain one, or the other way round."""
    pairs = [(regmap_search.search, regmap_search.search_parallel)]
    pairs += [tuple(loops.compiled(name, parallel) for parallel in (False, True)) for name in loops.LOOPS]
    for plain, parallel in pairs:
        assert plain._cache._impl.filename_base != parallel._cache._impl.filename_base
        assert parallel.targetoptions["parallel"]
