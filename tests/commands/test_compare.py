"""Two runs side by side: faster, slower, worse, failed, undecided; and what can't be compared."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import records

from harness import compare, regression
from harness.judge import comparison
from harness.records.run import Run
from harness.records.schema import Cell
from harness.reports import matched, two_runs
from harness.show.markdown import MOST_CHARACTERS
from implementations import command_line as cli

T = records.fast(200, 34)
TAKEN = "the host took 40% of its time"


def timed(share, width=0.005, **more):
    """A row that takes so many times as long as the fast solver does, by its CPU time."""
    return {"cpu_s": share * T, "cpu_low_s": share * T * (1 - width), "cpu_high_s": share * T * (1 + width)} | more


def pair(tmp_path, a=(), b=(), baseline=(), **kwargs):
    """Two runs of the baseline and a fast solver; `baseline`: what is another in the second one's baseline."""
    slow = {"cpu_s": 1.0, "cpu_low_s": 0.995, "cpu_high_s": 1.005, "source": "1"}
    return [
        records.write_run(
            tmp_path / name,
            {"baseline": records.slow, "fast": records.fast},
            pixels=(200,),
            bins=(34,),
            baseline=slow | dict(baseline if name == "b" else ()),
            fast=timed(1.0) | dict(given),
            **kwargs,
        )
        for name, given in (("a", a), ("b", b))
    ]


def changes(runs, tolerance=0.05, **how):
    return {row.solver: row for row in two_runs.rows(*runs, lambda _: tolerance, **how)}


@pytest.mark.parametrize(("others", "decided"), [(0.2, True), (1.5, False)])
def test_a_wall_time_beside_others_work_is_undecided(tmp_path, others, decided):
    wall = dict.fromkeys(("cpu_s", "cpu_low_s", "cpu_high_s"), np.nan) | {"threads": 2}
    a, b = (wall | {"others_cores": each} for each in (0.1, 0.1 + others))
    b |= {name: 1.5 * value * T for name, value in (("median_s", 1), ("ci_low_s", 0.99), ("ci_high_s", 1.01))}
    verdict = changes(pair(tmp_path, a=a, b=b))["fast"].verdict
    assert verdict == "SLOWER" if decided else "others kept 1.5 cores more busy in B" in verdict
    unknown = changes(pair(tmp_path / "unknown", a=a | {"others_cores": np.nan}, b=b))["fast"].verdict
    assert unknown == "undecided: its clock is the wall, and whether others were at work during A isn't known"
    by_cpu = pair(tmp_path / "cpu", a={"others_cores": 0.0}, b=timed(1.5, others_cores=9.0))
    assert changes(by_cpu)["fast"].verdict == "SLOWER"


@pytest.mark.parametrize(
    ("changed", "verdict", "regression"),
    [
        ({}, "same", False),
        (timed(1.0, n=7), "same", False),
        (timed(1.25), "SLOWER", True),
        (timed(1.04), "slower", False),
        (timed(0.9), "faster", False),
        (timed(1.25, 0.3), "undecided", False),
        (timed(1.25, np.nan), "undecided: too few rounds", False),
        (timed(4.0, np.nan), "undecided: too few rounds", False),
        (timed(1000.0, np.nan), "SLOWER", True),
        (timed(0.1, np.nan), "faster", False),
        (timed(1.0, truth_dem_error=1.1), "WORSE, same", True),
        (timed(1.0, truth_dem_error=np.nan), "WORSE, same", True),
        (timed(1.25, truth_dem_error=1.1), "WORSE, SLOWER", True),
        (timed(1.0, peak_rss_mb=1700.0), "MORE MEMORY, same", True),
        (timed(1.0, peak_rss_mb=380.0), "same", False),
        (timed(1.0, leaves_out="edem elogt"), "WORSE, same", True),
        (timed(1.0, accuracy="approximate"), "WORSE, same", True),
        (timed(1.0, gate="fail", gate_reasons="dem off"), "GATE VIOLATED", True),
        (timed(1.0, gate="none"), "same (gate not judged any more)", False),
        ({"status": "crashed", "reason": "signal 9"}, "FAILED", True),
        ({"status": "skipped", "reason": "no device"}, "no result any more: skipped", False),
    ],
)
def test_what_changed_is_named(tmp_path, changed, verdict, regression):
    found = changes(pair(tmp_path, b=changed))
    assert (found["fast"].verdict, found["fast"].regression) == (verdict, regression)
    assert found["baseline"].verdict == "same"


