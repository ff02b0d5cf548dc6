"""docs/profiling.md says what is so: its records show the published finding, and its launches are counted."""

import json
import re

import pytest
from counted import DOWN, FACTORISATIONS, LAUNCHES, SYNCHRONISATIONS, UP, counting, per_pixel

from harness.profiling import stages
from harness.reports.pages import profiling_page
from harness.workloads import problem as workload
from implementations.gpu.direct import CupyDirect
from implementations.gpu.regmap import CupyRegmap

TEXT = profiling_page.PAGE.read_text()


def test_the_published_finding_is_reproduced():
    """Over 80% of the baseline's time is in the generalised SVD and the grid search, at 200 bins."""
    baseline, compiled = profiling_page.profiles()
    assert (baseline["solver"], baseline["cell"]["bins"]) == ("baseline", 200)
    assert profiling_page.headline_share(baseline) > 0.8
    assert profiling_page.shares(baseline)["factorisation"] > 5 * profiling_page.shares(baseline)["grid search"]
    assert profiling_page.headline_share(compiled) < profiling_page.headline_share(baseline)
    for record in (baseline, compiled):
        assert set(record["stages"]) <= set(stages.STAGES)
        assert sum(profiling_page.shares(record).values()) == pytest.approx(1)


def test_the_page_is_what_the_records_say():
    assert profiling_page.rewritten() == TEXT, "docs/profiling.md is stale: make readme"


def test_committed_profiles_hold_no_paths_of_a_machine():
    for folder in profiling_page.PROFILES:
        for file in (folder / "profile.json", folder / "icicle.svg"):
            assert not re.search(r"/(home|root|tmp|Users)/", file.read_text()), file
        assert json.loads((folder / "profile.json").read_text())["commit"]


@pytest.mark.parametrize("bins", [34, 200])
@pytest.mark.parametrize("solver", [CupyDirect, CupyRegmap])
def test_launches_transfers_and_waits_are_counted(solver, bins):
    problem, _ = workload.generate(workload.load("random-response"), 9, bins, None)
    counts = per_pixel(solver(), problem)
    with counting():
        passes = solver().run(problem).iterations[1:].mean()
    kinds = (LAUNCHES, FACTORISATIONS, UP, DOWN, SYNCHRONISATIONS)
    launches, factorisations, *others = (counts.get(kind, 0) for kind in kinds)
    told = re.search(rf"\| `{solver.name}` \| {bins} \|(.*)\|", TEXT)[1].replace(",", "").split("|")
    said = [float(cell) for cell in told]
    assert said[:3] == [pytest.approx(passes, abs=0.06), round(launches), pytest.approx(factorisations, abs=0.06)]
    assert said[3:] == [round(value) for value in others]


def test_what_is_counted_is_the_outermost_operation_of_the_namespace():
    import array_api_strict as xp
    import numpy as np

    with counting() as counts:
        a = xp.asarray(np.ones((3, 3)))
        b = (a[:2, :] + 1.0)[0, :]
        assert not bool(xp.any(b < 0))
        xp.linalg.svd(a)
    assert counts == {UP: 1, LAUNCHES: 3, DOWN: 1, SYNCHRONISATIONS: 2, FACTORISATIONS: 1}
