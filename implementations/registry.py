"""Solver names -> lazily imported solver classes, and whether this machine can run them.

Three sources, one table: the rows below, entry points in the group `demreg_bench.solvers` of installed packages, and
plugin files given by the user. Those of this project are imported when they are asked for; their modules import CuPy,
Dask and Numba only when they run, so that listing solvers imports none of these. Plugins are imported only where they
run (`load`, `create`, `ready`); all else is asked in a process of its own (`implementations.describe`).
"""

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from implementations import describe
from implementations.contract import Solver
from implementations.solver_faults import NAME, availability, faults, reason_of, tunables
from implementations.solver_spec import UnknownNameError, parse

GROUP = "demreg_bench.solvers"
IN_REPO = {
    "baseline": "implementations.baseline:Baseline",
    "vectorized": "implementations.cpu.vectorized:Vectorized",
    "numpy-regmap": "implementations.cpu.regmap:NumpyRegmap",
    "numba-regmap": "implementations.cpu.regmap:NumbaRegmap",
    "numba-regmap-parallel": "implementations.cpu.regmap:NumbaRegmapParallel",
    "batched": "implementations.cpu.batched:Batched",
    "l2": "implementations.cpu.l2:L2",
    "numba": "implementations.cpu.fused:NumbaFused",
    "numba-float32": "implementations.cpu.fused:NumbaFloat32",
    "plowman": "implementations.cpu.plowman:Plowman",
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

FORMS = "implementations.steps.forms"
"""The steps of the algorithm, each in several forms."""

AUTO = "auto"
PREFERRED = ("gpu-batched", "numba", "batched", "baseline")
"""What the inner solver `auto` tries, the fastest exact solver first."""


@dataclass(frozen=True)
class Entry:
    """One row of the table: where a solver's class is found.

    Parameters
    ----------
    name
        Without tunables.
    target
        "module:Class", or "FILE.py:Class" for a plugin file.
    external
        Whether it is a solver of others.
    origin
        The plugin it is from, in words; "" for what is imported wherever it is asked for.
    fault
        Why it can't be loaded, where that is known already.
    said
        The plugin's own description of it, where it has been asked already.
    """

    name: str
    target: str
    external: bool = False
    origin: str = ""
    fault: str = ""
    said: dict[str, Any] | None = field(default=None, compare=False)

    @property
    def word(self) -> str:
        """What `Registry` takes for this row instead of a plugin file."""
        return f"{self.name}={self.target}"

    def load(self) -> type[Solver]:
        """Import the module and return the class. ValueError, in one line, when a plugin's can't be used."""
        if not self.origin:
            return describe.load(self.target)
        try:
            cls = describe.load(self.target)
        except Exception as error:
            raise ValueError(f"{self.origin}: it can't be imported: {reason_of(error)}") from error
        if fault := self.fault or faults(cls) or self.misnamed(cls.name):
            raise ValueError(f"{self.origin}: {fault}")
        return cls

    def misnamed(self, name: str) -> str:
        """What is wrong when the class goes by another name than this row.

        Parameters
        ----------
        name
            The class's own.

        Returns
        -------
        str
            In one line; "" when nothing is.
        """
        return "" if name == self.name else f"name is '{name}', expected '{self.name}', as the entry point has it"

    def description(self) -> dict[str, Any]:
        """What the solver says of itself: `describe.EMPTY`, and its fault."""
        if self.fault:
            return describe.EMPTY | {"fault": self.fault}
        if not self.origin:
            return describe.of_class(self.load())
        said = self.said or describe.ask(self.target)[0]
        return said | {"fault": said["fault"] or self.misnamed(said["name"])}


@cache
def _own() -> dict[str, Entry]:
    """The rows of this project's tables."""
    entries = {name: Entry(name, target) for name, target in IN_REPO.items()}
    return entries | {name: Entry(name, target, external=True) for name, target in PEERS.items()}


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """The entry points of all installed packages; looking through these takes longer than a small inversion."""
    return tuple(sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)))


def _forms(step: str) -> dict[str, Entry]:
    """The forms of a step of the algorithm."""
    forms = importlib.import_module(FORMS)
    if step not in forms.STEPS:
        raise UnknownNameError("step", step, forms.STEPS)
    own = {name: cls for name, cls in forms.TABLE.items() if cls.step == step}
    return {name: Entry(name, f"{FORMS}:{cls.__name__}") for name, cls in own.items()}


def _of_package(point: EntryPoint) -> Entry:
    origin = f"entry point {point.name} = {point.value} of package {point.dist.name if point.dist else '(unknown)'}"
    if NAME.fullmatch(point.name):
        return Entry(point.name, point.value, True, origin)
    fault = "its name can't be addressed by --solvers, expected letters, digits, '_', '.' and '-'"
    return Entry(re.sub(r"[^\w.-]+", "-", point.name), point.value, True, origin, fault)