def test_what_had_no_result_before_has_not_lost_one(tmp_path):
    a, b = {"status": "failed", "reason": "no luck"}, {"status": "skipped", "reason": "no device"}
    assert changes(pair(tmp_path, a=a, b=b))["fast"].verdict == "skipped"


def slowed(share, **more):
    return {"cpu_s": share, "cpu_low_s": 0.995 * share, "cpu_high_s": 1.005 * share} | more


DIFFERED = "undecided: the machine differed (the baseline took {:.2f} times as long in B)"
NO_INTERVAL = {"cpu_low_s": np.nan, "cpu_high_s": np.nan}


@pytest.mark.parametrize(
    ("fast", "baseline", "verdicts"),
    [
        (timed(1.5), slowed(1.5), (DIFFERED.format(1.5),) * 2),
        # a baseline that may have moved as far says that nothing is known, with an interval and without one
        (timed(1.15), {"cpu_s": 1.15, "cpu_low_s": 1.0, "cpu_high_s": 1.3}, ("undecided", "undecided")),
        (timed(3.0), slowed(3.0) | NO_INTERVAL, ("undecided", "undecided: too few rounds")),
        (timed(5.0), slowed(5.0) | NO_INTERVAL, (DIFFERED.format(5.0),) * 2),
        (timed(1.0), slowed(0.5, source="2"), ("same", "faster")),
        (timed(1.3), slowed(0.5, source="2"), ("SLOWER", "faster")),
        (timed(2.0, doubts="busy machine: waited"), {}, ("undecided: the machine was busy during B only", "same")),
    ],
)
def test_a_machine_that_differed_is_no_regression_and_neither_is_another_baseline(tmp_path, fast, baseline, verdicts):
    runs = pair(tmp_path, b=fast, baseline=baseline)
    found = changes(runs)
    assert (found["fast"].verdict, found["baseline"].verdict) == verdicts
    said = [note for note in two_runs.notes(*runs) if "the baseline changed" in note]
    assert bool(said) == ("source" in baseline)


def test_solvers_of_several_threads_are_not_judged_by_the_wall_of_a_busy_machine(tmp_path):
    busy = {"cpu_s": np.nan, "doubts": "busy machine: waited"}
    found = changes(pair(tmp_path, a=busy, b=busy | {"median_s": 2 * T, "ci_low_s": 1.9 * T, "ci_high_s": 2.1 * T}))
    assert found["fast"].verdict == "undecided: the machine was busy, and its clock is the wall"


@pytest.mark.parametrize(("a", "b", "where"), [("", TAKEN, "B"), (TAKEN, "", "A"), (TAKEN, TAKEN, "A and B")])
def test_a_wall_time_of_which_the_host_took_a_part_is_undecided(tmp_path, a, b, where):
    twice = {"cpu_s": np.nan, "median_s": 2 * T, "ci_low_s": 1.9 * T, "ci_high_s": 2.1 * T, "doubts": b}
    found = changes(pair(tmp_path, a={"cpu_s": np.nan, "doubts": a}, b=twice))
    assert found["fast"].verdict == f"undecided: its clock is the wall, and the host took a part of it in {where}"


def test_a_wall_time_on_other_cores_is_undecided_and_a_cpu_time_is_not(tmp_path):
    def on(name, cores, share, cpu):
        machine = records.MACHINE | {"affinity": cores}
        rows = {"cpu_s": np.nan} if cpu is None else timed(cpu)
        return records.write_run(
            tmp_path / name,
            {"fast": lambda p, b: share * records.fast(p, b)},
            pixels=(200,),
            bins=(34,),
            machine=machine,
            fast=rows,
        )

    wall = changes([on("a", "0,1", 1.0, None), on("b", "0", 1.9, None)])["fast"]
    assert wall.verdict.startswith("undecided: its clock is the wall, and A had another part of the machine: cores 0,1")
    assert changes([on("c", "0,1", 1.0, 1.0), on("d", "0", 1.9, 1.9)])["fast"].verdict == "SLOWER"


def test_wall_times_are_compared_where_no_cpu_time_is_known(tmp_path):
    def only(name, law):
        return records.write_run(tmp_path / name, {"fast": law}, pixels=(200,), bins=(34,))

    a, b = only("a", records.fast), only("b", lambda p, b: 1.3 * records.fast(p, b))
    row = next(two_runs.rows(a, b, lambda _: 0.05))
    assert (row.ratio.value, row.clock, row.verdict) == (pytest.approx(1.3), "wall", "SLOWER")
    apart = np.hypot(np.hypot(np.log(1 / 0.98), np.log(1.02)), np.log1p(two_runs.BETWEEN_RUNS))
    assert row.ratio.low == pytest.approx(1.3 / np.exp(apart))


