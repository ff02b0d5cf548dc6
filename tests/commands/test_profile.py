"""`python -m harness.profile`: the real command on every solver, every engine, and what it makes of known calls."""

import json
import marshal
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest
from solvers import REGISTRY, rows

from harness import profile
from harness.measure import clock
from harness.profiling import cold, engines
from harness.profiling import engines as profiling_engines
from harness.profiling.calls import Calls, Frame, unsteadiness
from harness.profiling.icicle import svg

TINY = ("--pixels", "4", "--bins", "12")
SLOW_STEP = """
from implementations.baseline import Baseline

def dawdle():
    for _ in range(20_000_000):
        pass

class Dawdler(Baseline):
    name = "dawdler"

    def solve(self, state):
        dawdle()
        return super().solve(state)

class Fails(Baseline):
    name = "fails"

    def solve(self, state):
        raise RuntimeError("no pixel today")
"""


def run(*arguments, check=0):
    """The command in a process of its own, on a tiny problem unless said otherwise."""
    command = [sys.executable, "-m", "harness.profile", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == check, done.stdout + done.stderr
    return done


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "slow_step.py"
    file.write_text(SLOW_STEP)
    return file


SLOW = ("dask", "dask-delayed", "numba", "numba-float32", "numba-regmap-parallel", "numpy-regmap")
"""Whose likes are profiled in the normal run (processes, numba-regmap), or whose stages are
(tests/harness/profiling)."""


def marked(row):
    """A solver's parameter, slow if another solver of its kind is profiled in the normal run."""
    (name,) = row.values
    return pytest.param(name, marks=[*row.marks, pytest.mark.slow]) if name in SLOW else row


@pytest.mark.parametrize("name", [*map(marked, rows())])
def test_every_solver_is_profiled(name, tmp_path):
    shown = run(name, *TINY, "--out", tmp_path).stdout
    record = json.loads((tmp_path / profiling_engines.PROFILE_FILE).read_text())
    assert "hot spot: " in shown
    assert record["solver"] == name
    assert record["undisturbed_s"] > 0
    assert "memory: " in shown
    assert ("worker_memory" in record) == ("workers" in REGISTRY.describe(name)["tunables"])
    assert sum(row["own_share"] for row in record["functions"]) <= 1 + 1e-9
    assert all((tmp_path / file).is_file() for file in record["files"])
    assert Calls(tmp_path / engines.PROF).total > 0
    picture = ET.parse(tmp_path / profiling_engines.ICICLE_FILE).getroot()
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", ET.tostring(picture, encoding="unicode")[200:])


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_every_engine_writes_what_it_says(engine, tmp_path):
    reason = engines.unavailable(engine)
    if reason:
        assert reason in run("baseline", *TINY, "--engine", engine, "--out", tmp_path, check=2).stderr
        pytest.skip(reason)
    run("vectorized", *TINY, "--engine", engine, "--out", tmp_path)
    record = json.loads((tmp_path / profiling_engines.PROFILE_FILE).read_text())
    assert record["engine"] == engine
    assert all((tmp_path / file).stat().st_size > 0 for file in record["files"])
    if engine in ("memray", "tracemalloc"):
        assert record["peak_mb"] > 0
        assert record["allocations"][0]["mb"] >= record["allocations"][-1]["mb"] > 0
    if engine == "line":
        assert "def gsvd" in (tmp_path / "lines.txt").read_text()


def test_the_hot_spot_is_the_function_that_dawdles(plugin, tmp_path):
    shown = run("dawdler", *TINY, "--plugin", plugin, "--out", tmp_path).stdout
    (sentence,) = re.findall(r"hot spot: (dawdle \(slow_step\.py:\d+\)) takes (\d+)% of the time itself", shown)
    assert int(sentence[1]) > 80
    top = json.loads((tmp_path / profiling_engines.PROFILE_FILE).read_text())["functions"][0]
    assert (top["function"], top["calls"]) == (sentence[0], 1)
    assert top["own_s"] > 0.1


def test_the_first_call_of_a_fresh_process_stands_beside_the_next_ten(tmp_path):
    shown = run("numba-regmap", *TINY, "--cold", "--out", tmp_path).stdout
    record = json.loads((tmp_path / cold.RECORD).read_text())
    new, known = (record["cold"][name]["calls"] for name in cold.PROCESSES)
    assert len(new) == len(known) == cold.CALLS
    assert new[0]["compilation"] > 3 * known[0]["compilation"] > 0, "what was compiled before is loaded"
    assert known[0]["import"] > 0
    assert all(call["compilation"] == 0 for call in new[1:] + known[1:])
    assert max(call["import"] for call in new[1:] + known[1:]) < 0.1 * known[0]["import"]
    assert new[0]["compilation"] > 10 * new[0]["steady state"]
    assert "its first call took" in shown
    drawn = tmp_path / profile.COLD_FILE
    assert ET.parse(drawn).getroot().tag.endswith("svg")
    assert f"{record['created'][:10]}; commit {record['commit']}; " in drawn.read_text()


def test_the_parts_of_a_call_add_up_to_it():
    calls = [{"total_s": 10.0, "import_s": 2.0, "compilation_s": 5.0}]
    calls += [{"total_s": each, "import_s": 0.0, "compilation_s": 0.0} for each in (1.0, 1.0, 1.5, 0.5)]
    first, *later = ({**cold.parts(calls, call)} for call in calls)
    assert first == {"import": 2.0, "compilation": 5.0, "first use": 2.0, "steady state": 1.0}
    assert [sum(call.values()) for call in later] == [1.0, 1.0, 1.5, 0.5]


def test_time_inside_is_counted_once_as_what_it_began_as():
    watch = cold.Clock()
    inner = watch.around("import", lambda: time.sleep(0.02))
    watch.around("compilation", lambda: (inner(), time.sleep(0.01)))()
    assert watch.seconds["compilation"] >= 0.03
    assert watch.seconds["import"] == 0
    inner()
    assert watch.seconds["import"] >= 0.02


@pytest.mark.parametrize(
    ("errors", "most", "runs", "steady"), [((0.5, 0.02, 0.009), 9, 5, True), ((0.5,) * 9, 6, 6, False)]
)
def test_a_profile_goes_on_until_its_shares_are_steady(tmp_path, monkeypatch, errors, most, runs, steady):
    found = iter(errors)
    monkeypatch.setattr(engines, "unsteadiness", lambda shares: next(found))
    monkeypatch.setattr(engines, "MOST_RUNS", most)

    def timed_run():
        sum(sorted(range(1000)))
        return clock.Phases(0.0, 0.001, 0.0), None

    figures = engines.ENGINES["cprofile"](timed_run, None, tmp_path)
    assert (figures["runs"], figures["steady"], figures["run_s"]) == (runs, steady, 0.001)
    calls = Calls(tmp_path / engines.PROF)
    assert calls.runs == runs
    assert {row["calls"] for row in calls.table() if "sorted" in row["function"]} == {1}, "of one run"


def test_shares_are_as_uncertain_as_the_runs_differ():
    steady, other = {("a", 1, "f"): 0.7, ("a", 2, "g"): 0.3}, {("a", 1, "f"): 0.5, ("a", 2, "g"): 0.5}
    assert unsteadiness([steady] * 4) == 0
    assert unsteadiness([steady, other]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("undisturbed", "heavy_s", "said"),
    [
        (0.95, 0.3, "often (somewhere.py:1) takes 65%"),
        (0.1, 0.3, "heavy (somewhere.py:2) takes 30%"),
        (0.1, 0.0, "none that can be named: often (somewhere.py:1) has 65%"),
    ],
)
def test_a_hot_spot_that_is_the_profilers_own_is_refused(tmp_path, undisturbed, heavy_s, said):
    """A function of a thousand short calls has two thirds of the time: really, or because each of them is counted."""
    run_, often, heavy = (("somewhere.py", line, name) for line, name in enumerate(("timed_run", "often", "heavy")))
    stats = {
        run_: (1, 1, 0.05, 1.0, {}),
        often: (1000, 1000, 0.65, 0.65, {run_: (1000, 1000, 0.65, 0.65)}),
        heavy: (1, 1, heavy_s, heavy_s, {run_: (1, 1, heavy_s, heavy_s)}),
    }
    file = tmp_path / "x.prof"
    file.write_bytes(marshal.dumps(stats))
    assert Calls(file).hot_spot(undisturbed).startswith(said)


def test_how_much_a_profiler_slows_the_run_is_said(tmp_path):
    shown = run("vectorized", *TINY, "--out", tmp_path).stdout.splitlines()
    told = r"cprofile: a run takes .* under it, \d+\.\d times as long as undisturbed; shares of \d+ runs"
    assert any(re.search(told, line) for line in shown[2:4]), "a line on what disturbs the stages may come between"
    assert shown[1].startswith("stages: "), "the shares that are steady lead"


def test_a_solver_that_fails_is_a_line_and_exit_code_3(plugin, tmp_path):
    done = run("fails", *TINY, "--plugin", plugin, "--out", tmp_path, check=3)
    assert "fails: failed: RuntimeError: no pixel today" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nummba"], "unknown solver 'nummba'; nearest known: numba"),
        (["baseline", "--pixels", "0"], "--pixels must be"),
        (["baseline", "--dataset", "moon"], "unknown dataset 'moon'"),
        (["baseline", "--cold", "--view"], "--cold watches without any profiler"),
        (["baseline", "--threads", "0"], "--threads must be"),
        (["baseline", "--engine", "perf", "--view"], "--view needs --engine cprofile"),
        (["baseline", "--engin", "perf"], "nearest known: --engine"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    said = run(*arguments, check=2).stderr
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_an_absent_profiler_is_a_reason(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    monkeypatch.setattr(engines.shutil, "which", lambda name: None)
    for engine in ("pyinstrument", "line", "memray"):
        assert "is not installed" in engines.unavailable(engine)
    assert "perf is not on the PATH" in engines.unavailable("perf")
    assert engines.unavailable("cprofile") == ""


def test_snakeviz_is_served_to_this_machine_only(tmp_path):
    pytest.importorskip("snakeviz", reason="snakeviz is not installed")
    file = tmp_path / "calls.prof"
    run("vectorized", *TINY, "--out", tmp_path)
    command = [c for c in profile.view_command(file) if c != "--server"] + ["--server"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = server.stdout.readline()
    finally:
        server.terminate()
        server.communicate(timeout=10)
    assert "127.0.0.1" in said


def test_the_icicle_has_a_box_per_call_as_wide_as_its_time():
    tree = Frame("run", "harness", 2.0, [Frame("a <b> & c", "numpy", 1.0), Frame("d", "plugin", 0.5)])
    picture = ET.fromstring(svg(tree, "title", "note"))
    boxes = {g[0].text: float(g[1].get("width")) for g in picture.iter("{http://www.w3.org/2000/svg}g")}
    widths = {title.splitlines()[0]: width for title, width in boxes.items()}
    assert widths["run"] == pytest.approx(2 * widths["a <b> & c"], rel=0.01)
    assert widths["a <b> & c"] == pytest.approx(2 * widths["d"], rel=0.01)


def test_shared_functions_are_divided_among_their_callers(tmp_path):
    """In the tree what is below a function that two others call is divided by the time that each spent in it."""
    names = ("timed_run", "three", "one", "shared", "b")
    run_, three, one, shared, burn = (("somewhere.py", line, name) for line, name in enumerate(names))
    stats = {
        run_: (1, 1, 0.0, 8.0, {}),
        three: (1, 1, 0.0, 6.0, {run_: (1, 1, 0.0, 6.0)}),
        one: (1, 1, 0.0, 2.0, {run_: (1, 1, 0.0, 2.0)}),
        shared: (2, 2, 0.8, 8.0, {three: (1, 1, 0.6, 6.0), one: (1, 1, 0.2, 2.0)}),
        burn: (2, 2, 7.2, 7.2, {shared: (2, 2, 7.2, 7.2)}),
    }
    file = tmp_path / "x.prof"
    file.write_bytes(marshal.dumps(stats))
    calls = Calls(file)
    first, second = calls.tree().callees
    assert [first.label, second.label] == ["three (somewhere.py:1)", "one (somewhere.py:2)"]
    assert first.callees[0].callees[0].seconds == pytest.approx(7.2 * 3 / 4)
    assert second.callees[0].callees[0].seconds == pytest.approx(7.2 / 4)
    assert calls.table()[0]["function"] == "b (somewhere.py:4)"
    assert calls.table()[0]["own_share"] == pytest.approx(0.9)
    assert calls.hot_spot() == "b (somewhere.py:4) takes 90% of the time itself, in 2 calls."
