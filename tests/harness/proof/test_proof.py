"""What is planted is what is said, and verdicts on it are counted, kept and judged as they should be."""

import json
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import psutil
import pytest
from problems import problem
from solvers import create

from harness import selfcheck, soak
from harness.machine import facts
from harness.proof import processes, rates, trials
from harness.proof.planted import Off, Repeats, Work
from harness.upkeep import estimators
from implementations import command_line as cli

HERE = f"{facts.machine()['id']} {facts.machine()['cpu_numbers']}".strip()
ROW = {"kind": "arrays, 0.2 ms", "burners": 0, "commit": "abc", "seed": 1, "machine": HERE}


def trial(command="sweep", more=0.0, seen=False, ratio=1.0, **how):
    return ROW | {"command": command, "more": more, "seen": seen, "ratio": ratio, "low": ratio, "high": ratio} | how


@pytest.mark.parametrize("kind", ["interpreted", "calls", "arrays", "memory"])
def test_planted_work_is_a_share_of_the_units(kind, monkeypatch):
    counts = []
    given = problem(5, 12)
    for more in (0.0, 0.02, 0.05, 0.1, 0.2):
        solver = Work(kind, 100, more)
        monkeypatch.setattr(solver, f"_{kind}", counts.append)
        solver.run(given)
    assert counts == [100, 102, 105, 110, 120]
    Work(kind, 3).run(given).check(given)
    with pytest.raises(ValueError, match=r"a whole number, got 50 \* 1.05"):
        Work(kind, 50, 0.05)


@pytest.mark.parametrize("kind", trials.KINDS)
@pytest.mark.parametrize("more", selfcheck.FULL)
def test_every_slowness_is_a_whole_number_of_units_or_pixels(kind, more):
    spec = trials.spec_of(kind, more)
    options = dict(word.split("=") for word in spec.partition("[")[2].rstrip("]").split(","))
    count = float(options.get("units", trials.KINDS[kind][1]))
    assert float(options["more"]) == more
    assert count * (1 + more) == pytest.approx(round(count * (1 + more)), abs=1e-9)