def test_runs_that_scatter_are_told_apart_by_more(tmp_path):
    """Of rows whose source is the same; what all of them have in common, a slower machine, is of it."""
    logs = np.random.default_rng(1).normal(0, 0.05, 40)
    assert two_runs.scatter(logs) == pytest.approx(2.58 * 0.05, rel=0.35)
    assert two_runs.scatter(np.full(8, np.log(1.25))) == pytest.approx(0.25)
    assert two_runs.scatter(np.zeros(40)) == two_runs.BETWEEN_RUNS
    assert two_runs.scatter(logs[:3]) == two_runs.BETWEEN_RUNS


EVERY = {"baseline": records.slow} | {f"fast{i}": records.fast for i in range(8)}


SOFTWARE = {"numba": "1", "cupy-cuda12x": "1", "matplotlib": "1"}


def moved(tmp_path, share, baseline=1.0, software=(), **more):
    """Two runs of a baseline and eight solvers of one source; these take `share` times as long in the second one."""

    def run(name, share, baseline, more, software=()):
        shares = {solver: baseline if solver == "baseline" else share for solver in EVERY}
        columns = {solver: slowed(s * T, median_s=s * T, source="1") | dict(more) for solver, s in shares.items()}
        made = records.write_run(tmp_path / name, EVERY, pixels=(200,), bins=(34,), **columns)
        made.provenance["software"] = SOFTWARE | dict(software)
        return made

    of_both = {name: more[name] for name in ("device",) if name in more}
    return run("a", 1.0, 1.0, of_both), run("b", share, baseline, more, software)


def test_only_rows_that_can_tell_of_the_machine_do(tmp_path):
    assert two_runs.of_the_machine(*moved(tmp_path, 1.25, 1.25)) == pytest.approx(np.full(9, np.log(1.25)))
    assert two_runs.of_the_machine(*moved(tmp_path / "source", 1.25, source="2")).size == 0
    assert two_runs.of_the_machine(*moved(tmp_path / "unknown", 1.25, source="")).size == 0, "may be the code's"
    beside = {"cpu_s": np.nan, "others_cores": 1.5}
    assert two_runs.of_the_machine(*moved(tmp_path / "load", 1.25, **beside)).size == 0, "is no lasting difference"
    numba = two_runs.of_the_machine(*moved(tmp_path / "numba", 1.25, software={"numba": "2"}))
    assert numba == pytest.approx([0.0]), "may be Numba's, but for the baseline's"
    for name, value in (("matplotlib", "2"), ("cupy-cuda12x", "2"), ("numba", "none")):
        told = two_runs.of_the_machine(*moved(tmp_path / f"{name}{value}", 1.25, software={name: value}))
        assert told.size == 9, "of no solver here, or not known"
    cupy = moved(tmp_path / "gpu", 1.25, software={"cupy-cuda12x": "2"}, device="gpu")
    assert two_runs.of_the_machine(*cupy).size == 0
    throttled = moved(tmp_path / "throttled", 2.5, device="gpu")
    assert two_runs.of_the_machine(*throttled).size == 9, "of a device's clock the baseline knows nothing"
    rough = {"cpu_low_s": np.nan, "cpu_high_s": np.nan}
    assert two_runs.of_the_machine(*moved(tmp_path / "rough", 2.5, **rough)).size == 9, "nor one of few rounds"
    assert two_runs.of_the_machine(*moved(tmp_path / "far", 2.5)) == pytest.approx([0.0]), "no machine does that"
    assert two_runs.of_the_machine(*moved(tmp_path / "all", 2.5, 2.5)).size == 9, "unless to the baseline too"


@pytest.mark.parametrize(
    ("share", "baseline", "software", "verdict"),
    [
        (10.0, 1.0, (), "SLOWER"),
        (1.3, 1.0, {"numba": "2"}, "SLOWER"),
        (1.3, 1.3, {"numba": "2"}, "undecided"),
        (10.0, 1.25, (), "SLOWER"),
        (1.3, 1.0, (), "undecided"),
        (2.5, 2.5, (), "undecided"),
    ],
)
def test_all_solvers_but_the_baseline_are_slower_by_more_than_a_machine_makes(
    tmp_path, share, baseline, software, verdict
):
    found = changes(moved(tmp_path, share, baseline, software))
    assert {row.verdict.partition(":")[0] for name, row in found.items() if name != "baseline"} == {verdict}
    assert found["baseline"].verdict.partition(":")[0] == ("same" if baseline == 1.0 else "undecided")


