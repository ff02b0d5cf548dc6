"""What solvers that stream a map through devices share: everything but what is done with a chunk there.

Such a solver's file says, in `job`, what all chunks have in common on a device, what is computed of a chunk, and what
memory that takes; `gpu.pipeline.Pipeline` plans chunks, uploads, computes, downloads. A map larger than the device's
memory is no different from a small one.

Shapes: pixel axis first. Host memory: the problem and its solution, and pinned buffers of two chunks a device.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from implementations.contract import Problem, Solution, Solver
from implementations.gpu import device as gpu_device
from implementations.gpu.pipeline import Arrays, Job, Pipeline


class Streamed(Solver):
    """A solver whose chunks go through one or several devices.

    Tunables of all: `devices`, how many, 0 for all; `chunk`, pixels at a time, None for what the free memory is good
    for. ValueError when they are no whole numbers in range, or there are fewer devices.
    """

    device = "gpu"

    def __init__(self, devices: int = 1, chunk: int | None = None):
        gpu_device.check(devices, chunk)
        self.devices, self.chunk = devices, chunk

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether CuPy, a driver and a device are here."""
        return gpu_device.available()

    @abstractmethod
    def job(self, problem: Problem) -> Job:
        """What goes up, what is computed of a chunk, what it takes; most are made by `inversion`."""

    def prepare(self, problem: Problem) -> Pipeline:
        """Plan the chunks, take host and device memory, place what all chunks share. MemoryError: no pixel fits."""
        return Pipeline(self.job(problem), gpu_device.runtime(), self.devices, self.chunk)

    def solve(self, state: Pipeline) -> Solution:
        """Upload, invert and download every chunk; invalid pixels stay zero."""
        state.run()
        return Solution(**state.job.outputs)

    def collect(self, state: Pipeline, solution: Solution) -> Solution:
        """Nothing to do: the solution came home chunk by chunk."""
        return solution

    def facts(self, state: Pipeline) -> dict[str, float]:
        """Seconds of upload, kernel and download by the device's clock, and its memory; see `Pipeline.facts`."""
        return state.facts()


def inversion(
    problem: Problem,
    share: Callable[[Any], Any],
    compute: Callable[[Any, Arrays, Arrays, Any], None],
    work_bytes: int,
    fixed_bytes: int = 0,
    weights: bool = True,
    every: bool = False,
) -> Job:
    """The job of a problem's valid pixels, or of `every` pixel for a `compute` that knows which are valid: counts and
    errors go up, and user weights, as `norm`, where they are given and have an effect (`weights`); a `Solution` comes
    home. The rest is as `Job` has it."""
    given = {"dn": problem.dn, "edn": problem.edn, "norm": problem.dem_norm0 if weights else None}
    inputs = {name: array for name, array in given.items() if array is not None}
    outputs = vars(Solution.empty(problem))
    if every:  # all of it is written to: pages need not be zeros, and may be large ones
        outputs = {name: np.empty_like(array) for name, array in outputs.items()}
    rows = None if every else np.flatnonzero(problem.valid())
    return Job(inputs, outputs, rows, share, compute, work_bytes, fixed_bytes)
