"""How solvers are addressed: `name[key=value,...]`, and names that nothing is registered under."""

import ast
import difflib
import functools
import re
from collections.abc import Iterable
from typing import Any


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the message names the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
        super().__init__(f"unknown {kind} '{name}'; nearest known: {', '.join(near)}")


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """`name[key=value,...]` -> (name, {key: value}); values are Python literals, or else strings.

    Raises ValueError when the brackets or a pair are malformed.
    """
    name, given = _parsed(spec)
    return name, dict(given)


@functools.lru_cache
def _parsed(spec: str) -> tuple[str, dict[str, Any]]:
    match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\[(.*)\])?\s*", spec)
    if match is None:
        raise ValueError(f"solver '{spec}' is not of the form name or name[key=value,...]")
    given: dict[str, Any] = {}
    for pair in filter(None, (match[2] or "").split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key or key in given:
            raise ValueError(f"solver '{spec}': '{pair}' is not a key=value given once")
        given[key] = _literal(value)
    return match[1], given


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
