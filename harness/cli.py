"""The console script `demreg-bench`, and what all commands share: one-line errors, exit codes, argument types."""

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

OK, GATE_FAILED, USAGE, CELL_FAILED, BOTH_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_CODES = """exit codes: 0 all well; 1 a gate failed (with --strict); 2 the call can't be carried out as given; 3 a
solver failed, crashed, hung or ran out of memory in some cell; 4 both 1 and 3; 130 interrupted"""
COMMANDS = {
    "sweep": "harness.sweep",
    "profile": "harness.profile",
    "limits": "harness.limits",
    "predict": "harness.predict",
    "instructions": "harness.instructions",
    "regression": "harness.regression",
    "data": "harness.data",
    "peers": "harness.peers",
    "invert": "implementations.invert",
    "recommend": "harness.recommend",
    "report": "harness.report",
    "compare": "harness.compare",
    "gpu-check": "harness.gpu_check",
    "mapfile": "harness.mapfile",
    "fullframe": "harness.fullframe",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, naming the nearest known option."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(USAGE)

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Like parse_args, but an unknown option names the nearest known ones."""
        given, unknown = self.parse_known_args(arguments)
        if unknown:
            options = [o for action in self._actions for o in action.option_strings]
            near = difflib.get_close_matches(unknown[0], options, n=2, cutoff=0.5)
            self.error(
                f"unknown option '{unknown[0]}'; " + (f"nearest known: {', '.join(near)}" if near else "see --help")
            )
        return given


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "200,1000" -> (200, 1000)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers separated by commas, got '{text}'") from None


def words(text: str) -> tuple[str, ...]:
    """ "a,b" -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command by its name: `demreg-bench sweep ...` is `python -m harness.sweep ...`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] == "list":
        given = ["sweep", "--list", *given[1:]]
    if not given or given[0] in ("-h", "--help"):
        print(f"usage: demreg-bench {{list,{','.join(COMMANDS)}}} ...   (each has --help)")
        return OK if given else USAGE
    if given[0] not in COMMANDS:
        near = difflib.get_close_matches(given[0], ["list", *COMMANDS], n=1, cutoff=0.0)
        print(f"demreg-bench: unknown command '{given[0]}'; nearest known: {near[0]}", file=sys.stderr)
        return USAGE
    return importlib.import_module(COMMANDS[given[0]]).main(given[1:])


if __name__ == "__main__":
    sys.exit(main())
