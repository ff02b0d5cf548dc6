"""A specification, pixels, bins and a seed -> a Problem and the true DEM behind its counts.

The response is drawn first; then each block of `BLOCK` pixels has a random stream of its own, keyed by the seed and the
block's number. So a problem's draws are the same bit for bit on every machine, whatever the chunks it is generated in,
and a map of 200 pixels is the first 200 of a map of 5000. What is computed from the draws agrees to rounding.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.workloads import images, mixture
from harness.workloads.saved import read, save
from harness.workloads.specification import Specification, load, names, of_files, under
from implementations.contract import Array, Problem

__all__ = [
    "check_sizes",
    "check_source",
    "generate",
    "load",
    "names",
    "of_files",
    "read",
    "save",
    "stream",
    "under",
    "write",
]

BLOCK = 4096
MOST_PIXELS, MOST_BINS, MOST_SEED = 10**9, 10**4, 2**63 - 1
RESPONSE_SCALE = 1e15
"""Responses are handed to solvers times this, and DEMs come back over it; the regularisation grid depends on it."""
NORMAL_STEP = 2.0**-24
"""Normals are rounded to this. NumPy computes 3 in 10,000 of them by the C library's log1p, whose last bit (2^-51) may
differ between libraries; that survives the rounding less than once in 10^11 draws."""


class Frame(NamedTuple):
    """What all pixels of a problem share: response per bin (T, F), DN cm5 s-1 px-1, and temperature bins (T,)."""

    response: Array
    logt: Array
    dlogt: Array

    @property
    def width_k(self) -> Array:
        """Bin widths (T,), K."""
        return 10.0**self.logt * np.log(10.0**self.dlogt)

    @property
    def rmatrix(self) -> Array:
        """What the solver is given (T, F)."""
        return self.response * self.width_k[:, None] * RESPONSE_SCALE


class Block(NamedTuple):
    """Some pixels: counts and errors (n, F), true DEM (n, T) in 1e15 cm-5 K-1."""

    dn: Array
    edn: Array
    true_dem: Array


def check_source(spec: Specification) -> None:
    """ValueError, in one line, when the workload is made from files that aren't here, or its options don't fit it."""
    images.check(spec)
    if isinstance(spec.options.gloci, tuple):
        spec.options.loci_mask(frame(spec, 3, spec.seed).response.shape[1])


def check_sizes(pixels: int, bins: int, seed: int = 0) -> None:
    """ValueError, in one line, when a workload can't be of this size or have this seed."""
    for name, value, low, high in (
        ("pixels", pixels, 1, MOST_PIXELS),
        ("bins", bins, 3, MOST_BINS),
        ("seed", seed, 0, MOST_SEED),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
            raise ValueError(f"--{name} must be whole numbers from {low} to {high}, got {value}")


def _stream(seed: int, *key: int) -> np.random.Generator:
    """Philox is specified as integer arithmetic, so its draws don't depend on the machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(int(seed), spawn_key=key)))


def _normals(rng: np.random.Generator, channels: int) -> Array:
    """Standard normals (BLOCK, F) in steps of `NORMAL_STEP`."""
    return np.rint(rng.standard_normal((BLOCK, channels)) / NORMAL_STEP) * NORMAL_STEP


def frame(spec: Specification, bins: int, seed: int) -> Frame:
    """Temperature bins and response."""
    low, high = spec["temperature"]["logt_range"]
    dlogt = np.full(bins, (high - low) / bins)
    logt = low + dlogt * (np.arange(bins) + 0.5)
    if spec.generator.startswith("aia"):
        return Frame(images.response_of(logt, dlogt), logt, dlogt)
    response = spec["response"]
    if spec.generator == "random-response":
        drawn = _stream(seed, 0).random((bins, response["channels"]))
        return Frame(drawn * response["scale"], logt, dlogt)
    distance = (logt[:, None] - np.array(response["centres"])) / response["width"]
    return Frame(np.array(response["peaks"]) * np.exp(-0.5 * distance**2), logt, dlogt)


def _random_response_block(spec: Specification, shared: Frame, rng: np.random.Generator) -> Block:
    """One DEM shape, scaled per pixel. The truth allows for the quadrature having another bin width."""
    dem, counts = spec["dem"], spec["counts"]
    low, high = dem["pixel_scale"]
    scale = low + (high - low) * rng.random(BLOCK)
    noise = _normals(rng, shared.response.shape[1])
    distance = (shared.logt - dem["peak"]) / dem["width"]
    shape = dem["emission_measure"] / (np.sqrt(2 * np.pi) * dem["width"]) * np.exp(-0.5 * distance**2)
    consistent = shape * counts["dlogt"] / shared.dlogt
    clean = scale[:, None] * ((shared.response.T * shared.width_k) @ consistent)
    edn = counts["relative_error"] * clean
    return Block(clean + noise * edn, edn, scale[:, None] * consistent / RESPONSE_SCALE)


def _mixture_block(spec: Specification, shared: Frame, rng: np.random.Generator) -> Block:
    """Mixtures of DEMs through the response, with photon and read noise, and defects."""
    pick, shapes = rng.random(BLOCK), rng.random((BLOCK, 3, 3))
    noise = _normals(rng, shared.response.shape[1])
    defect, channel = rng.random(BLOCK), rng.integers(shared.response.shape[1], size=BLOCK)

    kind = mixture.component_of(spec, pick)
    dem = np.zeros((BLOCK, len(shared.logt)))
    for number, component in enumerate(spec["component"]):
        rows = kind == number
        for g, gaussian in enumerate(component["gaussian"]):
            dem[rows] += mixture.gaussian_dem(gaussian, shapes[rows, g], shared.logt)
    clean = dem @ (shared.response * shared.width_k[:, None])
    dn, edn = mixture.observed(spec["noise"], spec["defects"]["full_scale"], clean, noise)
    return Block(*mixture.with_defects(spec["defects"], dn, edn, defect, channel), dem / RESPONSE_SCALE)


GENERATORS = {
    "random-response": _random_response_block,
    "gaussian-response": _mixture_block,
    "aia-response": _mixture_block,
}
Blocks = Callable[[int], Block]


def _blocks(spec: Specification, shared: Frame, seed: int) -> Blocks:
    """What makes a block from its number."""
    if spec.generator != "aia-image":
        return lambda number: GENERATORS[spec.generator](spec, shared, _stream(seed, 1, number))
    dn, edn = images.pixels_of(spec, _stream(seed, 0))
    unknown = np.full((BLOCK, len(shared.logt)), np.nan)

    def block(number: int) -> Block:
        """The image's pixels, again from the first when all were used; nobody knows their true DEM."""
        rows = (number * BLOCK + np.arange(BLOCK)) % len(dn)
        return Block(dn[rows], edn[rows], unknown)

    return block


def stream(spec: Specification, pixels: int, bins: int, seed: int, chunk: int = BLOCK) -> Iterator[tuple[slice, Block]]:
    """The pixels of a workload, `chunk` at a time, in memory bounded by the chunk. ValueError on absurd sizes."""
    check_sizes(pixels, bins, seed)
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 pixel, got {chunk}")
    return _chunks(spec, frame(spec, bins, seed), pixels, seed, chunk)


def _chunks(spec: Specification, shared: Frame, pixels: int, seed: int, chunk: int) -> Iterator[tuple[slice, Block]]:
    make, last, block = _blocks(spec, shared, seed), -1, None
    for start in range(0, pixels, chunk):
        stop = min(start + chunk, pixels)
        parts = []
        for number in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            if number != last or block is None:  # a block serves all the chunks that it spans
                last, block = number, make(number)
            inside = slice(max(start - number * BLOCK, 0), min(stop - number * BLOCK, BLOCK))
            parts.append(Block(*(array[inside] for array in block)))
        yield slice(start, stop), Block(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def generate(spec: Specification, pixels: int, bins: int, seed: int | None = None) -> tuple[Problem, Array]:
    """The whole problem and its true DEM (P, T), in memory. `seed` None means the specification's own."""
    seed = spec.seed if seed is None else seed
    check_sizes(pixels, bins, seed)
    shared = frame(spec, bins, seed)
    (_, block), *_ = stream(spec, pixels, bins, seed, chunk=pixels)
    problem = Problem(block.dn, block.edn, shared.rmatrix, shared.logt, shared.dlogt, spec.options)
    return problem, block.true_dem


def write(spec: Specification, pixels: int, bins: int, seed: int, folder: Path, sample: NDArray[np.intp]) -> Array:
    """Write the problem to `folder`, to be mapped into memory by `read`; return the true DEM of the sampled pixels.

    `sample` holds rising pixel numbers. The files are appended to, not mapped, so that memory stays bounded and a full
    disk is an OSError, not a signal that ends the process.
    """
    check_sizes(pixels, bins, seed)
    if len(sample) and not (sample[0] >= 0 and sample[-1] < pixels and (np.diff(sample) > 0).all()):
        raise ValueError(f"sample must be rising pixel numbers from 0 to {pixels - 1}")
    shared = frame(spec, bins, seed)
    channels = shared.response.shape[1]
    true_dem = np.empty((len(sample), bins))
    with ExitStack() as stack:
        dn = stack.enter_context(_growing(folder / "dn.npy", (pixels, channels)))
        edn = stack.enter_context(_growing(folder / "edn.npy", (pixels, channels)))
        for part, block in stream(spec, pixels, bins, seed):
            first, last = np.searchsorted(sample, [part.start, part.stop])
            dn.write(block.dn.tobytes())
            edn.write(block.edn.tobytes())
            true_dem[first:last] = block.true_dem[sample[first:last] - part.start]
    for name in ("rmatrix", "logt", "dlogt"):
        np.save(folder / f"{name}.npy", getattr(shared, name))
    (folder / "options.json").write_text(json.dumps(asdict(spec.options)))
    return true_dem


def _growing(path: Path, shape: tuple[int, ...]) -> BinaryIO:
    """A new .npy file of float64 in C order, open where its first number goes."""
    file = path.open("wb")
    header = {"descr": np.dtype(np.float64).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file
