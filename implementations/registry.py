"""Solver names -> lazily imported solver classes, and whether this machine can run them.

Three sources, one table: the rows below, entry points in the group `demreg_bench.solvers` of installed packages, and
plugin files given by the user. Nothing is imported until a solver is asked for; the strategy modules themselves import
CuPy, Dask and Numba only when they run, so that listing solvers imports none of these.
"""

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from implementations.contract import Solver
from implementations.solver_spec import UnknownNameError, parse

GROUP = "demreg_bench.solvers"
IN_REPO = {
    "baseline": "implementations.baseline:Baseline",
    "vectorized": "implementations.cpu.vectorized:Vectorized",
    "numba-regmap": "implementations.cpu.regmap:NumbaRegmap",
    "numba-regmap-parallel": "implementations.cpu.regmap:NumbaRegmapParallel",
    "batched": "implementations.cpu.batched:Batched",
    "l2": "implementations.cpu.l2:L2",
    "numba": "implementations.cpu.fused:NumbaFused",
    "numba-float32": "implementations.cpu.fused:NumbaFloat32",
    "cupy": "implementations.gpu.direct:CupyDirect",
    "cupy-regmap": "implementations.gpu.regmap:CupyRegmap",
    "gpu-batched": "implementations.gpu.batched:GpuBatched",
    "gpu-fused": "implementations.gpu.fused:GpuFused",
    "gpu-l2": "implementations.gpu.l2:GpuL2",
    "processes": "implementations.cluster.processes:Processes",
    "dask-delayed": "implementations.cluster.delayed:DaskDelayed",
    "dask": "implementations.cluster.tiled:DaskTiled",
}

PEERS = {
    "demregpy": "implementations.peers:Demregpy",
    "utu": "implementations.peers:Utu",
    "emtoolkit": "implementations.peers:EmToolKit",
}
"""Solvers of others, behind adapters of this project."""

AUTO = "auto"
PREFERRED = ("gpu-batched", "numba", "batched", "baseline")
"""What the inner solver `auto` tries, the fastest exact solver first."""


@dataclass(frozen=True)
class Entry:
    """One row of the table: where a solver's class is found."""

    name: str
    target: str
    """"module:Class", or "FILE.py:Class" for a plugin file."""
    external: bool = False

    def load(self) -> type[Solver]:
        """Import the module and return the class."""
        module_name, _, class_name = self.target.rpartition(":")
        if self.target.rpartition(":")[0].endswith(".py"):
            module = _module_of(Path(module_name))
        else:
            module = importlib.import_module(module_name)
        return getattr(module, class_name)


def _module_of(path: Path) -> Any:
    """A plugin file as a module, registered under a name of its own so that its worker pools can import it too."""
    name = "demreg_bench_plugin_" + re.sub(r"\W", "_", path.stem)
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"plugin {path} can't be imported as Python")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _plugin_entries(path: Path) -> list[Entry]:
    """The solvers that a plugin file defines. ValueError, in one line, when it can't be read or defines none."""
    if not path.is_file():
        raise ValueError(f"plugin {path} is not a file")
    try:
        module = _module_of(path)
    except Exception as error:
        raise ValueError(f"plugin {path} can't be imported: {type(error).__name__}: {error}") from error
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    solvers = [c for c in classes if issubclass(c, Solver) and not inspect.isabstract(c)]
    if not solvers:
        raise ValueError(f"plugin {path} defines no complete subclass of implementations.contract.Solver")
    return [Entry(c.name, f"{path}:{c.__name__}", external=True) for c in solvers]