def test_a_machine_that_all_rows_show_to_differ_is_said_to(tmp_path):
    """Where the baseline alone is too uncertain to say so, a solver that is surely timed must not be called faster."""
    solvers = {"baseline": records.slow} | {f"fast{i}": records.fast for i in range(9)}

    def run(name, share):
        changed = {solver: slowed(share * T, median_s=share * T, source="1") for solver in solvers}
        return records.write_run(tmp_path / name, solvers, pixels=(200,), bins=(34,), **changed)

    runs = run("a", 1.0), run("b", 0.75)
    assert {row.verdict.partition(":")[0] for row in two_runs.rows(*runs, lambda _: 0.05)} <= {"undecided"}
    assert "rows of the same source took 0.75 times as long in B, in the middle of all" in two_runs.notes(*runs)


def test_rows_of_other_options_are_other_rows(tmp_path):
    """What has no options in its record has the workload's own."""
    made = {
        name: records.write_run(tmp_path / name, {"fast": records.fast}, pixels=(200,), bins=(34,), fast=given)
        for name, given in (("own", {}), ("b", {"dataset": "random-response[nmu=500]"}))
    }
    said = r"have no row in common: dataset random-response in A, random-response\[nmu=500\] in B"
    with pytest.raises(ValueError, match=said):
        list(two_runs.rows(made["own"], made["b"], lambda _: 0.05))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"threads": 2}, "threads 1 in A, 2 in B"),
        ({"pixels": 500, "bins": 100}, "bins 34 in A, 100 in B; pixels 200 in A, 500 in B"),
        ({"workload": "2"}, "the workload was edited in between, random-response"),
    ],
)
def test_runs_of_nothing_in_common_say_what_sets_them_apart(tmp_path, given, said):
    sizes = {name: (given.pop(name, usual),) for name, usual in (("pixels", 200), ("bins", 34))}
    a = records.write_run(tmp_path / "a", {"fast": records.fast}, (200,), (34,), fast={"workload": "1"})
    b = records.write_run(tmp_path / "b", {"fast": records.fast}, **sizes, fast={"workload": "1"} | given)
    with pytest.raises(ValueError, match=f"have no row in common: {said}"):
        list(two_runs.rows(a, b, lambda _: 0.05))


def test_a_row_of_other_threads_was_not_asked_for(tmp_path):
    a, b = pair(tmp_path, b={"threads": 2})
    b.provenance["grid"] |= {"datasets": ["random-response"], "pixels": [200], "bins": [34], "threads": 2}
    rows = list(two_runs.rows(a, b, lambda _: 0.05))
    assert {(row.solver, row.row["threads"], row.verdict) for row in rows} >= {("fast", 1, "removed")}


def test_rows_that_came_and_went_are_listed(tmp_path):
    a = records.write_run(tmp_path / "a", {"baseline": records.slow, "old": records.fast}, pixels=(200,), bins=(34,))
    b = records.write_run(tmp_path / "b", {"baseline": records.slow, "new": records.fast}, pixels=(200,), bins=(34,))
    found = changes((a, b))
    assert {name: row.verdict for name, row in found.items()} == {"baseline": "same", "old": "removed", "new": "new"}
    shown = compare.markdown(list(found.values()))
    assert "| removed | `old` |" in shown
    assert "| new | `new` |" in shown


@pytest.mark.parametrize(("harmed", "verdict"), [("a", "A"), ("b", "B")])
@pytest.mark.parametrize("gone", [False, True])
def test_a_record_that_cannot_be_used_is_neither_new_nor_removed(tmp_path, harmed, verdict, gone):
    a, b = pair(tmp_path)
    path = {"a": a, "b": b}[harmed].path(Cell("random-response", 200, 34, 1), "fast")
    path.rename(path.with_suffix(".damaged")) if gone else path.write_text("{")
    found = changes([Run.open(run.folder) for run in (a, b)])
    assert found["fast"].verdict == f"undecided: its record in {verdict} can't be used"
    assert not found["fast"].regression


@pytest.mark.parametrize("b", [{"status": "failed", "reason": "x"}, {"gate": "fail", "gate_reasons": "dem off"}])
def test_where_the_earlier_record_cannot_be_used_nothing_is_blamed(tmp_path, b):
    runs = pair(tmp_path, a=b, b=b)
    runs[0].path(Cell("random-response", 200, 34, 1), "fast").write_text("{")
    found = changes([Run.open(run.folder) for run in runs])["fast"]
    assert found.verdict == "undecided: its record in A can't be used"
    assert not found.regression


