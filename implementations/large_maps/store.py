"""The Zarr stores that counts come from and DEMs go to, and how they are cut into blocks.

The input store holds `dn` and `edn` (..., F), DN s-1 px-1, with one to three axes before the channels; the response
`tresp` (N, F), DN cm5 s-1 px-1, at `tresp_logt` (N,), log10 K; and coordinates, which are copied. The output store gets
`dem`, `edem` (..., T), cm-5 K-1, `elogt` (..., T), dex, `chisq` (...), `dn_reg` (..., F), as `dn2dem` gives them, and
`status` (...), 0 ok, 1 negative bins left, 2 invalid, 5 no fit.

A block is one chunk of every output array and made of whole chunks of the input. `done` has a mark for each block, set
when all of its chunks are written: what has no mark is computed, now or by the same command again. Stores lie in a
folder that all workers see. Imports Zarr.
"""

import hashlib
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc
from numpy.typing import NDArray

from implementations.calls import arguments
from implementations.calls.inversion import NO_FIT, mark_no_fit
from implementations.cluster.session import Block
from implementations.contract import Array, Options, Problem, Solution, Solver, as_problem
from implementations.maths import response
from implementations.maths.uncertainty import HALF_WIDTH_TO_SIGMA
from implementations.solver_spec import parse

GIVEN = ("dn", "edn", "tresp", "tresp_logt")
MOST_PIXELS = 65_536
"""In a block, unless asked for: docs/scale.md has what others cost."""
PIECE = 1 << 18
"""Doubles that a solver fills at a time, in cache and in memory that is used again, where calling it costs little."""
CODECS = ("none", "lz4", "zstd")
"""What chunks may be compressed by: Blosc with one of the latter."""
LEVEL, BYTES = 1, 1 << 18
"""Of Blosc: its fastest level, and how much it compresses at a time. Bytes are not sorted by significance: a resolution
is a whole number of samples, which LZ4 finds as it stands; sorting takes as long again, and the maps are larger."""
OUTPUTS = ("dem", "edem", "elogt", "chisq", "dn_reg", "status")
SCALES = {"dem": response.SCALE, "edem": response.SCALE, "elogt": HALF_WIDTH_TO_SIGMA}
"""What takes a solver's outputs to the stores' units."""
UNITS = {"dem": "cm-5 K-1", "edem": "cm-5 K-1", "elogt": "dex", "dn_reg": "DN s-1 px-1"}


@dataclass(frozen=True)
class Layout:
    """How outputs lie in a store. ValueError when they can't."""

    chunk: int | None = None
    """Pixels in a block, which is a chunk of every output; None for at most `MOST_PIXELS`, and several to a thread."""
    codec: str = "lz4"
    """Takes about as long as none, and less room: docs/scale.md."""
    dtype: str = "float64"
    """Of all outputs but the status."""

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"--chunk must be at least 1 pixel, got {self.chunk}")
        if self.codec not in CODECS:
            raise ValueError(f"--codec must be one of {', '.join(CODECS)}, got {self.codec!r}")
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"--dtype must be float64 or float32, got {self.dtype!r}")


def compressors(codec: str) -> Any:
    """Of an array, as Zarr has them."""
    return (
        None
        if codec == "none"
        else zarr.codecs.BloscCodec(cname=codec, clevel=LEVEL, shuffle="noshuffle", blocksize=BYTES)
    )


@dataclass(frozen=True)
class MapRequest:
    """What is inverted, and how. Raises ValueError, naming the file, when the input store isn't one."""

    source: Path
    target: Path
    solver: str
    edges: Array
    """Of the temperature bins (T+1,), K."""
    options: Options
    layout: Layout

    def opened(self) -> zarr.Group:
        """The input store."""
        try:
            group = zarr.open_group(self.source, mode="r")
        except (FileNotFoundError, ValueError) as error:
            raise ValueError(f"{self.source} is not a Zarr group") from error
        for name in GIVEN:
            if name not in group:
                raise ValueError(f"{self.source} has no array '{name}', expected {', '.join(GIVEN)}")
        dn, edn = group["dn"], group["edn"]
        if not 2 <= dn.ndim <= 4 or dn.shape != edn.shape or 0 in dn.shape:
            raise ValueError(
                f"{self.source}: dn and edn have shapes {dn.shape} and {edn.shape}, expected one shape, channels last"
            )
        return group

    def constants(self, group: zarr.Group) -> Problem:
        """The problem without its pixels."""
        logt, dlogt = response.bins_of(self.edges)
        channels = group["dn"].shape[-1]
        tresp, tresp_logt = arguments.response_table(group["tresp"][:], group["tresp_logt"][:], channels)
        arguments.within_response(logt, tresp_logt)
        rmatrix = response.response_matrix(tresp, tresp_logt, logt, dlogt)
        arguments.all_seen("--logt", arguments.unseen(rmatrix, logt))
        return arguments.constants(rmatrix, logt, dlogt, self.options, channels)

    def identity(self, group: zarr.Group, constants: Problem) -> dict[str, Any]:
        """What two runs must have in common to go on with one another."""
        name, given = parse(self.solver)
        response_hash = hashlib.sha256(constants.rmatrix.tobytes()).hexdigest()[:16]
        return {
            "source": self.source.resolve().name,
            "shape": list(group["dn"].shape),
            "solver": str(given.get("inner", "auto")) if name == "dask" else self.solver,
            "logt_edges": [round(float(x), 9) for x in np.log10(self.edges)],
            "options": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.options).items()},
            "response": response_hash,
            "dtype": self.layout.dtype,
        }


