"""Text that came from a solver, made fit for records and pages: valid, printable, and not longer than stated."""

from typing import Any

MOST_LINE, MOST_TEXT = 500, 8000
"""Characters kept of a reason, and of a traceback or any other text in a reply."""


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
