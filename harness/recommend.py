"""Which solver to use on this machine for a map of some size, from the records in results/.

Times and memory are predicted by laws fitted to this machine's records (harness.advice.growth_law); solvers that failed
a gate are never recommended. `--table` is the whole decision table with its break-even sizes; `--check` compares
predictions with measured times: of a run held out, or, with no run named, of every size by the others.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.advice import breakeven, elsewhere, evidence, held_out
from harness.advice import candidates as advice_candidates
from harness.advice import gaps as advice_gaps
from harness.advice import text as advice_text
from harness.advice.evidence import Evidence
from harness.machine import facts, limits
from harness.records import files
from harness.records.run import Run
from harness.show import terminal
from implementations import command_line as cli

RESULTS = Path("results")
MIB = 2**20
ITSELF = Path()
"""Stands for `--check` without a run."""


def pixels(text: str) -> int:
    """ "4096x4096", "1e6" or "16777216" -> pixels."""
    try:
        count = 1.0
        for part in text.lower().replace(",", "").split("x"):
            count *= float(part)
        if not (count == int(count) and 1 <= count <= 1e12):
            raise ValueError
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected a map's size such as 4096x4096 or 1e6, got '{text}'") from None
    return int(count)


def memory_mb(text: str) -> float:
    """ "16GB" -> MB of 2^20 bytes, as records have them."""
    match = re.fullmatch(r"(\d+\.?\d*)\s*([KMGT])(i?)B?", text.strip(), re.IGNORECASE)
    if match is None or not float(match[1]) > 0:
        raise argparse.ArgumentTypeError(f"expected memory such as 16GB or 500MB, got '{text}'")
    power = "KMGT".index(match[2].upper()) + 1
    size = float(match[1]) * (1024.0 if match[3] else 1000.0) ** power
    return size / MIB


def _parser() -> cli.Parser:
    codes = "exit codes: 0 all well; 1 nothing can be recommended, or a checked prediction is off; 2 bad call"
    parser = cli.Parser("harness.recommend", description=__doc__, epilog=codes)
    add = parser.add_argument
    add("runs", nargs="*", type=Path, metavar="RUN", help="folders of records (all in results/)")
    add("--pixels", type=pixels, help="size of the map: 4096x4096, 1e6")
    add("--bins", type=cli.whole_numbers, help="temperature bins; several, by commas, with --table")
    add("--memory", type=memory_mb, help="what the solver may take: 16GB (all that the machine has)")
    add("--device", choices=("any", "cpu", "gpu"), default="any")
    add("--needs", choices=("errors",), action="append", default=[], help="errors: the algorithm's own error bars")
    add("--dataset", help="workload whose times are predicted (the one with most records)")
    add("--machine", metavar="ID", help="use the records of another machine")
    add("--from", dest="elsewhere", type=Path, metavar="RUN", help="another machine's run, its times by both's limits")
    add("--measure", action="store_true", help="measure what is missing first, a minute at most")
    add("--table", action="store_true", help="the decision table: fastest solvers and break-even sizes")
    add("--check", nargs="?", type=Path, const=ITSELF, metavar="RUN", help="compare predictions with measured times")
    add("--json", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    given = parser.parse(arguments)
    machine = facts.machine()
    if given.elsewhere is not None and (given.runs or given.machine or given.measure or given.check is not None):
        parser.error("--from takes one run of another machine; RUN, --machine, --measure, --check don't go with it")
    if given.machine is not None:
        machine = {"id": given.machine, "cpu": "another machine", "memory_gb": None}
    try:
        runs = given.runs or evidence.folders(RESULTS)
        if given.check is not None:
            return _check(given, runs, machine)
        known = _from(given.elsewhere) if given.elsewhere else evidence.gather(runs, machine)
        if given.table:
            return _table(given, known)
        return _recommend(given, known, runs)
    except ValueError as error:
        parser.error(" ".join(str(error).split()))


def _from(folder: Path) -> Evidence:
    """What another machine's run says of this one. ValueError when it is no run, or kept no limits."""
    there = Run.open(folder).provenance
    known = evidence.gather([folder], there["machine"])
    return elsewhere.guessed(known, there.get("limits") or {}, limits.known(), facts.machine())


