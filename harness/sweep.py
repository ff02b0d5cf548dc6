"""The main job: every solver over pixels x temperature bins, time beside quality.

`python -m harness.sweep --help` lists the options. A run is a folder under results/; see `harness.records.run`.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.figures import gallery
from harness.figures.common import measured
from harness.machine import facts, limits, load
from harness.measure.plan import PRESETS, Plan, asked
from harness.measure.sweep import Sweep
from harness.records import fingerprint
from harness.records.run import PLOTS, RUN_FILE, Run
from harness.reports import contention, scaling
from harness.show import html, terminal
from harness.workloads import images, specification
from implementations import command_line as cli
from implementations import registry, solver_spec

RESULTS = Path("results")
ORIGIN = ("commit", "machine", "software")
OPTIONS = {
    "nmu": "points of the regularisation grid",
    "gloci": "weights from the EM loci: 0, 1, or a digit for each channel",
    "max_iter": "most passes of the positivity loop",
    "reg_tweak": "chi-squared aimed at",
}
"""Options of the algorithm that are part of a cell: see `harness.workloads.variation`."""


def _parser() -> cli.Parser:
    parser = cli.Parser("harness.sweep", description=__doc__, epilog=cli.EXIT_CODES)
    add = parser.add_argument
    add("--preset", choices=sorted(PRESETS), default=None, help="grid and limits to start from (quick)")
    add(
        "--scheduler",
        help="with --preset cluster: address or JSON file of a running Dask cluster, instead of workers here",
    )
    add("--solvers", type=cli.words, help="names or name[key=value,...], by commas (all)")
    add("--step", help="one step of the algorithm in all its forms: regularisation, factorisation, positivity, ...")
    add("--dataset", dest="datasets", type=cli.words, help="of datasets/, by commas")
    add("--pixels", type=cli.whole_numbers, help="map sizes, by commas")
    add("--bins", type=cli.whole_numbers, help="numbers of temperature bins, by commas")
    for name, what in OPTIONS.items():
        add(f"--{name.replace('_', '-')}", type=cli.words, help=f"{what}, by commas (each workload's own)")
    add("--threads", type=int, help="threads of every solver that doesn't say otherwise (1)")
    add("--seed", type=int, help="of the workloads, instead of each specification's own")
    add("--repeats", type=int, help="rounds per cell, instead of as many as --rel-ci asks for")
    add("--max-seconds", type=float, help="time budget of a cell's rounds; a slower solver is run once")
    add("--rel-ci", type=float, help="half width of the speedup's interval, relative, at which rounds end")
    add("--plugin", dest="plugins", action="append", metavar="FILE.py", help="a file with further solvers (repeatable)")
    add("--map", dest="maps", nargs="+", metavar="FITS", help="AIA images of your own, level 1.5, six for each time")
    add("--out", type=Path, metavar="DIR", help="the run's folder (results/TIME-PRESET)")
    add("--resume", type=Path, metavar="DIR", help="continue the run in this folder")
    add("--strict", action="store_true", help="exit with 1 when a gate fails")
    add("--list", action="store_true", help="list the solvers, and whether they can run here")
    add("--json", action="store_true", help="with --list: as JSON")
    add("--dry-run", action="store_true", help="say what would be measured, and write nothing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        return _carried_out(arguments)
    except cli.Stopped as stop:  # everything was done and said, and the run's lock on its way back
        return stop.code


def _carried_out(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    given = parser.parse(arguments)
    console = terminal.console()
    run = None
    with ExitStack() as stack:
        stack.enter_context(cli.stoppable())
        try:
            try:
                if given.list:
                    table = registry.Registry(given.plugins or (), given.step or "")
                    _warn(table, table.names())
                    return _list(console, table, given.json)
                plan, run = asked(given)
                table = plan.table()
                plan = plan.resolved(table)
                _warn(table, plan.solvers)
                if given.dry_run:
                    return _dry_run(console, plan, table)
                here = _provenance(plan, table)
                if run is None:
                    folder = given.out or _new_folder(given.preset or "quick")
                    run = Run(folder, here | {"limits": limits.known()})
                stack.enter_context(run.owned())
                if given.resume is None:
                    run.begin()
                _check_same(run, here, console)
            except ValueError as error:
                parser.error(" ".join(str(error).split()))
            Sweep(plan, table, run, {key: here[key] for key in ORIGIN}).measure_all(console)
            return _conclude(console, run, given.strict)
        except OSError as error:
            if isinstance(error.__context__, cli.Stopped):  # of something that was being ended
                return _stopped(console, run, error.__context__)
            parser.error(_trouble(run, error))
        except cli.Stopped as stop:
            return _stopped(console, run, stop)


def _stopped(console: Console, run: Run | None, stop: cli.Stopped) -> int:
    """Leave the table of what there is."""
    if run is None or not (run.folder / RUN_FILE).exists():
        console.print(f"{stop}; nothing was measured")
    else:
        run.write_table()
        console.print(f"{stop}; continue with --resume {run.folder}", soft_wrap=True)
    return stop.code


def _trouble(run: Run | None, error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    kept = f"; what is recorded is kept, continue with --resume {run.folder}" if run else ""
    return f"{where}{error.strerror or error}{kept}"


def _check_same(run: Run, here: dict[str, Any], console: Console) -> None:
    """ValueError when a run can't go on with what is here now; what may differ, and rows then say, is shown."""
    there = run.provenance
    if not facts.same(there["machine"], here["machine"]):
        raise ValueError(f"{run.folder} is of another machine: {facts.machine_label(there['machine'])}")
    if unlike := facts.unlike(there["machine"], here["machine"]):
        raise ValueError(f"{run.folder} was measured with another part of the machine: {unlike}")
    for kind in ("workloads", "plugin_sources"):
        changed = [name for name, digits in here[kind].items() if there.get(kind, {}).get(name, digits) != digits]
        if changed:
            word = "workload" if kind == "workloads" else "plugin with the solver"
            raise ValueError(f"{run.folder} can't go on: the {word} {changed[0]} was edited since; start another run")
    before = {"commit": there["commit"], **there["software"]}
    now = {"commit": here["commit"], **here["software"]}
    for name in (name for name in now if now[name] != before.get(name, "none")):
        line = f"{name} was {before.get(name, 'none')}, is {now[name]}: rows from here on say so in their records"
        console.print(line, soft_wrap=not console.is_terminal)


