"""Small faults that someone could put into the judge and the timed path, and the tests that must notice each.

`python tests/support/mutations.py [WORD ...]` puts them, or those that a WORD is in, one at a time into a copy of the
checkout and runs their tests there. Exit code 1 when one goes unnoticed that isn't in `ARGUED`, 2 when anything else is
wrong. What became of the whole list is kept, for docs/trust.md; so is, beside it, what became of those that were added
or changed since then, which `--since` puts there alone.
"""

import json
import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from harness.machine import facts

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("datasets", "docs", "harness", "implementations", "tests", "pyproject.toml")
KEPT = ROOT / "results" / "mutations" / "mutations.json"
WORKERS, LONGEST_S = 2, 400
SINCE = "--since"
JUDGE = "tests/harness/judge/test_gates.py tests/harness/judge/test_limits_of_gates.py"
FIGURES = "tests/harness/judge/test_judged_figures.py " + JUDGE
STATS = "tests/harness/judge/test_stats.py"
BLAME = "tests/commands/test_regression.py -k blamed"
COMPARED = "tests/commands/test_compare.py"
TURNS = "tests/harness/measure/test_timed_path.py tests/harness/measure/test_contender.py"
CLOCK = "tests/harness/measure/test_clock.py " + TURNS
VARIANT = "tests/harness/workloads/test_variant.py"
RECORD = "tests/harness/records/test_record.py"
LIARS = "tests/harness/measure/test_trust.py"
ESCAPES = "tests/harness/measure/test_supervisor.py"


class Mutation(NamedTuple):
    """A fault: the text at one place of a file, what stands there instead, and what would go wrong."""

    file: str
    tests: str
    old: str
    new: str
    why: str


def _in(file: str, tests: str, *changes: tuple[str, str, str]) -> list[Mutation]:
    return [Mutation(f"harness/{file}.py", tests, *change) for change in changes]


