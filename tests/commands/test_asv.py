"""The airspeed velocity suite: a sweep for each cell that is asked for, real calls, and cells that have no figures."""

import cProfile
import json
import math
import os
import pstats
import re
import resource
import subprocess
import sys
from pathlib import Path

import clones
import pytest

from harness.asv_suite import measurement
from implementations.places import ROOT

pytest.importorskip("asv_runner", reason="asv is not installed (pip install 'demreg-bench[asv]')")
METRICS = """time_solve peakmem_solve track_chisq_median track_chisq_iqr track_chisq_p95 track_dem_error
    track_worst_parity track_gate_violation track_oneoff track_time_to_baseline""".split()
CALL_METRICS = ("time_dn2dem", "peakmem_dn2dem")
LOOP_METRICS = ("track_warm_call", "track_first_call")
MOST_SWEEPS = 4.0
"""A minute beside a quarter of one, when this was written."""
STARTS = 4
"""To compile, for all that is replayed, and for each of the two that call it themselves."""
TRIMMED = """
IN_REPO = {name: IN_REPO[name] for name in ("baseline", "vectorized")}
IN_REPO["dying"] = "implementations.only_here:Dying"
IN_REPO["absent"] = "implementations.only_here:Absent"
PEERS = {}
"""
ONLY_HERE = """
import os

from implementations.cpu.vectorized import Vectorized


class Dying(Vectorized):
    name = "dying"

    def solve(self, state):
        with open(os.environ["DEATHS"], "a") as file:
            file.write("x")
        os.abort()


class Absent(Vectorized):
    name = "absent"

    @classmethod
    def available(cls):
        return False, "no such device"
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with two solvers that work, one that dies, and one that can't run here."""
    folder = clones.make(tmp_path_factory.mktemp("clone"))
    (folder / "implementations" / "only_here.py").write_text(ONLY_HERE)
    registry = folder / "implementations" / "registry.py"
    head, marker, tail = registry.read_text().partition("\n\n@dataclass(frozen=True)\nclass Entry")
    assert marker
    registry.write_text(head + TRIMMED + marker + tail)
    clones.commit(folder)
    return folder


