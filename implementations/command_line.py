"""What all commands share: their names, errors in one line, exit codes, argument types, a quiet end."""

import argparse
import difflib
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

OK, GATE_FAILED, USAGE, CELL_FAILED, BOTH_FAILED, OWN_ERROR = 0, 1, 2, 3, 4, 70
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143
EXIT_CODES = """exit codes: 0 all well; 1 a gate failed (with --strict); 2 the call can't be carried out as given; 3 a
solver failed, crashed, hung or ran out of memory in some cell; 4 both 1 and 3; 70 a fault of the program itself; 130
interrupted; 141 whoever read the output left; 143 terminated"""
SCRIPT = "demreg-bench"


def called(module: str) -> str:
    """How the command in `module` was called: by a word of the console script, or as a module."""
    script, *words = sys.argv
    return f"{SCRIPT} {words[0]}" if Path(script).stem == SCRIPT and words else f"python -m {module}"


def complain(text: str) -> None:
    """Say that on standard error, if anybody can be told: that one can't is no reason for another exit code."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


class _Output(io.FileIO):
    """Standard output that ends the command: without a word when its reader has left, with one when a disk is full."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # what is left in buffers goes there
            raise SystemExit(READER_GONE) from None
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            complain(f"standard output can't be written: {error.strerror}")
            raise SystemExit(USAGE) from None


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command in this process, which ends with its exit code; a fault of its own is never a verdict's code."""
    was = sys.stdout
    if was is not None:
        binary = io.BufferedWriter(_Output(was.fileno(), "w", closefd=False))
        # a character that the reader's encoding lacks is written as its number
        sys.stdout = io.TextIOWrapper(binary, was.encoding, "backslashreplace", line_buffering=was.isatty())
    try:
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:
        complain(traceback.format_exc().rstrip())
        code = OWN_ERROR
    finally:
        print(end="", flush=True)
    sys.exit(code)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, naming the nearest known option; no option is abbreviated."""

    def __init__(self, module: str, **options: Any):
        super().__init__(called(module), allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        complain(f"{self.prog}: {message}")
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

    def folder(self, path: Path) -> Path:
        """That folder, made if it isn't there; where it can't be, one line and exit code 2 before anything long."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.error(f"{path} can't be a folder for what is written: {error.strerror}")
        return path


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "200,1000" -> (200, 1000)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers separated by commas, got '{text}'") from None


def words(text: str) -> tuple[str, ...]:
    """ "a,b[x=1,y=2]" -> ("a", "b[x=1,y=2]"); none, as from a script's empty variable, means neither all nor none."""
    found = tuple(part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("expected names separated by commas, got none")
    return found


class Stopped(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, number: int):
        super().__init__("interrupted" if number == signal.SIGINT else "terminated")
        self.code = INTERRUPTED if number == signal.SIGINT else TERMINATED


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` at SIGINT and SIGTERM. Later ones are ignored, so that what was begun is ended in order."""

    def stop(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
