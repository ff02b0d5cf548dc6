"""Solvers that get at what isn't theirs, each in one way: the reply pipe, other processes, the machine at rest."""

import ctypes
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from implementations.baseline import Baseline

SEVERAL = 8
"""Busy processes or threads: on a machine with much else to do, one gets too little of it to be in anybody's way."""
WARM = 3
"""Solves of a worker's warm-up."""
FORGED = b'{"samples": [[0.0, 1e-9, 0.0]], "facts": []}\n'


def pipes():
    """This process's pipes beyond the standard ones that it can write to."""
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if number > 2 and stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, b"")
                yield number
        except OSError:
            continue


def leave(target):
    """A forked process that does that and never comes back."""
    pid = os.fork()
    if pid == 0:
        target()
        os._exit(0)
    return pid


def spin():
    while True:
        pass


class Escapes:
    """The baseline with some mischief before it, from the first solve after the warm-up on."""

    calls = 0

    def solve(self, state):
        self.calls += 1
        if self.calls > WARM:
            self.mischief()
        return super().solve(state)


class Junk(Escapes, Baseline):
    name = "junk"

    def mischief(self):
        for number in pipes():
            os.write(number, b"hello\n")


class Floods(Escapes, Baseline):
    name = "floods"

    def mischief(self):
        for number in pipes():
            while True:
                os.write(number, b"x" * 65536)


class Forges(Escapes, Baseline):
    """A reply in every respect, but for the token."""

    name = "forges"

    def mischief(self):
        for number in pipes():
            os.write(number, b"0" * 32 + b" " + FORGED)


class ForgesFromChild(Escapes, Baseline):
    """The pipe is looked for in a child, which runs on while the worker waits for its command."""

    name = "forges-from-child"

    def mischief(self):
        def forge():
            found = [*pipes()]
            for number in found:
                os.write(number, FORGED)
            os._exit(len(found))

        _, code = os.waitpid(leave(forge), 0)
        if code:
            raise RuntimeError("a child has the reply pipe")


class ClosesPipe(Escapes, Baseline):
    name = "closes-pipe"

    def mischief(self):
        for number in pipes():
            os.close(number)
        time.sleep(1000)


class OwnSession(Escapes, Baseline):
    name = "own-session"

    def mischief(self):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)


class Daemons(Escapes, Baseline):
    name = "daemons"

    def mischief(self):
        def daemon():
            os.setsid()
            leave(lambda: time.sleep(1000))

        os.waitpid(leave(daemon), 0)


class ForksOnAndOn(Escapes, Baseline):
    """Each process soon gives way to its child, which has a session of its own."""

    name = "forks-on-and-on"

    def mischief(self):
        def chain():
            while True:
                os.setsid() if os.getpid() != os.getsid(0) else None
                time.sleep(0.1)
                if os.fork():
                    os._exit(0)

        leave(chain)


class JoinsGroup(Escapes, Baseline):
    """Leaves for the group of the parent, where its own can't be killed as a group, and hangs."""

    name = "joins-group"

    def mischief(self):
        os.setpgid(0, os.getpgid(os.getppid()))
        time.sleep(1000)


class KillsKeeper(Escapes, Baseline):
    name = "kills-keeper"

    def mischief(self):
        leave(lambda: (os.setsid(), time.sleep(1000)))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)


class StopsKeeper(Escapes, Baseline):
    name = "stops-keeper"

    def mischief(self):
        os.kill(os.getppid(), signal.SIGSTOP)
        os._exit(9)


class HoldsInChild(Escapes, Baseline):
    name = "holds-in-child"

    def mischief(self):
        seen, full = os.pipe()

        def hold():
            held = np.ones(100 << 17)  # 100 MB
            os.write(full, b"x")
            time.sleep(1000)
            del held

        leave(hold)
        os.read(seen, 1)
        time.sleep(0.6)


class BusyChild(Escapes, Baseline):
    name = "busy-child"

    def mischief(self):
        for _ in range(SEVERAL if self.calls == WARM + 1 else 0):
            leave(spin)


class BusyThread(Escapes, Baseline):
    name = "busy-thread"

    def mischief(self):
        def digest():  # which lets other threads run
            while True:
                hashlib.sha256(bytes(1 << 20))

        for _ in range(SEVERAL if self.calls == WARM + 1 else 0):
            threading.Thread(target=digest, daemon=True).start()


class BusyLater(Escapes, Baseline):
    """Keeps still at first."""

    name = "busy-later"

    def mischief(self):
        for _ in range(SEVERAL if self.calls == WARM + 1 else 0):
            leave(lambda: (time.sleep(0.3), spin()))


class WindsDown(Escapes, Baseline):
    """As pools do that spin for a while before they sleep: not to be blamed."""

    name = "winds-down"

    def mischief(self):
        def wind_down():
            while time.thread_time() < 0.2:  # of work, however busy the machine is
                pass

        threading.Thread(target=wind_down).start()


class Chatters(Escapes, Baseline):
    name = "chatters"

    def mischief(self):
        for stream in (sys.stdout, sys.stderr):
            for _ in range(100):
                stream.write("x" * (1 << 20))
        sys.stderr.write("the end\n")
        sys.stderr.flush()
        os._exit(7)


class Unprintable(Escapes, Baseline):
    name = "unprintable"

    def mischief(self):
        raise ValueError("\ud800 \x1b[2J \u202e" + "x" * 10_000_000)


class Leaves(Escapes, Baseline):
    name = "leaves"

    def mischief(self):
        sys.exit(0)


class Crashes(Escapes, Baseline):
    name = "crashes"

    def mischief(self):
        print("about to crash", file=sys.stderr, flush=True)
        ctypes.string_at(0)


class NoTime(Escapes, Baseline):
    """Keeps its first answer, so that a solve takes next to no time."""

    name = "no-time"
    kept = None

    def prepare(self, problem):
        return problem if self.calls >= WARM else super().prepare(problem)

    def solve(self, state):
        self.calls += 1
        self.kept = Baseline.solve(self, state) if self.calls <= WARM else self.kept
        return self.kept

    def collect(self, state, solution):
        return solution


class Overwrites(Escapes, Baseline):
    """Sets all counts to NaN for those that come after, in the problem's own file."""

    name = "overwrites"

    def mischief(self):
        folder = Path(sys.argv[1])
        os.chmod(folder / "dn.npy", 0o600)
        np.load(folder / "dn.npy", mmap_mode="r+")[:] = np.nan


class Replaces(Escapes, Baseline):
    """Another file in place of the problem's."""

    name = "replaces"

    def mischief(self):
        file = Path(sys.argv[1]) / "edn.npy"
        values = np.load(file)
        file.unlink()
        np.save(file, values)


class KnowsTruth(Escapes, Baseline):
    name = "knows-truth"

    def mischief(self):
        near = Path(sys.argv[1])
        found = [path for path in (*near.parent.glob("*"), *near.glob("**/*")) if "true" in path.name]
        raise RuntimeError(f"{len(found)} file(s) of the truth")
