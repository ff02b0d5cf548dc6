"""Between its turns a solver rests: what its processes compute then would slow its rivals.

After a turn its threads and processes are waited for until they keep still, so that a pool that spins for a while
before it sleeps is in nobody's way. From then on to its next turn, they may use a small share of the CPU.
"""

import time

from harness.measure import family

LOOKS = (0.0001, 0.001)
"""Seconds between looks, at first and in the end, after one at once: most workers wait for commands by then."""
WIND_DOWN_S = 1.0
"""Longest time after an answer that is waited until no thread runs any more."""
IDLE_SHARE, IDLE_S = 0.05, 0.2
"""Share of its threads' cores that a resting solver may use (a pool keeps in touch with its workers), and CPU seconds
beside that, once."""


class Rest:
    """The rests of one solver: those of a worker's keeper and all below it."""

    def __init__(self, keeper: int, threads: int):
        self.keeper, self.threads = keeper, threads
        self.rested_s = self.used_s = 0.0
        self._since: tuple[float, float] | None = None

    def begin(self, spent_s: float) -> str:
        """Wait until all are still; where they aren't in time, that was part of the rest. The reason as of `so_far`.

        `spent_s`: CPU seconds that they have used by now.
        """
        self._since, look = (time.monotonic(), spent_s), LOOKS[0]
        while family.running(below := family.below(self.keeper)):
            if time.monotonic() - self._since[0] > WIND_DOWN_S:
                return self.so_far()
            time.sleep(look)
            look = min(2 * look, LOOKS[1])
        self._since = time.monotonic(), family.cpu_of([self.keeper, *below])
        return ""

    def so_far(self) -> str:
        """The reason why it fails when more was used in all its rests than may be, else ""."""
        if self._since is None:
            return ""
        now = self._now()
        self.rested_s += now[0] - self._since[0]
        self.used_s += now[1] - self._since[1]
        self._since = now
        if self.used_s <= IDLE_S + IDLE_SHARE * self.threads * self.rested_s:
            return ""
        return (
            f"computed between its turns: {self.used_s:.2f} s of CPU time in {self.rested_s:.2f} s, more than "
            f"{IDLE_SHARE:.0%} of {self.threads} core(s) and {IDLE_S:g} s"
        )

    def end(self) -> None:
        """It is its turn."""
        self._since = None

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), family.cpu_s(self.keeper)
