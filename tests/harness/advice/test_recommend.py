"""The recommendation, from records made by a known law, through the real command."""

import json
import math
import sys
from itertools import pairwise

import pytest
from records import MACHINE, fast, memory, slow, write_run

from harness import recommend
from harness.advice import evidence, gaps, held_out
from harness.advice.candidates import Request, advise, best
from harness.machine import facts, limits
from harness.records.run import Run
from harness.workloads import specification
from implementations.places import ROOT

RESULTS = ROOT / "results"
ASK = ("--pixels", "4096x4096", "--bins", "34")
OTHER = MACHINE | {"id": "0000000000", "cpu": "another"}
OFF = {"accuracy": "approximate", "parity_dem": 0.4, "parity_edem": 0.3, "chisq_median": 0.6}


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, noise=0.02).folder


def asked(capsys, *arguments, code=0):
    assert recommend.main([*map(str, arguments)]) == code
    return capsys.readouterr().out


def answer(capsys, *arguments, code=0):
    return json.loads(asked(capsys, *arguments, "--json", code=code))


def test_the_fastest_is_recommended_with_a_prediction_that_holds(run, capsys):
    chosen = answer(capsys, run, *ASK)["recommended"]
    truth = fast(4096**2, 34)
    assert chosen["solver"] == "quick"
    assert chosen["time_s"]["value"] == pytest.approx(truth, rel=0.3)
    assert chosen["time_s"]["low"] <= truth <= chosen["time_s"]["high"]
    assert chosen["beyond"][0] == pytest.approx(4096**2 / 5000)
    assert 'solver="quick"' in chosen["call"]


def test_small_maps_get_the_solver_with_the_small_overhead(run, capsys):
    assert answer(capsys, run, "--pixels", "20", "--bins", "34")["recommended"]["solver"] == "baseline"


def test_the_text_says_what_stands_behind_it(run, capsys):
    text = asked(capsys, run, *ASK)
    assert "Use quick on 1 thread(s)" in text
    assert "extrapolated 3,36e+03" not in text
    assert "times beyond the measured pixels" in text
    assert f"from {run}" in text
    assert max(len(line) for line in text.splitlines() if "from " not in line and "not measured" not in line) <= 100


def test_a_failed_gate_is_never_recommended(tmp_path, capsys):
    failed = {"gate": "fail", "gate_reasons": "dem: off by 3"}
    folder = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, quick=failed).folder
    got = answer(capsys, folder, *ASK)
    assert got["recommended"]["solver"] == "baseline"
    refused = {c["solver"]: c["refused"] for c in got["candidates"]}
    assert "dem: off by 3" in refused["quick"]
    only = write_run(tmp_path / "only", {"quick": fast}, quick=failed).folder
    assert answer(capsys, only, *ASK, code=1)["recommended"] is None


def test_approximate_solvers_say_what_is_given_up_and_errors_can_be_asked_for(tmp_path, capsys):
    folder = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, quick=OFF).folder
    chosen = answer(capsys, folder, *ASK)["recommended"]
    assert chosen["solver"] == "quick"
    assert "DEM off by up to 0.4" in chosen["gives_up"]
    assert "χ² median 0.5" in chosen["gives_up"]
    got = answer(capsys, folder, *ASK, "--needs", "errors")
    assert got["recommended"]["solver"] == "baseline"
    assert "error bars differ" in next(c["refused"] for c in got["candidates"] if c["solver"] == "quick")


def test_another_method_is_never_recommended_for_its_speed(tmp_path, capsys):
    other = {"accuracy": "other", "method": "plowman"}
    folder = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, quick=other).folder
    got = answer(capsys, folder, *ASK)
    assert got["recommended"]["solver"] == "baseline"
    assert "another method (plowman)" in next(c["refused"] for c in got["candidates"] if c["solver"] == "quick")


def test_an_exact_solver_wins_where_times_cannot_be_told_apart(tmp_path):
    laws = {"baseline": slow, "quick": fast, "rough": lambda p, b: 0.97 * fast(p, b)}
    run = write_run(tmp_path / "run", laws, noise=0.05, rough=OFF)
    chosen = best(advise(evidence.gather([run.folder], MACHINE), Request(10**6, 34, "random-response", 1e6)))
    assert chosen.solver == "quick"


