"""One CUDA kernel for the whole inversion, a warp a group of pixels: counts go up, outputs come home, nothing else.

What makes it fast: what goes along the bins (weights, the triangle of F x F, the T x T profiles of the resolution) is
done by a warp's lanes together, a pixel after the other; what is small (the bidiagonal form of the triangle, the search
on the grid, the positivity loop) by a lane for each pixel, so that all lanes are busy with it. No SVD, no iterations
but for the grid's two ends. Profiles are never stored, each lane holds the response of its bins in registers and passes
over the rows of K-dagger in shared memory. Compiled at run time for the problem's numbers of channels, bins and grid
points, so that loops over channels unroll.

Wins: at 200 and 400 bins over sixteen cores of an H100's host, from 100,000 pixels on; at 34 bins not yet at that size,
where new arrays are filled (docs/gpu.md). A 4096 x 4096 map of six channels at 34 bins takes half a second, transfers
included; by kernel time 60 million DEM/s at 34 bins, 14 million at 200. Its arithmetic is checked without a device too:
the kernel's source runs on the host, a warp as 32 fibers, and is held to the baseline's outputs
(tests/implementations/gpu/test_gpu_fused.py).
Cost per pixel: 2·T^2·F flops for the profiles, 104·T·F for their samples, F^2·T for the triangle, some 4·F^3 for the
bidiagonal form, 2·T·F per positivity pass; 8·(3·T + 3·F) bytes between host and device. Transfers home and the kernel
take about equally long, at 34 bins and at 200.
Memory: on the device two chunks of inputs and outputs; shared memory per warp: `work_bytes`.

`precision=float32` computes the profiles and the search for their half maxima in single precision: a tenth of the
kernel's time at 34 bins, nothing at 200, a quarter at 400. It is approximate in elogt alone, which moves by half a
sample, 1% of the temperature range, where a sample of a profile is within rounding of its half maximum; its gate holds
chi-squared and the DEM's error to the baseline's.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: Hannah & Kontar (2012, A&A 539, A146; 2013, A&A 553, A10); the kernel: `fused.cu`, `factorise.cu`.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Bounds, Problem
from implementations.gpu import device as gpu_device
from implementations.gpu.pipeline import Arrays, Job
from implementations.gpu.streamed import ROUNDED, Streamed, inversion
from implementations.maths import uncertainty

SOURCES = tuple(Path(__file__).with_name(f"{name}.cu") for name in ("factorise", "fused"))
LANES = 32
WARPS = 4
"""Most warps of a block; fewer where their shared memory is more than `SHARED_BYTES`."""
SHARED_BYTES = 48 * 1024
"""What a block may take without asking: more only where a single warp with a single pixel needs it."""
SPREAD = 2048
"""Warps below which a large device has idle places: few pixels are dealt to so many rather than by whole groups."""
REAL = {"float64": "double", "float32": "float"}


class GpuFused(Streamed):
    """Fused kernel.

    Tunables: `precision` of the profiles, float64 or float32; `devices`, `chunk` and `outputs` as `Streamed` has them.
    """

    name = "gpu-fused"
    accuracy = "exact"

    def __init__(
        self, precision: str = "float64", devices: int = 1, chunk: int | None = None, outputs: str = "float64"
    ):
        if precision not in REAL:
            raise ValueError(f"precision must be float64 or float32, got {precision}")
        super().__init__(devices, chunk, outputs)
        self.precision = precision
        if precision == "float32":  # all but elogt is as exact as before
            near = 1e-9 if outputs == "float64" else ROUNDED
            same = (1 - near, 1 + near)
            self.accuracy = "approximate"  # type: ignore[misc]
            self.bounds = Bounds(same, same, same, 1 + near, 0.0, same, (1 - 1e-4, 1 + 1e-4))  # type: ignore[misc]

    def job(self, problem: Problem) -> Job:
        """One launch per chunk; the kernel is compiled, and its tables are uploaded, once per device."""
        share = partial(Kernel.compiled, problem=problem, precision=self.precision)
        return inversion(problem, share, compute, work_bytes=0, every=True)


class Kernel(NamedTuple):
    """The kernel on a device, with the tables and settings that all its launches share."""

    function: Any
    group: int
    warps: int
    shared_bytes: int
    tables: tuple[Any, ...]
    settings: tuple[Any, ...]

    @classmethod
    def compiled(cls, xp: Any, problem: Problem, precision: str) -> "Kernel":
        """Compile the kernel and upload its tables, on the current device of CuPy, `xp`."""
        options, (_, channels, bins) = problem.options, problem.sizes
        function = gpu_device.compiled(xp, SOURCES, definitions(problem, precision)).get_function("invert")
        group, work = group_of(channels, bins, precision)
        warps = max(1, min(WARPS, SHARED_BYTES // work))
        function.max_dynamic_shared_size_bytes = max(SHARED_BYTES, warps * work)
        tables = tuple(xp.asarray(table) for table in stage(problem))
        settings = (np.float64(options.reg_tweak), np.float64(options.rgt_fact), np.int32(options.max_iter))
        return cls(function, group, warps, warps * work, tables, settings)


def work_bytes(channels: int, bins: int, precision: str, group: int) -> int:
    """What a warp of `group` pixels takes in shared memory: `Work` in fused.cu, which is refused where it differs."""
    real, triangle = np.dtype(precision).itemsize, channels * (channels + 1) // 2
    packed = max(triangle, channels * bins) if bins < channels else triangle
    rows = [-(-n * channels * real // 16) * 16 for n in (bins, uncertainty.SAMPLES)]
    return -(-(sum(rows) + 8 * (group * (packed + 2 * channels) + bins)) // 16) * 16


def group_of(channels: int, bins: int, precision: str) -> tuple[int, int]:
    """Most pixels of a warp, and its bytes: as many as there are lanes, fewer where that is too much memory."""
    groups = [LANES >> n for n in range(LANES.bit_length())]
    sizes = [(group, work_bytes(channels, bins, precision, group)) for group in groups]
    return next((size for size in sizes if size[1] <= SHARED_BYTES), sizes[-1])


def compute(kernel: Kernel, inputs: Arrays, outputs: Arrays, stream: Any) -> None:
    """Launch the kernel for a chunk; a missing `norm` is a null pointer."""
    pixels = inputs["dn"].shape[0]
    group = max(1, min(kernel.group, pixels // SPREAD))
    arguments = (
        np.int64(pixels),
        np.int32(group),
        inputs["dn"],
        inputs["edn"],
        inputs.get("norm", np.intp(0)),
        *(outputs[name] for name in OUTPUTS),
        *kernel.tables,
        *kernel.settings,
    )
    grid, block = -(-pixels // (kernel.warps * group)), kernel.warps * LANES
    kernel.function((grid,), (block,), arguments, shared_mem=kernel.shared_bytes, stream=stream)


OUTPUTS = ("dem", "edem", "elogt", "chisq", "dn_reg", "iterations", "status")
"""In the order in which the kernel takes them."""


class Tables(NamedTuple):
    """What all pixels share, in the order in which the kernel takes it; see `fused.cu`."""

    response: Array
    loci: Array
    uniform: Array
    width: Array
    scale: Array
    dlogt: Array
    share: Array
    position: Array
    left: NDArray[np.int32]


def stage(problem: Problem) -> Tables:
    """The tables of a problem, on the host."""
    options, (_, channels, bins) = problem.options, problem.sizes
    response, mask = np.ascontiguousarray(problem.rmatrix.T), options.loci_mask(channels)
    loci = np.full((channels, bins), np.inf)  # a channel that is never the lowest
    if mask is not None:
        with np.errstate(divide="ignore", over="ignore"):
            loci[mask] = 1 / response[mask]
    uniform = np.asarray(np.linalg.qr((response * np.sqrt(problem.dlogt)).T, mode="r")).T
    samples = uncertainty.sampling(problem.logt)
    return Tables(
        response,
        loci,
        np.ascontiguousarray(uniform),
        problem.dlogt,
        np.ones(bins) if options.l_emd else 1 / problem.dlogt,
        problem.dlogt,
        np.ascontiguousarray(samples.share),
        samples.points / 2,
        samples.below.astype(np.int32),
    )


def definitions(problem: Problem, precision: str) -> dict[str, object]:
    """What the sources leave to the host: they become a kernel for this problem."""
    _, channels, bins = problem.sizes
    group, work = group_of(channels, bins, precision)
    return {
        "CHANNELS": channels,
        "RANK": min(channels, bins),
        "BINS": bins,
        "POINTS": problem.options.nmu,
        "SELF_NORMALISED": int(problem.options.loci_mask(channels) is None),
        "L_EMD": int(problem.options.l_emd),
        "REAL": REAL[precision],
        "GROUP": group,
        "WORK_BYTES": work,
    }