Memory = dict[str, NDArray[Any]]
"""A block's outputs, (pixels, ...) each, as they are written."""


@dataclass(frozen=True)
class StoreTask:
    """A block of the stores: called with a solver, it loads the pixels, inverts them and writes the solution."""

    counts: tuple[zarr.Array, zarr.Array]
    """dn and edn."""
    outputs: dict[str, zarr.Array]
    done: zarr.Array
    constants: Problem
    index: tuple[int, ...]
    part: tuple[tuple[int, int], ...]
    idle: deque[Memory]
    """Of blocks that are written: memory's first use costs as much as computing a third of what it holds."""

    def __call__(self, solver: Solver) -> None:
        """Read, invert and write the block, in the process that computes it."""
        problem = self.read()
        pixels, channels, bins = problem.sizes
        try:
            memory = self.idle.pop()
        except IndexError:
            memory = self.memory()
        most = PIECE // (3 * bins + channels) if solver.releases_lock else pixels
        for first in range(0, pixels, max(1, most)):
            rows = slice(first, min(first + max(1, most), pixels))
            solution = solver.run(problem.take(rows))
            mark_no_fit(solution, problem.options, solver)
            fill(memory, rows, solution)
        self.write(memory, pixels)
        self.idle.append(memory)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The block's slices of the axes before the last."""
        return tuple(slice(*ends) for ends in self.part)

    def read(self) -> Problem:
        """The block's pixels."""
        c = self.constants
        dn, edn = (np.asarray(array[self.slices], np.float64).reshape(-1, c.sizes[1]) for array in self.counts)
        return as_problem(dn, edn, c.rmatrix, c.logt, c.dlogt, c.options, None)

    def memory(self) -> Memory:
        """For the outputs of any block of the stores."""
        axes = len(self.part)
        return {n: np.empty((math.prod(a.chunks[:axes]), *a.shape[axes:]), a.dtype) for n, a in self.outputs.items()}

    def write(self, memory: Memory, pixels: int) -> None:
        """Write the block's chunk of every output; then, and only then, its mark."""
        leading = tuple(last - first for first, last in self.part)
        for name, array in self.outputs.items():
            value = memory[name][:pixels]
            write_chunk(array, self.index, value.reshape(*leading, *value.shape[1:]))
        write_chunk(self.done, self.index, np.ones((1,) * len(self.index), np.uint8))


def write_chunk(array: zarr.Array, index: tuple[int, ...], values: NDArray[Any]) -> None:
    """Write a chunk, whose place on the first axes is given, in this thread.

    Zarr itself compares it with zeros first, then hands it to two threads, one after the other, whose wakening and
    waiting is a fifth of the inversion.
    """
    lacking = [(0, whole - there) for whole, there in zip(array.chunks, values.shape, strict=True)]
    if any(after for _, after in lacking):  # chunks at the end are as large as the others
        values = np.pad(values, lacking)
    key = array.metadata.encode_chunk_key((*index, *(0 for _ in array.shape[len(index) :])))
    place = array.store_path.store.root / array.path / key
    place.parent.mkdir(parents=True, exist_ok=True)
    names = [codec.cname.value for codec in array.metadata.codecs if isinstance(codec, zarr.codecs.BloscCodec)]
    blosc = Blosc(names[0], LEVEL, Blosc.NOSHUFFLE, BYTES) if names else None
    place.write_bytes(blosc.encode(values.ravel()) if blosc else values.data)


def fill(memory: Memory, rows: slice, solution: Solution) -> None:
    """Put a solution where it belongs, in the stores' units and types."""
    for name, values in memory.items():
        if name in SCALES:
            np.multiply(getattr(solution, name), SCALES[name], out=values[rows], casting="same_kind")
        else:
            values[rows] = getattr(solution, name)


class Stores:
    """The blocks of an input and an output store."""

    def __init__(self, request: MapRequest, constants: Problem, shape: tuple[int, ...], block: tuple[int, ...]):
        self.request, self.constants, self.shape, self.block = request, constants, shape, block
        self.grid = tuple(math.ceil(s / b) for s, b in zip(shape, block, strict=True))
        self.indices = list(itertools.product(*(range(n) for n in self.grid)))

    def blocks(self, numbers: list[int], receive: Callable[[Any], None]) -> Iterator[Block]:
        """The blocks of these numbers; `receive` is called when one is written."""
        given = zarr.open_group(self.request.source.resolve(), mode="r")
        target = zarr.open_group(self.request.target.resolve(), mode="r+")
        counts, outputs = (given["dn"], given["edn"]), {name: target[name] for name in OUTPUTS}
        idle = deque[Memory]()
        for number in numbers:
            index = self.indices[number]
            ends = tuple((i * b, min((i + 1) * b, s)) for i, b, s in zip(index, self.block, self.shape, strict=True))
            part = ", ".join(f"{first}:{last}" for first, last in ends)
            task = StoreTask(counts, outputs, target["done"], self.constants, index, ends, idle)
            yield Block(f"block {number} (pixels [{part}])", task, receive)


