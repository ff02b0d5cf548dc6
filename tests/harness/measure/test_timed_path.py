"""The way of a timed run, from the problem to its row, walked in this process: what is timed is what is judged."""

import gc
import json
import os
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from harness.judge import intervals
from harness.measure import cell, clock, family, record_row, rest, rounds, worker
from harness.measure.contender import Contender
from harness.measure.handover import FIRST, Original
from harness.measure.plan import Plan
from harness.measure.supervisor import WorkerEnded
from harness.records.schema import Cell
from harness.workloads import problem as workload
from harness.workloads import variant
from implementations.baseline import Baseline
from implementations.cpu.vectorized import Vectorized

PIXELS, BINS = 30, 12
CELL = Cell("solar-mix", PIXELS, BINS, 1)


class Seen(Vectorized):
    """Notes the problems that it is given, and takes its time in each phase."""

    def __init__(self):
        super().__init__()
        self.seen, self.collecting = [], []

    def prepare(self, problem):
        self.seen.append(problem.with_pixels(problem.dn.copy(), problem.edn.copy()))  # its memory is used again
        self.collecting.append(gc.isenabled())
        time.sleep(0.002)
        return super().prepare(problem)

    def solve(self, state):
        time.sleep(0.004)
        return super().solve(state)

    def collect(self, state, solution):
        time.sleep(0.003)
        return super().collect(state, solution)


class OffInRound(Seen):
    """Wrong by a little in every run of one turn of several."""

    wrong = frozenset({2})

    def collect(self, state, solution):
        home = super().collect(state, solution)
        return replace(home, dem=home.dem * (1 + 1e-6)) if self.round in self.wrong else home


class Overwrites(Seen):
    """Returns arrays that its next run writes to."""

    def collect(self, state, solution):
        home = super().collect(state, solution)
        if hasattr(self, "edem"):
            self.edem[:] = home.edem
            return replace(home, edem=self.edem)
        self.edem = home.edem
        return home


class Touches(Seen):
    """Writes to the problem's files in one turn, and says nothing of it."""

    def solve(self, state):
        if self.round == 2:
            path = self.folder / "dn.npy"
            path.chmod(0o644)
            path.touch()
        return super().solve(state)


class InProcess:
    """A worker that isn't a process."""

    peak_tree_mb = waited_s = 0.0
    queued_s = staticmethod(lambda: 0.0)

    def __init__(self, folder, solver):
        self.bench = worker.Bench(folder, "vectorized", 1, [])
        self.bench.solver = solver

    def ask(self, timeout, do, **options):
        before = family.cpu_s(os.getpid())  # of children that other tests have left, too
        answer = json.loads(json.dumps(getattr(self.bench, do)(**options)))
        self.cpu_s = family.cpu_s(os.getpid()) - before
        return answer

    def end(self):
        gc.unfreeze()

    def check_rest(self):
        pass


class Here(Contender):
    """A contender of such a worker."""

    solver = None

    def open(self, plugins, limit_mb):
        self.worker = InProcess(self.original.folder, self.solver)
        self.hello = json.loads(json.dumps(self.worker.bench.hello()))
        self.solver.folder = self.original.folder

    def take_turn(self, number, judged=False):
        self.solver.round = number
        super().take_turn(number, judged)


def here(spec, solver, kind=Here):
    contender = kind(spec, 1, 60.0)
    contender.solver = solver
    solver.round = 0
    return contender


@pytest.fixture
def started(tmp_path):
    """A contender that is warmed up."""
    folder = tmp_path / "problem"
    folder.mkdir()
    workload.save(workload.generate(workload.load("solar-mix"), PIXELS, BINS)[0], folder)
    contender = here("vectorized", Seen())
    contender.start(Original(workload.read(folder, mapped=False), folder, "secret"), [], 0)
    contender.warm_up()
    return contender


def measured(tmp_path, monkeypatch, *contenders, judged=0, rounds=3):
    """A cell with these contenders; every round is judged, or none but the first run."""
    monkeypatch.setattr("harness.measure.rounds.secrets.randbelow", lambda most: judged)
    plan = Plan(repeats=rounds, max_seconds=60)
    return cell.measure_contenders(CELL, list(contenders), plan, tmp_path, cell.Nobody())


def test_each_cell_draws_a_secret_of_its_own_that_nothing_known_tells(tmp_path, monkeypatch):
    """Else a solver could work out which pixels are judged, and the problems to come."""
    drawn = set()

    def poses(specification, cell, step, folder, secret):
        drawn.add(secret)
        raise KeyboardInterrupt

    monkeypatch.setattr(cell, "posed", poses)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            measured(tmp_path, monkeypatch)
    assert len(drawn) == 3
    assert all(len(set(secret)) > 4 for secret in drawn)