def cpu_s():
    """CPU time of all processes that were waited for."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def asv(folder, *words, **variables):
    environment = {**os.environ, "HOME": str(folder.parent), "DEMREG_BENCH_ASV_SIZES": "tiny", **variables}
    command = [sys.executable, "-m", "asv", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def measured(clone):
    """asv's results of one commit: the file's content, the notes, and how often the dying solver was started."""
    deaths = clone.parent / "deaths"
    asv(clone, "machine", "--yes", "--machine", "here", "--cpu", "some")
    done = asv(
        clone,
        "run",
        "--machine",
        "here",
        "--python=same",
        "--set-commit-hash",
        clones.git(clone, "rev-parse", "HEAD"),
        ASV_PYTHONPATH=str(clone),
        PYTHONPATH=str(clone),
        DEATHS=str(deaths),
    )
    (path,) = [p for p in (clone / ".asv" / "results" / "here").glob("*.json") if p.name != "machine.json"]
    (notes,) = (clone / ".asv" / "results" / "notes").glob("*.jsonl")
    lines = [json.loads(line) for line in notes.read_text().splitlines()]
    return done, json.loads(path.read_text()), lines, deaths.read_text()


@pytest.mark.slow
def test_every_metric_of_every_registered_solver_is_stored(measured):
    done, stored, _, _ = measured
    every = sorted([*METRICS, *CALL_METRICS, *LOOP_METRICS])
    assert sorted(name.rpartition(".")[2] for name in stored["results"]) == every, done.stdout + done.stderr
    for name, (values, params, *_) in stored["results"].items():
        if name.rpartition(".")[2] in LOOP_METRICS:
            continue
        assert params == [["'baseline'", "'vectorized'", "'dying'", "'absent'"], ["8"], ["12"]]
        baseline, vectorized, dying, absent = values
        assert math.isfinite(baseline), name
        assert math.isfinite(vectorized), name
        assert dying is None, "failed, not skipped"
        assert math.isnan(absent), "skipped, not failed"


@pytest.mark.slow
def test_a_loop_over_pixels_is_timed_or_skipped(measured):
    for name in LOOP_METRICS:
        (values, params, *_) = measured[1]["results"][f"pixel_loop.PixelLoop.{name}"]
        assert params == [["'numba'", "'vectorized'"], ["1", "10"]]
        assert all(map(math.isnan, values[:2])), "the clone has no such solver"
        assert all(0 < value < 60 for value in values[2:])


@pytest.mark.slow
def test_the_values_are_of_this_run(measured):
    results = {name.rpartition(".")[2]: values[0] for name, values in measured[1]["results"].items()}
    shares = results["track_time_to_baseline"]
    assert shares[0] == 1
    assert 0.05 < shares[1] < 1  # of rounds that both were in; `time_solve` of the two is of different sweeps
    assert results["track_gate_violation"][:2] == [0, 0]
    assert results["track_worst_parity"][0] == 0 < results["track_chisq_p95"][0]


@pytest.mark.slow
def test_a_cell_that_dies_is_not_started_by_every_metric_and_its_reason_kept(measured):
    _, _, (facts, *rows), deaths = measured
    assert deaths.count("x") == STARTS
    assert facts["machine"]["cores"] >= 1
    found = {row["solver"]: (row["status"], row["reason"]) for row in rows}
    assert sorted(found) == ["absent", "dying"]
    assert found["absent"] == ("skipped", "no such device")
    assert found["dying"][0] == "crashed"
    assert "SIGABRT" in found["dying"][1]


@pytest.mark.slow
def test_one_solver_is_measured_in_a_few_times_what_its_sweep_takes_and_no_other(clone, measured, tmp_path):
    """At the sizes that people get; CPU time beside that of one sweep over all its cells: machines differ in speed."""
    *sizes, seconds = measurement.SIZES["default"]
    pixels, bins = (",".join(map(str, each)) for each in sizes)
    grid = ("--pixels", pixels, "--bins", bins, "--max-seconds", str(seconds), "--out", tmp_path / "run")
    sweep = [sys.executable, "-m", "harness.sweep", "--solvers", "baseline,vectorized", *grid]
    start = cpu_s()
    subprocess.run(sweep, cwd=clone, capture_output=True, check=True)
    before = cpu_s()
    here = {"ASV_PYTHONPATH": str(clone), "PYTHONPATH": str(clone), "DEMREG_BENCH_ASV_SIZES": "default"}
    words = ("run", "--machine", "here", "--python=same", "--dry-run", "--bench", r"\('vectorized'")
    done = asv(clone, *words, **here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cpu_s() - before < MOST_SWEEPS * (before - start), (cpu_s() - before, before - start)
    lines = [line.split() for line in done.stdout.splitlines() if re.match(r" +(baseline|vectorized) +(50|200) ", line)]
    assert {line[0] for line in lines if line[-1] == "n/a"} == {"baseline"}
    assert {line[0] for line in lines if line[-1] != "n/a"} == {"vectorized"}


@pytest.mark.slow
def test_asvs_own_profile_shows_the_solvers_functions(clone, measured):
    here = {"ASV_PYTHONPATH": str(clone), "PYTHONPATH": str(clone)}
    bench = r"calls.Call.time_dn2dem\('vectorized', 8, 12\)"
    done = asv(clone, "profile", "--python=same", bench, **here)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = set(re.findall(r"vectorized\.py:\d+\((\w+)\)", done.stdout))
    assert {"invert_pixel", "gsvd", "regularisation"} <= shown, done.stdout


@pytest.mark.slow
def test_publish_makes_a_site_of_it(clone, measured):
    done = asv(clone, "publish")
    assert done.returncode == 0, done.stdout + done.stderr
    index = json.loads((clone / ".asv" / "html" / "index.json").read_text())
    assert {name.rpartition(".")[2] for name in index["benchmarks"]} == {*METRICS, *CALL_METRICS, *LOOP_METRICS}
    assert (clone / ".asv" / "html" / "index.html").exists()


RECORD = {
    "row": {
        "status": "ok",
        "peak_rss_mb": 321.5,
        "oneoff_s": 2.0,
        "speedup": 4.0,
        "gate": "fail",
        "chisq_median": 1.5,
        "parity_dem": 1e-3,
        "parity_edem": "inf",
        "parity_elogt": 0.0,
        "parity_chisq": 0.0,
        "parity_dn_reg": 0.0,
    },
    "turns": {"1": [[0.0, 1.0, 0.0], [0.5, 1.5, 0.0]], "2": [[0.0, 3.0, 0.0]], "3": [[0.0, 2.0, 0.25]]},
}


@pytest.fixture
def benchmark_of(tmp_path, monkeypatch):
    """asv's own benchmark objects over made-up records."""
    from asv_runner.discovery import _get_benchmark

    from harness.asv_suite import solvers

    monkeypatch.chdir(tmp_path)

    def make(method, record):
        benchmark = _get_benchmark(method, solvers, solvers.Solver, getattr(solvers.Solver, method))
        benchmark.set_cache({} if record is None else {"baseline": ""})
        (tmp_path / "baseline-8-12.json").write_text(json.dumps(record))
        benchmark._current_params = ("baseline", 8, 12)
        return benchmark

    return make


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("time_solve", {"samples": [2.25, 1.5, 3.0], "number": 1}),
        ("peakmem_solve", int(321.5 * 2**20)),
        ("track_oneoff", 2.0),
        ("track_time_to_baseline", 0.25),
        ("track_chisq_median", 1.5),
        ("track_worst_parity", math.inf),
        ("track_gate_violation", 1.0),
    ],
)
def test_asv_gets_the_measured_value(benchmark_of, method, value):
    benchmark = benchmark_of(method, RECORD)
    assert benchmark.do_setup() is False
    assert benchmark.do_run() == value