class Registry:
    """The table of solvers known to one command."""

    def __init__(self, plugins: Iterable[str | Path] = ()):
        self.plugins = [Path(p) for p in plugins]
        rows = [Entry(name, target) for name, target in IN_REPO.items()]
        rows += [Entry(name, target, external=True) for name, target in PEERS.items()]
        rows += [Entry(point.name, point.value, external=True) for point in entry_points(group=GROUP)]
        for path in self.plugins:
            rows += _plugin_entries(path)
        self.entries: dict[str, Entry] = {}
        for row in rows:
            if row.name in self.entries:
                raise ValueError(f"two solvers are named '{row.name}': {self.entries[row.name].target}, {row.target}")
            self.entries[row.name] = row

    def names(self) -> list[str]:
        """Every registered name, in table order."""
        return list(self.entries)

    def load(self, spec: str) -> type[Solver]:
        """The class of `name` or `name[key=value,...]`. ValueError for an unknown name."""
        return self.entry(parse(spec)[0]).load()

    def entry(self, name: str) -> Entry:
        """The table's row of that name. ValueError when there is none."""
        if name not in self.entries:
            raise UnknownNameError("solver", name, self.entries)
        return self.entries[name]

    def create(self, spec: str, threads: int = 1) -> Solver:
        """The solver that `name[key=value,...]` addresses; `threads` goes to one that has such a tunable, not given.

        A tunable `inner` names a solver, which is handed over as a recipe (`Inner`).

        Raises ValueError for an unknown name, tunable or value.
        """
        cls = self.load(spec)
        name, given = parse(spec)
        known = tunables(cls)
        for key in given:
            if key not in known:
                raise UnknownNameError(f"tunable of solver '{name}'", key, known or ["(it has none)"])
        if "threads" in known:
            given.setdefault("threads", threads)
        if "inner" in known:
            given["inner"] = Inner(str(given.get("inner", known["inner"])), tuple(map(str, self.plugins)))
        try:
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"solver '{spec}': {error}") from error

    def describe(self, name: str) -> dict[str, Any]:
        """What `--list` says of a solver; one that can't be imported is unavailable for that reason.

        Raises ValueError for an unknown name.
        """
        entry = self.entry(name)
        row: dict[str, Any] = {"name": name, "device": "", "accuracy": "", "external": entry.external}
        try:
            cls = entry.load()
            available, reason = cls.available()
            row |= {"device": cls.device, "accuracy": cls.accuracy, "available": available, "reason": reason}
            return row | {"tunables": tunables(cls)}
        except Exception as error:  # a broken plugin is a row with its reason, not a traceback
            return row | {"available": False, "reason": f"{type(error).__name__}: {error}", "tunables": {}}

    def unavailable(self, spec: str) -> str:
        """Why a solver, or the one inside of it, can't run on this machine; "" when it can. ValueError if unknown."""
        name, given = parse(spec)
        inner = [given["inner"]] if given.get("inner") in self.entries and not given.get("scheduler") else []
        for described in map(self.describe, [name, *inner]):
            if not described["available"]:
                return described["reason"] or "says it is unavailable, but not why"
        return ""


def tunables(cls: type[Solver]) -> dict[str, Any]:
    """The constructor's keywords and their defaults."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    keywords = [p for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return {p.name: None if p.default is p.empty else p.default for p in keywords}


@dataclass(frozen=True)
class Inner:
    """A recipe that can be sent to a worker: called there, it makes the solver.

    Raises ValueError for a name that is not registered, or one of a solver that starts workers itself.
    """

    name: str
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name == AUTO:
            return
        table = Registry(self.plugins)
        if self.name not in table.entries:
            raise UnknownNameError("inner solver", self.name, [AUTO, *table.entries])
        if table.load(self.name).device == "cluster":
            raise ValueError(
                f"inner solver '{self.name}' starts workers of its own; expected one that runs in a worker"
            )

    def here(self) -> str:
        """The name of the solver that this machine would run. RuntimeError, with the reason, when it can't."""
        table = Registry(self.plugins)
        if self.name == AUTO:
            able = (n for n in PREFERRED if n in table.entries and table.describe(n)["available"])
            return next(able, "baseline")
        facts = table.describe(self.name)
        if not facts["available"]:
            raise RuntimeError(f"inner solver '{self.name}' can't run on this worker: {facts['reason']}")
        return self.name

    def kind(self) -> type[Solver]:
        """The class, for its accuracy and bounds; that of an exact solver for `auto`."""
        return Registry(self.plugins).load("baseline" if self.name == AUTO else self.name)

    def __call__(self, threads: int = 1) -> Solver:
        """The solver, with that many threads if it has any to set."""
        return Registry(self.plugins).create(self.here(), threads)
