"""Plugins: what each mistake says, where they are imported, and that they harm nobody else."""

import ast
import json
import os
import re
import subprocess
import sys

import numpy as np
import psutil
import pytest
from folders import PLUGINS
from sweeps import rows_of, sweep

from implementations import dn2dem, registry
from implementations.places import ROOT
from implementations.registry import Registry

DOCS = dict(re.findall(r"^\| (.+?) \| `(.+)` \|$", (ROOT / "docs" / "plugins.md").read_text(), flags=re.MULTILINE))
"""A mistake -> what is said of it, the part that names the plugin left out."""
CLASSES = PLUGINS / "mistakes.py"
RUNS = PLUGINS / "run_mistakes.py"
GOOD = "from implementations.baseline import Baseline\n\n\nclass Mine(Baseline):\n    name = 'mine'\n"
BOUNDS = "from implementations.contract import Bounds\n\nBounds((0.5, 2), (0.5, 2), (0.5, 2), {})\n"
FILES = {
    "it imports what isn't installed": "import nothing_like_it\n",
    "it raises when it is imported": "{}['x']\n",
    "it is no Python": "class Mine(:\n    name = 'mine'\n",
    "`Bounds` that promise nothing": BOUNDS.format("1.1, float('inf')"),
    "`Bounds` of another type": BOUNDS.format("'1.1', 0.0"),
    "`Bounds` with one missing": BOUNDS.format("1.1"),
    "it defines no solver": "x = 1\n",
    "it ends the process": "import sys\n\nsys.exit(0)\n",
    "it crashes": "import os\n\nos.abort()\n",
    "it is gone without a word": "import os\n\nos._exit(0)\n",
    "it never ends": "import time\n\ntime.sleep(600)\n",
    "it forges an answer": "import os, sys\n\nos.write(int(sys.argv[2]), b'{}\\n')\nos._exit(0)\n",
    "it floods the answer": "import os, sys\n\nwhile True:\n    os.write(int(sys.argv[2]), b'x' * 65536)\n",
}
PACKAGES = {
    "an entry point has the name of a solver here": {"theirs": "numba = theirs:Mine"},
    "two packages' entry points have one name": {"theirs": "mine = theirs:Mine", "others": "mine = others:Mine"},
    "an entry point goes by another name than its class": {"theirs": "ours = theirs:Mine"},
    "an entry point's name can't be addressed": {"theirs": "my solver = theirs:Mine"},
    "an entry point is no class's address": {"theirs": "mine = theirs"},
    "an entry point leads nowhere": {"theirs": "mine = theirs:Yours"},
    "an entry point is a solver, not its class": {"theirs": "mine = theirs:made"},
}
TEMPS = np.logspace(5.7, 7.1, 9)
ONE_PIXEL = ([50.0, 40.0, 30.0], [5.0, 4.0, 3.0], np.eye(8, 3) * 1e-25 + 1e-27, np.linspace(5.7, 7.1, 8), TEMPS)
QUICK = ("--pixels", "6", "--bins", "8", "--repeats", "2", "--max-seconds", "20")