MUTATIONS = [
    *_in(
        "judge/gates",
        JUDGE,
        ('PARITY = {"dem": 1e-9', 'PARITY = {"dem": 1e-8', "ten times as far from the baseline passes"),
        ('"edem": 1e-9', '"edem": 1e-8', "the same for edem"),
        ('"elogt": 1e-9', '"elogt": 1e-8', "the same for elogt"),
        ('"chisq": 1e-9', '"chisq": 1e-8', "the same for chisq"),
        ('"dn_reg": 1e-9', '"dn_reg": 1e-8', "the same for dn_reg"),
        ("TIED_PIXELS = 0.001", "TIED_PIXELS = 0.01", "one pixel of a hundred may be a step away"),
        ('"chisq_median": 1e-9', '"chisq_median": 1e-8', "chi-squared statistics may differ more"),
        ('"chisq_p95": 1e-9', '"chisq_p95": 1e-8', "the same for the worst pixels"),
        ("TRUTH_DEM_ERROR = 0.2", "TRUTH_DEM_ERROR = 0.02", "the truth, found somewhere, passes for an inversion"),
        ("TINY = 1e-12", "TINY = 1e-6", "small statistics are not compared"),
        ("in OUTPUTS:\n        value", "in OUTPUTS[:1]:\n        value", "only the DEM is compared"),
        ('if got["status_differs"]:', "if False:", "status of an exact solver isn't compared"),
        ('if got["iterations_differ"] and', "if False and", "iterations of an exact solver aren't compared"),
        ('if got["tied_pixels"] >', "if False and 0 >", "every pixel may be called a tie"),
        ('got["chisq_all"], PARITY["chisq"]', '0.0, PARITY["chisq"]', "pixels beside the sample are not compared"),
        ('reasons += _against_contract(got["flaws"], "', 'reasons += _against_contract({}, "', "no contract"),
        ("output not in leaves_out and gaps", "False", "NaN where nobody declared to leave out"),
        ("output in leaves_out and numbers", "False", "numbers where none are said to be"),
        ("if not low <= ratio <= high", "if not ratio <= high", "a chi-squared that is too good passes"),
        ("ratio <= bounds.truth_dem_error:", "ratio <= 10 * bounds.truth_dem_error:", "any DEM passes"),
        ("declared[0] <= below <= above <=", "declared[0] <= above <=", "an error bar that is none passes"),
        ("excess <= bounds.negative_pixels", "excess <= 10 * bounds.negative_pixels", "negative DEMs pass"),
        ("if flaws.get(flaw):", 'if flaws.get(flaw) and "own" not in flaw:', "a made-up chi-squared passes"),
        ('Verdict("fail" if reasons', 'Verdict("fail" if reasons[1:]', "one reason isn't enough to fail"),
        ('return Verdict("none"', 'return Verdict("pass"', "without a baseline everything passes"),
        ('reasons = [f"{accuracy}, but declares no bounds"]', "reasons = []", "no bounds, no judgement"),
        ("(0 if other else baseline", "(1 if other else baseline", "another method may have negative DEMs"),
        ('got[f"reached_{name}"] if other', "1.0 if other", "another method's chi-squared isn't judged"),
    ),
    *_in(
        "judge/quality",
        FIGURES,
        ("clear, rows = valid & ~ties", "clear, rows = valid", "a tie fails an exact solver"),
        ("clear, rows = valid & ~ties", "clear, rows = ~ties", "invalid pixels are compared"),
        ("relative, np.inf)\n\n\ndef tied", "relative, 0.0)\n\n\ndef tied", "NaN is no deviation"),
        (
            "worst = np.abs(got - expected).max(axis=1, initial=0.0)",
            "worst = np.median(np.abs(got - expected), axis=1)",
            "one wrong bin of a pixel is overlooked",
        ),
        ("float(worst.max(initial=0.0))", "float(np.median(worst))", "one wrong pixel is overlooked"),
        ('figures["status_differs"] = int(', 'figures["status_differs"] = 0 * int(', "status isn't compared"),
        ('figures["iterations_differ"] = int(', 'figures["iterations_differ"] = 0 * int(', "iterations aren't"),
        ("(ours * theirs < 0)", "(ours * theirs != 0)", "two solutions on one side are a tie"),
        ("<= 1e-9 * target", "<= 1e-8 * target", "a near miss is a tie"),
        ("same_pass & (", "(", "solutions of different passes are a tie"),
        ('seed(secret, "watched")', 'seed("", "watched")', "solvers can know the pixels that are watched"),
        (
            "return np.union1d(sample_of(pixels), watched(pixels, secret))",
            "return sample_of(pixels)",
            "a first run is judged by known pixels only",
        ),
        ("WATCHED_PIXELS = 1024", "WATCHED_PIXELS = 102", "ten times as many wrong pixels go unseen"),
        ("[25, 50, 75, 95]", "[25, 50, 75, 90]", "the worst pixels don't show"),
        ("[5, 95], method", "[50, 50], method", "half the error bars may be anything"),
        ("<= edem).mean()", "<= 2 * edem).mean()", "coverage flatters"),
        ("np.median(error)", "np.min(error)", "the best pixel stands for all"),
        ("(~problem.valid()).sum()", "(summary.status == Status.INVALID).sum()", "the solver says what is invalid"),
        ("summary.negative[valid].mean()", "summary.negative.mean()", "invalid pixels dilute the negative ones"),
    ),
    *_in(
        "judge/summary",
        FIGURES,
        ("OWN = 1e-6", "OWN = 1e-5", "chisq may be further from what its DEM gives"),
        ("(misfit**2).mean(axis=1)", "(misfit**2).sum(axis=1)", "another chi-squared than the contract's"),
        ("(misfit**2).mean(axis=1), np.nan)", "(misfit**2).mean(axis=1), 0.0)", "invalid pixels fit perfectly"),
        ('flaws["nonzero"] += int(', 'flaws["nonzero"] += 0 * int(', "values in invalid pixels pass"),
        ('flaws["passes"] = int(', 'flaws["passes"] = 0 * int(', "more iterations than allowed pass"),
        ("~finite.all(axis=1) & valid", "~finite.any(axis=1) & valid", "a pixel half of NaN is no gap"),
        ("range(0, len(valid), CHUNK)", "range(0, min(len(valid), CHUNK), CHUNK)", "large maps are half looked at"),
        ('or np.asarray(array).dtype.kind not in "fiu"', "", "objects pass for arrays"),
        ("int(np.count_nonzero(status != expected))", "0", "a solver says itself what went well"),
        ('flaws[f"own {name}"] = int(', 'flaws[f"own {name}"] = 0 * int(', "chisq and dn_reg are believed"),
    ),
    *_in(
        "judge/summary",
        VARIANT,
        ("getattr(self, name) / scale", "getattr(self, name)", "the factor of a variant isn't undone"),
        ("sample=numbers[self.rows]", "sample=self.sample", "pixels in the variant's order are taken for the map's"),
    ),
    *_in(
        "judge/intervals",
        STATS,
        (
            "return Estimate(middle, float(low), float(high))",
            "return Estimate(middle, float(high), float(low))",
            "an interval's ends are exchanged",
        ),
        ("np.asarray(numerator) / np", "np.sort(numerator) / np", "turns of different rounds are paired"),
        (
            "middle - half, middle",
            "middle - 0.1 * half, middle",
            "intervals are too narrow below",
        ),
        ("LEVEL = 0.99", "LEVEL = 0.8", "intervals miss more often than is said"),
        ("FEWEST = 3", "FEWEST = 2", "two samples make an interval"),
        ("/ (2 * self.value)", "/ (20 * self.value)", "measuring ends ten times too early"),
        ("[np.median(part) for part", "[np.min(part) for part", "the luckiest turn is the headline"),
        ("* np.sqrt(variance)", "* np.sqrt(of_turns / count)", "processes are taken to be alike"),
        ("degrees * scatter", "0.0 * scatter", "processes that differ widely aren't seen to"),
        ("cut = (count + 1) // 4 if", "cut = 0 if", "a process far from all others decides"),
        ("max(down, apart)", "down", "one of two measurements is enough"),
        ("half = (drawn + 1) / 2", "half = (9 * drawn + 1) / 2", "turns of a second kind aren't seen"),
        ("len(parts) < SEVERAL", "True", "turns beside a shared middle count as if it weren't there"),
    ),
    *_in(
        "judge/comparison",
        BLAME,
        ("self._known.low > 1 + self", "self._known.high > 1 + self", "noise is blamed on a change"),
        ("self._known.low > 1 + self", "self._known.low > 2 + self", "a slower solver isn't seen"),
        (' and _gate(self.base) != "fail"', "", "a gate that failed before is blamed on a change"),
        ("_fine(self.head) and self._was_fine", "_fine(self.head)", "a failure from before is blamed on a change"),
        ('in ("ok", "skipped")', 'in ("ok", "skipped", "timeout")', "a solver that hangs is fine"),
        ("not b <= a * (1 +", "b > a * (1 +", "an error that nobody knows any more is as good as before"),
        ("b >= MORE_MEMORY * a and", "False and", "memory may grow without end"),
    ),
    *_in(
        "reports/two_runs",
        COMPARED,
        ("if run.damaged(row):", "if False:", "a record that was lost counts as removed"),
        ('!= pd.isna(head["others_cores"])', '!= pd.isna(base["others_cores"])', "an unknown load counts as none"),
        ("np.hypot(np.median(logs), ", "np.hypot(0.0, ", "what all rows have in common is blamed on their code"),
    ),
    *_in(
        "measure/clock",
        CLOCK,
        ("self.prepare + self.solve + self.collect", "self.prepare + self.solve", "bringing home is free"),
        ("Phases(staged - start,", "Phases(0.0 * start,", "staging is free"),
        ("end - solved), home", "0.0), home", "work may be done in collect, unseen"),
        (
            "0 <= turn.claimed <= turn.passed + bool(of) * _ticks(turn)",
            "0 <= turn.claimed",
            "more may be claimed than passed",
        ),
        ("impossible or (known and turn.missing > 0)", "impossible", "a stopped clock isn't seen"),
        ("SLACK_S, SLACK, GAP_S = 0.01, 0.1", "SLACK_S, SLACK, GAP_S = 0.01, 0.9", "a clock may run ten times slow"),
        ("(len(turns) - 1) // 4 :]", "len(turns) - 1 :]", "one turn that was held up ends a row"),
        ("(len(turns) - 1) // 4 :]", "0:]", "one true turn excuses all others"),
        ("for turn in suspects:", "for turn in ():", "every claim is believed"),
        ("known = over or", "known =", "a few turns are never judged"),
        ("turn.missing >= CLEAR_S", "False", "a turn that hides seconds goes on"),
        (
            "kept is not None:\n        check_plain(home, problem)",
            "False:\n        check_plain(home, problem)",
            "what is worked out later passes for an array",
        ),
        (
            "    if kept is not None:\n        kept.catch(home)",
            "    if kept is not None:\n        kept.solution = home",
            "nothing is caught when the clock stops",
        ),
        (
            "if not np.array_equal(then, now[name], equal_nan=True)",
            "if False",
            "solutions that the next run overwrites",
        ),
        ("default_rng().choice", "default_rng(0).choice", "the pixels that are caught are known"),
        ("SHORTEST_OF_LONG_S = 0.1, 0.2", "SHORTEST_OF_LONG_S = 0.001, 0.002", "turns are too short to be timed"),
        ("gc.disable()", "gc.enable()", "whose turn the collector strikes in is chance"),
    ),
    *_in(
        "measure/worker",
        TURNS,
        (
            "timed_run(self.solver, problem, facts, kept, self.meter)",
            "timed_run(self.solver, problem.take(slice(0, 1)), facts, kept, self.meter)",
            "one pixel is timed instead of the problem",
        ),
        (
            "timed_run(self.solver, problem, facts, kept, self.meter)",
            "timed_run(self.solver, self.problem, facts, kept, self.meter)",
            "every run has the same problem",
        ),
        ("if number == self.kept_run else", "if number == 0 else", "a solver knows which run is kept"),
        (
            "for number, problem in enumerate(problems):",
            "for number, problem in enumerate(problems[:1]):",
            "one run is timed of all that were asked for",
        ),
        (
            "timed_run(self.solver, self.problem, facts, self.kept, self.meter)",
            "timed_run(self.solver, self.problem.take(slice(0, FEW)), facts, self.kept, self.meter)",
            "a few pixels are the first run",
        ),
        ("self.variant.staged(self.problem, seed, room)) for seed", "self.problem) for seed", "no variants"),
        (
            "self.variant.staged(self.problem, seed,",
            "self.variant.staged(self.problem, 1,",
            "the same variant every time",
        ),
        (
            "self.variant.room(self.problem) for _",
            "self.rooms[-1] if self.rooms else self.variant.room(self.problem) for _",
            "one memory for all",
        ),
    ),
    *_in(
        "measure/worker",
        ESCAPES + " -k 'parent_is_killed or junk or forges'",
        ("token = commands.readline().strip()", 'token, _ = b"", commands.readline()', "replies are not signed"),
    ),
    *_in(
        "measure/handover",
        TURNS + " " + VARIANT,
        ("if not np.array_equal(file[name], ", "if False and not np.array_equal(file[name], ", "inputs may be changed"),
        (
            "if not np.array_equal(values[self.pixels]",
            "if False and not np.array_equal(values[self.pixels]",
            "a thread may fill the solution in later",
        ),
        ("if size > 2 * most", "if False and size > 2 * most", "a solution of any size is read"),
        (
            "variant.seed(self.secret, number, run) for run",
            "variant.seed(self.secret, number, 0) for run",
            "the runs of a turn have one problem",
        ),
        (
            "variant.seed(self.secret, number, run) for run",
            "variant.seed('', number, run) for run",
            "problems to come are known",
        ),
        ('variant.seed(self.secret, "place", number, spec) % runs', "0", "the first run of a turn is always kept"),
        ("seed(self.secret, number, 0))", "seed(self.secret, 1, 0))", "judged on the problem of another round"),
        (
            "found.restored(given.order, given.factor)",
            "found.restored(np.sort(given.order), given.factor)",
            "pixels are judged by others' solutions",
        ),
        (
            "found.restored(given.order, given.factor)",
            "found.restored(given.order, 0 * given.factor + 1)",
            "the factor isn't undone",
        ),
        ("np.argsort(given.order)[pixels]", "given.order[pixels]", "the baseline is judged on other pixels"),
    ),
    *_in(
        "measure/contender",
        TURNS,
        ("        self.check_clock(over=False)", "", "what a worker claims is believed"),
        ("times is not None and not said.plausible", "False and not said.plausible", "a reply may hold anything"),
        ("if self.stages and number", "if False and number", "no timed run is ever judged"),
        (
            "seeds, keep = self.original.turn(number, self.spec, self.repeats)",
            "seeds, keep = self.original.turn(0, self.spec, self.repeats)",
            "the same problems in every round",
        ),
        ("passed, after = time.perf_counter() - began,", "passed, after = 1e9,", "the parent's clock isn't used"),
        (
            "self.ended, self.kept = self.ended or WorkerEnded",
            "self.ended, self.kept = None and WorkerEnded",
            "a liar's row goes on",
        ),
    ),
    *_in(
        "judge/turns",
        TURNS,
        (
            "[theirs[r] for r in shared], [ours[r] for r in shared]",
            "[theirs[r] for r in shared], [ours[r] for r in shared[::-1]]",
            "rounds are paired with others",
        ),
        (
            "[theirs[r] for r in shared], [ours[r] for r in shared]",
            "[ours[r] for r in shared], [theirs[r] for r in shared]",
            "slower is faster",
        ),
        ("pairs)\n", "())\n", "a process's layout is taken for the code's"),
    ),
    *_in(
        "measure/said",
        TURNS,
        ("(each >= 0).all() for each in (seconds, spent)", "True for each in (seconds, spent)", "negative times count"),
    ),
    *_in(
        "judge/clocks",
        TURNS + " tests/harness/judge/test_clocks.py",
        ("np.median(np.sum(runs, axis=1))", "np.min(np.sum(runs, axis=1))", "the luckiest run stands for a turn"),
        ("for run in used[r]], 0.25)", "for run in used[r]], 0.0)", "the luckiest run stands for a turn by CPU time"),
    ),
    *_in(
        "measure/record_row",
        TURNS,
        ("in sorted(contender.kept):", "in [FIRST]:", "only the first run is judged"),
        ('if found.gate != "pass" and verdict.gate', 'if found.gate == "none" and verdict.gate', "no gate ever fails"),
        ("max(value, figures.get(name, 0))", "min(value, figures.get(name, 1))", "the best round's deviation is shown"),
        ("measured.references[number])", "measured.references[FIRST])", "judged by the baseline of another problem"),
        ("ours | compared, theirs, leaves_out", "ours | compared, ours, leaves_out", "judged by its own figures"),
        ("gates.judge(accuracy, bounds, {}, None), {}", 'gates.Verdict("pass"), {}', "without a reference all pass"),
        ("measured.problem.sizes[0] / headline.value", "measured.problem.sizes[0] / headline.low", "speed flatters"),
    ),
    *_in(
        "measure/cell",
        TURNS,
        (
            "original.some(chosen), few",
            "original.some({-n: pixels for n, pixels in chosen.items()}), few",
            "the baseline solves another problem than was timed",
        ),
        ("inside = {} if own is None else own.kept", "inside = {}", "the baseline's own rounds aren't used"),
        ("secret = secrets.token_hex(16)", 'secret = "0" * 32', "anyone can work out what is judged"),
    ),
    *_in(
        "measure/rounds",
        TURNS,
        ("secrets.randbelow(number) == 0", "number == 1", "a solver knows which round is judged"),
        ("if anew or len(active)", "if len(active)", "the last round of a process may not be judged"),
        ("                contender.hand_over(number)\n", "                pass\n", "the last round may not be judged"),
        ("[contenders[i] for i in rng.permutation(len(contenders))]", "contenders", "the same order in every round"),
        (
            "disturbed = [contender for contender in contenders if contender.disturbs()]",
            "disturbed: list[Contender] = []",
            "solvers may compute in others' turns",
        ),
        ("estimate.half_width <= rel_ci", "True", "two rounds are always enough"),
        ("elapsed + cost + took <= budget", "True", "starting processes takes more time than a cell has"),
        ("took >= enough and ", "", "processes are started anew after every round"),
        ("FEWEST_OF_A_PROCESS * round_s)", "0.0)", "a single turn decides on a process's median"),
    ),
    *_in(
        "measure/cell",
        LIARS,
        ("            contender.check_clock(over=True)\n", "", "a short cell's claims are never judged"),
    ),
    *_in(
        "measure/rounds",
        TURNS,
        (
            "spoiled(contenders, seal.touched(), contender.spec):\n            return",
            "spoiled(contenders, [], contender.spec):\n            return",
            "nobody looks who changed the problem",
        ),
    ),
    *_in(
        "measure/rest",
        TURNS,
        ("IDLE_SHARE, IDLE_S = 0.05, 0.2", "IDLE_SHARE, IDLE_S = 0.5, 0.2", "half a core may be used in others' turns"),
        ("IDLE_SHARE, IDLE_S = 0.05, 0.2", "IDLE_SHARE, IDLE_S = 0.05, 20", "seconds of CPU time are no matter"),
        ("self.used_s += now[1] - self._since[1]", "self.used_s = now[1] - self._since[1]", "each rest begins anew"),
        (
            "        self._since = time.monotonic(), family.cpu_of([self.keeper, *below])\n",
            "",
            "winding down is held against a solver",
        ),
    ),
    *_in(
        "workloads/variant",
        VARIANT,
        ("SPREAD = 1e-3", "SPREAD = 1e-12", "a pixel's answer can be kept"),
        ("SPREAD, (pixels, 1))", "SPREAD, (1, 1)) * np.ones((pixels, 1))", "one factor for all pixels"),
        (
            "cut.order(), cut.factors(problem",
            "np.arange(problem.sizes[0]), cut.factors(problem",
            "another order than said",
        ),
        ("rng.permutation(pixels // length)", "np.arange(pixels // length)", "a map's answer can be kept"),
        ("pixels % length)", "0)", "pixels that make up no piece"),
        ("            part *= wide\n", "", "counts and errors aren't scaled"),
        ("part *= wide", "part *= wide if counts is problem.dn else 1.0", "the signal-to-noise ratio changes"),
        ("start = first * cut.length", "start = 0", "large maps' pieces one over another"),
        ("counts[: cut.rest], factors,", "counts[: cut.rest], 1.0,", "the last pixels aren't scaled"),
        ("problem.dem_norm0[cut.order()]", "problem.dem_norm0", "weights of other pixels"),
        ("(secret, *words)", "words", "problems to come are known"),
    ),
    *_in(
        "workloads/seal",
        TURNS,
        ("path.chmod(0o444)", "path.chmod(0o644)", "a careless solver writes to the problem"),
        ("({*self._differing(_stamp), *self._differing(_digest)})", "(self._differing(_stamp))", "no hash is compared"),
        (
            "seen.st_ino, seen.st_size, seen.st_ctime_ns",
            "seen.st_ino, seen.st_size, seen.st_mtime_ns",
            "a change that is dated back isn't seen",
        ),
        ('return hashlib.file_digest(file, "sha256").hexdigest()', "return path.name", "the hash is of nothing"),
    ),
    *_in(
        "records/schema",
        RECORD,
        ('if record.get("schema") != SCHEMA:', "if False:", "another schema's record is read"),
        ('if row["status"] == "ok" and not _are_turns', "if False and not _are_turns", "times without turns count"),
        ("if cell != {key: row[key]", "if False and cell != {key: row[key]", "a row of another cell counts"),
        ("if name != file_name(", "if False and name != file_name(", "a record counts twice under another name"),
        ("if row.get(key) is None:", "if False:", "a row without its solver"),
        ("0 <= value < math.inf", "0 <= value", "an infinite time is a result"),
        (" and abs(value) <= sys.float_info.max", "", "NaN in records"),
        ("0 < value < math.inf", "0 <= value", "a CPU time without end is a result"),
        ('value == value.encode(errors="replace").decode()', "True", "half a character breaks the page"),
    ),
    *_in(
        "records/run",
        RECORD,
        ("stack.enter_context(locked(self.folder))", "pass", "two sweeps measure in one folder"),
        (
            "        if path.exists():\n            again",
            "        if False:\n            again",
            "a run is overwritten",
        ),
        ("path.exists() and self._record(path) is not None", "path.exists()", "a damaged record is never remade"),
        ("        self._table = None\n\n    def records", "\n    def records", "the table lacks the newest rows"),
        ('if found.get("schema") != SCHEMA:', "if False:", "a run of another schema is continued"),
        ("if path.name not in self._named:", "if False:", "a damaged record goes unmentioned"),
        ("write_atomically(path, text)", "path.write_text(text)", "a record half-written by a kill"),
        ("if path in self._written and", "if False and", "a solver changes the rows of cells before"),
        (", *self._written}", "}", "a solver removes the rows of cells before"),
        ("path not in self.asked:", "False:", "rows that nobody asked for are in the table"),
    ),
    *_in(
        "measure/sweep",
        LIARS + " -k asked",
        ("        run.asked = frozenset", "        frozenset", "a sweep doesn't say what it asks for"),
    ),
    *_in(
        "records/files",
        RECORD,
        ("        temporary.write_text(text", "        path.write_text(text", "a file half-written by a full disk"),
        ("        temporary.unlink(missing_ok=True)\n", "", "pieces of files stay behind"),
    ),
    *_in(
        "measure/supervisor",
        ESCAPES + " -k 'escape_ends_its_row'",
        ("not hmac.compare_digest(token, self._token.encode()) or", "", "a forged reply counts"),
    ),
]
ARGUED = {"0 <= value": "every number of a row is finite: what isn't was refused before, column by column"}
"""Mutations by what they put in place that no test notices, and why that may be."""


