"""The solver that another one runs inside of it, made where it is to run: on a worker's own hardware."""

from dataclasses import dataclass

from harness.registry import Registry, UnknownNameError
from implementations.contract import Solver

AUTO = "auto"
PREFERRED = ("gpu-batched", "numba", "batched", "baseline")
"""What `auto` tries, the fastest exact solver first."""


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