def test_a_gate_that_had_nothing_to_judge_by_has_no_value(benchmark_of):
    benchmark = benchmark_of("track_gate_violation", RECORD | {"row": RECORD["row"] | {"gate": "none"}})
    benchmark.do_setup()
    assert math.isnan(benchmark.do_run())


def test_a_solver_that_the_commit_does_not_have_is_skipped(benchmark_of):
    assert benchmark_of("time_solve", None).do_setup() is True


def test_a_failed_cell_fails_with_its_reason(benchmark_of):
    row = {"status": "timeout", "reason": "no answer within 60 s; killed"}
    with pytest.raises(RuntimeError, match="timeout: no answer within 60 s"):
        benchmark_of("time_solve", {"row": row, "turns": {}}).do_setup()


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("solvers.Solver.time_solve('numba', 50, 34)", 0.05),
        ("solvers.Solver.track_time_to_baseline('numba', 50, 34)", 0.15),
        ("calls.Call.time_dn2dem('numba', 50, 34)", 0.25),
        ("pixel_loop.PixelLoop.track_first_call('numba', 1)", 0.50),
    ],
)
def test_a_benchmark_has_the_tolerance_that_its_noise_demands(name, threshold):
    """By asv's rule: of the patterns that match from the name's start, the largest."""
    from asv.config import Config

    known = Config.load(str(ROOT / "asv.conf.json")).regressions_thresholds
    assert max(value for pattern, value in known.items() if re.match(pattern, name)) == threshold


def test_what_asv_writes_git_leaves_alone():
    clones.need_git()
    from asv.config import Config

    where = Config.load(str(ROOT / "asv.conf.json"))
    for path in (where.results_dir, where.html_dir, where.env_dir):
        done = subprocess.run(["git", "check-ignore", "-q", f"{path}/x.json"], cwd=ROOT, check=False)
        assert done.returncode == 0, path


def test_a_profile_of_a_real_call_shows_the_solvers_functions(monkeypatch):
    from harness.asv_suite import calls

    for name in (*calls.ONE_THREAD, "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))  # put back afterwards
    call = calls.Call()
    call.setup({"vectorized": ""}, "vectorized", 8, 12)
    profile = cProfile.Profile()
    profile.runcall(call.time_dn2dem)
    files = {Path(place[0]).name for place in pstats.Stats(profile).stats}
    assert {"vectorized.py", "inversion.py"} <= files


def test_a_real_call_of_what_can_not_run_here_is_skipped():
    from harness.asv_suite import calls

    with pytest.raises(NotImplementedError, match="no such device"):
        calls.Call().setup({"absent": "no such device"}, "absent", 8, 12)
