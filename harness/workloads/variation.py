"""Workloads under other options of the algorithm: `random-response[nmu=500]`, as solvers name their tunables.

A name says what differs from the workload's own options, in the order of `NAMES`, and nothing else: so a cell, its
records and whatever reads these tell options apart, and a plain name is what it was before there were any.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from implementations.contract import Options
from implementations.solver_spec import UnknownNameError, parse

NAMES = ("nmu", "gloci", "max_iter", "reg_tweak")
"""The options that a sweep can vary, by their names in `Options`."""


def split(name: str) -> tuple[str, dict[str, Any]]:
    """`name[key=value,...]` -> (name, what is varied). ValueError, in one line, when it isn't of that form."""
    base, given = parse(name)
    for key in given:
        if key not in NAMES:
            raise UnknownNameError(f"option in the workload '{name}'", key, NAMES)
    return base, {key: _value(key, value) for key, value in given.items()}


def _value(key: str, value: Any) -> Any:
    """A mask of channels is written as a digit for each: `gloci=110111`."""
    text = str(value)
    if key == "gloci" and len(text) > 1 and set(text) <= {"0", "1"}:
        return tuple(map(int, text))
    return float(value) if key == "reg_tweak" and isinstance(value, int) else value


def named(base: str, own: Options, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The one name of a workload with those options, and which of them differ from its own.

    ValueError, naming the option, when a value is out of its range.
    """
    options = replace(own, **given)
    values = {key: getattr(options, key) for key in NAMES if getattr(options, key) != getattr(own, key)}
    return _written(base, values), values


def _written(base: str, values: Mapping[str, Any]) -> str:
    said = (f"{key}={''.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in values.items())
    return f"{base}[{','.join(said)}]" if values else base


def grid(names: Sequence[str], options: Mapping[str, Sequence[Any]]) -> list[str]:
    """Every workload under every combination of options; one that names some of them itself keeps those."""
    return [
        _written(base, dict(zip(options, values, strict=True)) | own)
        for base, own in map(split, names)
        for values in itertools.product(*options.values())
    ]