def test_a_real_solver_repeats_a_share_of_its_pixels_and_is_right():
    given = problem(40, 12)
    expected, got = create("batched").run(given), Repeats("batched", 0.25)
    state = got.prepare(given)
    home = got.collect(state, got.solve(state))
    for name, values in vars(expected).items():
        np.testing.assert_allclose(getattr(home, name), values, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("output", ["", *trials.OUTPUTS])
def test_a_planted_fault_is_in_one_output(output):
    given = problem(10, 12)
    expected, got = create("batched").run(given), Off("batched", output).run(given)
    off = [
        name
        for name, values in vars(expected).items()
        if not np.array_equal(values, getattr(got, name), equal_nan=True)
    ]
    assert off == ([output] if output else [])


def test_rates_have_intervals_and_aims_are_missed_only_surely():
    found = [trial(seen=place < 3) for place in range(300)] + [trial(more=0.1, seen=True, ratio=1.1)] * 300
    found += [trial("regression", seen=place < 30) for place in range(300)] + [trial("gates", kind="dem", more=1e-6)]
    found += [trial(kind=trials.REPORTED[0], seen=True)] * 50
    frame = rates.table(found)
    table = {(row.command, row.more): row for row in frame.itertuples()}
    assert (table["sweep", 0.0].n, table["sweep", 0.0].seen) == (300, 3), "those that are only reported don't count"
    assert table["sweep", 0.0].low == pytest.approx(0.00207, abs=1e-4)
    assert table["sweep", 0.0].high == pytest.approx(0.0289, abs=1e-4)
    assert [key for key, row in table.items() if rates.missed(row)] == [("regression", 0.0), ("gates", 1e-6)]
    shown = rates.as_markdown(frame)
    assert "| as it was | sweep | nothing (false alarms) | 300 | 3 | 1.0% [0.2%, 2.9%] | +0.0% | at most 1% |" in shown
    assert "| as it was | sweep | 10% | 300 | 300 | 100.0% [98.8%, 100.0%] | +10.0% | at least 99% |" in shown
    assert shown.count("✘") == 2
    figure = rates.picture(frame, "here; commit abc")
    assert " ".join(figure.get_supxlabel().split()) == "lines: 95% intervals of 300 verdicts; here; commit abc"
    plt.close(figure)


def test_compare_reads_two_runs_of_a_solver(monkeypatch):
    row = dict.fromkeys(("ci_low_s", "ci_high_s", "median_s", "truth_dem_error"), 1.0) | {"solver": "x", "status": "ok"}
    row |= {
        "doubts": "",
        "source": "1",
        "device": "cpu",
        "gate": "pass",
        "cpu_s": 1.0,
        "cpu_low_s": 0.999,
        "cpu_high_s": 1.001,
    }
    slow = row | {name: 1.1 * row[name] for name in ("cpu_s", "cpu_low_s", "cpu_high_s")}
    same, slower = trials.compare("arrays, 0.2 ms", (0.0, 0.1), [row], [row, row, slow])
    assert (same["seen"], slower["seen"], slower["ratio"]) == (False, True, 1.1)
    (nothing,) = trials.compare("arrays, 0.2 ms", (0.1,), [row], [slow, slow])
    assert (nothing["seen"], "the machine differed" in nothing["doubt"]) == (False, True)


def test_full_goes_on_where_it_ended(tmp_path, monkeypatch, capsys):
    """Two verdicts on equal solvers for each command and load are asked for."""
    asked = []

    def cell(command, kind, slow, count, seed, earlier):
        asked.append((command, kind, count))
        for more in (0.0, slow):
            yield trial(command, more, seen=more > 0, ratio=1 + more, kind=kind, burners=count, seed=seed)
            if command == "sweep":
                yield trial("compare", more, seen=more > 0, ratio=1 + more, kind=kind, burners=count, seed=seed)

    monkeypatch.setattr(selfcheck, "_cell", cell)
    call = ["--full", "--cells", "2", "--out", str(tmp_path)]
    assert selfcheck.main([*call, "--minutes", "1e-9"]) == cli.OK
    assert len(asked) == 1
    assert selfcheck.main(call) == cli.OK
    kept = [json.loads(line) for line in (tmp_path / selfcheck.KEPT).read_text().splitlines() if line]
    assert {(t["command"], t["burners"]) for t in kept} >= {(c, n) for c in trials.COMMANDS for n in selfcheck.LOADS}
    before = len(asked)
    with (tmp_path / selfcheck.KEPT).open("a") as file:
        file.write('{"cut sho')
    assert selfcheck.main(call) == cli.OK
    assert len(asked) == before, "all is there"
    assert "reported only: sweep, calls, 10 s" in capsys.readouterr().out


def test_verdicts_that_are_none_of_this_machines_are_refused(tmp_path, capsys):
    kept = tmp_path / selfcheck.KEPT
    for text, said in (
        (json.dumps(trial() | {"machine": "another"}), "has verdicts of another machine, another"),
        (json.dumps(trial() | {"machine": f"{HERE}0"}), f"has verdicts of another machine, {HERE}0"),
        ("5\n[1]\n", "has no verdicts"),
        ("", "has no verdicts"),
    ):
        kept.write_text(text)
        with pytest.raises(SystemExit, match="2"):
            selfcheck.main(["--readme", "--out", str(tmp_path)])
        assert said in capsys.readouterr().err
    kept.write_bytes(b"\xff")
    with pytest.raises(SystemExit, match="2"):
        selfcheck.main(["--full", "--out", str(tmp_path)])
    assert "can't be read" in capsys.readouterr().err
    for command in (selfcheck, soak):
        with pytest.raises(SystemExit, match="2"):
            command.main(["--minutes", "nan"])
        assert "--minutes must be > 0, got nan" in capsys.readouterr().err
    for cells in (["--full", "--cells", "0"], ["--full", "--cells", "-1"], ["--cells", "5"]):
        with pytest.raises(SystemExit, match="2"):
            selfcheck.main([*cells, "--out", str(tmp_path)])
        assert f"--cells is a number from 1 on, with --full, got {cells[-1]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [{"more": "x"}, {"burners": None}, {"burners": 1.5}, {"seed": []}, {"seen": "no"}, {"kind": 1}, {"low": {}}],
)
def test_a_line_of_something_else_is_no_verdict(tmp_path, changed):
    kept = tmp_path / selfcheck.KEPT
    kept.write_text("".join(json.dumps(trial(**each)) + "\n" for each in ({}, changed)))
    assert selfcheck._known(kept) == [trial()]


