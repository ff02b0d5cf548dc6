"""The parent's side of what was timed: the problem as only it knows it, its variants, the solutions handed over."""

import zipfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.judge import quality, steps
from harness.judge.summary import Summary, of_older_worker, summarise
from harness.records.schema import Cell
from harness.workloads import problem as workload
from harness.workloads import variant
from harness.workloads.specification import Specification
from implementations.contract import Array, Problem
from implementations.registry import Registry
from implementations.step_problem import StepProblem

STEP_PIXELS = 64
"""Pixels of a step that are judged."""
FIRST = 0
"""The round, so to say, of the first run: of the problem as it is."""
MOST_BYTES_BESIDE = 1 << 24
"""What a file that is handed over may hold beside outputs and inputs."""


@dataclass(frozen=True)
class Original:
    """A cell's problem, out of reach of the workers, and the secret that its timed runs' problems are made from."""

    problem: Problem
    folder: Path
    """Where the workers read it."""
    secret: str = ""

    @cached_property
    def watched(self) -> NDArray[np.intp]:
        """The pixels that timed runs are judged by."""
        return quality.watched(self.problem.sizes[0], self.secret)

    @cached_property
    def sample(self) -> NDArray[np.intp]:
        """The pixels that the first run is judged by."""
        return quality.judged(self.problem.sizes[0], self.secret)

    def turn(self, number: int | str, spec: str, runs: int) -> tuple[list[int], int]:
        """Seeds of a turn's problems, the same for all solvers of a round; where the first, that is kept, stands."""
        place = variant.seed(self.secret, "place", number, spec) % runs
        seeds = [variant.seed(self.secret, number, run) for run in range(runs)]
        return [*seeds[1 : place + 1], seeds[0], *seeds[place + 1 :]], place

    def variant(self, number: int) -> variant.Variant:
        """The problem that a round's kept solution is of."""
        if number == FIRST:
            pixels = self.problem.sizes[0]
            return variant.Variant(self.problem, np.arange(pixels), np.ones((pixels, 1)))
        return variant.of(self.problem, variant.seed(self.secret, number, 0))

    def handed_over(self, path: Path, number: int) -> Summary:
        """What a worker wrote of a round's solution. ValueError when it can't be judged."""
        given = self.variant(number)
        sample = np.sort(np.argsort(given.order)[self.sample if number == FIRST else self.watched])
        try:
            with np.load(path) as file:
                if "chisq_sample" in file:
                    return of_older_worker(file)
                found = summarise(given.problem, Outputs(file, given.problem), sample)
        except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"its solution can't be judged: {' '.join(str(error).split())}") from error
        return found.restored(given.order, given.factor)

    def some(self, chosen: dict[int, NDArray[np.intp]]) -> Problem:
        """Those pixels of each round's problem, one round after another, as one problem."""
        parts = [self._part(number, pixels)[0] for number, pixels in chosen.items()]
        dn, edn = (np.concatenate([getattr(part, name) for part in parts]) for name in ("dn", "edn"))
        return Problem(dn, edn, parts[0].rmatrix, parts[0].logt, parts[0].dlogt, parts[0].options)

    def apart(self, solved: Summary, chosen: dict[int, NDArray[np.intp]]) -> dict[int, Summary]:
        """The summary of what `some` gave, as one for each round."""
        parts, first = {}, 0
        for number, pixels in chosen.items():
            part = solved.at(np.arange(first, first + len(pixels)))
            parts[number] = part.restored(pixels, self._part(number, pixels)[1])
            first += len(pixels)
        return parts

    def _part(self, number: int, pixels: NDArray[np.intp]) -> tuple[Problem, Array]:
        """Some pixels of a round's problem, and the factors that their counts have been scaled by."""
        given = self.variant(number)
        rows = np.argsort(given.order)[pixels]
        return given.problem.take(rows), given.factor[rows]


class StepOriginal(Original):
    """The same where one step is measured alone: what is handed over is judged against the step as published."""

    def handed_over(self, path: Path, number: int) -> Any:
        """A round's outputs at the pixels that are judged. ValueError when they can't be."""
        given = self.variant(number)
        rows = np.argsort(given.order)[self.judged]
        assert isinstance(given.problem, StepProblem)
        try:
            with np.load(path) as file:
                outputs = Outputs(file, given.problem)
                return {name: outputs[name][rows] for name in given.problem.outputs}
        except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"its solution can't be judged: {' '.join(str(error).split())}") from error

    @cached_property
    def judged(self) -> NDArray[np.intp]:
        """The pixels that are compared: few, since the published form does each of them again."""
        return np.sort(np.random.default_rng().permutation(self.watched)[:STEP_PIXELS])

    def figures(self, kept: dict[int, Any]) -> dict[str, Any]:
        """The verdict on all that was handed over."""
        figures: dict[str, Any] = {"gate": "pass", "gate_reasons": ""}
        for number, outputs in sorted(kept.items()):
            given, expected = self._expected(number)
            verdict, counts = steps.judge(given, outputs, expected)
            figures |= {name: max(count, figures.get(name, 0)) for name, count in counts.items()}
            if verdict.gate == "fail" and figures["gate"] == "pass":
                figures |= {"gate": "fail", "gate_reasons": "; ".join(verdict.reasons)}
        return figures

    @cache  # noqa: B019 (as long as the cell)
    def _expected(self, number: int) -> tuple[StepProblem, dict[str, Any]]:
        """A round's problem at those pixels, and what the published form makes of it."""
        given = self.variant(number)
        assert isinstance(given.problem, StepProblem)
        few = given.problem.take(np.argsort(given.order)[self.judged])
        form: Any = Registry(step=few.step).create(published(few.step))
        return few, vars(form.run(few))


def published(step: str) -> str:
    """The form that all forms of a step are compared with."""
    return f"{step}.published"


def posed(spec: Specification, cell: Cell, step: str, folder: Path, secret: str) -> tuple[Original, Array]:
    """A cell's problem, or that of a step of it, written for the workers; and the true DEM of what is judged."""
    sizes = cell.pixels, cell.bins, cell.seed
    if not step:
        truth = workload.write(spec, *sizes, folder, quality.judged(cell.pixels, secret))
        return Original(workload.read(folder, mapped=False), folder, secret), truth
    form: Any = Registry(step=step).create(published(step))
    workload.save(form.pose(workload.generate(spec, *sizes)[0]), folder)
    return StepOriginal(workload.read(folder, mapped=False), folder, secret), np.empty((0, cell.bins))


class Outputs:
    """A solution by the names of its outputs, each read from the file when asked for, and checked."""

    def __init__(self, file: Any, problem: Problem):
        pixels, channels, bins = problem.sizes
        size = sum(entry.file_size for entry in file.zip.infolist())
        most = 8 * pixels * (3 * bins + 3 * channels + 4)
        if size > 2 * most + MOST_BYTES_BESIDE:
            raise ValueError(f"it is {size} bytes, expected about {most}")
        self.file, self.pixels = file, file["pixels"]
        for name in ("dn", "edn"):
            if not np.array_equal(file[name], getattr(problem, name), equal_nan=True):
                raise ValueError(f"the solver changed its input {name}")

    def __getitem__(self, name: str) -> Array:
        values: Array = self.file[name]
        if not np.array_equal(values[self.pixels], self.file[f"then_{name}"], equal_nan=True):
            raise ValueError(f"{name} was changed after the clock had stopped")
        return values
