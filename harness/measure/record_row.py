"""Turns what was measured of a cell into records: the table's row, and the raw figures behind it."""

from typing import Any

import numpy as np

from harness.judge import clocks, excerpt, gates, intervals, quality
from harness.judge.summary import Summary
from harness.machine import counted_work, limits
from harness.measure.cell import CellResult
from harness.measure.clock import Phases
from harness.measure.contender import Contender
from harness.measure.handover import FIRST, StepOriginal
from harness.records.schema import Cell
from implementations.contract import OUTPUTS, Array, Bounds


def row_of(contender: Contender, measured: CellResult) -> dict[str, Any]:
    """Time, memory, quality and verdict of one solver in one cell."""
    row: dict[str, Any] = {"threads": contender.threads, "channels": measured.problem.sizes[1]}
    if contender.ended is not None:
        return row | {"status": contender.ended.status, "reason": contender.ended.reason, "gate": "none"}
    return (
        row
        | {"status": "ok", "reason": throttling(contender)}
        | _times(contender, measured)
        | (step_quality if isinstance(measured.original, StepOriginal) else _quality)(contender, measured)
    )


def step_quality(contender: Contender, measured: CellResult) -> dict[str, Any]:
    """The verdict on a form of a step."""
    assert isinstance(measured.original, StepOriginal)
    return measured.original.figures(contender.kept)


def _times(contender: Contender, measured: CellResult) -> dict[str, Any]:
    every_run = np.array([run for runs in contender.turns.values() for run in runs])
    phases, headline = Phases(*map(float, np.median(every_run, axis=0))), contender.seconds()
    figures: dict[str, Any] = {
        "oneoff_s": contender.oneoff_s,
        "prepare_s": phases.prepare,
        "solve_s": phases.solve,
        "collect_s": phases.collect,
        "median_s": headline.value,
        "ci_low_s": headline.low,
        "ci_high_s": headline.high,
        "n": len(contender.turns),
        "pixels_per_s": measured.problem.sizes[0] / headline.value,
        "peak_rss_mb": contender.peak_rss_mb,
        "peak_device_mb": max(
            (f.get("peak_device_mb", 0.0) for run in contender.facts.values() for f in run), default=0.0
        )
        or np.nan,
    }
    figures |= _trust(contender)
    if measured.baseline is not None:
        figures["clock"] = contender.clock_beside(measured.baseline)
        figures["speedup"], figures["speedup_low"], figures["speedup_high"] = contender.speedup(measured.baseline)
    return figures


def _trust(contender: Contender) -> dict[str, Any]:
    """CPU time, the clock, the machine's other work, and why the times are to be read with care."""
    clock, others = contender.clock, [contender.machine[r] for r in contender.turns if r in contender.machine]
    figures: dict[str, Any] = {"clock": clock}
    if clock == clocks.CPU:
        figures["cpu_s"], figures["cpu_low_s"], figures["cpu_high_s"] = contender.seconds(clock)
    if others:
        figures["others_cores"] = sum(each[2] for each in others) / sum(each[0] for each in others)
    doubts = clocks.doubts(
        contender.turns, contender.used, contender.machine, contender.threads, clock, contender.process
    )
    if contender.warming:
        doubts.append(f"warm-up: {len(contender.warming)} turns that were slower than all later ones are left out")
    if contender.processes == 1 and len(contender.turns) >= intervals.FEWEST and contender.start_s > contender.budget_s:
        doubts.append(f"one process: another takes {contender.start_s:.0f} s to start")
    return figures | {"doubts": "; ".join(doubts)}


def limit(contender: Contender, measured: CellResult, figures: dict[str, Any]) -> dict[str, float]:
    """How far a solver that was measured is from what the machine, of those limits, could do at best."""
    problem, reference = measured.problem, measured.references.get(FIRST) or contender.summary
    if reference is None or not reference.iterations.any():
        return {}
    shape = counted_work.Shape.of(problem, reference.iterations)
    valid = int(np.count_nonzero(problem.valid()))
    return limits.columns(contender.spec, shape, valid, contender.seconds().value, figures, contender.threads)


def traffic_s(contender: Contender, measured: CellResult, machine: dict[str, Any], figures: dict[str, float]) -> float:
    """Seconds at best for counts in and outputs out, which an approximate solver can't do without either."""
    valid = int(np.count_nonzero(measured.problem.valid()))
    return limits.seconds(counted_work.Work(0, 0, figures["algorithm_bytes"]), valid, machine, contender.threads)


