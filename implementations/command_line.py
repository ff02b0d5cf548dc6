"""What all commands share: errors in one line, exit codes, argument types."""

import argparse
import difflib
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

OK, GATE_FAILED, USAGE, CELL_FAILED, BOTH_FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143
EXIT_CODES = """exit codes: 0 all well; 1 a gate failed (with --strict); 2 the call can't be carried out as given; 3 a
solver failed, crashed, hung or ran out of memory in some cell; 4 both 1 and 3; 130 interrupted; 143 terminated"""


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