def test_devices(tmp_path, capsys):
    folder = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, quick={"device": "gpu"}).folder
    assert answer(capsys, folder, *ASK)["recommended"]["solver"] == "quick"
    assert answer(capsys, folder, *ASK, "--device", "cpu")["recommended"]["solver"] == "baseline"


def test_a_map_too_large_for_the_memory_is_cut_in_parts(run, capsys):
    chosen = answer(capsys, run, *ASK, "--memory", "4GB")["recommended"]
    limit = 4e9 / 2**20
    assert chosen["parts"] == pytest.approx(memory(4096**2, 34) / limit, abs=1.5)
    assert chosen["memory_mb"]["value"] <= limit
    assert memory(math.ceil(4096**2 / chosen["parts"]), 34) == pytest.approx(chosen["memory_mb"]["value"], rel=0.1)
    refused = answer(capsys, run, *ASK, "--memory", "1MB", code=1)["candidates"]
    assert all("not even one pixel" in c["refused"] for c in refused)


def test_records_of_other_machines_are_refused_unless_asked_for(tmp_path, run, capsys):
    theirs = write_run(tmp_path / "theirs", {"baseline": slow, "wrong": fast}, machine=OTHER).folder
    got = answer(capsys, run, theirs, *ASK)
    assert "wrong" not in {c["solver"] for c in got["candidates"]}
    assert any("another machine" in line for line in got["left_out"])
    assert answer(capsys, theirs, *ASK, "--machine", OTHER["id"])["recommended"]["solver"] == "wrong"
    with pytest.raises(SystemExit) as end:
        recommend.main([str(theirs), *ASK])
    assert end.value.code == 2
    assert "no records of this machine" in capsys.readouterr().err


def test_the_newest_row_counts(tmp_path, capsys):
    old = write_run(tmp_path / "old", {"baseline": slow, "quick": fast}, created="2025-01-01").folder
    new = write_run(tmp_path / "new", {"quick": lambda p, b: 7 * fast(p, b)}, created="2026-01-01").folder
    got = answer(capsys, new, old, *ASK)
    found = {c["solver"]: c["time_s"]["value"] for c in got["candidates"]}
    assert found["quick"] == pytest.approx(7 * fast(4096**2, 34), rel=0.2)


def test_times_under_other_options_say_nothing_of_the_workloads_own(tmp_path, capsys):
    own = write_run(tmp_path / "a", {"baseline": slow, "fast": fast})
    few = {"dataset": "random-response[nmu=2]"}
    coarse = write_run(tmp_path / "b", {"slack": lambda p, b: fast(p, b) / 10}, slack=few)
    question = (own.folder, coarse.folder, "--pixels", "4096x4096", "--bins", "34")
    assert answer(capsys, *question)["recommended"]["solver"] == "fast"
    assert answer(capsys, *question, "--dataset", few["dataset"])["recommended"]["solver"] == "slack"


def test_threads_are_told_apart_and_named_in_the_call(tmp_path, capsys):
    two = write_run(tmp_path / "run", {"baseline": slow, "quick[threads=2]": fast}, quick={"threads": 2}).folder
    chosen = answer(capsys, two, *ASK)["recommended"]
    assert (chosen["solver"], chosen["threads"], chosen["spec"]) == ("quick", 2, "quick[threads=2]")


@pytest.mark.parametrize(
    ("spec", "bare"),
    [
        ("numba", "numba"),
        ("numba[threads=2]", "numba"),
        ("dask[threads=2,inner=numba]", "dask[inner=numba]"),
        ("dask[inner=numba,threads=2]", "dask[inner=numba]"),
    ],
)
def test_threads_are_taken_out_of_names(spec, bare):
    assert evidence.without_threads(spec) == bare


