"""What solvers that stream a map through devices share: everything but what is done with a chunk there.

Such a solver's file says, in `job`, what all chunks have in common on a device, what is computed of a chunk, and what
memory that takes; `gpu.pipeline.Pipeline` plans chunks, uploads, computes, downloads. A map larger than the device's
memory is no different from a small one.

Shapes: pixel axis first. Host memory: the problem and its solution, and pinned buffers of two chunks a device.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from implementations.contract import Bounds, Problem, Solution, Solver
from implementations.gpu import device as gpu_device
from implementations.gpu.pipeline import Arrays, Job, Pipeline
from implementations.maths.namespace import array_namespace

ROUNDED = 1e-6
"""What outputs of single precision may differ by in the gate of an exact solver's: ten times their rounding."""


class Streamed(Solver):
    """A solver whose chunks go through one or several devices.

    Tunables of all: `devices`, how many, 0 for all; `chunk`, pixels at a time, None for what the free memory is good
    for; `outputs`, the type of what comes home, float64 or float32: half the bytes to copy, of the same computation,
    and approximate as its numbers are rounded. ValueError when they are none of these, or there are fewer devices.
    """

    device = "gpu"

    def __init__(self, devices: int = 1, chunk: int | None = None, outputs: str = "float64"):
        gpu_device.check(devices, chunk)
        if outputs not in ("float64", "float32"):
            raise ValueError(f"outputs must be float64 or float32, got {outputs}")
        self.devices, self.chunk, self.outputs = devices, chunk, outputs
        if outputs == "float32" and self.accuracy == "exact":
            rounded = (1 - ROUNDED, 1 + ROUNDED)
            self.accuracy = "approximate"  # type: ignore[misc]
            self.bounds = Bounds(rounded, rounded, rounded, 1 + ROUNDED, 0.0, rounded, rounded)  # type: ignore[misc]

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether CuPy, a driver and a device are here."""
        return gpu_device.available()

    @abstractmethod
    def job(self, problem: Problem) -> Job:
        """What goes up, what is computed of a chunk, what it takes; most are made by `inversion`."""

    def work(self, problem: Problem) -> Job:
        """The job, with outputs of the type asked for."""
        return rounded(self.job(problem)) if self.outputs == "float32" else self.job(problem)

    def prepare(self, problem: Problem) -> Pipeline:
        """Plan the chunks, take host and device memory, place what all chunks share. MemoryError: no pixel fits."""
        return Pipeline(self.work(problem), gpu_device.runtime(), self.devices, self.chunk)

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


def rounded(job: Job) -> Job:
    """The same computation, whose outputs of double precision are rounded on the device, before they come home."""
    wide = {name: array for name, array in job.outputs.items() if array.dtype == np.float64}
    work_bytes = sum(8 * int(np.prod(array.shape[1:])) for array in wide.values())

    def compute(shared: Any, inputs: Arrays, outputs: Arrays, stream: Any) -> None:
        like = next(iter(inputs.values()))
        xp = array_namespace(like)
        full = {n: xp.empty(outputs[n].shape, dtype=xp.float64) for n in wide}
        job.compute(shared, inputs, outputs | full, stream)
        for name, array in full.items():
            outputs[name][...] = xp.astype(array, xp.float32)

    home = {n: np.empty(a.shape, np.float32) if job.rows is None else a.astype(np.float32) for n, a in wide.items()}
    outputs = {**job.outputs, **home}
    return replace(job, outputs=outputs, compute=compute, work_bytes=job.work_bytes + work_bytes)


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
