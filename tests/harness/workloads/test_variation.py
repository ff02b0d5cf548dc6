"""Workloads under other options of the algorithm: one name each, and what is solved under it."""

import pytest

from harness.records.schema import Cell, file_name
from harness.workloads import problem as workload
from harness.workloads import specification, variation
from implementations.contract import Options


@pytest.mark.parametrize(
    ("asked", "name", "options"),
    [
        ("random-response", "random-response", Options()),
        ("random-response[nmu=42]", "random-response", Options()),
        ("random-response[gloci=1,nmu=500]", "random-response[nmu=500,gloci=1]", Options(nmu=500, gloci=1)),
        ("random-response-loci[gloci=0]", "random-response-loci[gloci=0]", Options()),
        ("random-response[gloci=110111]", "random-response[gloci=110111]", Options(gloci=(1, 1, 0, 1, 1, 1))),
        ("aia-image.flare-peak[reg_tweak=2]", "aia-image.flare-peak[reg_tweak=2.0]", Options(reg_tweak=2.0)),
        ("random-response[max_iter=1]", "random-response[max_iter=1]", Options(max_iter=1)),
    ],
)
def test_a_name_says_what_differs_from_the_workloads_own_options(asked, name, options):
    spec = specification.load(asked)
    assert (spec.name, spec.options) == (name, options)
    assert specification.load(name).fingerprint == spec.fingerprint


def test_options_reach_the_problem_and_its_fingerprint():
    spec, own = specification.load("random-response[nmu=500]"), specification.load("random-response")
    assert workload.generate(spec, 2, 12)[0].options.nmu == 500
    assert (workload.generate(spec, 2, 12)[0].dn == workload.generate(own, 2, 12)[0].dn).all()
    assert spec.fingerprint != own.fingerprint


def test_cells_of_other_options_have_other_files():
    names = ("random-response", "random-response[nmu=500]", "random-response[nmu=500,gloci=1]")
    assert len({file_name(Cell(name, 10, 34, 1), "numba") for name in names}) == 3
    assert file_name(Cell(names[0], 10, 34, 1), "numba") == "random-response-p10-b34-s1--numba.json"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("random-response[mu=3]", "unknown option in the workload"),
        ("random-response[nmu=1]", "nmu must be a whole number from 2 to 100000, got 1"),
        ("random-response[gloci=2]", "gloci must be 0, 1 or a mask"),
        ("random-response[nmu]", "not a key=value"),
    ],
)
def test_what_can_be_no_option_is_named(name, message):
    with pytest.raises(ValueError, match=message):
        specification.load(name)


def test_a_mask_of_other_channels_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="mask of 2 channels, expected 6"):
        workload.check_source(specification.load("random-response[gloci=11]"))


def test_every_combination_of_options_is_a_workload():
    found = variation.grid(("a", "b[gloci=1]"), {"nmu": ("42", "500"), "gloci": ("0",)})
    assert found == ["a[nmu=42,gloci=0]", "a[nmu=500,gloci=0]", "b[nmu=42,gloci=1]", "b[nmu=500,gloci=1]"]
    assert variation.grid(("a", "b"), {}) == ["a", "b"]