def kinds(path):
    """Class -> the mistake that its docstring names, and its `name` where that is a text."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = ast.get_docstring(node)
    return found


@pytest.fixture(scope="module")
def mistaken():
    table = Registry([CLASSES])
    entries = [e for e in table.entries.values() if e.origin]
    return {e.target.rpartition(":")[2]: table.fault(e.name) for e in entries}


@pytest.mark.parametrize(("cls", "mistake"), kinds(CLASSES).items())
def test_a_class_that_is_no_solver(mistaken, cls, mistake):
    assert mistaken[cls] == f"plugin {CLASSES}: {DOCS[mistake]}"


@pytest.mark.parametrize("mistake", FILES)
def test_a_file_that_is_no_plugin(tmp_path, monkeypatch, mistake):
    monkeypatch.setenv("DEMREG_BENCH_DESCRIBE_S", "2" if "never" in mistake else "60")
    path = tmp_path / "my_solver.py"
    path.write_text(FILES[mistake])
    table = Registry([path])
    (entry,) = [e for e in table.entries.values() if e.origin]
    assert entry.name == ("mine" if "no Python" in mistake else "my_solver")
    assert table.fault(entry.name) == f"plugin {path}: {DOCS[mistake]}"


def install(folder, points, monkeypatch):
    """Packages with those entry points, as if they were installed here and in the processes that are started."""
    for package, point in points.items():
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{point}\n")
        (folder / f"{package}.py").write_text(f"{GOOD}\n\nmade = Mine()\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
    registry._installed.cache_clear()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    yield lambda points: install(tmp_path, points, monkeypatch)
    monkeypatch.undo()
    registry._installed.cache_clear()


@pytest.mark.parametrize("mistake", PACKAGES)
def test_a_package_that_is_no_plugin(packages, mistake):
    packages(PACKAGES[mistake])
    table = Registry()
    found = [*table.clashes, *filter(None, (table.fault(e.name) for e in table.entries.values() if e.origin))]
    assert found == [DOCS[mistake]]
    assert np.isfinite(dn2dem(*ONE_PIXEL)[0]).all(), "no harm to anybody else's call"
    assert "theirs" not in sys.modules
    assert table.load("numba").__module__ == "implementations.cpu.fused"


def test_an_entry_point_is_a_solver_like_any(packages, tmp_path):
    packages({"theirs": "mine = theirs:Mine"})
    assert Registry().describe("mine")["available"]
    assert "theirs" not in sys.modules
    expected = dn2dem(*ONE_PIXEL, solver="baseline")
    for got, want in zip(dn2dem(*ONE_PIXEL, solver="mine"), expected, strict=True):
        np.testing.assert_array_equal(got, want)
    del sys.modules["theirs"]
    command = [sys.executable, "-m", "pytest", "-q", "tests/implementations/test_contract.py", "-k", "invalid-mine"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"a test of the contract runs over it: {done.stdout}"


@pytest.fixture(scope="module")
def failed_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    names = re.findall(r'name = "(.+)"', RUNS.read_text())
    sweep("--plugin", RUNS, "--solvers", ",".join(["baseline", *names]), *QUICK, "--out", folder, check=3)
    return rows_of(folder)


@pytest.mark.parametrize(("cls", "mistake"), kinds(RUNS).items())
def test_a_solver_that_goes_wrong_when_it_runs(failed_runs, cls, mistake):
    (name,) = re.findall(rf'class {cls}\(.*?name = "(.+?)"', RUNS.read_text(), flags=re.DOTALL)
    assert failed_runs.status["baseline"] == "ok"
    assert (failed_runs.status[name], failed_runs.reason[name]) == ("failed", DOCS[mistake])


def test_a_named_solver_at_fault_is_exit_3_and_an_unnamed_one_is_not(tmp_path):
    named = sweep("--plugin", CLASSES, "--solvers", "baseline,capital", *QUICK, "--out", tmp_path / "a", check=3)
    rows = rows_of(tmp_path / "a")
    assert (rows.status["baseline"], rows.status["capital"]) == ("ok", "failed")
    assert rows.reason["capital"] == f"plugin {CLASSES}: {DOCS['`accuracy` is misspelt']}"
    assert "left out: plugin" in named.stderr, "those not named are told of"
    sweep("--plugin", CLASSES, "--solvers", "baseline", *QUICK, "--out", tmp_path / "b", check=0)


HARMFUL = """import sys
from dataclasses import replace
from pathlib import Path

import helper
from harness.judge import gates
from implementations.baseline import Baseline

print("on the output of whoever imports it")
with Path(__file__).with_name("log").open("a") as log:
    log.write(" ".join(sys.argv[-3:]) + chr(10))
gates.judge = lambda *_, **__: gates.Verdict("pass")
Baseline.solve = lambda self, state: helper.slowly(state)


class Zeros(Baseline):
    name = "zeros"

    def collect(self, state, solution):
        good = super().collect(state, solution)
        return replace(good, dem=0 * good.dem)
"""


HELPER = """from implementations.contract import Solution


def slowly(state):
    return Solution.empty(state.problem)
"""


def test_a_plugin_is_imported_in_its_own_worker_alone(tmp_path):
    plugin, run = tmp_path / "harmful.py", tmp_path / "run"
    plugin.write_text(HARMFUL)
    (tmp_path / "helper.py").write_text(HELPER)
    sweep("--plugin", plugin, "--solvers", "baseline,zeros", *QUICK, "--out", run, check=0)
    rows = rows_of(run)
    assert (rows.gate["baseline"], rows.gate["zeros"]) == ("pass", "fail")
    described, worker = (tmp_path / "log").read_text().splitlines()
    assert described.split()[:2] == ["-c", str(plugin)]
    assert worker.split() == ["zeros", "1", f"zeros={plugin}:Zeros"]
    listed = sweep("--list", "--json", "--plugin", plugin, check=0)
    assert [row["available"] for row in json.loads(listed.stdout) if row["name"] == "zeros"] == [True]


def test_files_of_one_stem_are_two_modules(tmp_path):
    paths = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(GOOD.replace("'mine'", f"'mine-{path.parent.name}'"))
    table = Registry(paths)
    assert [table.load(f"mine-{folder}").name for folder in "ab"] == ["mine-a", "mine-b"]
    paths[1].write_text(GOOD.replace("'mine'", "'mine-a'"))
    table = Registry(paths)
    assert not table.describe("mine-a")["available"], "a name of two is neither's"
    assert all(f"plugin {path} (Mine)" in table.fault("mine-a") for path in paths)


def test_what_children_a_plugin_starts_when_imported_end_with_its_description(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        f"import subprocess, sys\n\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n{GOOD}"
    )
    before = psutil.Process().children(recursive=True)
    assert Registry([path]).describe("mine")["available"]
    assert psutil.Process().children(recursive=True) == before


def test_every_line_of_the_table_is_tested():
    tested = {*kinds(CLASSES).values(), *kinds(RUNS).values(), *FILES, *PACKAGES}
    assert tested == set(DOCS)