def test_a_solver_that_crashed_or_ran_out_of_memory_below_is_not_recommended(tmp_path, capsys):
    for number, status in enumerate(("crashed", "out_of_memory")):
        ended = {"status": status, "reason": "so it did", "gate": "none"}
        run = write_run(tmp_path / f"a{number}", {"baseline": slow, "quick": fast}).folder
        late = write_run(tmp_path / f"b{number}", {"quick": fast}, (20_000,), (34,), quick=ended, created="2027").folder
        assert answer(capsys, run, late, *ASK)["recommended"]["solver"] == "baseline"


def test_the_decision_table_has_the_break_even_size(run, capsys):
    legs = answer(capsys, run, "--table")["table"]
    exact = [leg for leg in legs if leg["needs"] == "exact" and leg["bins"] == 34]
    assert [leg["solver"] for leg in exact] == ["baseline", "quick"]
    truth = 0.09 / (slow(1, 34) - 0.01) * 30 / 29
    assert exact[1]["from_pixels"] == pytest.approx(truth, rel=0.3)
    assert exact[1]["start_low"] <= truth <= exact[1]["start_high"]
    assert "overtakes" in asked(capsys, run, "--table")


def test_a_table_of_what_was_never_measured_is_one_line(run, capsys):
    with pytest.raises(SystemExit, match="2"):
        recommend.main([str(run), "--table", "--bins", "34,7"])
    assert "no solver's time can be predicted at 7 bins; measured are 34, 200" in capsys.readouterr().err


def device_run(folder, **columns):
    """Two solvers on the cores and two on a device, whose overhead is five times that of the faster of those."""
    laws = {"baseline": slow, "quick": fast, "gpu-exact": device, "gpu-rough": lambda p, b: 0.8 * device(p, b)}
    gpu = {"device": "gpu", "peak_device_mb": 900.0}
    columns = {"gpu-exact": gpu, "gpu-rough": gpu | OFF} | {n: gpu | more for n, more in columns.items()}
    return write_run(folder, laws, (200, 1000, 5000, 50_000), **columns).folder


def device(pixels, bins):
    """A hundred times cheaper per pixel than `fast`."""
    return 0.5 + (slow(pixels, bins) - 0.01) / 3000


def test_the_decision_table_says_from_how_many_pixels_a_device_wins(tmp_path, capsys):
    legs = answer(capsys, device_run(tmp_path / "run"), "--table")["table"]
    of = {
        (b, d, n): [x for x in legs if (x["bins"], x["device"], x["needs"]) == (b, d, n)]
        for b in (34, 200)
        for d in ("cpu", "any")
        for n in ("exact", "any")
    }
    assert sum(map(len, of.values())) == len(legs)
    for (_, where, needs), found in of.items():
        names = [leg["solver"] for leg in found]
        if where == "cpu":
            assert names == ["baseline", "quick"]
        else:
            assert names == ["baseline", "quick", "gpu-exact" if needs == "exact" else "gpu-rough"]
    for bins in (34, 200):
        turn = of[bins, "any", "exact"][-1]
        truth = 0.4 / ((slow(1, bins) - 0.01) * (1 / 30 - 1 / 3000))
        assert turn["from_pixels"] == pytest.approx(truth, rel=0.1)
        assert turn["start_low"] <= truth <= turn["start_high"]
    assert of[34, "any", "exact"][-1]["from_pixels"] > 5 * of[200, "any", "exact"][-1]["from_pixels"]


def test_a_device_that_fails_a_gate_or_is_not_asked_for_overtakes_nobody(tmp_path, capsys):
    failed = {"gate": "fail", "gate_reasons": "dem: off by 3"}
    folder = device_run(tmp_path / "run", **{"gpu-exact": failed, "gpu-rough": OFF | failed})
    legs = answer(capsys, folder, "--table")["table"]
    assert {leg["solver"] for leg in legs} == {"baseline", "quick"}
    folder = device_run(tmp_path / "good")
    assert {leg["solver"] for leg in answer(capsys, folder, "--table", "--device", "cpu")["table"]} <= {
        "baseline",
        "quick",
    }
    only = answer(capsys, folder, "--table", "--device", "gpu")["table"]
    assert {leg["solver"] for leg in only} == {"gpu-exact", "gpu-rough"}


