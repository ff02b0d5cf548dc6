"""What imports what in a tree of this project's folders, read as text; and the rules of its rooms."""

import ast
import re
from collections import Counter
from pathlib import Path

PACKAGES = ("implementations", "harness")
ADDRESS = re.compile(r"((?:implementations|harness)(?:\.\w+)+)\.?(?::\w+)?")
"""A module, or `module:Class`; a trailing point is what an f-string puts a name behind."""
ROWS = {
    "implementations": (
        "contract solver_spec command_line blas places",
        "solver_faults step_problem",
        "maths compiled executors describe",
        "baseline cluster aia",
        "cpu",
        "gpu peers",
        "steps",
        "registry",
        "calls",
        "api large_maps",
        "pixel",
        "invert",
    ),
    "harness": (
        "records workloads",
        "judge",
        "show machine",
        "measure advice",
        "profiling figures",
        "reports",
        "proof",
        "commands",
        "upkeep asv_suite",
        "cli",
    ),
}
"""Files and folders of each package: each may import itself and what stands in the rows before it."""
BY_NAME = (
    "registry",
    "solver_spec",
    "solver_faults",
    "command_line",
    "contract",
    "step_problem",
    "places",
    "maths",
    "aia",
)
"""What the harness imports of the implementations. Solvers are known by name only."""
OWN_REASONS = {
    ("harness.reports.checkout", "harness.sweep"): "a process: what the solvers of another commit are, asked there",
    ("harness.reports.notebook", "harness.profile"): "a process: a profile for a reader whose checkout has none",
    ("harness.upkeep.full_frame", "implementations.api"): "compares a map with what a user's call gives",
    (
        "harness.upkeep.experiments.prefetch",
        "implementations.large_maps.store",
    ): "takes the blocks of a user's call apart",
    ("harness.upkeep.mapfile", "implementations.large_maps.store"): "compresses a map as inversions do theirs",
    (
        "harness.upkeep.experiments.chunks",
        "implementations.large_maps.inversion",
    ): "times layouts of maps in one process",
    ("harness.upkeep.experiments.chunks", "implementations.large_maps.store"): "names the layouts that it times",
    ("harness.upkeep.experiments.scheduling", "implementations.cluster.workers"): "times what hands blocks to workers",
    ("harness.upkeep.experiments.scheduling", "implementations.cluster.session"): "makes blocks for it",
}
"""Imports that the rows forbid."""
MOST_FILES, MOST_LINES = 15, 250


class Tree:
    """The Python files of `implementations` and `harness` below a folder."""

    def __init__(self, root: Path):
        paths = [path for package in PACKAGES for path in sorted(root.glob(f"{package}/**/*.py"))]
        self.files = {".".join(p.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}
        self.parsed = {name: ast.parse(path.read_text()) for name, path in self.files.items()}

    def imports(self, name: str, addresses: bool = True) -> set[str]:
        """Modules that a module imports, at its top or within functions, and those that its strings address."""
        found: set[str] = set()
        for node in ast.walk(self.parsed[name]):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif addresses and isinstance(node, ast.Constant) and isinstance(node.value, str):
                address = ADDRESS.fullmatch(node.value)
                found |= {address[1]} if address else set()
        return {owner for owner in map(self._owner, found) if owner} - {name}

    def _owner(self, dotted: str) -> str:
        """The module that a dotted name is, or is defined in; "" when it isn't of the tree."""
        while dotted and dotted not in self.files:
            dotted = dotted.rpartition(".")[0]
        return dotted if "." in dotted else ""

    def room(self, name: str) -> str:
        """The folder, or file of a package's top, that a module belongs to; the harness's own files are commands."""
        package, *rest = name.split(".")
        if package == "harness" and len(rest) == 1 and rest != ["cli"] and self.files[name].stem != "__init__":
            return "commands"
        return rest[0] if rest else ""

    def rank(self, name: str) -> int:
        """The row of its room; KeyError for a room that has none."""
        ranks = {room: i for i, row in enumerate(ROWS[name.split(".")[0]]) for room in row.split()}
        return ranks[self.room(name)]


def upward(tree: Tree) -> list[str]:
    """Imports of a room in the same row or a later one; of the harness by the implementations; of solvers by it."""
    found = []
    for name in tree.files:
        package, room = name.split(".")[0], tree.room(name)
        if not room:
            continue
        for other in sorted(tree.imports(name)):
            if (name, other) in OWN_REASONS:
                continue
            if other.split(".")[0] == package:
                allowed = tree.room(other) == room or tree.rank(other) < tree.rank(name)
            elif package == "implementations":
                allowed = False
            else:
                by_name = other not in tree.imports(name, addresses=False)
                allowed = by_name or tree.room(other) in BY_NAME
            if not allowed:
                found.append(f"{name} imports {other}")
    return found


def shared_oracle(tree: Tree) -> list[str]:
    """The maths that the baseline shares with those it is the measure of."""
    return [f"baseline imports {o}" for o in tree.imports("implementations.baseline") if ".maths" in o]


def solvers_of_solvers(tree: Tree) -> list[str]:
    """Strategies of one room that import one another; a strategy is what the registry's table names."""
    table = {address.split(":")[0] for address in _strings(tree, "implementations.registry") if ":" in address}
    return [
        f"{name} imports {other}"
        for name in sorted(table & set(tree.files))
        for other in sorted(tree.imports(name) & table)
        if tree.room(other) == tree.room(name)
    ]


def _strings(tree: Tree, name: str) -> list[str]:
    constants = (n.value for n in ast.walk(tree.parsed[name]) if isinstance(n, ast.Constant))
    return [value for value in constants if isinstance(value, str) and ADDRESS.fullmatch(value)]


def circle(tree: Tree) -> list[str]:
    """Modules that import one another in a circle; [] when there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for other in sorted(tree.imports(name)):
            if found := visit(other):
                return found
        path.pop()
        done.add(name)
        return []

    return next((found for name in tree.files if (found := visit(name))), [])


def crowded(tree: Tree) -> list[str]:
    """Folders with more Python files than anyone keeps apart."""
    counts = Counter(path.parent for path in tree.files.values() if path.stem != "__init__")
    return [f"{folder} holds {count} files" for folder, count in counts.items() if count > MOST_FILES]


def long(tree: Tree) -> list[str]:
    """Files of the harness that are longer than a reader keeps in mind."""
    lines = {n: len(p.read_text().splitlines()) for n, p in tree.files.items() if n.startswith("harness")}
    return [f"{name} has {count} lines" for name, count in lines.items() if count > MOST_LINES]


def unintroduced(tree: Tree) -> list[str]:
    """Rooms whose `__init__` doesn't say in a docstring what they are for and what they may import."""
    rooms = [n for n, p in tree.files.items() if p.stem == "__init__" and "." in n and tree.room(n) != "asv_suite"]
    return [name for name in rooms if "may import" not in (ast.get_docstring(tree.parsed[name]) or "")]


RULES = {
    rule.__name__: rule for rule in (upward, shared_oracle, solvers_of_solvers, circle, crowded, long, unintroduced)
}
