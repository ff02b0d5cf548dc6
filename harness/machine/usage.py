"""What a process used while it solved, beside the wall time that passed: CPU time, waiting for a core, switches.

A thread either runs (CPU time), could run but has no core (the run queue's delay, other programs' doing), or waits of
its own accord. The kernel counts each to a nanosecond.
"""

import contextlib
import os
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

SCHEDULE = "schedstat"
"""Per thread, of Linux: nanoseconds on a core, nanoseconds runnable without one, and turns on a core."""


class Used(NamedTuple):
    """What one run used."""

    cpu: float
    """CPU seconds of all threads, and of the processes below."""
    queued: float
    """Seconds that threads could have run, but had no core; of the thread that calls alone, if it is the only one."""
    waits: int
    """Switches to something else because a thread waited."""
    preempted: int
    """Switches while it could have gone on."""


class Meter:
    """Reads what this process has used, before and after each run. `others` gives CPU seconds of processes below."""

    def __init__(self, threads: int, others: Callable[[], float] = lambda: 0.0):
        self.threads, self.others = threads, others
        self.used: list[Used] = []
        try:
            self._own = os.open(f"/proc/thread-self/{SCHEDULE}", os.O_RDONLY | os.O_CLOEXEC)
            self.counts = any(map(int, os.pread(self._own, 64, 0).split()))
        except OSError:
            self.counts = False

    def begin(self) -> None:
        """A run begins now."""
        if self.counts:
            switches = resource.getrusage(resource.RUSAGE_SELF)
            self._before = (self._queued(), switches.ru_nvcsw, switches.ru_nivcsw, self._cpu())

    def end(self) -> None:
        """It is over."""
        if self.counts:
            cpu, queued = self._cpu(), self._queued()
            switches = resource.getrusage(resource.RUSAGE_SELF)
            then = self._before
            counts = switches.ru_nvcsw - then[1], switches.ru_nivcsw - then[2]
            self.used.append(Used(round(max(cpu - then[3], 0.0), 9), round(max(queued - then[0], 0.0), 9), *counts))

    def _cpu(self) -> float:
        """CPU seconds of this process, of children that it has waited for, and of all that live below it."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = time.process_time() + ended.ru_utime + ended.ru_stime
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there are none
            return spent
        return spent + self.others()

    def _queued(self) -> float:
        """Seconds that this thread was runnable without a core; all of this process's, where there are several."""
        if self.threads == 1:
            return int(os.pread(self._own, 64, 0).split()[1]) * 1e-9
        return sum(map(_queued_of, os.listdir("/proc/self/task")))


def _queued_of(thread: str) -> float:
    return queued(f"self/task/{thread}")


def queued(process: int | str) -> float:
    """Seconds that a process's first thread was runnable without a core, up to now; 0 where the system doesn't say."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{process}/{SCHEDULE}", "rb") as file:
        return int(file.read().split()[1]) * 1e-9
    return 0.0