def test_every_timed_run_is_of_all_pixels_of_a_problem_of_its_own(started, monkeypatch):
    monkeypatch.setattr(clock, "repeats_for", lambda seconds, threads=1: 4)
    solver, original = started.solver, started.original
    few, other, first = solver.seen
    assert few.sizes[0] == other.sizes[0] == worker.FEW
    assert np.array_equal(first.dn, original.problem.dn, equal_nan=True)
    for number in (1, 2):
        before = len(solver.seen) + (number == 1)  # the first turn is calibrated
        started.take_turn(number)
        given = solver.seen[before:]
        assert len(started.turns[number]) == len(given) == started.repeats == 4
        seeds, _ = original.turn(number, "vectorized", started.repeats)
        for problem, seed in zip(given, seeds, strict=True):
            assert np.array_equal(problem.dn, variant.of(original.problem, seed).problem.dn, equal_nan=True)
    assert len({problem.dn.tobytes() for problem in solver.seen}) == len(solver.seen)


def test_every_phase_counts(started):
    started.repeats = 3
    started.take_turn(1)
    assert not any(started.solver.collecting), "the cyclic collector strikes in whose turn it likes"
    runs = started.turns[1]
    for run in runs:
        assert (run.prepare >= 0.002, run.solve >= 0.004, run.collect >= 0.003) == (True, True, True)
        assert run.total == pytest.approx(run.prepare + run.solve + run.collect)
    claim = started.claims[1]
    assert claim.claimed == pytest.approx(sum(run.total for run in runs))
    assert claim.claimed <= claim.passed < 1e4
    assert started.turn_times()[1] == np.median([run.total for run in runs])


def test_a_solution_that_the_next_run_overwrites_is_noticed(tmp_path):
    workload.save(workload.generate(workload.load("solar-mix"), PIXELS, BINS)[0], tmp_path)
    with pytest.raises(ValueError, match="edem of a solution changed when the next"):
        InProcess(tmp_path, Overwrites()).ask(60.0, "warmup")


def test_the_run_that_is_kept_is_the_one_that_was_named_beforehand(started, tmp_path):
    bench, given = started.worker.bench, started.original.problem
    bench.stage([11, 12, 13, 14], 2)
    bench.run()
    bench.save(str(tmp_path / "kept.npz"))
    with np.load(tmp_path / "kept.npz") as file:
        assert np.array_equal(file["dn"], variant.of(given, 13).problem.dn, equal_nan=True)
        expected = Vectorized().run(variant.of(given, 13).problem)
        np.testing.assert_allclose(file["dem"], expected.dem, rtol=1e-9)


def changes_input(kept):
    kept.problem = replace(kept.problem, edn=kept.problem.edn * 1.1)


def fills_in_later(kept):
    kept.solution = replace(kept.solution, elogt=kept.solution.elogt + 1)


def is_large(kept):
    kept.then["ballast"] = np.zeros(1 << 22)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changes_input, "changed its input edn"),
        (fills_in_later, "elogt was changed after the clock had stopped"),
        (is_large, "bytes, expected about"),
    ],
)
def test_what_is_handed_over_must_be_what_was_there_when_the_clock_stopped(started, change, said):
    started.take_turn(1)
    change(started.worker.bench.kept)
    started._keep(1)
    assert started.ended.status == "failed"
    assert said in started.ended.reason
    assert not started.kept, "nothing of a solver that lied is judged"


def test_the_pixels_that_are_caught_are_not_known(started):
    many = started.original.problem.take(np.arange(5000) % PIXELS)
    one, other = clock.keeping(many), clock.keeping(many)
    assert len(one.pixels) == len(set(one.pixels)) == clock.CAUGHT_PIXELS
    assert not np.array_equal(one.pixels, other.pixels)


def test_honest_solvers_pass_in_every_round(tmp_path, monkeypatch):
    ours, theirs = here("vectorized", Seen()), here("baseline", Baseline())
    result = measured(tmp_path, monkeypatch, ours, theirs)
    assert sorted(ours.kept) == [FIRST, 1, 2, 3]
    assert result.references is theirs.kept
    for contender in (ours, theirs):
        row = record_row.row_of(contender, result)
        assert (row["status"], row["gate"], row["n"]) == ("ok", "pass", 3), row
    row = record_row.row_of(ours, result)
    assert row["pixels_per_s"] == PIXELS / row["median_s"]
    assert row["speedup"] == theirs.seconds().value / ours.seconds().value or row["speedup_low"] < row["speedup_high"]
    result.references = {}
    assert record_row.row_of(ours, result)["gate"] == "none"


