"""A solver's source as a few digits: what changes them, and what doesn't."""

import pytest

from harness.records.fingerprint import of_solver
from harness.workloads import specification
from implementations.registry import IN_REPO, Registry

PLUGIN = '''
"""A plugin."""

import numpy as np
from implementations.cpu.vectorized import Vectorized
from helper import factor


class Mine(Vectorized):
    """Scales."""

    name = "mine"

    def solve(self, state):
        """Solve."""
        return np.multiply(factor(), super().solve(state))  # scaled
'''
HELPER = "def factor():\n    return 2\n"


def digits(folder, plugin=PLUGIN, helper=HELPER, spec="mine"):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "helper.py").write_text(helper)
    (folder / "plugin.py").write_text(plugin)
    return of_solver(spec, Registry([folder / "plugin.py"]))


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    found = digits(tmp_path_factory.mktemp("before"))
    assert len(found) == 12
    return found


@pytest.mark.parametrize(
    ("plugin", "helper"),
    [
        (PLUGIN, HELPER),
        (PLUGIN.replace("Scales.", "Multiplies.").replace("  # scaled", ""), "# a number\n" + HELPER),
        (PLUGIN.replace("factor(), super", "\n            factor(),\n            super"), HELPER),
        (PLUGIN.replace("import numpy as np\n", "import sys\nimport numpy as np\n"), HELPER),
    ],
    ids=["another folder", "comments", "formatting", "imports"],
)
def test_words_and_layout_do_not_count(before, tmp_path, plugin, helper):
    assert digits(tmp_path / "elsewhere", plugin, helper) == before


@pytest.mark.parametrize(
    ("plugin", "helper"),
    [(PLUGIN.replace("multiply", "divide"), HELPER), (PLUGIN, HELPER.replace("2", "3"))],
    ids=["its own", "what it imports"],
)
def test_code_counts(before, tmp_path, plugin, helper):
    assert digits(tmp_path, plugin, helper) != before


def test_a_solver_inside_counts(tmp_path):
    inner = "processes[inner=mine,workers=2]"
    assert digits(tmp_path / "a", spec=inner) != digits(tmp_path / "b", helper=HELPER.replace("2", "3"), spec=inner)
    assert len({of_solver(f"processes[inner={name}]", Registry()) for name in ("numba", "batched", "auto")}) == 3


def test_source_that_cannot_be_parsed_is_unknown(tmp_path):
    assert digits(tmp_path, "class Mine(:\n    name = 'mine'\n", spec="mine") == ""


def test_every_solver_of_this_project_has_one_and_a_moved_file_does_not_change_it():
    table = Registry()
    found = {name: of_solver(name, table) for name in IN_REPO}
    assert all(found.values())
    assert found["numba"] == found["numba-float32"], "of one module"
    assert len(set(found.values())) == len({target.split(":")[0] for target in IN_REPO.values()})


TOML = (specification.FOLDER / "random-response.toml").read_text()


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (f"# a comment\n{TOML}", True),
        (TOML.replace('description = """', 'description = """Words. '), True),
        (TOML.replace("seed = ", "seed = 1"), False),
        (TOML.replace("relative_error = ", "relative_error = 1"), False),
    ],
)
def test_a_workload_differs_by_what_it_says_but_prose(changed, same):
    assert changed != TOML
    ours, theirs = (specification.parse(text, "x.toml").fingerprint for text in (TOML, changed))
    assert (ours == theirs) == same


def test_a_users_own_images_count_by_content(tmp_path):
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file, text in zip(files, ("1", "1", "2"), strict=True):
        file.write_text(text)
    first, moved, other = (specification.of_files("map", [str(file)]).fingerprint for file in files)
    assert first == moved != other
