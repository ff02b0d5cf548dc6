"""The table of steps and forms: each a solver of `StepProblem`, addressed as `regularisation.numba` is.

All forms of a step are given the same inputs, in the host's memory, laid out as each likes them before the clock
starts; what moves them to a device and back is timed. `published` is the step as the baseline has it, pixel by pixel;
`numpy` works on all pixels' arrays at once; `numba` is a plain loop, compiled; `numba-parallel` is that loop with
parallel=True and fastmath=True, its pixels (for the regularisation grid: all points of all pixels) dealt to threads;
`cupy` does on the device what `numpy` does; `fused` is the kernel's own function, 8 pixels in the lanes of a vector.
"""

from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from implementations.contract import Problem, Solver
from implementations.gpu import device as gpu_device
from implementations.step_problem import StepProblem, StepSolution
from implementations.steps import factorisation, positivity, regularisation, resolution, weights
from implementations.steps.published import of_pixels

STEPS: dict[str, ModuleType] = {
    "regularisation": regularisation,
    "factorisation": factorisation,
    "positivity": positivity,
    "temperature-resolution": resolution,
    "weights": weights,
}
CHUNK = 1 << 21
"""Doubles in the arrays of so many pixels as `numpy` works on at once: a few caches' worth."""


class Form(Solver):
    """A form of a step."""

    device = "cpu"
    accuracy = "exact"
    step: ClassVar[str]

    @property
    def module(self) -> Any:
        """The step's own functions."""
        return STEPS[self.step]

    def pose(self, problem: Problem) -> StepProblem:
        """The step for a problem's valid pixels. ValueError, in one line, when there are none."""
        valid = problem.take(np.flatnonzero(problem.valid()))
        if not len(valid.dn):
            raise ValueError(f"step {self.step}: the problem has no valid pixel")
        found = of_pixels(valid, self.module.before)
        inputs = {name: found[name] for name in self.module.INPUTS}
        constants = (valid.rmatrix, valid.logt, valid.dlogt, valid.options)
        named = {"step": self.step, "inputs": inputs, "outputs": self.module.OUTPUTS, "scaled": self.module.SCALED}
        return StepProblem(valid.dn, valid.edn, *constants, **named)

    def laid_out(self, given: StepProblem) -> Any:
        """The inputs as this form takes them."""
        return None

    def prepare(self, problem: Problem) -> Any:
        """Nothing to move."""
        return problem

    def collect(self, state: Any, solution: Any) -> Any:
        """The outputs by name."""
        return StepSolution(**dict(zip(self.module.OUTPUTS, solution, strict=True)))


class Published(Form):
    """The step as the baseline has it."""

    def solve(self, state: StepProblem) -> Any:
        """Pixel by pixel."""
        return self.module.published(state)


class Numpy(Form):
    """Whole arrays."""

    def solve(self, state: StepProblem) -> Any:
        """Some pixels at a time, so that their arrays stay near."""
        length = max(1, CHUNK // self.module.doubles(state))
        parts = [
            self.module.arrays(state, _host(state, slice(first, first + length)))
            for first in range(0, len(state.dn), length)
        ]
        return parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]


def _host(given: StepProblem, pixels: slice) -> dict[str, Any]:
    return {name: array[pixels] for name, array in given.inputs.items()} | _constants(given)


def _constants(given: StepProblem) -> dict[str, Any]:
    return {"rmatrix": given.rmatrix, "logt": given.logt, "dlogt": given.dlogt}


class Cupy(Form):
    """Whole arrays on the device."""

    device = "gpu"

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether CuPy, a driver and a device are here."""
        return gpu_device.available()

    def prepare(self, problem: Any) -> Any:
        """Upload."""
        place = gpu_device.runtime().xp.asarray
        return problem, {name: place(array) for name, array in (problem.inputs | _constants(problem)).items()}

    def solve(self, state: Any) -> Any:
        """All pixels at once; waits for the device."""
        outputs = self.module.arrays(*state)
        gpu_device.runtime().settle()
        return outputs

    def collect(self, state: Any, solution: Any) -> Any:
        """Download."""
        return super().collect(state, [gpu_device.to_host(array) for array in solution])


class Numba(Form):
    """A compiled loop."""

    parallel: ClassVar[bool] = False

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether Numba is installed."""
        return (True, "") if find_spec("numba") else (False, "Numba is not installed")

    def laid_out(self, given: StepProblem) -> Any:
        """The loop's arguments."""
        return self.module.for_loops(given)

    def solve(self, state: StepProblem) -> Any:
        """One call for all pixels."""
        from implementations.steps import loops

        return loops.compiled(self.module.__name__, self.parallel)(*state.layout)


class NumbaParallel(Numba):
    """The compiled loop with parallel and fastmath; `threads`: what Numba is set to use where it runs."""

    parallel = True

    def __init__(self, threads: int = 1):
        self.threads = threads


class Fused(Numba):
    """The fused kernel's function for the step, one thread."""

    def laid_out(self, given: StepProblem) -> Any:
        """What the lanes are filled from."""
        return self.module.for_fused(given)

    def prepare(self, problem: Any) -> Any:
        """What all pixels share, and working memory, as the kernel's."""
        from implementations.compiled import staging

        setup, idle = staging.staged(problem, np.float64)
        scratch = idle.pop() if idle else staging.working_memory(setup, np.float64)
        return problem, setup, scratch, idle

    def solve(self, state: Any) -> Any:
        """One call for all pixels."""
        from implementations.steps import fused

        problem, setup, scratch, _ = state
        return fused.call(self.module.__name__, setup, scratch, problem)

    def collect(self, state: Any, solution: Any) -> Any:
        """The working memory is idle again."""
        state[3].append(state[2])
        return super().collect(state, solution)


FORMS: dict[str, type[Form]] = {
    "published": Published,
    "numpy": Numpy,
    "numba": Numba,
    "numba-parallel": NumbaParallel,
    "cupy": Cupy,
    "fused": Fused,
}


TABLE: dict[str, type[Form]] = {
    f"{step}.{form}": type(
        "".join(part.title() for part in f"{step}-{form}".split("-")),
        (kind,),
        {"name": f"{step}.{form}", "step": step, "__doc__": kind.__doc__, "__module__": __name__},
    )
    for step in STEPS
    for form, kind in FORMS.items()
}
globals().update({cls.__name__: cls for cls in TABLE.values()})  # where the registry's addresses lead