def test_the_baseline_solves_what_was_timed_where_it_took_no_part(tmp_path, monkeypatch):
    ours = here("vectorized", Seen())
    row = record_row.row_of(ours, measured(tmp_path, monkeypatch, ours))
    assert (row["gate"], row["compared_pixels"] > 10) == ("pass", True), row["gate_reasons"]


def test_a_solver_that_is_wrong_in_one_round_fails_with_the_round(tmp_path, monkeypatch):
    ours = here("vectorized", OffInRound())
    row = record_row.row_of(ours, measured(tmp_path, monkeypatch, ours, here("baseline", Baseline())))
    assert row["gate"] == "fail"
    assert row["gate_reasons"].startswith("in round 2, and not in all before: dem: deviates from the baseline by 1e-06")
    assert row["parity_dem"] == pytest.approx(1e-6, rel=1e-3)


def test_an_approximate_solver_is_held_to_the_baseline_and_not_to_itself(tmp_path, monkeypatch):
    ours = here("vectorized", Seen())
    result = measured(tmp_path, monkeypatch, ours, here("baseline", Baseline()), rounds=1)
    wide, uncertain = (0.5, 2.0), (0.9, 1.1)
    bounds = dict.fromkeys(("chisq_median", "chisq_iqr", "chisq_p95"), wide) | {"truth_dem_error": 1.5}
    bounds |= {"negative_pixels": 0.1, "edem": uncertain, "elogt": uncertain}
    ours.hello |= {"accuracy": "approximate", "bounds": bounds}
    assert record_row.row_of(ours, result)["gate"] == "pass"
    ours.kept[1] = replace(ours.kept[1], chisq=3 * ours.kept[1].chisq)
    assert "chisq_median: 3 times the baseline's" in record_row.row_of(ours, result)["gate_reasons"]


def test_no_row_counts_once_the_problem_was_written_to_and_the_turn_is_named(tmp_path, monkeypatch):
    contenders = here("vectorized", Touches()), here("baseline", Baseline())
    measured(tmp_path, monkeypatch, *contenders)
    for contender in contenders:
        assert contender.ended.reason.startswith("the problem's dn.npy changed while vectorized had its turn: no row")
        assert sorted(contender.turns)[-1] <= 2


def test_which_rounds_are_judged_is_drawn(tmp_path, monkeypatch):
    ours = here("vectorized", Seen())
    measured(tmp_path, monkeypatch, ours, here("baseline", Baseline()), judged=1)
    assert sorted(ours.kept) == [FIRST, 3], "and the last one is, whatever is drawn"
    assert sorted(ours.turns) == [1, 2, 3]


def test_only_plain_arrays_are_a_solution(started):
    class Lazy(np.ndarray):
        """Would be worked out when it is looked at."""

    class Promises(Vectorized):
        def collect(self, state, solution):
            home = super().collect(state, solution)
            return replace(home, elogt=home.elogt.view(Lazy))

    given = started.original.problem
    with pytest.raises(ValueError, match="solution's elogt is a Lazy, expected plain NumPy arrays"):
        clock.timed_run(Promises(), given, kept=clock.keeping(given))


def turns_of(spec, *seconds):
    contender = Contender(spec, 1, 60.0)
    contender.turns = {number: [clock.Phases(0.0, s, 0.0)] for number, s in enumerate(seconds, 1)}
    return contender


def test_a_speedup_is_of_the_same_rounds():
    ours, theirs = turns_of("a", 1.0, 2.0, 4.0, 8.0), turns_of("baseline", 3.0, 6.0, 12.0, 24.0)
    ratio = ours.speedup(theirs)
    assert ratio == pytest.approx(intervals.paired_ratio([3.0] * 4, [1.0] * 4))


def test_a_turn_counts_by_its_middle_run():
    contender = turns_of("a", 1.0)
    contender.turns[1] = [clock.Phases(0.0, s, 0.0) for s in (1.0, 2.0, 6.0)]
    assert contender.turn_times() == {1: 2.0}


def test_a_solver_rests_once_its_ratio_is_known_and_the_baseline_after_all_others():
    noisy, steady = turns_of("a", 1.0, 2.0, 4.0), turns_of("b", 1.0, 1.0, 1.0)
    baseline = turns_of("baseline", 3.0, 3.0, 3.0)
    rounds.satisfied([noisy, steady, baseline], 0.05)
    assert (noisy.satisfied, steady.satisfied, baseline.satisfied) == (False, True, False)


