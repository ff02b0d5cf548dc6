"""Pixels through a device in chunks: while one is computed, the next comes up and the last goes home.

A strategy hands over a `Job`: which host arrays go up chunk by chunk, a function that computes a chunk on the device,
and which host arrays its outputs end in. `Pipeline` plans chunks, takes memory and places what is shared; its `run`
does the rest, and its `facts` are the device's own times and peak memory. Solvers do so through `gpu.streamed`.

Per device: three streams (up, compute, down) and two slots, each with a block of pinned host memory and device arrays
for a chunk's inputs and outputs, allocated once. Chunk k uses slot k mod 2. What orders them:

    upload k      after compute k-2 has read the slot's device inputs, from pinned memory that upload k-2 has left
    compute k     after upload k, and after download k-2 has read the slot's device outputs
    download k    after compute k, into pinned memory that the copies of chunk k-2 into the solution have left

The host stages chunk k+1 before it asks for the computation of chunk k, so that a strategy that waits for its device
in between (as the positivity loop does) still has an upload under way. Copies between pinned memory and the solution,
which touch its pages for the first time, are done by a few threads beside.

Several devices: a thread for each, in one process, takes the next chunk from one queue when it has room, so that a slow
device gets fewer. Nothing is forked. What overlap gains, and how many copying threads are best: not yet measured.

An exception waits for all that the streams of its device were given, so that nothing is copied into memory that has
gone back to a pool, or into arrays of the host that are no longer there.

Shapes: all arrays pixel axis first, C order. Memory on the device: two slots and `work_bytes` per pixel of a chunk.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.gpu.device import Runtime

SLOTS = 2
MEMORY_SHARE = 0.8
"""Of the device's free memory that chunks may take: libraries and fragments take some too."""
FEWEST = 1 << 14
"""Pixels below which a chunk does not fill a large device, and overlap gains less than further launches cost."""
CHUNKS = 8
"""At least so many per device where pixels suffice: the first upload and the last download overlap nothing."""
STAGED = 1 << 29
"""Most bytes of pinned memory of one slot. CuPy's pool takes powers of two: a chunk fills one."""
ALIGNED, MARGIN = 256, 1 << 14
"""Bytes that an array in a slot's block begins at a multiple of, and that all of them are left for it."""
COPIERS = 8
"""Threads per device between pinned memory and the solution, if there are so many cores."""

Arrays = dict[str, Any]
Rows = slice | NDArray[np.intp]
Host = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Job:
    """What a strategy wants done for the pixels `rows`."""

    inputs: Host
    """Host arrays (P, ...) by name, uploaded chunk by chunk."""
    outputs: Host
    """Host arrays (P, ...) by name, filled at `rows`."""
    rows: NDArray[np.intp] | None
    """Which pixels (V,), ascending; None for all. Runs without gaps are copied as they lie; gaps cost a gather."""
    share: Callable[[Any], Any]
    """(array library) -> what all chunks share, placed on the current device; called once per device."""
    compute: Callable[[Any, Arrays, Arrays, Any], None]
    """(shared, inputs, outputs, stream): fill the device arrays `outputs` (n, ...) from the device arrays `inputs`
    (n, ...), both contiguous and named as above. `stream` is current for CuPy; a raw launch must name it."""
    work_bytes: int
    """Device memory per pixel of a chunk that `compute` takes beside inputs and outputs."""
    fixed_bytes: int = 0
    """Device memory that it takes whatever the chunk."""

    @property
    def pixels(self) -> int:
        """How many there are to compute."""
        return len(next(iter(self.outputs.values()))) if self.rows is None else len(self.rows)

    def chunks(self, size: int) -> Iterator[Rows]:
        """All of them, so many at a time: as slices, or, where there are gaps, as their numbers."""
        for first in range(0, self.pixels, size):
            last = min(first + size, self.pixels)
            yield slice(first, last) if self.rows is None else _span(self.rows[first:last])

    def slot_bytes(self) -> int:
        """What a pixel takes in a slot."""
        return sum(
            a.dtype.itemsize * int(np.prod(a.shape[1:])) for a in (*self.inputs.values(), *self.outputs.values())
        )