def _of_plugin(word: str) -> Iterator[Entry]:
    """The rows of a plugin file, or the one that `Entry.word` is of. ValueError when there is no such file."""
    if not word.endswith(".py"):
        name, _, target = word.partition("=")
        yield Entry(name, target, True, f"plugin {target.rpartition(':')[0]}")
        return
    path = Path(word)
    if not path.is_file():
        raise ValueError(f"plugin {path} is not a file")
    for said in describe.ask(str(path.resolve())):
        names = [said["name"] or said["class"]] if said["class"] else _names_in(path)
        for name in names:
            target = f"{path.resolve()}:{said['class']}"
            yield Entry(name, target, True, f"plugin {path}", said["fault"], said)


def _names_in(path: Path) -> list[str]:
    """The names of solvers in a file that can't be imported, as far as its text tells; else the file's own."""
    text = path.read_text(errors="replace")
    found = re.findall(r"""^\s+name\s*(?::[^=\n]+)?=\s*["']([\w.-]+)["']""", text, re.MULTILINE)
    return list(dict.fromkeys(found)) or [re.sub(r"[^\w.-]", "_", path.stem)]


class Registry:
    """The table of solvers known to one command.

    Parameters
    ----------
    plugins
        Python files that define solvers, or rows as `Entry.word` has them.

    step
        A step of the algorithm: then the table is that of its forms, and has no solvers of the whole.

    Raises
    ------
    ValueError
        For an unknown step, or a plugin that is no file.

    Examples
    --------
    >>> Registry().create("numba[threads=2]").threads
    2
    """

    def __init__(self, plugins: Iterable[str | Path] = (), step: str = ""):
        self.entries = _forms(step) if step else dict(_own())
        self.plugins = tuple(map(str, plugins))
        self.clashes: list[str] = []
        if step:
            return
        for point in _installed():
            self._add(_of_package(point))
        for word in self.plugins:
            for entry in _of_plugin(word):
                self._add(entry)

    def _add(self, new: Entry) -> None:
        """A name of two solvers is neither's, but no installed package takes one from this project."""
        old = self.entries.get(new.name)
        if old is not None and old.target == new.target:
            return
        if old is None:
            self.entries[new.name] = new
            return
        by = [f"{entry.origin or 'this project'} ({entry.target.rpartition(':')[2]})" for entry in (old, new)]
        clash = f"two solvers are named '{new.name}': that of {by[0]} and that of {by[1]}, expected a name of its own"
        if old.origin or not new.origin.startswith("entry point"):
            self.entries[new.name] = Entry(new.name, new.target, True, new.origin, clash)
        else:
            self.clashes.append(f"{clash}; the latter is left out")

    def names(self) -> list[str]:
        """Every registered name, in table order."""
        return list(self.entries)

    def load(self, spec: str) -> type[Solver]:
        """The class of a solver, imported here.

        Parameters
        ----------
        spec
            `name` or `name[key=value,...]`.

        Returns
        -------
        type[Solver]
            Its tunables are the constructor's keywords.

        Raises
        ------
        ValueError
            For an unknown name.
        """
        return self.entry(parse(spec)[0]).load()

    def entry(self, name: str) -> Entry:
        """The table's row of a solver.

        Parameters
        ----------
        name
            Without tunables.

        Returns
        -------
        Entry
            Where the class is found; nothing is imported.

        Raises
        ------
        ValueError
            For an unknown name.
        """
        if name not in self.entries:
            raise UnknownNameError("solver", name, self.entries)
        return self.entries[name]

    def words(self, spec: str) -> tuple[str, ...]:
        """The plugins that a process which runs this solver must know: its own row, and that of one inside of it.

        Parameters
        ----------
        spec
            `name` or `name[key=value,...]`.

        Returns
        -------
        tuple[str, ...]
            What that process's `Registry` takes as `plugins`.
        """
        return tuple(e.word for e in self._involved(spec) if e.origin or e.target.startswith(FORMS))

    def _involved(self, spec: str) -> list[Entry]:
        name, given = parse(spec)
        inner = self.entries.get(str(given.get("inner")))
        return [self.entry(name), *([inner] if inner else [])]

    def create(self, spec: str, threads: int = 1) -> Solver:
        """The solver of a name, with its tunables.

        Parameters
        ----------
        spec
            `name` or `name[key=value,...]`. A tunable `inner` names a solver, which is handed over as a recipe
            (`Inner`).
        threads
            For a solver that has such a tunable, unless `spec` gives it.

        Returns
        -------
        Solver
            Whether or not this machine can run it.

        Raises
        ------
        ValueError
            For an unknown name, tunable or value.
        """
        return self._made(self.load(spec), spec, threads)

    def _made(self, cls: type[Solver], spec: str, threads: int) -> Solver:
        known = tunables(cls)
        given = self._given(spec, known)
        if "threads" in known:
            given.setdefault("threads", threads)
        if "inner" in known:
            name = str(given.get("inner", known["inner"]))
            given["inner"] = Inner(name, self.words(name) if name in self.entries else ())
        try:
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"solver '{spec}': {error}") from error

    def ready(self, spec: str, threads: int = 1) -> Solver:
        """The solver of a name, for use in this process.

        Parameters
        ----------
        spec, threads
            As `create` has them.

        Returns
        -------
        Solver
            One that this machine can run.

        Raises
        ------
        RuntimeError
            With the reason, when this machine can't.
        ValueError
            As `create` does.
        """
        cls = self.load(spec)
        able, reason = availability(cls)
        if not able:
            raise RuntimeError(f"solver '{spec}' can't run here: {reason}")
        return self._made(cls, spec, threads)

    def check(self, spec: str) -> None:
        """Check that there is such a solver, tunable and value, as far as no plugin is imported to see it.

        Parameters
        ----------
        spec
            `name` or `name[key=value,...]`.

        Raises
        ------
        ValueError
            When there isn't; the message names the nearest known ones.
        """
        if self.words(spec):
            name = parse(spec)[0]
            self._given(spec, self.describe(name)["tunables"])
        else:
            self.create(spec)

    def _given(self, spec: str, known: dict[str, Any]) -> dict[str, Any]:
        name, given = parse(spec)
        for key in given:
            if key not in known:
                raise UnknownNameError(f"tunable of solver '{name}'", key, known or ["(it has none)"])
        return given

    def describe(self, name: str) -> dict[str, Any]:
        """What `--list` says of a solver; one that is at fault or can't be imported is unavailable for that reason.

        Parameters
        ----------
        name
            Without tunables.

        Returns
        -------
        dict[str, Any]
            `name`, `external`, `device`, `accuracy`, `method`, `available`, `reason`, `fault`, what keeps it from
            being a solver on any machine, and `tunables` with their defaults.

        Raises
        ------
        ValueError
            For an unknown name.
        """
        said = self._description(name)
        said = said | {"available": not said["fault"] and said["available"], "reason": said["fault"] or said["reason"]}
        kept = {key: said[key] for key in ("device", "accuracy", "method", "available", "reason", "fault", "tunables")}
        return {"name": name, "external": self.entry(name).external, **kept}

    def fault(self, spec: str) -> str:
        """What keeps a class, or that of a solver inside of it, from being a solver on any machine.

        Parameters
        ----------
        spec
            `name` or `name[key=value,...]`.

        Returns
        -------
        str
            In one line; "" when nothing does.
        """
        return next(filter(None, (self._description(entry.name)["fault"] for entry in self._involved(spec))), "")

    def _description(self, name: str) -> dict[str, Any]:
        entry = self.entry(name)
        try:
            said = entry.description()
        except Exception as error:  # a module of this project that can't be imported
            said = describe.EMPTY | {"fault": f"it can't be imported: {reason_of(error)}"}
        return said | {"fault": said["fault"] and f"{entry.origin or entry.target}: {said['fault']}"}

    def unavailable(self, spec: str) -> str:
        """Why a solver, or the one inside of it, can't run on this machine.

        Parameters
        ----------
        spec
            `name` or `name[key=value,...]`.

        Returns
        -------
        str
            In one line; "" when it can.

        Raises
        ------
        ValueError
            For an unknown name.
        """
        name, given = parse(spec)
        inner = [given["inner"]] if given.get("inner") in self.entries and not given.get("scheduler") else []
        return next((row["reason"] for row in map(self.describe, [name, *inner]) if not row["available"]), "")


@dataclass(frozen=True)
class Inner:
    """A recipe that can be sent to a worker: called there, it makes the solver.

    Parameters
    ----------
    name
        Of the solver, without tunables; "auto" for the fastest exact one that the worker's machine can run.
    plugins
        What the worker's `Registry` takes.

    Raises
    ------
    ValueError
        For a name that is not registered, or one of a solver that starts workers itself.
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

    def kind(self) -> type[Solver]:
        """The class, for its accuracy and bounds; that of an exact solver for `auto`."""
        return Registry(self.plugins).load("baseline" if self.name == AUTO else self.name)

    def here(self) -> str:
        """The name of the solver that this machine would run."""
        if self.name != AUTO:
            return self.name
        table = Registry()
        able = (name for name in PREFERRED if name in table.entries and table.describe(name)["available"])
        return next(able, "baseline")

    def __call__(self, threads: int = 1) -> Solver:
        """The solver, with that many threads if it has any to set. RuntimeError, with the reason, when it can't run."""
        return Registry(self.plugins).ready(self.here(), threads)