def test_the_order_of_a_round_is_drawn_anew():
    contenders = [turns_of(spec) for spec in "abcd"]
    rng = np.random.default_rng(0)
    orders = {"".join(c.spec for c in rounds._order(contenders, rng)) for _ in range(40)}
    assert len(orders) > 10


def test_a_round_in_which_someone_computed_beside_others_counts_for_nobody():
    still, busy = turns_of("a", 1.0, 1.0), turns_of("b", 1.0, 1.0)
    still.worker = busy.worker = SimpleNamespace(check_rest=lambda: None)
    assert rounds.undisturbed([still, busy], 2)

    def disturbs():
        raise WorkerEnded("failed", "computed between its turns")

    busy.worker = SimpleNamespace(check_rest=disturbs)
    assert not rounds.undisturbed([still, busy], 2)
    assert (sorted(still.turns), busy.ended.status) == ([1], "failed")


class Times:
    """A clock and a solver's CPU time, both set by hand."""

    def __init__(self, monkeypatch):
        self.now = self.used = self.until = 0.0
        monkeypatch.setattr(rest, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.passes))
        monkeypatch.setattr(
            rest,
            "family",
            SimpleNamespace(
                below=lambda _: [],
                cpu_s=lambda _: self.used,
                cpu_of=lambda _: self.used,
                running=lambda _: self.now < self.until,
            ),
        )

    def passes(self, seconds, share=0.0):
        self.used += seconds * (1.0 if self.now < self.until else share)
        self.now += seconds


@pytest.mark.parametrize(
    ("rests", "seconds", "share", "caught"),
    [
        (1, 10, 0.065, False),
        (1, 10, 0.075, True),
        (1, 1, 0.24, False),
        (1, 1, 0.26, True),
        (4, 1, 0.09, False),
        (4, 1, 0.11, True),
    ],
)
def test_a_resting_solver_may_use_a_twentieth_of_its_cores_in_all_its_rests(monkeypatch, rests, seconds, share, caught):
    times, resting = Times(monkeypatch), rest.Rest(1, 1)
    for _ in range(rests):
        resting.end()
        times.passes(5.0, 1.0)
        assert not resting.begin(times.used)
        times.passes(seconds, share)
        said = resting.so_far()
    assert bool(said) == caught


def test_winding_down_is_not_held_against_a_solver_unless_it_does_not_end(monkeypatch):
    times, resting = Times(monkeypatch), rest.Rest(1, 1)
    times.until = 0.7
    assert not resting.begin(times.used)
    assert not resting.so_far()
    times.until = times.now + 5
    assert resting.begin(times.used).startswith("computed between its turns: ")


def test_the_headline_is_the_median_turn():
    assert turns_of("a", 3.0, 1.0, 2.0).seconds() == intervals.time([3.0, 1.0, 2.0])
    assert turns_of("a", 3.0, 1.0, 2.0).seconds().value == pytest.approx(2.0)


class Starts(Here):
    """Takes a quarter of a second to start, and half of that for a turn, however busy the machine is."""

    elapsed = 0.0
    turn_cost = 0.125

    def warm_up(self):
        super().warm_up()
        self.start_s = 0.25

    def restart(self):
        super().restart()
        self.start_s = 0.25
        self.elapsed += self.start_s

    def take_turn(self, number, judged=False):
        super().take_turn(number, judged)
        self.elapsed += self.turn_cost