def _quality(contender: Contender, measured: CellResult) -> dict[str, Any]:
    """Figures of the first run, whose problem is always the same, and the verdict on all that was handed over."""
    summary, problem = contender.summary, measured.problem
    assert summary is not None
    fixed = summary.sampled_at(quality.sample_of(problem.sizes[0]))
    figures: dict[str, Any] = quality.chisq_figures(summary.chisq[problem.valid()[summary.pixels]])
    figures |= quality.counts(summary, problem) | quality.against_truth(fixed, problem, _truth(fixed, measured))
    verdict = gates.Verdict("pass")
    for number in sorted(contender.kept):
        found, compared = _verdict(contender, measured, number)
        for name, value in compared.items():
            if name.startswith("parity_") or name.endswith("_pixels"):
                figures[name] = max(value, figures.get(name, 0))
        if found.gate != "pass" and verdict.gate != "fail":
            where = f"in round {number}, and not in all before: " if number != FIRST and verdict.gate == "pass" else ""
            verdict = gates.Verdict(found.gate, tuple(where + reason for reason in found.reasons))
    leaves_out = [output for output in contender.hello.get("leaves_out", ()) if output in OUTPUTS]
    figures |= {"leaves_out": " ".join(leaves_out), "accuracy": contender.hello["accuracy"]}
    figures["method"] = contender.hello.get("method", "demreg")  # nor does it say that
    return figures | {"gate": verdict.gate, "gate_reasons": "; ".join(verdict.reasons)}


def _verdict(contender: Contender, measured: CellResult, number: int) -> tuple[gates.Verdict, dict[str, Any]]:
    """What the gates say of the solution that was handed over in a round, and by what figures."""
    accuracy, bounds = contender.hello["accuracy"], contender.hello["bounds"]
    leaves_out = contender.hello.get("leaves_out", ())  # a worker of an older commit doesn't say
    bounds = None if bounds is None else Bounds(**bounds)
    if number not in measured.references:
        return gates.judge(accuracy, bounds, {}, None), {}
    got, reference = quality.matched(contender.kept[number], measured.references[number])
    truth = _truth(got, measured)
    compared = quality.parity(got, reference, measured.problem)
    ours, theirs = (quality.judged_figures(each, measured.problem, truth) for each in (got, reference))
    if accuracy == "other":
        ours |= quality.reached(got, measured.problem)
    return gates.judge(accuracy, bounds, ours | compared, theirs, leaves_out), compared


def _truth(summary: Summary, measured: CellResult) -> Array:
    """The true DEM (S, T) of a summary's sample."""
    return measured.true_dem[np.searchsorted(measured.original.sample, summary.sample)]


def detail_of(contender: Contender, measured: CellResult) -> dict[str, Any]:
    """What a record keeps beside its row: raw times, threads as the libraries saw them, traceback, what is drawn."""
    drawn = {}
    if isinstance(contender.summary, Summary):
        fixed = contender.summary.sampled_at(quality.sample_of(measured.problem.sizes[0]))
        drawn = excerpt.of(fixed, measured.problem, _truth(fixed, measured))
    return {
        "first_run": contender.first,
        "turns": {str(number): runs for number, runs in contender.turns.items()},
        "facts": {str(number): runs for number, runs in contender.facts.items() if runs},
        "warming": {str(number): runs for number, runs in contender.warming.items()},
        "used": {str(number): runs for number, runs in contender.used.items() if runs},
        "spent": {str(number): seconds for number, seconds in contender.spent.items()},
        "machine": {str(number): seconds for number, seconds in contender.machine.items()},
        "hello": contender.hello,
        "traceback": contender.ended.traceback if contender.ended else "",
        "shown": drawn,
        "process": {str(number): place for number, place in contender.process.items()},
        "claims": {str(number): seconds for number, seconds in contender.claims.items()},
        "secret": measured.original.secret,
        "judged": sorted(contender.kept),
        "throttled": {str(number): why for number, why in contender.throttled.items()},
        "cell_setup_s": measured.setup_s,
        "cell_rounds_s": measured.rounds_s,
        "cell_solves_s": measured.solves_s,
    }


def throttling(contender: Contender) -> str:
    """A measured row's reason to be read with care: how many of its turns a device spent below its clock, and why."""
    turns = sorted(contender.throttled.keys() & contender.turns.keys())
    why = sorted({reason for turn in turns for reason in contender.throttled[turn]})
    return f"device throttled in {len(turns)} of {len(contender.turns)} turns: {', '.join(why)}" if turns else ""


def skipped(reason: str, threads: int) -> dict[str, Any]:
    """The row of a solver that wasn't run."""
    return {"threads": threads, "status": "skipped", "reason": reason, "gate": "none"}


def dominated(cell: Cell, ended: list[tuple[Cell, str]]) -> str:
    """Why a cell needn't be tried, "" if it should: the solver ran out of time or memory on one no larger."""
    for other, status in ended:
        if other.dataset == cell.dataset and other.pixels <= cell.pixels and other.bins <= cell.bins:
            return f"{status} at {other.pixels} pixels x {other.bins} bins already"
    return ""
