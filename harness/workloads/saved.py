"""A problem, or that of a step, in the files of a folder, and from there."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from implementations.contract import Array, Options, Problem
from implementations.step_problem import StepProblem

ARRAYS = ("dn", "edn", "rmatrix", "logt", "dlogt")
STEP_FILE, INPUT = "step.json", "input-"
"""Files of a step's problem, beside those of the whole one."""


def save(problem: Problem, folder: Path) -> None:
    """Write a problem that is in memory as `write` does."""
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(problem, name))
    (folder / "options.json").write_text(json.dumps(asdict(problem.options)))
    if isinstance(problem, StepProblem):
        for name, array in problem.inputs.items():
            np.save(folder / f"{INPUT}{name}.npy", array)
        said = {"step": problem.step, "outputs": problem.outputs, "scaled": problem.scaled}
        (folder / STEP_FILE).write_text(json.dumps(said | {"inputs": list(problem.inputs)}))


def read(folder: Path, mapped: bool = True) -> Problem:
    """The problem in `folder`, its arrays mapped from the files; or copied, safe from what becomes of these."""

    def array(name: str) -> Array:
        return np.load(folder / f"{name}.npy", mmap_mode="r" if mapped else None)

    common: dict[str, Any] = {name: array(name) for name in ARRAYS}
    common["options"] = Options(**json.loads((folder / "options.json").read_text()))
    if not (folder / STEP_FILE).exists():
        return Problem(**common)
    said = json.loads((folder / STEP_FILE).read_text())
    inputs = {name: array(f"{INPUT}{name}") for name in said["inputs"]}
    return StepProblem(**common, **said | {"inputs": inputs, "outputs": tuple(said["outputs"])})