def test_a_check_without_verdicts_does_not_pass(tmp_path, monkeypatch, capsys):
    asked = []

    def cell(*given):
        asked.append(given)
        yield trial(failed="ImportError: numba")

    monkeypatch.setattr(selfcheck, "_cell", cell)
    assert selfcheck.main(["--full", "--out", str(tmp_path)]) == cli.GATE_FAILED
    assert len(asked) == selfcheck.MOST_FAILED
    assert "without a result: 10, the first: sweep: ImportError: numba" in capsys.readouterr().out
    monkeypatch.setattr(selfcheck, "_cell", lambda *_: iter([]))
    assert selfcheck.main(["--minutes", "0.01", "--out", str(tmp_path / "none")]) == cli.GATE_FAILED


def test_what_was_withheld_is_counted():
    trials = [trial("compare", 0.0, ratio=1.3, low=1.2, high=1.4), trial("compare", 0.0, ratio=1.0, low=0.9, high=1.1)]
    frame = rates.table(trials)
    assert frame.withheld.tolist() == [1]
    assert "| 2 | 0 (1 withheld) |" in rates.as_markdown(frame)


def test_the_quick_check_leaves_the_full_ones_verdicts(tmp_path, monkeypatch):
    (tmp_path / selfcheck.KEPT).write_text("hours")
    monkeypatch.setattr(selfcheck, "_cell", lambda *_: [trial()])
    selfcheck.main(["--minutes", "1e-6", "--out", str(tmp_path)])
    assert (tmp_path / selfcheck.KEPT).read_text() == "hours"


def test_trials_without_a_result_are_no_verdicts():
    assert rates.table([trial(), trial(failed="crashed")]).n.tolist() == [1]


def test_burners_end_with_whoever_started_them():
    """However that ended."""
    code = "import os, signal\nfrom harness.proof.trial import burners\nwith burners(1):\n"
    code += "    print(os.getpid(), flush=True)\n    os.kill(os.getpid(), signal.SIGSTOP)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as started:
        parent = psutil.Process(int(started.stdout.readline()))
        deadline = time.monotonic() + 20
        while not (children := parent.children()) and time.monotonic() < deadline:
            time.sleep(0.01)
        started.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert children
    assert not alive


def test_what_grows_is_named():
    rng = np.random.default_rng(1)
    flat = [{"MB": 100 + rng.normal(0, 2), "handles": 9, "threads": 2, "children": 0} for _ in range(60)]
    assert soak.growth(flat) == {}
    leaks = [each | {"MB": each["MB"] + place, "handles": 9 + place} for place, each in enumerate(flat)]
    assert soak.growth(leaks) == {"MB": pytest.approx(44, abs=5), "handles": pytest.approx(44)}
    assert soak.look().keys() == soak.MATTERS.keys()


@pytest.mark.parametrize("command", [processes, estimators])
def test_where_nothing_is_kept_is_said_in_one_line(tmp_path, command, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["--write", "--out", str(tmp_path / "none")])
    assert capsys.readouterr().err.endswith(f"{tmp_path / 'none'} can't be read: No such file or directory\n")


@pytest.mark.slow
def test_the_commands_run_for_real(tmp_path):
    assert selfcheck.main(["--minutes", "6", "--out", str(tmp_path)]) in (cli.OK, cli.GATE_FAILED)
    kept = [json.loads(line) for line in (tmp_path / selfcheck.QUICKLY).read_text().splitlines() if line]
    assert {t["command"] for t in kept} >= {"sweep", "compare", "regression", "gates"}
    assert not [t for t in kept if "failed" in t]
    assert soak.main(["--minutes", "0.2"]) in (cli.OK, cli.GATE_FAILED)