def _request(given: argparse.Namespace, known: Evidence, bins: int) -> advice_candidates.Request:
    """What is asked. ValueError, with what could be done, when the evidence is empty."""
    total = facts.machine()["memory_gb"] * 1024.0
    dataset = given.dataset or "random-response"
    if len(known.measured):
        dataset = known.dataset(given.dataset)
    elif not given.measure:
        others = f"; {len(known.left_out)} runs are of others: {'; '.join(known.left_out)}" if known.left_out else ""
        raise ValueError(
            f"no records of this machine ({known.machine['id']}){others}. --measure makes some within a minute, "
            "--machine ID takes another's"
        )
    limit, asked = given.memory or total, given.memory is not None
    return advice_candidates.Request(given.pixels or 1, bins, dataset, limit, given.device, tuple(given.needs), asked)


def _recommend(given: argparse.Namespace, known: Evidence, runs: list[Path]) -> int:
    if given.pixels is None or not given.bins or len(given.bins) != 1 or not 3 <= given.bins[0] <= 10_000:
        raise ValueError("expected --pixels and one number of --bins from 3 to 10000: --pixels 4096x4096 --bins 34")
    request = _request(given, known, given.bins[0])
    candidates = advice_candidates.advise(known, request)
    gaps = [] if given.machine or given.elsewhere else advice_gaps.gaps(candidates, request)
    if gaps and (given.measure or (_interactive() and not given.json and advice_text.asks(terminal.console(), gaps))):
        made = advice_gaps.measure(gaps, request, RESULTS, [sys.executable, "-m", "harness.sweep"])
        known = evidence.gather([*runs, *made], known.machine)
        candidates = advice_candidates.advise(known, request)
        gaps = advice_gaps.gaps(candidates, request)
    chosen = advice_candidates.best(candidates)
    if given.json:
        _print_json(_as_json(known, request, candidates, chosen, gaps))
    else:
        advice_text.show(terminal.console(), known, request, candidates, chosen, gaps)
    return cli.OK if chosen else cli.GATE_FAILED


def _interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _as_json(
    known: Evidence,
    request: advice_candidates.Request,
    candidates: list[advice_candidates.Candidate],
    chosen: advice_candidates.Candidate | None,
    gaps: list[advice_gaps.Gap],
) -> dict[str, Any]:
    rows = [asdict(c) | {"spec": c.spec, "call": advice_text.call(c)} for c in candidates]
    for row in rows:
        for name in ("time_s", "memory_mb"):
            row[name] = row[name] and dict(zip(("value", "low", "high"), row[name], strict=True))
    return {
        "request": asdict(request),
        "machine": known.machine,
        "guess": known.guess,
        "recommended": rows[candidates.index(chosen)] if chosen else None,
        "candidates": rows,
        "not_measured": [asdict(gap) for gap in gaps],
        "runs": known.used,
        "left_out": known.left_out,
    }


def _table(given: argparse.Namespace, known: Evidence) -> int:
    request = _request(given, known, 0)
    rows = known.measured[known.measured.dataset == request.dataset]
    bins = list(given.bins or sorted(int(b) for b in rows.bins.unique()))
    legs = breakeven.table(known, request, bins)
    if missing := [count for count in bins if count not in {leg.bins for leg in legs}]:
        there = ", ".join(str(count) for count in sorted(rows.bins.unique()))
        raise ValueError(f"no solver's time can be predicted at {missing[0]} bins; measured are {there or 'none'}")
    if given.json:
        facts_of = {"machine": known.machine, "guess": known.guess, "dataset": request.dataset}
        _print_json(facts_of | {"table": [asdict(leg) for leg in legs]})
    else:
        advice_text.show_table(terminal.console(), known, request, legs)
    return cli.OK if legs else cli.GATE_FAILED


def _check(given: argparse.Namespace, runs: list[Path], machine: dict[str, Any]) -> int:
    found = held_out.trials(runs, machine, None if given.check == ITSELF else given.check)
    if given.json:
        _print_json({"within": held_out.WITHIN, "trials": [asdict(t) | {"error": t.error} for t in found]})
    else:
        advice_text.show_trials(terminal.console(), found)
    return cli.OK if held_out.passed(found) else cli.GATE_FAILED


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(files.plain(value), indent=1, allow_nan=False))


if __name__ == "__main__":
    cli.run(main)
