"""What came from a solver, made fit for records: text valid, printable, not longer than stated; numbers that are."""

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.machine.usage import Used
from harness.measure.clock import Phases

MOST_LINE, MOST_TEXT = 500, 8000
"""Characters kept of a reason, and of a traceback or any other text in a reply."""
MOST_FACTS = 40
"""Facts of a run, and characters of a fact's name."""
Times = Callable[[dict[str, Any]], Any]


def shortened(text: str, most: int = MOST_TEXT) -> str:
    """The text with its middle left out where it is longer than `most`; what isn't printable is escaped."""
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """A reason."""
    return shortened(" ".join(text.split()), MOST_LINE)


def cleaned(value: Any) -> Any:
    """A reply with every text in it shortened."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, dict):
        return {shortened(key): cleaned(each) for key, each in value.items()}
    return [cleaned(each) for each in value] if isinstance(value, list) else value


def of_warm_up(answer: dict[str, Any]) -> list[list[float]]:
    """The run on all pixels, and what else is a number."""
    return [answer["phases"], [answer["oneoff_s"], answer["peak_rss_mb"], 0.0]]


def used(answer: dict[str, Any]) -> list[Used]:
    """What each run used, where the reply says so."""
    return [Used(*run) for run in answer.get("used", ())]


def plausible(answer: dict[str, Any], times: Times, runs: int) -> bool:
    """Whether a reply holds seconds of three phases for each run, what it used, and facts that are a few numbers."""
    try:
        spent = np.array(answer.get("used") or np.zeros((0, len(Used._fields))), dtype=np.float64)
        seconds = np.array(times(answer), dtype=np.float64)
        facts = [each for run in answer.get("facts", []) for each in run.items()]
        np.array([number for _, number in facts], dtype=np.float64)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    few = len(facts) <= MOST_FACTS * runs and all(len(name) <= MOST_FACTS for name, _ in facts)
    sound = all(np.isfinite(each).all() and (each >= 0).all() for each in (seconds, spent))
    sound &= spent.shape[1:] == (len(Used._fields),) and len(spent) in (0, runs, runs - 1)
    return few and seconds.shape == (runs, len(Phases._fields)) and bool(sound)