def problems() -> list[str]:
    """Mutations whose place isn't there, or is there more than once, or whose tests aren't."""
    found = []
    for each in MUTATIONS:
        times = (ROOT / each.file).read_text().count(each.old)
        if times != 1:
            found.append(f"{each.file}: {each.old!r} is there {times} times, expected once")
        files = [word for word in each.tests.split() if word.endswith(".py")]
        found += [f"{file} isn't there" for file in files if not (ROOT / file).is_file()]
    return found


def since(commit: str) -> list[Mutation]:
    """Those that the list of a commit lacks."""
    listed = f"{commit}:{Path(__file__).relative_to(ROOT)}"
    text = subprocess.run(["git", "show", listed], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder, "mutations.py")).write_text(text)
        known = {(each.file, each.old, each.new) for each in runpy.run_path(str(file))["MUTATIONS"]}
    return [each for each in MUTATIONS if (each.file, each.old, each.new) not in known]


def run(copy: Path, tests: str) -> tuple[int, str]:
    """Pytest's exit code in a copy of the checkout, and the end of what it says; 1 where it takes too long."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=ci",
        *shlex.split(tests),
    ]
    variables = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command,
        cwd=copy,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return 1, "timeout"
    return process.returncode, said[-3000:]


def run_in(copies: "SimpleQueue[Path]", tests: str, mutation: Mutation | None = None) -> tuple[int, str]:
    """The outcome of tests in some copy that is free, with a mutation in place."""
    copy = copies.get()
    try:
        if mutation is None:
            return run(copy, tests)
        path = copy / mutation.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace(mutation.old, mutation.new), encoding="utf-8")
        try:
            return run(copy, tests)
        finally:
            path.write_text(whole, encoding="utf-8")
    finally:
        copies.put(copy)


def main(*words: str) -> int:
    """Try them all, say what became of each, and how many of how many were noticed."""
    if found := problems():
        print(*found, sep="\n")
        return 2
    chosen = [each for each in MUTATIONS if not words or any(word in "".join(each) for word in words)]
    if words == (SINCE,):
        chosen = since(json.loads(KEPT.read_text())["commit"])
    copies: SimpleQueue[Path] = SimpleQueue()
    start, commit = time.monotonic(), facts.commit()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        for number in range(WORKERS):
            copy = Path(folder) / str(number)
            for name in COPIED:
                source = ROOT / name
                (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
            copies.put(copy)
        sets = sorted({each.tests for each in chosen})
        for tests, (code, said) in zip(sets, pool.map(lambda t: run_in(copies, t), sets), strict=True):
            if code != 0:
                print(f"{tests}: fails (exit code {code}) with no mutation in place\n{said}")
                return 2
        outcomes = {0: [], 1: []}
        for each, (code, said) in zip(chosen, pool.map(lambda m: run_in(copies, m.tests, m), chosen), strict=True):
            if code not in outcomes:
                print(f"{each.file}: {each.new!r} ends the tests with exit code {code}\n{said}")
                return 2
            outcomes[code].append(each)
            print(f"{'noticed' if code else 'SURVIVED'}  {each.file}: {each.why}", flush=True)
    survivors = [each for each in outcomes[0] if each.new not in ARGUED]
    found = {"commit": commit, "tried": len(chosen), "noticed": len(outcomes[1])}
    found |= {"survivors": [each.why for each in survivors]}
    found |= {"argued": [each.why for each in outcomes[0] if each.new in ARGUED]}
    if words == (SINCE,):
        found = json.loads(KEPT.read_text()) | {"since": found}
    if words in ((), (SINCE,)):
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(json.dumps(found, indent=1) + "\n")
    print(
        f"{len(outcomes[1])} of {len(chosen)} mutations noticed, {len(outcomes[0]) - len(survivors)} argued, "
        f"{len(survivors)} survived, in {(time.monotonic() - start) / 60:.1f} minutes"
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
