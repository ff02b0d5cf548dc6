"""`batched` on the device: the same steps on the same stacked arrays, a chunk as large as the device's memory bears.

What makes it fast: thousands of times the pixels at once, so that each step is one launch over a full device; a
positivity pass makes the host wait once, for the number of pixels that are still negative, and goes on with those
alone; transfers run beside the computation (`gpu.pipeline`).

Wins: not yet measured. Aim: a 4096 x 4096 map of six channels at 34 bins with all five outputs in under 12 s on one
H200-class device, transfers included.
Cost per pixel: that of `batched`. In launches: some 250 a chunk, some 40 more a positivity pass. Where the time goes is
not yet measured: every intermediate array passes through the device's memory, which is expected to bound it.
Memory: on the device, `profile_mb` and per pixel of a chunk two slots and the stacked arrays; on the host, pinned, two
slots. A map larger than the device is streamed through it.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: Hannah & Kontar (2012, 2013), through `implementations.cpu.batched`, whose functions these are.
"""

from typing import Any

from implementations.contract import Problem
from implementations.cpu.batched import invert, pixel_bytes, profile_pixels, setup_of
from implementations.gpu.pipeline import Arrays, Job
from implementations.gpu.streamed import Streamed, inversion

MOST_PIXELS = 1 << 18
"""Of a chunk: cuSOLVER counts the numbers of its workspace for all matrices of a call in 32 bits (see SVD_BYTES), and a
call that would need more fails. So many pixels fill a device all the same."""
SVD_BYTES = 8 * 2048
"""What its Jacobi SVD is taken to need for a small matrix. Its eigenvalue solver, written alike, takes 1049 numbers
(github.com/cupy/cupy/issues/7261), and an SVD has two sets of vectors; not yet measured."""


class GpuBatched(Streamed):
    """The exact algorithm on stacked arrays on one or several devices.

    Tunables: `profile_mb`, what the T x T profiles of some pixels may take at a time; `devices` and `chunk` as
    `Streamed` has them.
    """

    name = "gpu-batched"
    accuracy = "exact"

    def __init__(self, devices: int = 1, profile_mb: float = 256.0, chunk: int | None = None):
        if not profile_mb > 0:
            raise ValueError(f"profile_mb must be > 0, got {profile_mb}")
        super().__init__(devices, chunk)
        self.profile_mb = profile_mb

    def job(self, problem: Problem) -> Job:
        """The stacked solver's chunks; profiles by as many pixels at a time as `profile_mb` holds."""
        profile = min(profile_pixels(problem, self.profile_mb), max(1, problem.sizes[0]))
        return inversion(
            problem,
            share=lambda xp: setup_of(problem, xp, profile),
            compute=compute,
            work_bytes=pixel_bytes(problem) + SVD_BYTES,
            fixed_bytes=8 * profile * problem.sizes[2] ** 2,
            most_pixels=MOST_PIXELS,
        )


def compute(shared: Any, inputs: Arrays, outputs: Arrays, stream: Any) -> None:
    """Invert a chunk with `implementations.cpu.batched.invert`; see `gpu.pipeline.Job`."""
    solved = invert(inputs["dn"], inputs["edn"], inputs.get("norm"), shared)
    for name, value in solved._asdict().items():
        outputs[name][...] = value
