"""The console script `demreg-bench`: every command by its name."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from harness.machine import facts
from implementations.command_line import OK, SCRIPT, USAGE, run

COMMANDS = {
    "sweep": "harness.sweep",
    "check": "harness.check",
    "profile": "harness.profile",
    "limits": "harness.limits",
    "predict": "harness.predict",
    "instructions": "harness.instructions",
    "regression": "harness.regression",
    "data": "harness.upkeep.data",
    "peers": "harness.reports.peers_table",
    "invert": "implementations.invert",
    "recommend": "harness.recommend",
    "report": "harness.report",
    "compare": "harness.compare",
    "selfcheck": "harness.selfcheck",
    "soak": "harness.soak",
    "gpu-check": "harness.upkeep.gpu_check",
    "mapfile": "harness.upkeep.mapfile",
    "fullframe": "harness.upkeep.full_frame",
    "fulldisc": "harness.upkeep.full_disc",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command by its name: `demreg-bench sweep ...` is `python -m harness.sweep ...`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] == "list":
        given = ["sweep", "--list", *given[1:]]
    if given == ["--version"]:
        print(f"{SCRIPT} {facts.own_version()} {facts.commit()}".rstrip())
        return OK
    if not given or given[0] in ("-h", "--help"):
        print(f"usage: {SCRIPT} {{--version,list,{','.join(COMMANDS)}}} ...   (each has --help)")
        return OK if given else USAGE
    if given[0] not in COMMANDS:
        near = difflib.get_close_matches(given[0], ["list", *COMMANDS], n=1, cutoff=0.0)
        print(f"{SCRIPT}: unknown command '{given[0]}'; nearest known: {near[0]}", file=sys.stderr)
        return USAGE
    return importlib.import_module(COMMANDS[given[0]]).main(given[1:])


def script() -> None:
    """What the console script is."""
    run(main)


if __name__ == "__main__":
    script()
