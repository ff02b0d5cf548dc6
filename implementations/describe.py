"""What a solver of somebody else says of itself, asked in a process of its own; and the import of one where it runs.

A module that is imported can do anything: patch the judge, end or hang the process, print on its output. So commands
never import a plugin. `ask` starts a short-lived process for it, with limits on time and size, and whatever happens
there becomes the reason why the solver can't be used.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import json
import operator
import os
import re
import select
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from implementations.contract import Solver
from implementations.solver_faults import NAME, availability, faults, reason_of, tunables

LIMIT_S, LIMIT_BYTES, LIMIT_WORDS = 60.0, 1 << 20, 500
LIMIT_VARIABLE = "DEMREG_BENCH_DESCRIBE_S"
"""Environment variable that sets the time instead."""
Row = dict[str, Any]
EMPTY: Row = {
    **dict.fromkeys(("name", "class", "device", "accuracy", "method", "reason"), ""),
    "available": False,
    "tunables": {},
}
"""A class in a plugin, as `--list` has it; `fault` and not `reason` says why it is no solver."""


def load(target: str) -> Any:
    """What stands at "module:Class", or "FILE.py:Class" of a plugin file; imported here."""
    module, _, name = target.rpartition(":")
    if not module:
        raise ValueError(f"its address is '{target}', expected 'module:Class'")
    if module.endswith(".py"):
        found = module_of(Path(module))
    else:
        found = sys.modules.get(module) or importlib.import_module(module)
    try:
        return operator.attrgetter(name)(found)
    except AttributeError:
        raise ValueError(f"there is no {name} in {module}") from None


def module_of(path: Path) -> Any:
    """A plugin file as a module under a name that no other file has; what lies beside it can be imported."""
    path = path.resolve()
    name = "_".join(("demreg_bench_plugin", re.sub(r"\W", "_", path.stem), hashlib.sha1(bytes(path)).hexdigest()[:8]))
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def of_class(cls: Any) -> Row:
    """What a class says of itself, or what its fault is."""
    row = EMPTY | {"class": getattr(cls, "__name__", "")}
    if fault := faults(cls):
        return row | {"name": vars(cls).get("name") if inspect.isclass(cls) else "", "fault": fault}
    row |= {name: getattr(cls, name) for name in ("name", "device", "accuracy", "method")}
    row |= {"tunables": tunables(cls), "fault": ""}
    try:
        able, reason = availability(cls)
    except ValueError as error:
        return row | {"fault": str(error)}
    return row | {"available": able, "reason": reason}


def _of_file(path: Path) -> list[Row]:
    """The solvers that a plugin file defines; classes that others there are made from needn't be complete."""
    module = module_of(path)
    own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    bases = {base for c in own for base in c.__mro__[1:]}
    solvers = [c for c in own if issubclass(c, Solver) and not (c in bases and _unfinished(c))]
    almost = [c for c in own if not issubclass(c, Solver) and c not in bases and hasattr(c, "prepare")]
    if not solvers and not almost:
        return [EMPTY | {"fault": "it defines no subclass of implementations.contract.Solver"}]
    return [of_class(c) for c in solvers + almost]


def _unfinished(cls: type) -> bool:
    return inspect.isabstract(cls) or "name" not in vars(cls)


def _answer(target: str) -> list[Row]:
    try:
        return _of_file(Path(target)) if target.endswith(".py") else [of_class(load(target))]
    except BaseException as error:  # SystemExit too
        return [EMPTY | {"fault": f"it can't be imported: {reason_of(error)}"}]


def main() -> None:
    """Describe the plugin named by the first argument to the descriptor that is the second, and be gone."""
    target, descriptor = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    answer = json.dumps(_answer(target), default=repr).encode()
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(answer + b"\n")
    os._exit(0)  # whatever the plugin has running


def ask(target: str) -> list[Row]:
    """A row for every solver of "FILE.py", or the one of "module:Class"; asked once while a file stays as it is."""
    file = Path(target if target.endswith(".py") else target.rpartition(":")[0])
    stamp = (s := file.stat()).st_mtime_ns + s.st_size if file.suffix == ".py" and file.is_file() else 0
    return _asked(target, stamp)


@cache
def _asked(target: str, stamp: int) -> list[Row]:
    ours, theirs = os.pipe()
    command = [sys.executable, "-c", "from implementations import describe; describe.main()", target, str(theirs)]
    nothing = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=(theirs,), process_group=0
        )
    finally:
        os.close(theirs)
    try:
        line, why = _line(ours, float(os.environ.get(LIMIT_VARIABLE) or LIMIT_S))
        if why == "closed":
            with contextlib.suppress(subprocess.TimeoutExpired):
                why = _ended(process.wait(timeout=5))
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
    if why:
        return [EMPTY | {"fault": f"it can't be imported: its process {why}"}]
    return _readable(line)


def _line(descriptor: int, limit_s: float) -> tuple[bytes, str]:
    """What is said up to the first newline; and why there was none: closed, too much or too late."""
    said, deadline = b"", time.monotonic() + limit_s
    while b"\n" not in said:
        if len(said) > LIMIT_BYTES:
            return b"", f"said more than {LIMIT_BYTES} bytes; killed"
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return b"", f"gave no answer within {limit_s:g} s; killed"
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return b"", "closed"
        said += chunk
    return said.partition(b"\n")[0], ""


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _readable(line: bytes) -> list[Row]:
    """The rows of an answer, which may be anything, as `EMPTY` has them."""
    try:
        rows = [{key: given[key] for key in (*EMPTY, "fault")} for given in json.loads(line)]
        if not rows or any(type(row[key]) is not type(EMPTY[key]) for row in rows for key in EMPTY if key != "name"):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        return [EMPTY | {"fault": "it can't be imported: its process gave an answer that can't be read"}]
    for row in rows:
        name = row["name"]
        row["name"] = name if isinstance(name, str) and NAME.fullmatch(name) else ""
        row |= {key: in_short(row[key]) for key in ("device", "accuracy", "method", "reason", "class", "fault")}
    return rows


def in_short(text: Any) -> str:
    """One line of text that any file can hold."""
    line = " ".join(str(text).split())
    return line[:LIMIT_WORDS].encode("utf-8", "replace").decode()