def test_a_row_that_a_run_has_not_reached_is_not_removed(tmp_path):
    a, b = pair(tmp_path)
    path = b.folder / "run.json"
    facts = json.loads(path.read_text())
    facts["grid"] |= {"datasets": ["random-response"], "pixels": [200], "bins": [34]}
    path.write_text(json.dumps(facts))
    b.path(Cell("random-response", 200, 34, 1), "fast").unlink()
    verdict = changes([Run.open(run.folder) for run in (a, b)])["fast"].verdict
    assert verdict == "undecided: B isn't finished, and has no record of it yet"


def test_a_copy_of_a_run_is_the_same_whatever_is_in_it(tmp_path):
    a, _ = pair(tmp_path, a={"gate": "fail", "cpu_low_s": np.nan, "n": 1})
    a.add(
        Cell("random-response", 200, 34, 2),
        "fast",
        records.row("fast", records.fast, 200, 34, np.random.default_rng(1), 0.0, {})
        | {"seed": 2, "status": "crashed", "reason": "signal 9", "gate": "none"},
        {"turns": {}},
    )
    shutil.copytree(a.folder, tmp_path / "copy")
    assert {row.verdict for row in two_runs.rows(a, Run.open(tmp_path / "copy"), lambda _: 0.05)} == {"same"}


@pytest.mark.parametrize("option", ["--solvers", "--dataset"])
@pytest.mark.parametrize("given", ["", ",", " "])
def test_an_empty_filter_means_neither_all_nor_none(tmp_path, capsys, option, given):
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(tmp_path), str(tmp_path), option, given])
    assert "expected names separated by commas, got none" in capsys.readouterr().err


def test_what_is_in_a_cell_of_a_table_stays_in_it(tmp_path):
    reason = {"status": "failed", "reason": "expected float | None\nof x"}
    found = changes(pair(tmp_path, b=reason))
    assert r"| `expected float \| None of x` |" in compare.markdown(list(found.values()))


def test_a_reason_is_no_markup_and_leaves_room_for_others(tmp_path):
    reason = {"status": "failed", "reason": "<b>`@jit` " + "x" * 70_000}
    found = changes(pair(tmp_path, b=reason))
    shown = compare.markdown(list(found.values()), every=True)
    assert "| `<b>'@jit' xxx" in shown
    assert "| same | `baseline` |" in shown
    assert len(shown) < 1500


