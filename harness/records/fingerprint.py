"""What a solver's source says, as a few digits: the same where only paths, imports, comments or formatting differ.

Of a solver's module and of all that it imports, in turn, of this project and of its own package. Nothing is imported to
find them.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from implementations.places import ROOT
from implementations.registry import AUTO, PREFERRED, Registry
from implementations.solver_spec import parse

DIGITS = 12
OWN = "implementations"
DEFINITIONS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def of_solver(spec: str, table: Registry) -> str:
    """Of the solver that `spec` names, and of those inside of it; "" where its source can't be read."""
    name, given = parse(spec)
    inner = given.get("inner") or table.describe(name)["tunables"].get("inner")
    inside = PREFERRED if inner == AUTO else [inner] if inner in table.entries else []
    targets = [table.entry(each).target.rpartition(":")[0] for each in (name, *inside)]
    try:
        files = {path for target in targets for path in _files(target)}
        said = sorted(_digest(path, path.stat().st_mtime_ns, path.stat().st_size)[0] for path in files)
    except (OSError, SyntaxError, ValueError):
        return ""
    return hashlib.sha256("".join(said).encode()).hexdigest()[:DIGITS] if said else ""


def _files(target: str) -> set[Path]:
    """The files of a module, given by its name or as a plugin's file, and of what it imports; empty without any."""
    plugin = target.endswith(".py")
    beside = [str(Path(target).parent)] if plugin else None
    waiting = [("", Path(target))] if plugin else _found(target, beside)
    found: set[Path] = set()
    while waiting:
        module, path = waiting.pop()
        if path in found:
            continue
        found |= {path, *(p for p in [path.with_suffix(".cu")] if p.exists())}
        stat = path.stat()
        package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
        for level, name in _digest(path, stat.st_mtime_ns, stat.st_size)[1]:
            dotted = ".".join([*package[: len(package) - level + 1], name]) if level else name
            if plugin or dotted.partition(".")[0] in (OWN, target.partition(".")[0]):
                waiting += _found(dotted, beside)
    return found


def _found(dotted: str, where: Sequence[str] | None) -> list[tuple[str, Path]]:
    """The module that a name is, or is defined in, and its file; none when it isn't in the folders `where`."""
    names = dotted.split(".")
    where = [str(ROOT)] if names[0] == OWN else where
    found: list[tuple[str, Path]] = []
    for count in range(1, len(names) + 1):
        spec = PathFinder.find_spec(".".join(names[:count]), where)
        if spec is None:
            break
        if spec.origin is not None and spec.origin.endswith(".py"):
            found = [(spec.name, Path(spec.origin))]
        where = spec.submodule_search_locations
        if where is None:
            break
    return found


@cache
def _digest(path: Path, changed: int, size: int) -> tuple[str, list[tuple[int, str]]]:
    """What a file says, and the names it imports, each with the number of points before it."""
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest(), []
    tree = ast.parse(path.read_bytes())
    imported = [
        (getattr(node, "level", 0), ".".join(filter(None, [getattr(node, "module", None), alias.name])))
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    return hashlib.sha256("\n".join(_said(tree)).encode()).hexdigest(), imported


def _said(value: Any) -> Iterator[str]:
    """Kinds and fields of a tree; what is empty stays out, since versions of Python differ in it."""
    if isinstance(value, DEFINITIONS) and ast.get_docstring(value, clean=False) is not None:
        value.body = value.body[1:]
    if isinstance(value, ast.AST):
        yield type(value).__name__
        for name, field in ast.iter_fields(value):
            if field not in (None, []):
                yield name
                yield from _said(field)
    elif isinstance(value, list):
        kept = [one for one in value if not isinstance(one, ast.Import | ast.ImportFrom)]
        yield str(len(kept))
        for one in kept:
            yield from _said(one)
    else:
        yield repr(value)