def test_the_decision_tables_data_is_documented_and_without_gaps(run, capsys):
    legs = answer(capsys, run, "--table")["table"]
    told = (RESULTS.parent / "docs" / "recommend.md").read_text()
    described = told[told.index("With `--json`") :]
    assert all(f"`{name}`" in described[:600] for name in legs[0])
    for before, after in pairwise(legs):
        same = all(before[k] == after[k] for k in ("bins", "device", "needs"))
        assert (after["start_low"] is None) == (not same)
        assert not same or before["to_pixels"] == after["from_pixels"]


def test_check_predicts_a_run_held_out(tmp_path, run, capsys):
    held = write_run(tmp_path / "held", {"baseline": slow, "quick": fast}, (500, 3000), (34, 100), noise=0.02, seed=9)
    trials = answer(capsys, run, held.folder, "--check", held.folder)["trials"]
    assert len(trials) == 8
    assert max(abs(t["error"]) for t in trials) < 0.3
    wrong = write_run(tmp_path / "wrong", {"baseline": lambda p, b: 2 * slow(p, b)}, (500, 3000), (34,)).folder
    assert "✘" in asked(capsys, run, "--check", wrong, code=1)


def test_check_without_a_run_leaves_out_every_size_in_turn(run, capsys):
    trials = answer(capsys, run, "--check")["trials"]
    assert len(trials) == 12
    assert 1e-3 < max(abs(t["error"]) for t in trials) < 0.3


def test_memory_marks_of_the_harness_are_not_the_solvers(tmp_path):
    same = {"peak_rss_mb": 300.0}
    run = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, baseline=same, quick=same)
    assert evidence.gather([run.folder], MACHINE).table.peak_rss_mb.isna().all()


def test_what_is_missing_is_offered(run, capsys):
    text = asked(capsys, run, *ASK)
    assert "not measured" in text
    assert "numba" in text
    assert "--measure" in text


def test_measuring_runs_a_real_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(gaps, "MINUTE", 30.0)
    gap = gaps.Gap(("vectorized",), (20, 40), "no prediction")
    request = Request(1000, 12, "random-response", 1e5)
    runs = gaps.measure([gap], request, tmp_path, [sys.executable, "-m", "harness.sweep"])
    known = evidence.gather(runs, facts.machine())
    assert set(known.measured.solver) == {"vectorized"}
    assert best(advise(known, request)).solver == "vectorized"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--pixels", "4096xfoo", "--bins", "34"), "expected a map's size"),
        (("--pixels", "0", "--bins", "34"), "expected a map's size"),
        (("--pixels", "10", "--bins", "34", "--memory", "lots"), "expected memory such as 16GB"),
        (("--pixels", "10", "--bins", "34", "--memory", "0GB"), "expected memory such as 16GB"),
        (("--pixels", "10"), "expected --pixels and one number of --bins"),
        (("--pixels", "10", "--bins", "2"), "from 3 to 10000"),
        (("no/such/run", "--pixels", "10", "--bins", "34"), "is not a run"),
        (("--pixels", "10", "--bins", "34", "--dataset", "moon"), "no records of the workload 'moon'"),
    ],
)
def test_bad_input_is_one_line(arguments, says, run, capsys):
    if "no/such/run" not in arguments:
        arguments = (run, *arguments)
    with pytest.raises(SystemExit) as end:
        recommend.main([*map(str, arguments)])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_sizes_and_memory_as_people_write_them():
    assert recommend.pixels("4096x4096") == 4096**2
    assert recommend.pixels("1e6") == 10**6
    assert recommend.memory_mb("16GB") == pytest.approx(16e9 / 2**20)
    assert recommend.memory_mb("16GiB") == 16384


def test_sizes_between_the_reference_runs_own_are_predicted():
    """Every size that has smaller and larger ones, predicted by a law that was fitted without it."""
    folder = RESULTS / "reference"
    found = held_out.trials([folder], Run.open(folder).provenance["machine"], None)
    between = [trial for trial in found if trial.between]
    assert {trial.solver for trial in between} == set(Run.open(folder).table().solver)
    assert [(t.solver, t.pixels, t.bins, t.error) for t in between if not t.good] == []