def test_a_cell_has_several_processes_of_a_solver_and_its_ratio_is_over_them(tmp_path, monkeypatch):
    """Rounds of 0.25 s go on for as long as the budget lasts: fresh processes, which take 0.5 s, after two of them."""
    both = ours, theirs = here("vectorized", Seen(), Starts), here("baseline", Baseline(), Starts)
    rounds_clock = SimpleNamespace(perf_counter=lambda: sum(c.elapsed for c in both), monotonic=time.monotonic)
    monkeypatch.setattr(rounds, "time", rounds_clock)
    monkeypatch.setattr(rounds.secrets, "randbelow", lambda most: 1)
    monkeypatch.setattr(Contender, "turns_of_a_process", lambda *_: 1.0)
    plan = Plan(max_seconds=5.0, rel_ci=1e-9)
    cell.measure_contenders(CELL, list(both), plan, tmp_path, cell.Nobody())
    for contender in both:
        assert contender.ended is None, contender.ended
        assert contender.process == {n: min(1 + (n - 1) // 2, 5) for n in range(1, 13)}
        assert contender.process.keys() == contender.turns.keys() | contender.warming.keys()
        assert sorted(contender.kept) == [FIRST, 2, 4, 6, 8, 12], "the last one of each process is judged"
    shared = sorted(ours.turns.keys() & theirs.turns.keys())
    pairs = [(ours.process[r], theirs.process[r]) for r in shared]
    clock = ours.clock_beside(theirs)
    times = [[each.turn_times(clock)[r] for r in shared] for each in (theirs, ours)]
    assert ours.speedup(theirs) == intervals.paired_ratio(*times, pairs)


@pytest.mark.parametrize(
    ("start_s", "best", "count", "elapsed", "due"),
    [
        (0.5, 1.0, 2, 0.5, True),
        (0.5, 1.0, 1, 0.25, False),  # a single turn doesn't say by how much turns differ
        (0.5, 7.0, 7, 1.75, True),
        (0.5, 7.0, 6, 1.5, False),
        (0.5, 70.0, 8, 2.0, True),  # a fifth of the budget
        (0.5, 1.0, 4, 8.4, True),
        (0.5, 1.0, 4, 8.6, False),  # as many rounds don't fit once more
        (3.0, 70.0, 8, 2.0, False),  # rounds take as long as starting at least
        (3.0, 70.0, 12, 3.0, True),
        (9.0, 1.0, 40, 10.0, False),
        (0.0, 1.0, 1, 2.6, False),  # one round, however long
    ],
)
def test_processes_are_started_anew_while_the_budget_of_ten_seconds_allows_it(
    monkeypatch, start_s, best, count, elapsed, due
):
    """After `best` rounds of a quarter of a second, two at least."""
    contender = turns_of("a", 1.0)
    contender.start_s = start_s
    monkeypatch.setattr(contender, "turns_of_a_process", lambda *_: best)
    assert rounds._due([contender], count, count * 0.25, elapsed, 10.0) == due


def test_what_is_waited_for_a_core_is_not_of_the_budget_up_to_a_limit():
    one, other = turns_of("a", 1.0), turns_of("b", 1.0)
    assert rounds._unhindered(10.0, [one, other]) == 10.0
    one.waited_s, other.waited_s = 2.0, 3.0
    assert rounds._unhindered(10.0, [one, other]) == 5.0
    other.waited_s = 30.0
    assert rounds._unhindered(10.0, [one, other]) == pytest.approx(10.0 / rounds.LONGER)


def test_the_noisier_its_turns_and_the_dearer_its_start_the_longer_a_process_is_kept():
    def best(*seconds, start_s=1.0):
        return turns_of("a", *seconds).turns_of_a_process(start_s, 0.5)

    steady, noisy = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99], [1.0, 1.1, 0.9, 1.0, 1.1, 0.9]
    assert best(*steady) < best(*noisy)
    assert best(*noisy, start_s=4.0) == pytest.approx(2 * best(*noisy))
    assert best(1.0, 5.0) == pytest.approx((2 * np.pi / 2) ** 0.5 * intervals.TURN / intervals.BETWEEN)
    assert best() == 1.0


def test_the_last_round_of_whoever_is_known_well_enough_is_judged_and_the_baselines_with_it(tmp_path, monkeypatch):
    ours, theirs = here("vectorized", Seen()), here("baseline", Baseline())
    monkeypatch.setattr(rounds.secrets, "randbelow", lambda most: 1)
    monkeypatch.setattr(rounds, "_due", lambda *_: False)

    def one_after_the_other(contenders):
        theirs.satisfied, ours.satisfied = ours.satisfied, True

    cell.measure_contenders(CELL, [ours, theirs], Plan(), tmp_path, cell.Nobody(), one_after_the_other)
    assert (max(ours.process), max(theirs.process)) == (12, 15)
    assert (sorted(ours.kept), sorted(theirs.kept)) == ([FIRST, 12], [FIRST, 12, 15])


def test_asked_rounds_are_of_one_process(tmp_path, monkeypatch):
    ours = here("vectorized", Seen())
    measured(tmp_path, monkeypatch, ours, rounds=20)
    assert (ours.processes, len(ours.turns) + len(ours.warming)) == (1, 20)


def test_a_row_says_that_another_process_would_take_longer_to_start_than_there_is_time(tmp_path, monkeypatch):
    ours = here("vectorized", Seen())
    result = measured(tmp_path, monkeypatch, ours)
    assert "one process" not in record_row.row_of(ours, result)["doubts"]
    ours.start_s = 130.0
    assert "one process: another takes 130 s to start" in record_row.row_of(ours, result)["doubts"]
