"""Rooms, who may import whom, and sizes: each rule holds, and sees a violation that is planted."""

import shutil

import pytest
from structure import MOST_FILES, MOST_LINES, OWN_REASONS, PACKAGES, RULES, Tree

from implementations.places import ROOT

PLANTED = {
    "upward": [
        ("implementations/maths/inverse.py", "from harness.judge import gates\n", "imports harness.judge.gates"),
        ("implementations/contract.py", "import implementations.api\n", "contract imports implementations.api"),
        ("implementations/aia/files.py", "from implementations.cpu.l2 import L2\n", "aia.files imports"),
        ("harness/judge/gates.py", "from harness.measure.cell import measure\n", "gates imports harness.measure.cell"),
        ("harness/show/html.py", "X = 'harness.reports.run'\n", "html imports harness.reports.run"),
        ("harness/reports/run.py", "import harness.sweep\n", "reports.run imports harness.sweep"),
        ("harness/measure/cell.py", "def f():\n    from implementations.cpu.l2 import L2\n", "cell imports impl"),
    ],
    "shared_oracle": [
        ("implementations/baseline.py", "from implementations.maths import inverse\n", "baseline imports"),
    ],
    "solvers_of_solvers": [
        ("implementations/cpu/l2.py", "from implementations.cpu.batched import Batched\n", "l2 imports"),
    ],
    "circle": [
        ("harness/judge/summary.py", "from harness.judge import excerpt\n", "harness.judge.excerpt"),
        ("harness/machine/facts.py", "X = 'harness.machine.limits'\n", "harness.machine.limits"),
    ],
    "long": [("harness/judge/gates.py", "x = 1\n" * MOST_LINES, "gates has")],
    "unintroduced": [("harness/attic/__init__.py", '"""Things."""\n', "harness.attic")],
}


@pytest.fixture(scope="module")
def here() -> Tree:
    return Tree(ROOT)


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds(rule, here):
    assert len(here.files) > 100
    assert RULES[rule](here) == []


def test_every_exception_is_in_use(here):
    assert all(other in here.imports(name) for name, other in OWN_REASONS)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(("rule", "file", "text", "seen"), [(r, *p) for r, planted in PLANTED.items() for p in planted])
def test_a_planted_violation_is_seen(rule, file, text, seen, copy):
    path = copy / file
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + text)
    try:
        assert any(seen in found for found in RULES[rule](Tree(copy))), RULES[rule](Tree(copy))
    finally:
        if before is None:
            shutil.rmtree(path.parent)
        else:
            path.write_text(before)


def test_a_crowded_folder_is_seen(copy):
    for number in range(MOST_FILES + 1):
        path = copy / "harness" / "attic" / f"box{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    try:
        assert [found for found in RULES["crowded"](Tree(copy)) if "attic" in found]
    finally:
        shutil.rmtree(copy / "harness" / "attic")


def test_every_rule_has_a_planted_violation():
    assert {*PLANTED, "crowded"} == set(RULES)