@pytest.mark.skipif(not (RESULTS / "reference-heldout").exists(), reason="make heldout: not yet measured")
def test_the_committed_runs_predict_the_sizes_held_out(capsys):
    held = RESULTS / "reference-heldout"
    machines = [Run.open(folder).provenance["machine"] for folder in (RESULTS / "reference", held)]
    if machines[0].get("cpu_numbers") != machines[1].get("cpu_numbers"):
        pytest.skip("the sizes held out were measured on another processor than the reference runs: make heldout")
    asked(capsys, RESULTS / "reference", held, "--check", held, "--machine", machines[1]["id"])


def test_the_decision_table_has_where_a_device_overtakes_the_cores(tmp_path, capsys):
    """Not measured by anybody: a device thirty times as fast a pixel, with ten times the overhead."""
    device = {"device": "gpu", "peak_device_mb": 500.0}
    folder = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, quick=device).folder
    legs = [leg for leg in answer(capsys, folder, "--table")["table"] if leg["needs"] == "exact" and leg["bins"] == 34]
    assert {leg["solver"] for leg in legs if leg["device"] == "cpu"} == {"baseline"}
    both = [leg for leg in legs if leg["device"] == "any"]
    assert [leg["solver"] for leg in both] == ["baseline", "quick"]
    truth = 0.09 / (slow(1, 34) - 0.01) * 30 / 29
    assert both[1]["from_pixels"] == pytest.approx(truth, rel=0.3)


def test_records_of_another_workload_or_part_of_the_machine_are_left_out_and_changed_source_is_said(tmp_path):
    known = {"workload": specification.load("random-response").fingerprint, "source": "0"}

    def made(name, machine=MACHINE, **columns):
        laws = {"numba": fast, "mine": slow}
        return write_run(tmp_path / name, laws, pixels=(200,), bins=(34,), machine=machine, **columns).folder

    kept, edited = made("kept", numba=known, mine=known), made("edited", numba={"workload": "0"})
    pinned, other = made("pinned", MACHINE | {"affinity": "7"}), made("other", MACHINE | {"cpu_numbers": "another"})
    found = evidence.gather([kept, edited, pinned, other], MACHINE)
    assert f"{kept} (2026-01-01, commit abc; source changed since: numba)" in found.used
    assert found.left_out == [
        f"{edited}: its rows of random-response, which was edited since",
        f"{pinned}: measured with another part of the machine, cores 7, not {MACHINE['affinity']}",
        f"{other}: another machine, {MACHINE['id']} ({MACHINE['cpu']})",
    ]
    assert set(found.table.run_folder) == {str(kept)}


def test_rows_of_a_busy_machine_count_by_cpu_time_and_not_at_all_where_that_is_not_known(tmp_path, capsys):
    """Wall times ten times too long; the newest records of all, and an older, quiet run of one size."""
    truth = {
        "cpu_s": 0.7,
        "cpu_low_s": 0.69,
        "cpu_high_s": 0.71,
        "doubts": "busy machine: waited 900% longer for a core",
    }
    wall = {"doubts": truth["doubts"]}

    def ten_times(pixels, bins):
        return 10 * fast(pixels, bins)

    quiet = write_run(tmp_path / "quiet", {"quick": fast}, pixels=(200,), bins=(34,)).folder
    busy = write_run(
        tmp_path / "busy", {"quick": ten_times, "other": ten_times}, created="2026-02-02", quick=wall, other=truth
    )
    found = evidence.gather([quiet, busy.folder], MACHINE)
    times = found.table.set_index(["solver", "pixels", "bins"]).sort_index()
    assert (times.loc["other"].median_s == 0.7).all()
    assert (times.loc["other"].ci_low_s == 0.69).all()
    assert times.loc["quick", 200, 34].median_s == pytest.approx(fast(200, 34))
    assert times.loc["quick"].median_s.notna().sum() == 1
    assert found.left_out == [f"{busy.folder}: times of 6 rows, by the wall on a busy machine"]
    refused = {c["solver"]: c["refused"] for c in answer(capsys, quiet, busy.folder, *ASK)["candidates"]}
    assert refused == {
        "other": "",
        "quick": "measured at a single map size, which can't tell overhead from cost per pixel",
    }