@pytest.mark.parametrize("command", [compare, regression])
def test_markdown_or_json(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["a", "b", "--json", "--markdown"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_tolerances_are_per_solver_and_cell():
    of = comparison.tolerances(["0.1", "fast=0.2", "dask[inner=numba]@200x34=0.3"])
    rows = [
        {"solver": s, "pixels": p, "bins": 34}
        for s, p in (("x", 1), ("fast", 1), ("dask[inner=numba]", 200), ("dask[inner=numba]", 1))
    ]
    assert [of(row) for row in rows] == [0.1, 0.2, 0.3, 0.1]
    for word in ("1.5", "fast=", "fast=x", "-1"):
        with pytest.raises(ValueError, match="--tolerance must be a share"):
            comparison.tolerances([word])
    comparison.check_tolerances(["0.1", "fast=0.2", "dask[inner=numba]@200x34=0.3"], rows)
    for word, name in (("fats=0.2", "fats; nearest: fast"), ("fast@1x35=0.2", "fast@1x35; nearest: fast@1x34")):
        with pytest.raises(ValueError, match=f"--tolerance: no row is of {re.escape(name)}"):
            comparison.check_tolerances([word], rows)


def test_rows_are_chosen_and_all_is_data(tmp_path, capsys):
    a, b = (str(run.folder) for run in pair(tmp_path, b=timed(1.25)))
    assert compare.main([a, b, "--solvers", "baseline"]) == cli.OK
    assert "1 rows: 1 same" in capsys.readouterr().out
    assert compare.main([a, b, "--solvers", "fast", "--pixels", "200", "--json"]) == cli.GATE_FAILED
    data = json.loads(capsys.readouterr().out)
    (row,) = data["rows"]
    assert (row["solver"], row["verdict"], row["clock"], row["regression"]) == ("fast", "SLOWER", "CPU", True)
    assert row["ratio"]["value"] == pytest.approx(1.25)
    assert compare.main([a, b, "--tolerance", "fast=0.5", "--markdown"]) == cli.OK
    assert "| slower | `fast` |" in capsys.readouterr().out
    assert compare.main([a, b, "--json", "--all"]) == cli.GATE_FAILED
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 2
    with pytest.raises(SystemExit):
        compare.main([a, b, "--tolerance", "fats=0.5"])
    assert "--tolerance: no row is of fats; nearest: fast" in capsys.readouterr().err
    for asked, said in (
        (["--solvers", "fast,none"], "no row's solver is none; there are: baseline, fast"),
        (["--bins", "34,35"], "no row's bins is 35; there are: 34"),
        (["--dataset", "random-response,moon"], "no row's dataset is moon; there are: random-response"),
    ):
        with pytest.raises(SystemExit):
            compare.main([a, b, *asked])
        assert said in capsys.readouterr().err


def test_what_prints_fits_a_comment(tmp_path):
    (row,) = [row for row in changes(pair(tmp_path, b=timed(1.25))).values() if row.solver == "fast"]
    shown = compare.markdown([row] * 2000)
    assert 60_000 < len(shown) <= MOST_CHARACTERS
    assert re.search(r"\n\d+ further rows have no room here", shown)
    assert shown.endswith("2000 rows: 2000 SLOWER")


def test_the_command_prints_markdown_and_exits_by_the_verdict(tmp_path):
    pair(tmp_path, b=timed(2.0))
    done = subprocess.run(
        [sys.executable, "-m", "harness.compare", tmp_path / "a", tmp_path / "b", "--markdown"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == cli.GATE_FAILED, done.stderr
    assert "| ✘ SLOWER | `fast` | random-response | 200 x 34 |" in done.stdout
    assert "2.000 [" in done.stdout
    assert "2 rows: 1 " in done.stdout
    widths = {line.count("|") for line in done.stdout.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    same = subprocess.run(
        [sys.executable, "-m", "harness.compare", tmp_path / "a", tmp_path / "a"], capture_output=True
    )
    assert same.returncode == cli.OK


def test_on_a_terminal_it_is_a_table_and_markdown_is_asked_for(tmp_path, capsys, monkeypatch):
    a, b = (str(run.folder) for run in pair(tmp_path, b=timed(2.0)))
    shown = {}
    for width in (60, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        assert compare.main([a, b]) == cli.GATE_FAILED
        shown[width] = capsys.readouterr().out
        assert "|" not in shown[width]
        rows = [line for line in shown[width].splitlines() if line.startswith(("verdict", "✘ SLOWER"))]
        assert len(rows) == 2
        assert max(map(len, rows)) <= width
        assert shown[width].splitlines()[-1].startswith("2 rows: ")
    assert "memory B / A" in shown[160]
    assert "no room for: " in shown[60]
    assert "memory B / A" in shown[60].split("no room for: ")[1]


def test_why_a_row_is_undecided_stands_below_the_table(tmp_path, capsys):
    runs = pair(tmp_path, b=timed(2.0, doubts="busy machine: waited"))
    assert compare.main([str(run.folder) for run in runs]) == cli.OK
    assert "fast at 200 x 34: the machine was busy during B only; B: busy machine: waited" in capsys.readouterr().out


def test_doubts_stand_beside_a_verdict(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    runs = [str(run.folder) for run in pair(tmp_path, a={"doubts": "drifts: 3%"}, b=timed(2.0))]
    assert compare.main(runs) == cli.GATE_FAILED
    shown = capsys.readouterr().out
    assert "fast at 200 x 34: A: drifts: 3%" in shown
    assert re.search(r" \d+ [mµ]s\? ", shown), shown
    assert compare.main([*runs, "--markdown"]) == cli.GATE_FAILED
    assert "| `A: drifts: 3%` |" in capsys.readouterr().out


def test_what_a_solver_is_now_is_noted(tmp_path):
    was, now = {"method": "demreg", "device": "cpu"}, {"method": "xrt", "device": "gpu", "accuracy": "approximate"}
    runs = pair(tmp_path, a=was, b=timed(1.0, **now))
    assert {note for note in two_runs.notes(*runs) if "differs" in note} == {
        "method differs: fast (demreg, then xrt)",
        "device differs: fast (cpu, then gpu)",
        "accuracy differs: fast (exact, then approximate)",
    }
    assert changes(runs)["fast"].reason == "it was exact, and is approximate now"


def test_records_that_neither_run_can_use_are_said(tmp_path, capsys):
    runs = pair(tmp_path)
    for run in runs:
        run.path(Cell("random-response", 200, 34, 1), "fast").write_text("{")
    folders = [str(run.folder) for run in runs]
    for form in ("--markdown", "--json"):
        compare.main([*folders, form])
        assert "that can't be used: random-response-p200-b34-s1--fast.json" in capsys.readouterr().out


def of_one_cell(tmp_path, share, baseline, **interval):
    """Two runs of four unchanged solvers and a baseline in five cells, of which one took so many times as long."""
    names = {"baseline": records.slow} | {f"fast{i}": records.fast for i in range(4)}
    steady = {"cpu_s": 1.0, "cpu_low_s": 0.999, "cpu_high_s": 1.001, "source": "1"}

    def run(name, own, base):
        made = records.write_run(tmp_path / name, names, (1, 2, 3, 4), (34,), **dict.fromkeys(names, steady))
        rng = np.random.default_rng(1)
        for solver, law in names.items():
            times = base | interval if solver == "baseline" else own
            row = records.row(solver, law, 5, 34, rng, 0.0, {solver: steady | times})
            made.add(Cell("random-response", 5, 34, 1), solver, row, {"turns": {}})
        return made

    return run("a", slowed(1.0), slowed(1.0)), run("b", slowed(share), slowed(baseline))


@pytest.mark.parametrize("share", [1.15, 1.6, 3.0, 0.7])
@pytest.mark.parametrize("wide", [NO_INTERVAL, {"cpu_low_s": 0.1, "cpu_high_s": 10.0}], ids=["few", "wide"])
def test_a_cell_in_which_the_baseline_moved_as_far_is_undecided_however_many_others_agree(tmp_path, share, wide):
    found = list(two_runs.rows(*of_one_cell(tmp_path, share, share, **wide), lambda _: 0.05))
    assert {row.verdict.partition(":")[0] for row in found if row.row["pixels"] == 5} == {"undecided"}
    assert {row.verdict for row in found if row.row["pixels"] != 5} == {"same"}


def test_what_no_machine_makes_is_judged_where_the_machine_differed(tmp_path):
    runs = pair(tmp_path, b=timed(100.0), baseline=slowed(1.25))
    assert changes(runs)["fast"].verdict == "SLOWER"
    busy = {"doubts": "busy machine: waited"}
    for share, verdict in ((3.0, "undecided"), (10.0, "SLOWER"), (0.1, "faster")):
        found = changes(pair(tmp_path / str(share), b=timed(share, **busy)))["fast"]
        assert found.verdict.partition(":")[0] == verdict
    device = pair(tmp_path / "gpu", a={"device": "gpu"}, b=timed(3.0, device="gpu"), baseline=slowed(1.25))
    assert changes(device)["fast"].verdict.partition(":")[0] == "undecided"


def test_a_row_of_another_seed_was_not_asked_for(tmp_path):
    """Where the grid names none, each workload has its own."""
    a, b = pair(tmp_path, b={"gate": "fail", "gate_reasons": "dem off"})
    a.provenance["grid"] |= {"datasets": ["random-response"], "pixels": [200], "bins": [34], "seed": None}
    other = records.row("fast", records.fast, 200, 34, np.random.default_rng(1), 0.0, {}) | {"seed": 2, "gate": "fail"}
    b.add(Cell("random-response", 200, 34, 2), "fast", other, {"turns": {}})
    (found,) = [row for row in two_runs.rows(a, b, lambda _: 0.05) if row.row["seed"] == 2]
    assert found.verdict == "GATE VIOLATED"


def test_a_devices_memory_counts_too(tmp_path):
    runs = pair(tmp_path, a={"peak_device_mb": 100.0}, b=timed(1.0, peak_device_mb=2000.0))
    assert changes(runs)["fast"].verdict == "MORE MEMORY, same"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"leaves_out": "edem"}, "doesn't give edem any more"),
        ({"truth_dem_error": np.nan}, "the DEM's error isn't known any more"),
        (
            {"accuracy": "approximate", "gate": "fail", "gate_reasons": "off"},
            "off; it was exact, and is approximate now",
        ),
    ],
)
def test_what_is_worse_is_said(tmp_path, changed, reason):
    assert changes(pair(tmp_path, b=timed(1.0, **changed)))["fast"].reason == reason


def test_rows_of_one_solver_are_told_apart(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    runs = []
    for name in "ab":
        run = records.write_run(tmp_path / name, {"fast": records.fast}, (200,), (34,), fast=timed(1.0))
        rng = np.random.default_rng(1)
        for seed, dataset in ((2, "random-response"), (1, "aia")):
            made = records.row("fast", records.fast, 200, 34, rng, 0.0, {"fast": timed(1.0 if name == "a" else 2.0)})
            run.add(Cell(dataset, 200, 34, seed), "fast", made | {"seed": seed, "dataset": dataset}, {"turns": {}})
        runs.append(str(run.folder))
    assert compare.main([*runs, "--all"]) == cli.GATE_FAILED
    shown = capsys.readouterr().out
    assert "seed 2" in shown
    assert "aia" in shown
    compare.main([*runs, "--markdown"])
    assert "`fast`, seed 2" in capsys.readouterr().out


def test_rows_whose_workload_was_edited_are_there(tmp_path, capsys):
    runs = pair(tmp_path, a={"workload": "1"}, b={"workload": "2"})
    with pytest.raises(SystemExit, match="2"):
        compare.main([*(str(run.folder) for run in runs), "--solvers", "fast"])
    assert "the workload was edited in between, random-response" in capsys.readouterr().err


def test_verdicts_are_counted_by_what_they_are(tmp_path):
    found = [changes(pair(tmp_path / str(f), b=timed(f), baseline=slowed(f)))["fast"] for f in (1.2, 1.3)]
    assert compare.summary(found) == "2 rows: 2 undecided"
    worse = changes(pair(tmp_path / "worse", b=timed(1.0, truth_dem_error=2.0)))["fast"]
    assert compare.summary([*found, worse]) == "3 rows: 2 undecided; 1 WORSE, same"


def test_many_names_are_some_of_them(tmp_path):
    assert matched.some(["a", "b", "a"]) == "a, b"
    assert matched.some(range(25)) == ", ".join(map(str, range(20))) + " and 5 more"


def test_a_grid_that_is_none_says_of_which_run(tmp_path, capsys):
    a, b = pair(tmp_path)
    facts = json.loads((b.folder / "run.json").read_text())
    facts["grid"]["repeats"] = "many"
    (b.folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(a.folder), str(b.folder)])
    assert f"{b.folder}: the grid of a run holds something else than a sweep writes" in capsys.readouterr().err


def test_what_the_figures_may_come_from_is_noted(tmp_path, capsys):
    known = {"workload": "1", "source": "1", "commit": "other"}
    machine = records.MACHINE | {"affinity": "0"}
    runs = pair(tmp_path, a=known, b=known | {"workload": "2", "source": "2"}, machine=machine)
    facts = json.loads((runs[1].folder / "run.json").read_text())
    facts |= {"machine": machine | {"affinity": "0,1"}, "software": {"numpy": "9", "cupy-cuda13x": "13"}}
    (runs[1].folder / "run.json").write_text(json.dumps(facts))
    facts |= {"machine": machine, "software": {"numpy": "8"}}
    (runs[0].folder / "run.json").write_text(json.dumps(facts))
    assert compare.main([str(run.folder) for run in runs]) == cli.OK
    shown = capsys.readouterr().out
    assert "note: A had another part of the machine than B: cores 0, not 0,1" in shown
    assert "note: other versions in A: cupy-cuda13x none, not 13, numpy 8, not 9" in shown
    assert "note: 1 rows are not compared: the workload was edited in between, random-response" in shown
    assert "note: source differs: fast" in shown
    assert shown.count("are of other commits: other") == 2
    assert "1 rows: 1 same" in shown, "the baseline's, which says nothing of its source"


def test_processors_of_one_name_that_differ_are_not_compared(tmp_path):
    a, b = pair(tmp_path)
    b.provenance["machine"] = records.MACHINE | {"cpu_numbers": "another"}
    with pytest.raises(ValueError, match="different machines"):
        list(two_runs.rows(a, b, lambda _: 0.05))


@pytest.mark.parametrize("what", ["machine", "cells", "nothing"])
def test_what_cannot_be_compared_is_one_line(tmp_path, what, capsys):
    records.write_run(tmp_path / "a", {"fast": records.fast})
    if what != "nothing":
        machine = records.MACHINE | {"id": "another"} if what == "machine" else records.MACHINE
        records.write_run(
            tmp_path / "b", {"fast": records.fast}, bins=(34,) if what == "machine" else (77,), machine=machine
        )
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(tmp_path / "a"), str(tmp_path / "b")])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert {"machine": "different machines", "cells": "in common", "nothing": "is not a run"}[what] in message
