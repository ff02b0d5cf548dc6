"""Files that are whole or not there, and JSON for numbers that it has no word for."""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

NUMBERS = re.compile(r"\[\n([^\[\]{}\"]*)\]")
"""A list of numbers as `json` indents it; no text holds a line's end."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`; it takes that one's place when it is whole, and goes when it isn't."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    temporary = Path(name)
    try:
        yield temporary
        os.fsync(handle)
        os.fchmod(handle, 0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that at every moment it is either absent, as it was, or whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def plain(value: Any) -> Any:
    """JSON has no NaN or infinity: NaN, "not measured", is null, and an infinite deviation stays a word."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def dump(value: dict[str, Any]) -> str:
    """A record as JSON, a list of numbers in a line: most of a record is runs' times."""
    text = json.dumps(plain(value), indent=1, allow_nan=False)
    return NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n"


def load(path: Path) -> dict[str, Any]:
    """What `dump` wrote. ValueError, in a few words, when the file holds something else or can't be read."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ValueError("is not a file")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON from line {error.lineno} on" if path.stat().st_size else "is empty") from error
    except RecursionError as error:
        raise ValueError("is nested without end") from error
    if not isinstance(value, dict):
        raise ValueError(f"holds {value!r:.40}, expected a record")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"holds {word}, which is no number of JSON")