def test_a_busy_machine_hides_no_failed_gate(tmp_path):
    wall = {"doubts": "busy machine: waited 900% longer for a core", "gate": "fail"}
    runs = [
        write_run(tmp_path / name, {"quick": fast}, pixels=(200,), bins=(34,), created=created, quick=columns).folder
        for name, created, columns in (("quiet", "2026-01-01", {}), ("busy", "2026-02-02", wall))
    ]
    assert list(evidence.gather(runs, MACHINE).table.gate) == ["fail"]


LIMITS = {
    "flops_per_s": {"core": {"best": 2.0}, "all": {"best": 4.0}},
    "divisions_per_s": {"core": {"best": 3.0}, "all": {"best": 6.0}},
    "copy_bytes_per_s": [
        {"bytes": 1, "core": {"best": 9.0}, "all": {"best": 9.0}},
        {"bytes": 2, "core": {"best": 5.0}},
    ],
}
HERE = {
    "flops_per_s": {"core": {"best": 1.0}},
    "divisions_per_s": {"core": {"best": 1.0}},
    "copy_bytes_per_s": [{"bytes": 2, "core": {"best": 1.0}}],
}


def test_another_machines_times_are_guessed_by_the_middle_ratio_of_limits(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(limits, "known", lambda: HERE)
    folder = write_run(tmp_path / "run", {"baseline": slow, "quick": fast}, machine=OTHER).folder
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"limits": LIMITS}))
    found = answer(capsys, "--from", folder, *ASK)
    assert found["machine"]["id"] == MACHINE["id"]
    assert found["recommended"]["time_s"]["value"] == pytest.approx(3 * fast(4096**2, 34), rel=0.2)
    text = asked(capsys, "--from", folder, *ASK)
    assert "a guess: times of another" in text
    assert "x 3.00" in text
    assert "a guess" in asked(capsys, "--from", folder, "--table")


def test_a_run_without_limits_says_nothing_of_another_machine(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(limits, "known", lambda: HERE)
    folder = write_run(tmp_path / "run", {"baseline": slow}, machine=OTHER).folder
    with pytest.raises(SystemExit):
        recommend.main(["--from", str(folder), *ASK])
    assert "kept its machine's limits" in capsys.readouterr().err


def test_from_goes_with_no_other_runs(run, capsys):
    with pytest.raises(SystemExit):
        recommend.main([str(run), "--from", str(run), *ASK])
    assert "--from takes one run" in capsys.readouterr().err


def test_long_times_are_said_in_hours(run, capsys):
    assert " h [" in asked(capsys, run, "--pixels", "1e11", "--bins", "34")


def test_a_gate_failed_with_some_threads_counts_with_others_that_were_not_judged_there(tmp_path, capsys):
    failed = {"gate": "fail", "gate_reasons": "DEM off"}
    one = write_run(tmp_path / "one", {"baseline": slow, "quick": fast}, quick={"dataset": "aia", **failed}).folder
    two = write_run(tmp_path / "two", {"baseline": slow, "quick[threads=2]": fast}, quick={"threads": 2})
    rows = answer(capsys, one, two.folder, *ASK)["candidates"]
    by_threads = {row["threads"]: row["refused"] for row in rows if row["solver"] == "quick"}
    assert "it wasn't measured there with another number of threads" in by_threads[1]
    assert "gate failed with 1 thread(s)" in by_threads[2]
    assert "with 2 it wasn't measured there" in by_threads[2]


def test_a_gate_that_some_threads_pass_and_others_fail_at_one_place_is_told_apart(tmp_path, capsys):
    failed = {"gate": "fail", "gate_reasons": "DEM off"}
    one = write_run(tmp_path / "one", {"baseline": slow, "quick": fast}, quick=failed).folder
    two = write_run(tmp_path / "two", {"baseline": slow, "quick[threads=2]": fast}, quick={"threads": 2})
    rows = answer(capsys, one, two.folder, *ASK)["candidates"]
    by_threads = {row["threads"]: row["refused"] for row in rows if row["solver"] == "quick"}
    assert "passed there with 2 thread(s)" in by_threads[1]
    assert by_threads[2] == ""
