"""Where the blocks of a problem in memory come from and go to: memory that the workers share, or their messages."""

import mmap
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from implementations.cluster.memory import Address, Held, Segment, Shared
from implementations.contract import Problem, Solution

OUTPUTS = tuple(field.name for field in fields(Solution))


@dataclass(frozen=True)
class SharedTask:
    """A block of shared arrays."""

    inputs: dict[str, Segment]
    first: int
    last: int
    overlaps = False

    def read(self) -> Any:
        """Map the block's pixels."""
        dn, edn, norm = (self.inputs.get(name) for name in ("dn", "edn", "dem_norm0"))
        assert dn is not None
        assert edn is not None
        part = self.first, self.last
        return dn.rows(*part), edn.rows(*part), None if norm is None else norm.rows(*part)

    def write(self, solution: Solution) -> Held:
        """Keep it until it has been read from here."""
        return Held([getattr(solution, name) for name in OUTPUTS])


class Blocks:
    """Pixels in rows, cut into blocks of `size`."""

    def __init__(self, problem: Problem, size: int):
        self.problem, self.size = problem, size
        self.bytes_sent = 0
        """In messages, both ways."""
        self.bytes_shared = 0
        """In memory that both sides map."""

    def part(self, block: int) -> tuple[int, int]:
        """A block's first pixel, and the one after its last."""
        return block * self.size, min((block + 1) * self.size, self.problem.sizes[0])

    def describe(self, block: int) -> str:
        """The block, in words."""
        first, last = self.part(block)
        return f"block {block} (pixels {first} to {last - 1})"


class Room:
    """Memory for a problem's pixels, which workers on this machine map, and for their solutions.

    A page's first use costs as much as the work on what it holds, so a thread of its own sees to it while the workers
    start.
    """

    def __init__(self, problem: Problem):
        given = {"dn": problem.dn, "edn": problem.edn, "dem_norm0": problem.dem_norm0}
        self.given = {name: values for name, values in given.items() if values is not None}
        self.inputs = {name: Shared(values.shape) for name, values in self.given.items()}
        rows, one = problem.sizes[0], Solution.empty(problem.take(slice(0, 1)))
        made = {name: np.empty((rows, *array.shape[1:]), array.dtype) for name, array in vars(one).items()}
        self.solution = Solution(**made)  # unlike zeros, in huge pages
        pool = ThreadPoolExecutor(1)
        self._filled = pool.submit(self._fill)
        pool.shutdown(wait=False)

    def _fill(self) -> None:
        for name, values in self.given.items():
            self.inputs[name].array[:] = values
        for array in vars(self.solution).values():
            array.reshape(-1).view(np.uint8)[:: mmap.PAGESIZE] = 0

    def ready(self) -> None:
        """Until all of it has been used once, and the pixels are there."""
        self._filled.result()

    def close(self) -> None:
        """No worker can map the pixels any more."""
        wait([self._filled])
        for shared in self.inputs.values():
            shared.close()


class SharedPlace(Blocks):
    """Workers on this machine map the pixels; their solutions are read out of their memory into this process."""

    def __init__(self, problem: Problem, size: int, room: Room):
        super().__init__(problem, size)
        self.room, self.solution = room, room.solution
        self.segments = {name: shared.segment for name, shared in room.inputs.items()}
        self.bytes_shared = sum(values.nbytes for values in room.given.values())
        room.ready()

    def task(self, block: int) -> SharedTask:
        """Where to map it from."""
        return SharedTask(self.segments, *self.part(block))

    def receive(self, block: int, returned: list[Address]) -> None:
        """Read the block's solution out of the worker that holds it."""
        part = slice(*self.part(block))
        for name, address in zip(OUTPUTS, returned, strict=True):
            address.read_into(getattr(self.solution, name)[part])
            self.bytes_shared += address.size

    def close(self) -> None:
        """No worker can map the pixels any more."""
        self.room.close()


@dataclass(frozen=True)
class CarriedTask:
    """A block's pixels themselves."""

    pixels: Any
    overlaps = False

    def read(self) -> Any:
        """They came along."""
        return self.pixels

    def write(self, solution: Solution) -> Solution:
        """Send it back."""
        return solution


class CarriedPlace(Blocks):
    """Pixels and solution in this process; workers are sent the one and send the other."""

    def __init__(self, problem: Problem, size: int):
        super().__init__(problem, size)
        self.solution = Solution.empty(problem)

    def task(self, block: int) -> CarriedTask:
        """A block's pixels, as plain arrays of their own."""
        part, p = slice(*self.part(block)), self.problem
        arrays = [None if a is None else np.array(a[part]) for a in (p.dn, p.edn, p.dem_norm0)]
        self.bytes_sent += sum(a.nbytes for a in arrays if a is not None)
        return CarriedTask(tuple(arrays))

    def receive(self, block: int, returned: Solution) -> None:
        """Put it where the whole one is."""
        part = slice(*self.part(block))
        for name in OUTPUTS:
            value = getattr(returned, name)
            getattr(self.solution, name)[part] = value
            self.bytes_sent += value.nbytes

    def close(self) -> None:
        """There is nothing to close."""