def _new_folder(preset: str) -> Path:
    return RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{preset}"


def _provenance(plan: Plan, table: registry.Registry) -> dict[str, Any]:
    external = [spec for spec in plan.solvers if table.entry(solver_spec.parse(spec)[0]).external]
    return {
        "created": facts.now(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "devices": facts.devices.facts(),
        "software": facts.software(),
        "load": load.now(),
        "workloads": {name: plan.specification(name).fingerprint for name in plan.datasets},
        "plugin_sources": {spec: fingerprint.of_solver(spec, table) for spec in external},
        "grid": plan.to_json(),
    }


def _warn(table: registry.Registry, solvers: Sequence[str]) -> None:
    """Say on standard error what of the plugins is no solver, unless a row of the table will."""
    for name, entry in table.entries.items():
        if entry.fault and name not in solvers:
            print(f"harness.sweep: left out: {table.fault(name)}", file=sys.stderr)
    for clash in table.clashes:
        print(f"harness.sweep: {clash}", file=sys.stderr)


def _list(console: Console, table: registry.Registry, as_json: bool) -> int:
    described = [table.describe(name) for name in table.names()]
    if as_json:
        print(json.dumps(described, indent=1))
        return cli.OK
    view = Table("solver", "device", "accuracy", "method", "runs here", "tunables", box=None)
    for row in described:
        runs = "yes" if row["available"] else f"no: {row['reason']}"
        said = (row[key] for key in ("name", "device", "accuracy", "method"))
        view.add_row(*said, runs, " ".join(f"{k}={v}" for k, v in row["tunables"].items()))
    console.print(view)
    _show_workloads(console)
    return cli.OK


def _show_workloads(console: Console) -> None:
    """A line for each of datasets/: whether it can be solved here, and how to fetch what it lacks."""
    for name in specification.names():
        lacks = images.lacks(specification.load(name))
        console.print(f"workload {name}: {lacks or 'ready'}")


def _dry_run(console: Console, plan: Plan, table: registry.Registry) -> int:
    """What a sweep would do; its longest duration counts the rounds' budgets, not processes and warm-ups."""
    for spec in plan.solvers:
        reason = table.unavailable(spec)
        console.print(f"{spec}: {'skipped: ' + reason if reason else 'would run'}")
    for cell in plan.cells():
        console.print(f"{cell.dataset}: {cell.pixels} pixels x {cell.bins} bins, seed {cell.seed}")
    _show_workloads(console)
    console.print(f"{len(plan.cells())} cells, at most {len(plan.cells()) * plan.max_seconds:g} s of rounds")
    return cli.OK


def _conclude(console: Console, run: Run, strict: bool) -> int:
    """Show the table, write the figures, and say by the exit code how it went."""
    table = run.table()
    terminal.show_table(console, table)
    scaling.conclude(run, console)
    contention.conclude(run, console)
    note = facts.machine_label(run.provenance["machine"])
    pictures: list[html.Picture] = []
    if (table.status == "ok").any():
        (run.folder / PLOTS).mkdir(exist_ok=True)
        pictures = gallery.pictures(measured([run]), run.folder / PLOTS, gallery.FIGURES[:2])
    console.print(f"machine: {note}", f"table: {run.write_table()}", sep="\n", soft_wrap=True)
    for picture in pictures:
        if not picture.missing:
            console.print(f"plot: {run.folder / PLOTS / picture.slug}.png", soft_wrap=True)
    gate_failed = strict and bool((table.gate == "fail").any())
    cell_failed = bool((~table.status.isin(["ok", "skipped"])).any())
    codes = {(False, False): cli.OK, (True, False): cli.GATE_FAILED, (False, True): cli.CELL_FAILED}
    return codes.get((gate_failed, cell_failed), cli.BOTH_FAILED)


if __name__ == "__main__":
    cli.run(main)