def plan(pixels: int, slot_bytes: int, work_bytes: int, free_bytes: int, devices: int = 1) -> int:
    """Pixels of a chunk. MemoryError when not a single pixel fits the device.

    As many as fit the free memory and the pinned slot; fewer where that gives each device some chunks to overlap.
    """
    fits = int(free_bytes * MEMORY_SHARE) // (SLOTS * slot_bytes + work_bytes)
    if fits < 1:
        needed = SLOTS * slot_bytes + work_bytes
        raise MemoryError(
            f"a pixel needs {needed} bytes on the device, of which {max(free_bytes, 0)} are free for pixels"
        )
    overlapping = max(FEWEST, -(-pixels // (CHUNKS * devices)))
    chunk = max(1, min(fits, STAGED // slot_bytes, overlapping, pixels))
    filling = (_power_of_two_within((chunk + 1) * slot_bytes - 1) - MARGIN) // slot_bytes
    return chunk if chunk == pixels or filling < 1 else filling


def _power_of_two_within(size: int) -> int:
    return 1 << (size.bit_length() - 1)


@dataclass(eq=False)
class Slot:
    """Buffers of a chunk, and the events and copies that must be over before each may be used again."""

    up: Arrays
    inputs: Arrays
    outputs: Arrays
    down: Arrays
    uploaded: Any = None
    computed: Any = None
    downloaded: Any = None
    copies: list[Future[None]] = field(default_factory=list)


@dataclass(eq=False)
class Times:
    """Seconds by the device's clock, summed over chunks; phases overlap, so that their sum may exceed the wall's."""

    upload: float = 0.0
    kernel: float = 0.0
    download: float = 0.0
    marks: list[tuple[str, Any, Any]] = field(default_factory=list)

    def settle(self, runtime: Runtime) -> None:
        """Turn pairs of events that have all happened into seconds."""
        for name, start, end in self.marks:
            setattr(self, name, getattr(self, name) + runtime.seconds(start, end))
        self.marks.clear()


class Line:
    """One device's streams and slots."""

    def __init__(self, job: Job, runtime: Runtime, device: int, chunk: int):
        self.job, self.runtime, self.device, self.chunk = job, runtime, device, chunk
        self.times = Times()
        self.held_bytes = self.in_use_bytes = 0
        with runtime.on(device):
            self.up, self.main, self.down = map(runtime.stream, ("up", "compute", "down"))
            try:
                self.slots = [self._slot() for _ in range(SLOTS)]
                runtime.launch(self.main, self._share)
            except BaseException:
                self._settle()
                raise

    def _settle(self) -> None:
        """Wait for all streams, whatever becomes of what they were given: the exception that led here is the one."""
        with suppress(Exception):
            self.runtime.settle()

    def _share(self) -> None:
        self.shared = self.job.share(self.runtime.xp)

    def _slot(self) -> Slot:
        job, empty = self.job, self.runtime.empty
        shapes = {
            (way, name): ((self.chunk, *a.shape[1:]), a.dtype)
            for way, arrays in (("up", job.inputs), ("down", job.outputs))
            for name, a in arrays.items()
        }
        device = {key: empty(*shape) for key, shape in shapes.items()}
        pinned = _carved(self.runtime.pinned, shapes)

        def of(arrays: dict[Any, Any], way: str) -> Arrays:
            return {name: array for (direction, name), array in arrays.items() if direction == way}

        return Slot(of(pinned, "up"), of(device, "up"), of(device, "down"), of(pinned, "down"))

    def run(self, chunks: deque[Rows]) -> None:
        """Take chunks from the queue until it is empty; returns when the last is in the solution."""
        with self.runtime.on(self.device), ThreadPoolExecutor(min(COPIERS, os.cpu_count() or 1)) as copiers:
            self.times = Times()
            try:
                number, upcoming = 0, self._stage(0, chunks)
                while upcoming is not None:
                    rows, slot = upcoming, self.slots[number % SLOTS]
                    number += 1
                    upcoming = self._stage(number, chunks)
                    self._compute(slot, _count(rows))
                    self._bring_home(slot, rows, copiers)
                for slot in self.slots:
                    _join(slot)
            except BaseException:
                chunks.clear()  # the other devices needn't go on
                self._settle()
                raise
            self.held_bytes, self.in_use_bytes = self.runtime.held_bytes(), self.runtime.in_use_bytes()
            self.times.settle(self.runtime)

    def _stage(self, number: int, chunks: deque[Rows]) -> Rows | None:
        """Put the next chunk's inputs into its slot and upload them. None when there is no chunk left."""
        try:
            rows = chunks.popleft()
        except IndexError:  # another device was faster
            return None
        slot, runtime, n = self.slots[number % SLOTS], self.runtime, _count(rows)
        if slot.uploaded is not None:
            runtime.finish(slot.uploaded)
        for name, host in self.job.inputs.items():
            _gather(host, rows, slot.up[name][:n])
        if slot.computed is not None:
            runtime.wait(self.up, slot.computed)
        start = runtime.record(self.up)
        for name in self.job.inputs:
            runtime.copy(self.up, slot.up[name][:n], slot.inputs[name][:n, ...])
        slot.uploaded = runtime.record(self.up)
        self.times.marks.append(("upload", start, slot.uploaded))
        return rows

    def _compute(self, slot: Slot, n: int) -> None:
        runtime = self.runtime
        runtime.wait(self.main, slot.uploaded)
        if slot.downloaded is not None:
            runtime.wait(self.main, slot.downloaded)
        start = runtime.record(self.main)
        inputs, outputs = ({k: a[:n, ...] for k, a in arrays.items()} for arrays in (slot.inputs, slot.outputs))
        runtime.launch(self.main, lambda: self.job.compute(self.shared, inputs, outputs, self.main))
        slot.computed = runtime.record(self.main)
        self.times.marks.append(("kernel", start, slot.computed))

    def _bring_home(self, slot: Slot, rows: Rows, copiers: ThreadPoolExecutor) -> None:
        """Download the outputs; the copiers put them into the solution when they are there."""
        runtime, n = self.runtime, _count(rows)
        _join(slot)
        runtime.wait(self.down, slot.computed)
        start = runtime.record(self.down)
        for name in self.job.outputs:
            runtime.copy(self.down, slot.outputs[name][:n, ...], slot.down[name][:n])
        slot.downloaded = runtime.record(self.down)
        self.times.marks.append(("download", start, slot.downloaded))
        step = -(-n // COPIERS)
        slot.copies = [copiers.submit(self._store, slot, rows, slice(a, min(a + step, n))) for a in range(0, n, step)]

    def _store(self, slot: Slot, rows: Rows, part: slice) -> None:
        with self.runtime.on(self.device):
            self.runtime.finish(slot.downloaded)
        target = slice(rows.start + part.start, rows.start + part.stop) if isinstance(rows, slice) else rows[part]
        for name, host in self.job.outputs.items():
            host[target] = slot.down[name][part]


def _join(slot: Slot) -> None:
    """Wait until a slot's last outputs are in the solution."""
    for copy in slot.copies:
        copy.result()
    slot.copies = []


def _span(rows: NDArray[np.intp]) -> Rows:
    """Ascending pixels as a slice where there is no gap."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


def _count(rows: Rows) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _gather(host: NDArray[Any], rows: Rows, target: NDArray[Any]) -> None:
    if isinstance(rows, slice):
        np.copyto(target, host[rows])
    else:
        np.take(host, rows, axis=0, out=target, mode="clip")  # "raise", the default, goes through another array


def _carved(pinned: Callable[..., Any], shapes: Mapping[Any, tuple[tuple[int, ...], Any]]) -> dict[Any, NDArray[Any]]:
    """Arrays of those shapes and types in one block of pinned memory."""
    sizes = [int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in shapes.values()]
    starts = np.cumsum([0, *(-(-size // ALIGNED) * ALIGNED for size in sizes)]).tolist()
    block = pinned((starts[-1],), np.uint8)
    return {
        key: block[start : start + size].view(kind).reshape(shape)
        for (key, (shape, kind)), start, size in zip(shapes.items(), starts, sizes, strict=False)
    }


class Pipeline:
    """A job on one or several devices: plans, takes the memory, runs. `devices`: how many, 0 for all there are."""

    def __init__(self, job: Job, runtime: Runtime, devices: int = 1, chunk: int | None = None):
        there = runtime.count()
        if devices > there:
            raise ValueError(f"devices={devices}, but there are {there}")
        numbers = range(devices or there)
        if chunk is None:
            free = min(_free_bytes(runtime, device) for device in numbers) - job.fixed_bytes
            chunk = plan(job.pixels, job.slot_bytes(), job.work_bytes, free, len(numbers))
        chunk = max(1, min(chunk, job.pixels))
        self.job, self.chunk = job, chunk
        self.lines = [Line(job, runtime, device, chunk) for device in numbers]

    def run(self) -> None:
        """Upload, compute and download every pixel."""
        chunks = deque(self.job.chunks(self.chunk))
        if len(self.lines) == 1:
            self.lines[0].run(chunks)
            return
        with ThreadPoolExecutor(len(self.lines)) as threads:
            for done in [threads.submit(line.run, chunks) for line in self.lines]:
                done.result()

    def facts(self) -> dict[str, float]:
        """Seconds by device events, summed over devices; the most memory that the pool held on one, and that was in use
        on one at the end, contexts, libraries and whatever else computes there included."""
        times = [line.times for line in self.lines]
        return {
            "upload_s": sum(t.upload for t in times),
            "kernel_s": sum(t.kernel for t in times),
            "download_s": sum(t.download for t in times),
            "chunk_pixels": float(self.chunk),
            "peak_device_mb": max(line.held_bytes for line in self.lines) / 2**20,
            "device_in_use_mb": max(line.in_use_bytes for line in self.lines) / 2**20,
        }


def _free_bytes(runtime: Runtime, device: int) -> int:
    with runtime.on(device):
        return runtime.free_bytes()
