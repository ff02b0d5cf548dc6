"""The report of one or several runs: a self-contained HTML page, and every figure as PNG and SVG.

`python -m harness.report [RUN ...]` reads records and nothing else, and writes beside them, into report/ of the first
RUN. Without a RUN it takes the newest in results/. Runs stand side by side, of several machines or commits too; nothing
is averaged over them. The page loads nothing from anywhere, and opens from disk. `--history` makes a page of this
project's own commits instead, from what `make history` has stored.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.machine import facts as machine_facts
from harness.records import history
from harness.records.files import write_atomically
from harness.records.run import RUN_FILE, Run
from harness.reports import history as commits
from harness.reports.run import page
from implementations import command_line as cli

RESULTS, BESIDE, PAGE = Path("results"), "report", "report.html"
EXIT_CODES = "exit codes: 0 the page is written; 2 it can't be: no run, no record, no room"


def newest() -> Path:
    """The newest run in results/. ValueError, in one line, when there is none."""
    found = [path.parent for path in RESULTS.glob(f"*/{RUN_FILE}")]
    if not found:
        raise ValueError(f"{RESULTS}/ holds no run; make one with `python -m harness.sweep`, or name its folder")
    return max(found, key=lambda folder: Run.open(folder).provenance["created"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and the figures, and return the exit code."""
    parser = cli.Parser("harness.report", description=__doc__, epilog=EXIT_CODES)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders of runs (the newest in results/)")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where it is written ({BESIDE}/ of the first RUN)")
    parser.add_argument(
        "--history",
        nargs="?",
        type=Path,
        const=history.FOLDER,
        metavar="FOLDER",
        help="the history of commits instead, from airspeed velocity's results (results/asv)",
    )
    given = parser.parse(arguments)
    try:
        if given.history and given.runs:
            raise ValueError(f"--history takes no RUN: its figures are of commits; got {given.runs[0]}")
        if given.history:
            print(f"page: {commits.write(given.history, given.out or given.history / BESIDE)}")
            return cli.OK
        runs = [Run.open(folder) for folder in given.runs or [newest()]]
        if not any(len(run.table()) for run in runs):
            raise ValueError(f"{runs[0].folder} has no record yet")
        out = given.out or runs[0].folder / BESIDE
        out.mkdir(parents=True, exist_ok=True)
        labels = list(dict.fromkeys(machine_facts.machine_label(run.provenance["machine"]) for run in runs))
        lead = f"{', '.join(run.provenance['run'] for run in runs)}, on {' and '.join(labels)}"
        text, figures = page(runs, "DEMREG solvers: speed beside quality", lead, out)
        write_atomically(out / PAGE, text)
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    print(f"page: {out / PAGE}", f"figures: {figures} in {out}/, as PNG and SVG", sep="\n")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