def unfit(stores: Stores) -> int:
    """How many pixels have the status of no fit."""
    status: Any = zarr.open_group(stores.request.target, mode="r")["status"]
    return sum(int(np.count_nonzero(status.blocks[index] == NO_FIT)) for index in stores.indices)


def target_of(request: MapRequest, group: zarr.Group, constants: Problem, pixels: int) -> Stores:
    """The output store, made now with blocks of about that many pixels, or as it was made by an earlier call."""
    identity = request.identity(group, constants)
    leading = group["dn"].shape[:-1]
    if request.target.exists() and any(request.target.iterdir()):
        there = _identity_of(request.target)
        there.setdefault("dtype", "float64")  # of an inversion before there was another
        for key, value in identity.items():
            if there.get(key) != value:
                raise ValueError(
                    f"{request.target} is of another inversion: its {key} is {there.get(key)}, not {value}"
                )
        for left in request.target.rglob("*.partial"):
            left.unlink()
        return Stores(request, constants, leading, zarr.open_group(request.target, mode="r")["chisq"].chunks)
    block = block_shape(leading, group["dn"].chunks[:-1], pixels)
    stores = Stores(request, constants, leading, block)
    out = zarr.open_group(request.target, mode="w")
    _make_arrays(out, group, constants, stores)
    _copy_others(group, out)
    out.attrs.update(
        made_by=f"demreg-bench {version('demreg-bench')}",
        created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        solver=request.solver,
        source_attributes=dict(group.attrs),
    )
    out.attrs["inversion"] = identity  # last: a store that has it is a whole one
    return stores


def _identity_of(target: Path) -> dict[str, Any]:
    try:
        return dict(zarr.open_group(target, mode="r").attrs["inversion"])
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise ValueError(f"{target} is there but holds no inversion: remove it, or name another") from error


def _make_arrays(out: zarr.Group, group: zarr.Group, constants: Problem, stores: Stores) -> None:
    _, channels, bins = constants.sizes
    names = group["dn"].metadata.dimension_names or (None,) * group["dn"].ndim
    for name in OUTPUTS:
        last = {"chisq": (), "status": (), "dn_reg": (channels,)}.get(name, (bins,))
        axis = {"dn_reg": names[-1:], "chisq": (), "status": ()}.get(name, ("temperature",))
        out.create_array(
            name,
            shape=(*stores.shape, *last),
            chunks=(*stores.block, *last),
            compressors=compressors(stores.request.layout.codec),
            dtype=np.int8 if name == "status" else stores.request.layout.dtype,
            dimension_names=(*names[:-1], *axis),
            attributes={"units": UNITS[name]} if name in UNITS else {},
        )
    out.create_array("done", shape=stores.grid, chunks=(1,) * len(stores.grid), dtype=np.uint8, compressors=None)
    for name in ("logt", "dlogt"):
        values = getattr(constants, name)
        out.create_array(name, data=np.array(values), dimension_names=("temperature",), attributes={"units": "log10 K"})


def _copy_others(group: zarr.Group, out: zarr.Group) -> None:
    """Coordinates, and whatever else lies beside the counts."""
    for name, array in group.arrays():
        if name in GIVEN or name in out:
            continue
        copy = out.create_array(
            name,
            shape=array.shape,
            chunks=array.chunks,
            dtype=array.dtype,
            attributes=dict(array.attrs),
            dimension_names=array.metadata.dimension_names,
        )
        if array.ndim == 0:
            copy[...] = array[...]
            continue
        for first in range(0, array.shape[0], array.chunks[0]):
            copy[first : first + array.chunks[0]] = array[first : first + array.chunks[0]]


def unmarked(stores: Stores) -> list[int]:
    """Numbers of the blocks that aren't whole."""
    marks: NDArray[np.uint8] = zarr.open_group(stores.request.target, mode="r")["done"][:]
    return [number for number, index in enumerate(stores.indices) if not marks[index]]


def block_shape(shape: tuple[int, ...], chunk: tuple[int, ...], pixels: int) -> tuple[int, ...]:
    """Shape of at most about `pixels` pixels: whole chunks, last axis filled first; a part of one that is too large."""
    block = [min(s, c) for s, c in zip(shape, chunk, strict=True)]
    for axis in range(len(block)):
        excess = math.ceil(math.prod(block) / pixels)
        block[axis] = math.ceil(block[axis] / excess)
    for axis in reversed(range(len(block))):
        whole = max(1, pixels // math.prod(block))
        block[axis] = min(shape[axis], block[axis] * whole)
        if block[axis] < shape[axis]:
            break
    return tuple(block)
