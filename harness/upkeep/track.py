"""Watch this project's own commits: airspeed velocity runs the suite in harness/asv_suite at each, and makes its site.

`python -m harness.upkeep.track HEAD~5..HEAD` takes a range as git does. asv works in .asv, which git leaves alone;
results are copied to results/asv, a folder per machine. `--judge` says what changed between the oldest and the newest
of these commits by the harness's rule, with a tolerance for each metric, in place of `asv continuous`, whose one factor
is for all. Commits are measured one after another here: for a pull request, `python -m harness.regression` lets both
take turns.
"""

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.machine import facts as machine_facts
from harness.records import history
from implementations import command_line as cli
from implementations.places import ROOT, need_checkout

SITE = ROOT / ".asv" / "html" / "index.html"
WORKED = ROOT / ".asv" / "results"
NOTES = "notes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 3 when asv could not measure everything."""
    parser = cli.Parser("harness.upkeep.track", description=__doc__)
    parser.add_argument("commits", metavar="COMMITS", help="a range, a commit's own being COMMIT^!")
    parser.add_argument("--bench", metavar="REGEX", help="only benchmarks whose name with parameters matches")
    parser.add_argument("--judge", action="store_true", help="exit with 1 when something became worse")
    given = parser.parse(arguments)
    try:
        need_checkout()
    except ValueError as error:
        parser.error(str(error))
    for package in ("asv", "virtualenv"):
        if importlib.util.find_spec(package) is None:
            parser.error(f"{package} is not installed; pip install 'demreg-bench[asv]'")
    name = _describe_machine()
    copy(history.FOLDER, WORKED, name)
    chosen = ["--bench", given.bench] if given.bench else []
    measured = _asv("run", "--machine", name, "--skip-existing", *chosen, given.commits)
    copy(WORKED, history.FOLDER, name)
    published = _asv("publish")
    if published == 0:
        print(f"site: {SITE}\n(its pages load scripts from the web; python -m harness.report --history needs none)")
    if not measured == published == 0:
        return cli.CELL_FAILED
    return judge(name, given.commits) if given.judge else cli.OK


def copy(source: Path, target: Path, machine: str) -> None:
    """One machine's results, and all notes. Of two versions of a file the newer stays."""
    for name in (machine, NOTES):
        for path in (source / name).glob("*"):
            place = target / name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists() or path.stat().st_mtime > place.stat().st_mtime:
                shutil.copy2(path, place)


def judge(machine: str, commits: str) -> int:
    """Print what changed over a range, and return the exit code."""
    known = subprocess.run(["git", "rev-list", commits], cwd=ROOT, capture_output=True, text=True, check=True)
    hashes = [line[:8] for line in known.stdout.split()]
    points = history.read(WORKED).points
    points = points[(points.machine == machine) & points.commit.isin(hashes)]
    changed = history.changes(points)
    for step in changed.itertuples():
        word = "worse" if step.worse else "better"
        cell = f"{step.solver}, {step.pixels} pixels x {step.bins} bins"
        print(f"{word}: {cell}: {history.METRICS[str(step.metric)].title} {step.before:.4g} -> {step.after:.4g}")
    measured = list(dict.fromkeys(points.commit))
    print(f"{len(changed)} changes between {measured[0]} and {measured[-1]}" if measured else "nothing was measured")
    return cli.GATE_FAILED if not measured or changed.worse.any() else cli.OK


def _describe_machine() -> str:
    """Tell asv of this machine what the runs of the harness record, too; its name there says what it is."""
    from asv.machine import MachineCollection  # `asv machine` keeps only what differs from its own guesses

    facts = machine_facts.machine()
    name = re.sub(r"[^A-Za-z0-9]+", "-", machine_facts.machine_label(facts))
    system, _, architecture = facts["system"].partition(" ")
    described = {
        "machine": name,
        "cpu": facts["cpu"],
        "num_cpu": str(facts["cores"]),
        "ram": f"{facts['memory_gb']} GB",
        "os": system,
        "arch": architecture,
    }
    # Under the name that asv looks for when it is called by hand, too: one machine, one folder, and no --machine asked.
    for known_as in (name, platform.node()):
        MachineCollection.save(known_as, described)
    return name


def _asv(*words: str) -> int:
    """asv's exit code."""
    return subprocess.run([sys.executable, "-m", "asv", *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    cli.run(main)
