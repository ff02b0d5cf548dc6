"""Blocks of pixels on Dask's workers, each inverted by another solver: one machine or a cluster, by the same name.

What makes it fast: a block is planned to be some second of work, from what a pixel was seen to cost on the workers and
from their memory, so the scheduler is asked seldom; response, options and solver reach a worker once; and workers on
this machine map the pixels, and have their solutions read out of their memory, so that neither travels. Workers
elsewhere are sent their block and send the solution back, a few blocks at a time.

Wins: where one machine is not enough, or a map is larger than memory (`large_maps.inversion`): 4096 x 4096 pixels
at 34 bins, Zarr to Zarr, in 1.1 GiB for all processes, outputs bit for bit `numba`'s (results/full-frame). On one
machine two workers solve 2 million pixels about as fast as two threads of `numba` (docs/cluster.md, results/cluster),
with the first use of memory in the two seconds that they take to start. Cost per pixel: the inner solver's. Starting
and ending workers on this machine belong to `prepare` and `collect`. Memory: the workers' imports, and for each three
blocks' arrays.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: the inversion is the inner solver's. A script that uses it needs `if __name__ == "__main__":`, as every program
whose worker processes import it.
"""

import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from implementations.contract import Problem, Solution, Solver

if TYPE_CHECKING:
    from implementations.cluster.blocks import Job, Tally
    from implementations.cluster.session import Session
    from implementations.cluster.transport import Room


@dataclass(eq=False)
class State:
    """A problem, the workers that wait for it, and how it is cut."""

    problem: Problem
    session: "Session"
    job: "Job"
    size: int
    """Pixels in a block."""
    room: "Room | None"
    """Memory that the workers and this process can have of each other without messages, where they can."""
    tally: "Tally | None" = None
    bytes_sent: int = 0
    """Pixels and solutions in messages, both ways."""
    bytes_shared: int = 0
    """Pixels and solutions in memory that the workers map."""
    shutdown_s: float = 0.0

    @property
    def blocks(self) -> range:
        """Numbers of the blocks."""
        return range(-(-self.problem.sizes[0] // self.size))


class DaskTiled(Solver):
    """Blocks on workers.

    `inner`: the solver in a worker, or `auto` for the best that its hardware can run; `scheduler`: address or JSON file
    of a running cluster, else workers are started here; `workers`: how many; `threads`: of all of them here together;
    `memory`: of a worker here, as "2GiB".
    """

    name = "dask"
    device = "cluster"
    accuracy = "exact"

    def __init__(
        self,
        inner: Any = "auto",
        scheduler: str = "",
        workers: int | None = None,
        threads: int = 1,
        memory: str | int | None = None,
    ):
        self.inner = inner
        self.asked = {"scheduler": scheduler, "workers": workers, "threads": threads, "memory": memory}
        if self.available()[0]:
            from implementations.cluster.session import Workers

            Workers(**self.asked)  # type: ignore[arg-type]
        vars(self).update(accuracy=inner.kind().accuracy, bounds=inner.kind().bounds)

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether dask.distributed is installed."""
        if find_spec("distributed"):
            return True, ""
        return False, "dask.distributed is not installed: pip install distributed"

    def start(self, constants: Problem, sample: Any) -> tuple["Session", "Job", float]:
        """Workers that hold the constants of a problem, and the seconds that a pixel of the sample takes on them."""
        from implementations.cluster import blocks as cluster_blocks
        from implementations.cluster import session as cluster_session

        began = time.perf_counter()
        session = cluster_session.start(cluster_session.Workers(**self.asked))  # type: ignore[arg-type]
        try:
            job = cluster_blocks.Job(self.inner, session.asked, constants)
            seconds = cluster_blocks.give(session, job, sample)
            session.startup_s = time.perf_counter() - began
            return session, job, seconds
        except BaseException:
            session.close()
            raise

    def prepare(self, problem: Problem) -> State:
        """Start the workers or connect to them, warm them up, plan the blocks and share the pixels."""
        from implementations.cluster import blocks as cluster_blocks
        from implementations.cluster import memory as cluster_memory
        from implementations.cluster import transport

        room = transport.Room(problem) if self._ours(problem) else None
        session = None
        try:
            session, job, seconds = self.start(problem.take(slice(0, 0)), cluster_blocks.sample_of(problem))
            pixels, channels, bins = problem.sizes
            size = cluster_blocks.pixels_per_block(pixels, seconds, channels, bins, session.slots, session.memory)
            if room:
                session.startup_s += cluster_blocks.warm_memory(session, size, channels, bins)
                if not cluster_memory.readable(list(session.client.run(cluster_memory.beacon).values())):
                    room.close()
                    room = None
            return State(problem, session, job, size, room)
        except BaseException:
            if room:
                room.close()
            if session:
                session.close()
            raise

    def _ours(self, problem: Problem) -> bool:
        """Whether the workers will be processes of this machine, whose memory may be had without messages."""
        from implementations.cluster import memory as cluster_memory

        return not self.asked["scheduler"] and problem.sizes[0] > 0 and cluster_memory.supported()

    def solve(self, state: State) -> Solution:
        """Compute every block."""
        from implementations.cluster import blocks as cluster_blocks
        from implementations.cluster import transport

        place: transport.SharedPlace | transport.CarriedPlace
        if state.room:
            place = transport.SharedPlace(state.problem, state.size, state.room)
        else:
            place = transport.CarriedPlace(state.problem, state.size)
        try:
            for _, tally in cluster_blocks.run(state.session, state.job, place, state.blocks):
                state.tally = tally
        except BaseException:
            state.session.close()
            raise
        finally:
            place.close()
        state.bytes_sent, state.bytes_shared = place.bytes_sent, place.bytes_shared
        return place.solution

    def collect(self, state: State, solution: Solution) -> Solution:
        """End the workers that were started here; the solution is on the host already."""
        began = time.perf_counter()
        state.session.close()
        state.shutdown_s = time.perf_counter() - began
        return solution

    def facts(self, state: State) -> dict[str, float]:
        """Of the workers: blocks computed at a time, start and end of workers, what tasks and bytes took."""
        if state.tally is None:
            return {}
        return {
            "slots": state.session.slots,
            "blocks": state.tally.blocks,
            "startup_s": state.session.startup_s,
            "shutdown_s": state.shutdown_s,
            "wall_s": state.tally.wall_s,
            "task_s": state.tally.task_s,
            "bytes_sent": state.bytes_sent,
            "bytes_shared": state.bytes_shared,
        }
