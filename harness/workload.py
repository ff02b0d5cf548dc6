"""A specification, pixels, bins and a seed -> a Problem and the true DEM behind its counts.

The response is drawn first; then each block of `BLOCK` pixels has a random stream of its own, keyed by the seed and the
block's number. So a problem's draws are the same bit for bit on every machine, whatever the chunks it is generated in,
and a map of 200 pixels is the first 200 of a map of 5000.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from harness.specification import Specification, load, names
from implementations.contract import Array, Options, Problem

__all__ = ["TRUE_DEM", "check_sizes", "generate", "load", "names", "read", "save", "stream", "write"]

BLOCK = 4096
MOST_PIXELS, MOST_BINS = 10**9, 10**4
RESPONSE_SCALE = 1e15
"""Responses are handed to solvers times this, and DEMs come back over it; the regularisation grid depends on it."""
TRUE_DEM = "true_dem.npy"
ARRAYS = ("dn", "edn", "rmatrix", "logt", "dlogt")


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


def check_sizes(pixels: int, bins: int) -> None:
    """ValueError, in one line, when a workload can't be of this size."""
    for name, value, low, high in (("pixels", pixels, 1, MOST_PIXELS), ("bins", bins, 3, MOST_BINS)):
        if not isinstance(value, int | np.integer) or not low <= value <= high:
            raise ValueError(f"--{name} must be whole numbers from {low} to {high}, got {value}")


def _stream(seed: int, *key: int) -> np.random.Generator:
    """Philox is specified as integer arithmetic, so its draws don't depend on the machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def frame(spec: Specification, bins: int, seed: int) -> Frame:
    """Temperature bins and response."""
    low, high = spec["temperature"]["logt_range"]
    dlogt = np.full(bins, (high - low) / bins)
    logt = low + dlogt * (np.arange(bins) + 0.5)
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
    noise = rng.standard_normal((BLOCK, shared.response.shape[1]))
    distance = (shared.logt - dem["peak"]) / dem["width"]
    shape = dem["emission_measure"] / (np.sqrt(2 * np.pi) * dem["width"]) * np.exp(-0.5 * distance**2)
    consistent = shape * counts["dlogt"] / shared.dlogt
    clean = scale[:, None] * ((shared.response.T * shared.width_k) @ consistent)
    edn = counts["relative_error"] * clean
    return Block(clean + noise * edn, edn, scale[:, None] * consistent / RESPONSE_SCALE)


def _gaussian_response_block(spec: Specification, shared: Frame, rng: np.random.Generator) -> Block:
    """Mixtures of DEMs through Gaussian responses, with photon and read noise, and defects."""
    pick, shapes = rng.random(BLOCK), rng.random((BLOCK, 3, 3))
    noise = rng.standard_normal((BLOCK, shared.response.shape[1]))
    defect, channel = rng.random(BLOCK), rng.integers(shared.response.shape[1], size=BLOCK)

    edges = np.cumsum([component["share"] for component in spec["component"]])
    kind = np.minimum(np.searchsorted(edges, pick, side="right"), len(edges) - 1)
    dem = np.zeros((BLOCK, len(shared.logt)))
    for number, component in enumerate(spec["component"]):
        rows = kind == number
        for g, gaussian in enumerate(component["gaussian"]):
            dem[rows] += _gaussian_dem(gaussian, shapes[rows, g], shared.logt)
    clean = dem @ (shared.response * shared.width_k[:, None])
    dn, edn = _observed(spec["noise"], clean, noise)
    return Block(*_with_defects(spec, dn, edn, defect, channel), dem / RESPONSE_SCALE)


GENERATORS = {"random-response": _random_response_block, "gaussian-response": _gaussian_response_block}


def _gaussian_dem(gaussian: dict[str, list[float]], uniform: Array, logt: Array) -> Array:
    """DEM (n, T), cm-5 K-1, of Gaussians in log T whose integral over T is the emission measure; uniform (n, 3)."""
    ranges = np.array([gaussian["peak"], gaussian["width"], gaussian["log_emission_measure"]])
    peak, width, measure = (ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * uniform).T[:, :, None]
    density = np.exp(-0.5 * ((logt - peak) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    return 10.0**measure * density / (10.0**logt * np.log(10.0))


def _observed(noise: dict[str, list[float]], clean: Array, normal: Array) -> tuple[Array, Array]:
    """Counts with photon and read noise, and their standard errors estimated from the noisy counts, all DN s-1 px-1.

    A count of g DN s-1 in an exposure of t s is g t · gain · wavelength / 3397 photons.
    """
    exposure, read = np.array(noise["exposure"]), np.array(noise["read_noise"])
    photons_per_dn = np.array(noise["gain"]) * np.array(noise["wavelength"]) / 3397

    def sigma(rate: Array) -> Array:
        photons = np.maximum(rate, 0.0) * exposure * photons_per_dn
        return np.sqrt(photons / photons_per_dn**2 + read**2) / exposure

    dn = clean + normal * sigma(clean)
    return dn, sigma(dn)


def _with_defects(
    spec: Specification, dn: Array, edn: Array, defect: Array, channel: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Dead and negative channels in the stated shares of pixels, and counts clipped to the detector's full scale."""
    defects = spec["defects"]
    if defects["saturated"]:
        dn = np.minimum(dn, defects["full_scale"] / np.array(spec["noise"]["exposure"]))
    rows = np.arange(BLOCK)
    dead = defect < defects["dead"]
    negative = (defect >= defects["dead"]) & (defect < defects["dead"] + defects["negative"])
    dn[rows[dead], channel[dead]] = edn[rows[dead], channel[dead]] = np.nan
    dn[rows[negative], channel[negative]] = -np.abs(dn[rows[negative], channel[negative]])
    return dn, edn


