"""The processes of one row: a worker, all that it starts, and the keeper under which they stay.

Run as a program, by its path, this file is the keeper: `python -I family.py CONTROL COMMAND ...` starts the command in
a process group of its own and tells its process number on the socket CONTROL. Orphans become the keeper's children (on
Linux, a "child subreaper"), whatever group or session they moved to. So all of them are found and ended: when the
command ends, when the socket's other end is closed, or when its owner dies. What the command writes to standard error
is read as it comes, and only its end is kept. It imports the standard library alone and, where /proc doesn't list
children, psutil; on other systems a process that was orphaned and left its group stays unknown.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

MARK = "DEMREG_BENCH_ROW"
"""Environment variable by which a row's processes are still known when their keeper was killed."""
SAID = 16384
"""Bytes kept of what was written to standard error."""
END_S = 5.0
"""Longest time that ending all processes may take."""
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER, of Linux."""
LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def below(root: int) -> list[int]:
    """All processes that descend from `root`."""
    if not LISTS_CHILDREN:
        import psutil

        with contextlib.suppress(psutil.Error):
            return [process.pid for process in psutil.Process(root).children(recursive=True)]
        return []
    found, ahead = set[int](), [root]
    while ahead:
        new = set(_children(ahead.pop())) - found
        found |= new
        ahead += new
    return list(found)


def _children(pid: int) -> Iterator[int]:
    """Children of a process, whichever of its threads started them; none when it is gone."""
    for thread in _threads(pid):
        yield from map(int, _read(f"{thread}/children").split())


def _threads(pid: int) -> list[str]:
    """Folders of a process's threads; none when it is gone."""
    folder = f"/proc/{pid}/task"
    try:
        return [f"{folder}/{thread}" for thread in os.listdir(folder)]
    except OSError:
        return []


def _read(path: str) -> bytes:
    """A short file of /proc, in a third of the time that a Python file takes; nothing when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(descriptor, 4096):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def held_mb(root: int) -> float:
    """Resident memory of all that descends from `root`, what several share counted for each."""
    return sum(_rss_mb(pid) for pid in below(root))


def cpu_s(root: int, own: bool = True) -> float:
    """CPU seconds that `root`, if `own`, and all that descends from it have used, those that have ended included."""
    return cpu_of([root, *below(root)] if own else below(root))


def cpu_of(processes: Iterable[int]) -> float:
    """CPU seconds that these have used, and those of their children that have ended."""
    return sum(map(_cpu_s, processes))


def running(processes: Collection[int]) -> bool:
    """Whether some thread of these runs, or would if it were given a core."""
    if not LISTS_CHILDREN:
        before = cpu_of(processes)
        time.sleep(TICK_S)
        return cpu_of(processes) - before > TICK_S / 4
    return any("R" in _states(pid) for pid in processes)


def _states(pid: int) -> str:
    """The state of each thread of a process, a letter each."""
    stats = [_read(f"{thread}/stat") for thread in _threads(pid)]
    return b"".join(stat.rpartition(b") ")[2][:1] for stat in stats).decode()


def _rss_mb(pid: int) -> float:
    if not LISTS_CHILDREN:
        import psutil

        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid).memory_info().rss / 2**20
        return 0.0
    words = _read(f"/proc/{pid}/statm").split()
    return int(words[1]) * PAGE_MB if words else 0.0


def _cpu_s(pid: int) -> float:
    """Of one process and those of its children that it has waited for."""
    if not LISTS_CHILDREN:
        import psutil

        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            return times.user + times.system + times.children_user + times.children_system
        return 0.0
    with contextlib.suppress(OSError):
        own = time.clock_gettime(~pid << 3 | 2)  # Linux: the CPU clock of that process, to a nanosecond
        children = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[13:15]
        return own + sum(map(int, children)) * TICK_S
    return 0.0


def end_marked(mark: str) -> None:
    """Kill all processes with that mark in their environment: those whose keeper can't do it any more."""
    import psutil

    deadline = time.monotonic() + END_S
    left = True
    while left and time.monotonic() < deadline:
        left = False
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == mark:
                    process.kill()
                    left = True


def keep(control: socket.socket, command: list[str]) -> None:
    """Start the command, hear what it says, and end it with all that it started."""
    adopts = sys.platform == "linux" and ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0) == 0
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    heard, speaks = os.pipe()
    error = [(os.POSIX_SPAWN_DUP2, speaks, 2)]
    default = [signal.SIGPIPE, signal.SIGXFSZ]  # which Python ignores, and a child would inherit
    worker = os.posix_spawnp(command[0], command, os.environ, file_actions=error, setpgroup=0, setsigdef=default)
    os.close(speaks)
    for descriptor in (0, 1):  # the worker's alone, so that their ends are seen
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    control.sendall(b"%d\n" % worker)

    ended: dict[int, int] = {}
    said = b""
    open_ends: list[Any] = [control, woken, heard]
    while worker not in ended:
        ready, _, _ = select.select(open_ends, [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(ended)
        if heard in ready:
            chunk = os.read(heard, 1 << 16)
            said = (said + chunk)[-SAID:]
            if not chunk:
                open_ends.remove(heard)
        if control in ready:
            break
    _end_all(worker, adopts, ended)
    while heard in open_ends and select.select([heard], [], [], 0)[0] and (chunk := os.read(heard, 1 << 16)):
        said = (said + chunk)[-SAID:]
    last = {"code": ended.get(worker), "said": said.decode(errors="replace")}
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(last).encode())


def _reap(ended: dict[int, int]) -> bool:
    """Note the exit codes of children that have ended, and say whether there are others."""
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    except ChildProcessError:
        return False
    return True


def _end_all(worker: int, adopts: bool, ended: dict[int, int]) -> None:
    """Kill until there is no child any more: then, as orphans are adopted, there is no descendant either."""
    deadline = time.monotonic() + END_S
    while _reap(ended) and time.monotonic() < deadline:
        for pid in below(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not adopts:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(worker, signal.SIGKILL)
        time.sleep(0.0005)


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    keep(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    os._exit(0)  # at once: it is waited for
