"""Does the harness tell the truth? Its verdicts on solvers known to be equal, slower or wrong, as counts and rates.

`python -m harness.selfcheck` takes ten minutes: two equal solvers and one that is 10% slower, on a quiet machine, up to
100 ms, for sweep, compare and regression; and a fault in each output, for the gates. `--full` has slownesses of 2, 5,
10 and 20%, solvers from 0.1 ms to 10 s, with and without four burners, until each command and load has so many
`--cells`; the same call goes on where one ended, since every verdict is kept in DIR as it comes. Exit code 1 when a
rate is surely not what is aimed at. Planted slowness is more work, not a delay (`harness.proof.planted`).
"""

import contextlib
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from rich.console import Console

from harness.figures.common import STYLE
from harness.machine import facts, load
from harness.proof import rates, trials
from harness.proof.trial import burners
from harness.proof.trials import KINDS, REPORTED, Trial
from harness.records.files import replacing, write_atomically
from harness.show import markdown, terminal
from implementations import command_line as cli
from implementations.places import ROOT

OUT, KEPT, QUICKLY, RATES = Path("results") / "selfcheck", "trials.jsonl", "quick.jsonl", "rates.csv"
"""Where verdicts are kept, those of `--full` in a file of their own: these may be hours."""
PAGE, README = ROOT / "docs" / "trust.md", ROOT / "README.md"
PICTURE = ROOT / "plots" / "selfcheck.svg"
QUICK, FULL = (0.1,), (0.02, 0.05, 0.1, 0.2)
"""Slownesses that are planted, one in a cell beside two equal solvers."""
QUICK_KINDS = tuple(kind for kind in KINDS if kind not in REPORTED)
MIDDLE, LOADS, CELLS = 0.05, (0, 4), 300
SHARES = {"sweep": 0.5, "regression": 0.45, "gates": 0.05}
"""Of the time, where time is the limit; what compare says comes of the sweeps."""
MOST_FAILED = 10
"""Verdicts that could not be had, after which the check ends."""
NEEDED: dict[str, type] = {"command": str, "kind": str, "machine": str, "commit": str, "more": float, "seen": bool}
NEEDED |= {"burners": int, "seed": int}
"""What every line of verdicts holds."""
NUMBERS = ("ratio", "low", "high")
EXIT_CODES = "exit codes: 0 all may be as aimed at; 1 a rate surely isn't, or a verdict could not be had; 2 bad call"
Rows = dict[tuple[str, int], list[dict[str, Any]]]
"""Kind of solver, burners -> the rows of the last sweep, beside which `compare` looks at the next one's."""


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.selfcheck", description=__doc__, epilog=EXIT_CODES)
    add = parser.add_argument
    add("--full", action="store_true", help="all slownesses, solvers and loads; hours, and goes on where it ended")
    add("--minutes", type=float, help="how long it measures (10; with --full: until --cells are there)")
    add("--cells", type=int, help="with --full: verdicts on equal solvers for each command and load (300)")
    add("--out", type=Path, default=OUT, metavar="DIR", help="where verdicts are kept (results/selfcheck)")
    add("--readme", action="store_true", help="only write the pages' tables and the picture from what DIR has")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return its exit code."""
    parser = _parser()
    given = parser.parse(arguments)
    console = terminal.console()
    minutes = (float("inf") if given.full else 10.0) if given.minutes is None else given.minutes
    if not minutes > 0:
        parser.error(f"--minutes must be > 0, got {minutes:g}")
    if given.cells is not None and (given.cells < 1 or not given.full):
        parser.error(f"--cells is a number from 1 on, with --full, got {given.cells}")
    machine = facts.machine()
    origin = {"machine": f"{machine['id']} {machine['cpu_numbers']}".strip(), "commit": facts.commit()}
    origin["day"] = facts.now()[:10]
    file = given.out / (KEPT if given.full or given.readme else QUICKLY)
    known = _of_this_machine(parser, file, origin["machine"]) if given.full or given.readme else []
    if given.readme:
        if not known:
            parser.error(f"{given.out} has no verdicts: python -m harness.selfcheck --full makes them")
        _write(given.out, known)
        return cli.OK
    parser.folder(given.out)
    if not given.full:
        file.unlink(missing_ok=True)
    plan = _full(given.cells or CELLS, known) if given.full else _quick(60 * minutes)
    failed, deadline = 0, time.monotonic() + 60 * minutes
    with file.open("a", encoding="utf-8") as kept:
        kept.write("\n" * bool(known))  # the last line may have been cut short
        for trial in plan:
            known.append(trial | origin)
            kept.write(json.dumps(known[-1]) + "\n")
            kept.flush()
            failed += "failed" in trial
            if failed >= MOST_FAILED or (given.full and time.monotonic() > deadline):
                break
    return _show(console, file, known)


def _of_this_machine(parser: cli.Parser, file: Path, machine: str) -> list[Trial]:
    """The verdicts that are kept; those of different machines are never taken together."""
    try:
        known = _known(file)
    except (OSError, ValueError) as error:
        parser.error(f"{file} can't be read: {error}")
    if others := {trial["machine"] for trial in known} - {machine}:
        parser.error(f"{file} has verdicts of another machine, {', '.join(sorted(others))}: name another --out")
    return known


def _known(file: Path) -> list[Trial]:
    """The verdicts that are kept; a line that was cut short when a run was killed, or holds something else, is none."""
    found: list[Trial] = []
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(ValueError):
            trial = json.loads(line)
            found += [trial] if _is_verdict(trial) else []
    return found


def _is_verdict(trial: Any) -> bool:
    if not isinstance(trial, dict) or ("seen" not in trial and "failed" not in trial):
        return False
    whole = all(isinstance(trial.get(name), kind) for name, kind in NEEDED.items())
    return whole and all(isinstance(trial.get(name, 1.0), float) for name in NUMBERS)


def _quick(seconds: float) -> Iterator[Trial]:
    """As many verdicts as the time allows, one command after another; each kind twice, so that two are compared."""
    earlier: Rows = {}
    for command, share in SHARES.items():
        deadline, seed = time.monotonic() + share * seconds, 1
        while time.monotonic() < deadline:
            seed += 1
            yield from _cell(command, QUICK_KINDS[seed // 2 % len(QUICK_KINDS)], QUICK[0], 0, seed, earlier)


def _full(cells: int, known: list[Trial]) -> Iterator[Trial]:
    """Whatever is missing, loads and kinds in turn, until each command and load has its verdicts on equal solvers."""
    seed, earlier = max((trial["seed"] for trial in known), default=0), Rows()
    asked = {(c, n): cells if c != "gates" else max(cells // 10, 1) for c in SHARES for n in LOADS}
    for trial in known:
        if _counts(trial) and trial["kind"] not in REPORTED and (trial["command"], trial["burners"]) in asked:
            asked[trial["command"], trial["burners"]] -= 1
    while open_ones := [key for key, missing in asked.items() if missing > 0]:
        seed += 1
        for command, count in open_ones:
            kind, more = QUICK_KINDS[seed // 2 % len(QUICK_KINDS)], FULL[seed % len(FULL)]
            for trial in _cell(command, kind, more, count, seed, earlier):
                asked[command, count] -= trial["command"] == command and _counts(trial)
                yield trial
    there = {(trial["command"], trial["kind"], trial["burners"]) for trial in known}
    for command, kind, count in itertools.product(("sweep", "regression"), REPORTED, LOADS):
        if (command, kind, count) not in there:
            seed += 1
            yield from _cell(command, kind, MIDDLE, count, seed, earlier)


def _counts(trial: Trial) -> bool:
    """Whether it is a verdict on equal solvers, of which so many are asked for."""
    return trial["more"] == 0.0 and "failed" not in trial


def _cell(command: str, kind: str, more: float, count: int, seed: int, earlier: Rows) -> Iterator[Trial]:
    """The verdicts of one cell, and of compare on it and the `earlier` one of that kind, beside so many burners."""
    before = load.now()["load"][0]
    found: list[Trial] = []
    with burners(count), tempfile.TemporaryDirectory() as scratch:
        if command == "gates":
            found += trials.quality(seed)
        elif command == "regression":
            for share in (0.0, more):
                found += trials.regression([kind], share, seed, Path(scratch))
        else:
            told, rows = trials.sweep(kind, (0.0, more), seed)
            last = earlier.get((kind, count))
            found += [*told, *(trials.compare(kind, (0.0, more), last, rows) if last else ())]
            earlier[kind, count] = rows
    for trial in found:
        yield trial | {"burners": count, "seed": seed, "load": before}


def _show(console: Console, file: Path, known: list[Trial]) -> int:
    """The table, where it is, and whether what is aimed at was missed."""
    frame = rates.table(known)
    write_atomically(file.with_name(RATES if file.name == KEPT else "quick.csv"), frame.to_csv(index=False))
    console.print(rates.as_markdown(frame), soft_wrap=True)
    for trial in [t for t in known if t["kind"] in REPORTED and t["more"] in (0.0, MIDDLE)]:
        told = f"{trial.get('ratio', trial.get('failed'))} [{trial.get('low', '')}, {trial.get('high', '')}]"
        what = f"{trial['command']}, {trial['kind']}, {trial['more']:.0%} more, {trial['burners']} burners"
        console.print(f"reported only: {what}: {told}", soft_wrap=not console.is_terminal)
    failed = [t for t in known if "failed" in t]
    if failed:
        console.print(f"without a result: {len(failed)}, the first: {failed[0]['command']}: {failed[0]['failed']}")
    console.print(f"machine: {facts.machine_label(facts.machine())}; verdicts: {file}", soft_wrap=True)
    missed = any(rates.missed(row) for row in frame.itertuples())
    return cli.GATE_FAILED if missed or failed or frame.empty else cli.OK


def _write(out: Path, known: list[Trial]) -> None:
    """The tables in README.md and docs/trust.md and beside the verdicts, and the picture."""
    frame = rates.table(known)
    write_atomically(out / RATES, frame.to_csv(index=False))
    commits = ", ".join(dict.fromkeys(trial["commit"] for trial in known))
    days = sorted({trial["day"] for trial in known if "day" in trial})
    when = [" to ".join(dict.fromkeys((days[0], days[-1])))] if days else []
    made = "; ".join([facts.machine_label(facts.machine()), f"commit {commits}", *when])
    origin = f"{made}; every verdict: [{KEPT}](../results/selfcheck/{KEPT})."
    pages = {PAGE: rates.as_markdown(frame), README: rates.in_short(frame)}
    for path, table in pages.items():
        text = f"{table}\n\n{origin.replace('../', '' if path == README else '../')}"
        write_atomically(path, markdown.rewritten(path.read_text(), "selfcheck", text))
    with mpl.rc_context(STYLE), replacing(PICTURE) as whole:
        figure = rates.picture(frame, made)
        figure.savefig(whole, format="svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    cli.run(main)
