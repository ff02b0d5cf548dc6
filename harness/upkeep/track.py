"""Watch this project's own commits: airspeed velocity runs the suite in harness/asv_suite at each, and makes its site.

`python -m harness.upkeep.track HEAD~5..HEAD` takes a range as git does. Results are kept in results/asv, a folder per
machine.
"""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence

from harness.machine import facts as machine_facts
from implementations import command_line as cli
from implementations.places import ROOT, need_checkout

SITE = ROOT / ".asv" / "html" / "index.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 3 when asv could not measure everything."""
    parser = cli.Parser("harness.upkeep.track", description=__doc__)
    parser.add_argument("commits", metavar="COMMITS", help="a range, a commit's own being COMMIT^!")
    given = parser.parse(arguments)
    try:
        need_checkout()
    except ValueError as error:
        parser.error(str(error))
    for package in ("asv", "virtualenv"):
        if importlib.util.find_spec(package) is None:
            parser.error(f"{package} is not installed; pip install 'demreg-bench[asv]'")
    name = _describe_machine()
    measured = _asv("run", "--machine", name, "--skip-existing", given.commits)
    published = _asv("publish")
    if published == 0:
        print(f"site: {SITE}\n(its pages load scripts from the web; python -m harness.report --history needs none)")
    return cli.OK if measured == published == 0 else cli.CELL_FAILED


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
    MachineCollection.save(name, described)
    return name


def _asv(*words: str) -> int:
    """asv's exit code."""
    return subprocess.run([sys.executable, "-m", "asv", *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    cli.run(main)