def stream(spec: Specification, pixels: int, bins: int, seed: int, chunk: int = BLOCK) -> Iterator[tuple[slice, Block]]:
    """The pixels of a workload, `chunk` at a time, in memory bounded by the chunk. ValueError on absurd sizes."""
    check_sizes(pixels, bins)
    shared = frame(spec, bins, seed)
    for start in range(0, pixels, chunk):
        stop = min(start + chunk, pixels)
        parts = []
        for number in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            block = GENERATORS[spec.generator](spec, shared, _stream(seed, 1, number))
            inside = slice(max(start - number * BLOCK, 0), min(stop - number * BLOCK, BLOCK))
            parts.append(Block(*(array[inside] for array in block)))
        yield slice(start, stop), Block(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def generate(spec: Specification, pixels: int, bins: int, seed: int | None = None) -> tuple[Problem, Array]:
    """The whole problem and its true DEM (P, T), in memory. `seed` None means the specification's own."""
    seed = spec.seed if seed is None else seed
    shared = frame(spec, bins, seed)
    (_, block), *_ = stream(spec, pixels, bins, seed, chunk=pixels)
    problem = Problem(block.dn, block.edn, shared.rmatrix, shared.logt, shared.dlogt, spec.options)
    return problem, block.true_dem


def write(spec: Specification, pixels: int, bins: int, seed: int, folder: Path, sample: NDArray[np.intp]) -> None:
    """Write the problem to `folder`, to be mapped into memory by `read`, and the true DEM of the sampled pixels."""
    check_sizes(pixels, bins)
    shared = frame(spec, bins, seed)
    channels = shared.response.shape[1]
    dn = open_memmap(folder / "dn.npy", "w+", np.float64, (pixels, channels))
    edn = open_memmap(folder / "edn.npy", "w+", np.float64, (pixels, channels))
    true_dem = open_memmap(folder / TRUE_DEM, "w+", np.float64, (len(sample), bins))
    for part, block in stream(spec, pixels, bins, seed):
        dn[part], edn[part] = block.dn, block.edn
        first, last = np.searchsorted(sample, [part.start, part.stop])
        true_dem[first:last] = block.true_dem[sample[first:last] - part.start]
    for name in ("rmatrix", "logt", "dlogt"):
        np.save(folder / f"{name}.npy", getattr(shared, name))
    (folder / "options.json").write_text(json.dumps(asdict(spec.options)))


def save(problem: Problem, folder: Path) -> None:
    """Write a problem that is in memory as `write` does."""
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(problem, name))
    (folder / "options.json").write_text(json.dumps(asdict(problem.options)))


def read(folder: Path) -> Problem:
    """The problem in `folder`, its arrays mapped from the files, not copied."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return Problem(**arrays, options=Options(**json.loads((folder / "options.json").read_text())))
