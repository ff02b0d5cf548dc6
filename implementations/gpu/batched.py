"""`batched` on the device: the same steps on the same stacked arrays, a chunk as large as the device's memory bears.

What makes it fast: thousands of times the pixels at once, so that each step is one launch over a full device; the
factorisation of a pixel is one thread's, in registers, without an SVD (`factorise.cu`); a positivity pass has the host
wait once, for the number of pixels that are still negative, and goes on with those alone; transfers run beside the
computation (`gpu.pipeline`).

Wins: nowhere: on one H100 `gpu-fused` is seven times as fast (docs/gpu.md). Kept as what whole arrays give on a device.
Cost per pixel: that of `batched`, but for the factorisation, some 4·F^3 flops. Nearly all of its time is the kernels',
not the transfers': every intermediate array passes through the device's memory.
Memory: on the device, `profile_mb` and per pixel of a chunk two slots and the stacked arrays; on the host, pinned, two
slots. A map larger than the device is streamed through it.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: Hannah & Kontar (2012, 2013), through `implementations.cpu.batched`, whose functions these are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from implementations.contract import Problem
from implementations.cpu.batched import invert, pixel_bytes, profile_pixels, setup_of
from implementations.gpu import device as gpu_device
from implementations.gpu.pipeline import Arrays, Job
from implementations.gpu.streamed import Streamed, inversion
from implementations.maths.namespace import array_namespace

SOURCES = tuple(Path(__file__).with_name(f"{name}.cu") for name in ("factorise", "batched"))
THREADS = 128
"""Of a block."""


class GpuBatched(Streamed):
    """The exact algorithm on stacked arrays on one or several devices.

    Tunables: `profile_mb`, what the T x T profiles of some pixels may take at a time; `devices`, `chunk` and
    `outputs` as `Streamed` has them.
    """

    name = "gpu-batched"
    accuracy = "exact"

    def __init__(self, devices: int = 1, profile_mb: float = 256.0, chunk: int | None = None, outputs: str = "float64"):
        if not profile_mb > 0:
            raise ValueError(f"profile_mb must be > 0, got {profile_mb}")
        super().__init__(devices, chunk, outputs)
        self.profile_mb = profile_mb

    def job(self, problem: Problem) -> Job:
        """The stacked solver's chunks; profiles by as many pixels at a time as `profile_mb` holds."""
        profile = profile_pixels(problem, self.profile_mb)
        return inversion(
            problem,
            share=lambda xp: setup_of(problem, xp, profile, Factorisation(xp, problem)),
            compute=compute,
            work_bytes=pixel_bytes(problem) + 16 * state_size(problem),
            fixed_bytes=8 * profile * problem.sizes[2] ** 2,
        )


def state_size(problem: Problem) -> int:
    """Numbers of a factorised pixel: `Bidiagonal` in factorise.cu, which is refused where it differs."""
    _, channels, bins = problem.sizes
    return (channels + 4) * min(channels, bins) + 3


def definitions(problem: Problem) -> dict[str, object]:
    """What the sources leave to the host."""
    _, channels, bins = problem.sizes
    return {"CHANNELS": channels, "RANK": min(channels, bins), "STATE": state_size(problem)}


class Factorisation:
    """Stands in the place of `cpu.batched.Spectrum.of`: the bidiagonal form, a pixel a thread."""

    def __init__(self, xp: Any, problem: Problem):
        self.xp, self.channels, self.state_size = xp, problem.sizes[1], state_size(problem)
        self.points = np.int32(problem.options.nmu)
        module = gpu_device.compiled(xp, SOURCES, definitions(problem))
        self.factorised, self.chosen, self.inverted = map(module.get_function, ("factorised", "chosen", "inverted"))

    def __call__(self, reduced: Any, dn: Any, edn: Any) -> "Factors":
        """Arguments as `cpu.batched.Spectrum.of`."""
        state = self.xp.empty((dn.shape[0], self.state_size), dtype=dn.dtype)
        reduced = self.xp.ascontiguousarray(reduced)
        shared = np.int32(reduced.shape[0] == 1)
        self.launch(self.factorised, dn.shape[0], self.points, shared, reduced, dn, edn, state)
        return Factors(self, state)

    def launch(self, function: Any, pixels: int, *arguments: Any) -> None:
        """A thread for each pixel, on the current stream."""
        if pixels:
            function((-(-pixels // THREADS),), (THREADS,), (np.int64(pixels), *arguments))


@dataclass(frozen=True)
class Factors:
    """Factorised pixels, as `cpu.batched.Spectrum` has them by an SVD."""

    by: Factorisation
    state: Any

    def at(self, pixels: Any) -> "Factors":
        """Some pixels, by their numbers."""
        return Factors(self.by, array_namespace(pixels).take(self.state, pixels, axis=0))

    def choose(self, target: float) -> tuple[Any, Any]:
        """As `Spectrum.choose`."""
        xp, pixels, channels = self.by.xp, self.state.shape[0], self.by.channels
        mu, coefficient = (xp.empty(shape, dtype=self.state.dtype) for shape in ((pixels,), (pixels, channels)))
        self.by.launch(self.by.chosen, pixels, self.by.points, self.state, np.float64(target), mu, coefficient)
        return mu, coefficient

    def middle(self, mu: Any) -> Any:
        """As `Spectrum.middle`."""
        pixels, channels = self.state.shape[0], self.by.channels
        inverse = self.by.xp.empty((pixels, channels, channels), dtype=self.state.dtype)
        self.by.launch(self.by.inverted, pixels, self.state, mu, inverse)
        return inverse


def compute(shared: Any, inputs: Arrays, outputs: Arrays, stream: Any) -> None:
    """Invert a chunk with `implementations.cpu.batched.invert`; see `gpu.pipeline.Job`."""
    solved = invert(inputs["dn"], inputs["edn"], inputs.get("norm"), shared)
    for name, value in solved._asdict().items():
        outputs[name][...] = value
