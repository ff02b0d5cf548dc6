"""What keeps a class from being a solver: each fault in one line, with what was given and what is expected."""

import difflib
import functools
import inspect
import re
import reprlib
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from implementations.contract import OUTPUTS, Bounds, Solver
from implementations.places import ROOT

NAME = re.compile(r"[\w.-]+")
"""Names that `--solvers` and file names can hold."""
METHODS = {"prepare": ("problem",), "solve": ("state",), "collect": ("state", "solution")}
WORDS = {"device": ("cpu", "gpu", "cluster"), "accuracy": ("exact", "approximate", "other")}
MISTAKES = (LookupError, AttributeError, TypeError, NameError, AssertionError, ArithmeticError)
"""Errors whose text alone doesn't say what went wrong."""
OTHERS = (sysconfig.get_path("stdlib"), "<")
"""Files between a solver and its caller that are neither's: the standard library's and frozen ones."""


def faults(cls: Any) -> str:
    """All that keeps `cls` from being a solver, in one line; "" when nothing does."""
    if not inspect.isclass(cls):
        return f"it is a {type(cls).__name__}, expected a subclass of implementations.contract.Solver"
    found = [*_kind(cls), *_methods(cls), *_name(cls), *_words(cls), *_promises(cls), *_constructor(cls)]
    return f"class {cls.__name__}: {'; '.join(found)}" if found else ""


def availability(cls: type[Solver]) -> tuple[bool, str]:
    """What `available()` says. ValueError, in one line, when that is not what the contract asks for."""
    expected = 'expected a classmethod that returns (True, "") or (False, "why not")'
    try:
        said: Any = cls.available()
    except Exception as error:
        raise ValueError(f"class {cls.__name__}: available() raises {reason_of(error)}, {expected}") from error
    if not (isinstance(said, tuple) and [type(part) for part in said] == [bool, str] and (said[0] or said[1])):
        raise ValueError(f"class {cls.__name__}: available() returned {_shown(said)}, {expected}")
    return said


@functools.cache
def _keywords(cls: type[Solver]) -> dict[str, Any]:
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    keywords = [p for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return {p.name: None if p.default is p.empty else p.default for p in keywords}


def tunables(cls: type[Solver]) -> dict[str, Any]:
    """The constructor's keywords and their defaults."""
    return dict(_keywords(cls))


def reason_of(error: BaseException) -> str:
    """An exception in one line: type, text, and where in the solver's own code it was raised."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OTHERS)]
    foreign = [f for f in frames if not f.filename.startswith((f"{ROOT}/implementations/", f"{ROOT}/harness/"))]
    own = [f for f in frames if f.filename == foreign[0].filename] if foreign else []
    if not own and isinstance(error, MISTAKES):
        own = frames
    if not own:
        return text
    where = "" if own[-1].name.startswith("<") else f", in {own[-1].name}"
    return f"{text} ({Path(own[-1].filename).name} line {own[-1].lineno}{where})"


def _shown(value: Any) -> str:
    """A value as an error names it, in short."""
    return " ".join(reprlib.repr(value).split())


def _kind(cls: type) -> Iterator[str]:
    if not issubclass(cls, Solver):
        yield f"it is no subclass of implementations.contract.Solver, expected class {cls.__name__}(Solver)"


def _methods(cls: type) -> Iterator[str]:
    for method, arguments in METHODS.items():
        expected = f"expected {method}({', '.join(('self', *arguments))})"
        given = getattr(cls, method, None)
        if given is None or given is getattr(Solver, method):
            others = [name for name in dir(cls) if name not in dir(Solver)]
            near = difflib.get_close_matches(method, others, n=1, cutoff=0.7)
            yield f"method {method} is missing{f', {near[0]} is given' if near else ''}, {expected}"
        elif not callable(given):
            yield f"method {method} is {_shown(given)}, {expected}"
        else:
            bound = isinstance(inspect.getattr_static(cls, method), staticmethod | classmethod)
            try:
                inspect.signature(given).bind(*(() if bound else (None,)), *arguments)
            except TypeError:
                yield f"method {method} takes {inspect.signature(given)}, {expected}"


def _name(cls: type) -> Iterator[str]:
    name = vars(cls).get("name")
    if name is None:
        other = getattr(cls, "name", None)
        inherited = f" ('{other}' is another's, by inheritance)" if isinstance(other, str) else ""
        yield f'name is missing{inherited}, expected name = "..."'
    elif not (isinstance(name, str) and NAME.fullmatch(name)):
        yield f"name is {_shown(name)}, which --solvers can't address, expected letters, digits, '_', '.' and '-'"


def _words(cls: type) -> Iterator[str]:
    for attribute, words in WORDS.items():
        expected = f"expected {', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
        given = getattr(cls, attribute, None)
        if given is None:
            yield f"{attribute} is missing, {expected}"
        elif given not in words:
            yield f"{attribute} is {_shown(given)}, {expected}"


def _promises(cls: Any) -> Iterator[str]:
    """Bounds and outputs left out, which an exact solver doesn't declare; and the name of another method."""
    accuracy, bounds, leaves_out = (getattr(cls, a, None) for a in ("accuracy", "bounds", "leaves_out"))
    if accuracy == "exact":
        for attribute, given, nothing in (("bounds", bounds, None), ("leaves_out", leaves_out or (), ())):
            if given != nothing and given != ("iterations",):
                yield f"{attribute} is {_shown(given)}, expected {nothing}, as accuracy is 'exact'"
    elif accuracy in ("approximate", "other"):
        if not isinstance(bounds, Bounds):
            what = "missing" if bounds is None else _shown(bounds)
            yield f"bounds is {what}, expected Bounds(...), as accuracy is '{accuracy}'"
        if not (isinstance(leaves_out, tuple | list) and all(o in (*OUTPUTS, "iterations") for o in leaves_out)):
            yield f"leaves_out is {_shown(leaves_out)}, expected a tuple of some of {', '.join(OUTPUTS)}, iterations"
    method = getattr(cls, "method", "demreg")
    named = isinstance(method, str) and NAME.fullmatch(method)
    if accuracy in WORDS["accuracy"] and not (named and (method == "demreg") == (accuracy != "other")):
        expected = "the other method's name" if accuracy == "other" else "'demreg'"
        yield f"method is {_shown(method)}, expected {expected}, as accuracy is '{accuracy}'"


def _constructor(cls: type) -> Iterator[str]:
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    for p in parameters:
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            yield f"argument {p.name} of __init__ has no default, expected one: a solver is made by its name alone"
