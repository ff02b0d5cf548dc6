"""What cProfile counted, as a table of functions, the hot spot in one sentence, and a tree of calls."""

import pstats
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Function = tuple[str, int, str]
"""cProfile's key: file, line, name."""
ROOT = "timed_run"
"""The harness's function around the timed run: what is above it is not the solver's."""
DEEPEST = 40


@dataclass
class Frame:
    """A function in the tree of calls, with its share of the caller's time: `seconds` in all, callees included."""

    label: str
    package: str
    seconds: float
    callees: list["Frame"] = field(default_factory=list)


class Calls:
    """The calls below the timed run, from a .prof file."""

    def __init__(self, file: Path):
        self.stats: dict[Function, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
        self.root = next(key for key in self.stats if key[2] == ROOT)
        self.total = self.stats[self.root][3]
        self.runs = self.stats[self.root][1]
        self.callees: dict[Function, dict[Function, Any]] = {}
        for key, (_, _, _, _, callers) in self.stats.items():
            for caller, edge in callers.items():
                self.callees.setdefault(caller, {})[key] = edge

    def table(self, most: int = 30) -> list[dict[str, Any]]:
        """Functions by falling own time: calls, own and cumulative seconds of a run, and their shares of it."""
        rows = [
            {
                "function": label(key),
                "calls": round(calls / self.runs),
                "own_s": own / self.runs,
                "cumulative_s": cumulative / self.runs,
                "own_share": own / self.total,
                "cumulative_share": cumulative / self.total,
            }
            for key, (_, calls, own, cumulative, _) in self.stats.items()
        ]
        return sorted(rows, key=lambda row: -row["own_s"])[:most]

    def hot_spot(self, undisturbed_s: float | None = None) -> str:
        """Where the time goes, in one sentence: the function that takes most itself, and who calls it most.

        The profiler's part of a function's time doesn't count, and none is named of which that is most: what a run
        takes longer than `undisturbed_s` is divided among its calls, each of which costs the function that is called
        and the one that calls it.
        """
        undisturbed = self.total / self.runs if undisturbed_s is None else undisturbed_s
        costs = {k: self._profilers_own(k, undisturbed) for k in self.stats if not _watches(k)}
        key = max(costs, key=lambda k: self.stats[k][2] - costs[k])
        _, calls, own, _, _ = self.stats[key]
        if costs[key] > own / 2:
            return (
                f"none that can be named: {label(key)} has {own / self.total:.0%} of the time, but most of that is the "
                f"profiler's own, for {round(calls / self.runs):,} calls. Read the shares of the stages."
            )
        calls = round(calls / self.runs)
        text = f"{label(key)} takes {own / self.total:.0%} of the time itself, in {calls} call{'s' * (calls != 1)}"
        named = self._named_caller(key)
        if named is not None:
            share = min(self.stats[named][3] / self.total, 1.0)
            text += f"; {label(named)}, which leads to it, takes {share:.0%} in all"
        return text + "."

    def _profilers_own(self, key: Function, undisturbed_s: float) -> float:
        """Seconds of a function's own time, in all runs, that go to the profiler."""
        every = sum(entry[1] for entry in self.stats.values())
        each = max(self.total - self.runs * undisturbed_s, 0.0) / every
        made = sum(edge[1] for edge in self.callees.get(key, {}).values())
        return each * (self.stats[key][1] + made) / 2

    def _named_caller(self, key: Function) -> Function | None:
        """The nearest function of a solver that leads to `key`, by the greatest time on the way."""
        seen = {key}
        while not is_solver(key):
            callers = {c: e[3] for c, e in self.stats[key][4].items() if c not in seen}
            if not callers:
                return None
            key = max(callers, key=lambda c: callers[c])
            seen.add(key)
        return key if len(seen) > 1 else None

    def tree(self, least: float = 0.002) -> Frame:
        """The calls as a tree, those of less than `least` of the run left out.

        cProfile knows who called whom, not the whole stack: where several callers share a function, what is below it
        is divided among them by the time each spent in it.
        """
        return self._branch(self.root, self.total, least * self.total, ())

    def _branch(self, key: Function, seconds: float, least: float, path: tuple[Function, ...]) -> Frame:
        call = Frame(label(key), package(key), seconds)
        cumulative = self.stats[key][3]
        if len(path) < DEEPEST and cumulative > 0:
            for callee, edge in self.callees.get(key, {}).items():
                share = edge[3] * seconds / cumulative
                if share >= least and callee not in path and callee != key:
                    call.callees.append(self._branch(callee, share, least, (*path, key)))
        call.callees.sort(key=lambda c: -c.seconds)
        return call


def own_shares(stats: dict[Function, Any]) -> dict[Function, float]:
    """The share of each function's own time in that of all."""
    total = sum(entry[2] for entry in stats.values())
    return {key: entry[2] / total for key, entry in stats.items()}


def unsteadiness(rounds: Sequence[dict[Function, float]], most: int = 5) -> float:
    """How uncertain the shares of the functions that have most are, by the rounds: the greatest standard error."""
    keys = {key for shares in rounds for key in shares}
    table = np.array([[shares.get(key, 0.0) for key in keys] for shares in rounds])
    top = np.argsort(table.mean(axis=0))[-most:]
    return float((table[:, top].std(axis=0, ddof=1) / np.sqrt(len(rounds))).max())


def _watches(key: Function) -> bool:
    """Whether a function is the harness's or the profiler's, and no part of the run."""
    return package(key) == "harness" or "_lsprof" in key[2]


def is_solver(key: Function) -> bool:
    """Whether a function belongs to a strategy: one of this project's, or a plugin's."""
    return package(key) in ("implementations", "plugin")


def package(key: Function) -> str:
    """The package a function belongs to: "implementations", "numpy", "built in", ...; "plugin" for other files."""
    file = Path(key[0])
    if key[0] in ("~", "") or key[0].startswith("<"):
        return "built in"
    if "site-packages" in file.parts:
        return file.parts[file.parts.index("site-packages") + 1].removesuffix(".py")
    for name in ("implementations", "harness"):
        if name in file.parts:
            return name
    return "python" if any(part.startswith("python3") for part in file.parts) else "plugin"


def label(key: Function) -> str:
    """A function's name with its file, without the machine's own folders."""
    file, line, name = key
    if file in ("~", ""):
        return name.strip("<>").removeprefix("built-in method ").removesuffix(" objects").replace("'", "")
    parts = Path(file).parts
    for anchor in ("site-packages", "implementations", "harness"):
        if anchor in parts:
            start = parts.index(anchor) + (anchor == "site-packages")
            return f"{name} ({'/'.join(parts[start:])}:{line})"
    return f"{name} ({Path(file).name}:{line})"
