"""docs/solar.md names a test for what it says: each is there."""

import ast
import re

from implementations.places import ROOT

PAGE = (ROOT / "docs" / "solar.md").read_text()
TESTS = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}


def functions(path):
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_is_there():
    named = set(re.findall(r"\btest_\w+(?!\w*\.py)\b", PAGE)) - {name.removesuffix(".py") for name in TESTS}
    known = set().union(*(functions(path) for path in TESTS.values()))
    assert len(named) > 40
    assert named - known == set()


def test_every_row_of_a_table_names_one():
    said = PAGE.partition("<!-- full-disc: begin -->")[0]  # what follows is measured
    rows = [line for line in said.splitlines() if line.startswith("|") and not line.startswith("|---")]
    assert [row for row in rows if "test_" not in row and not row.endswith("| test |")] == []
