"""The parent's side of a worker: start it, ask it one thing at a time, and end it when it hangs, bloats or dies."""

import contextlib
import functools
import hmac
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from harness.machine import usage
from harness.machine.pinning import worker_environment
from harness.measure import family
from harness.measure.rest import Rest
from harness.measure.said import cleaned, one_line, shortened

WORKERS = ("harness.measure.worker", "harness.worker")
"""The worker's module, and what it was before the harness had rooms: an older commit under comparison has that one."""
LOOKS = (0.02, 0.25)
"""Seconds between looks at the memory of a worker and its children: often at first, when a short solve may come and go,
then more seldom, and seldom throughout while it is being timed."""
SOLVES = ("warmup", "run")
"""Commands that let the solver solve."""
MOST_REPLY = 1 << 25
"""Bytes of one reply."""


def worker_module(checkout: Path | None) -> str:
    """The worker's module in a commit's checkout, or in this one. ValueError when it has none."""
    if checkout is None:
        return WORKERS[0]
    for name in WORKERS:
        if checkout.joinpath(*name.split(".")).with_suffix(".py").is_file():
            return name
    raise ValueError(f"{checkout} has no worker to run: looked for {' and '.join(WORKERS)}")


def signs(checkout: Path | None) -> bool:
    """Whether the worker there puts a token before its replies: those of commits without keepers don't."""
    return checkout is None or checkout.joinpath("harness", "measure", "family.py").is_file()


class WorkerEnded(Exception):
    """A worker is no more: `status` is a row's status, the text its reason. Both texts are fit for a record."""

    def __init__(self, status: str, reason: str, traceback: str = ""):
        super().__init__(one_line(reason))
        self.status, self.reason, self.traceback = status, one_line(reason), shortened(traceback)


class Supervisor:
    """A worker's process. An answer comes within the limits, or it and all it started are killed: WorkerEnded.

    The worker stands below a keeper, `family.keep`; whatever it starts stays there too. Replies begin with a token that
    the worker was told before it imported any solver.
    """

    def __init__(
        self,
        folder: Path,
        spec: str,
        plugins: Sequence[str],
        threads: int,
        limit_mb: int,
        checkout: Path | None = None,
        under: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ):
        """`under`: words of a tool that the worker is run under; `variables`: of its environment beside the usual."""
        self.spec, self.threads, self.limit_mb = spec, threads, limit_mb
        self.peak_tree_mb = self.cpu_s = self.waited_s = 0.0
        self._token = secrets.token_hex(16) if signs(checkout) else ""
        self._mark = secrets.token_hex(16)
        self._received = bytearray()
        command = [*under, sys.executable, "-m", worker_module(checkout), str(folder), spec, str(threads), *plugins]
        self._control, theirs = socket.socketpair()
        self._control.settimeout(2 * family.END_S)
        with theirs:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", family.__file__, str(theirs.fileno()), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env={**worker_environment(threads, checkout), **(variables or {}), family.MARK: self._mark},
                cwd=checkout,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        self._told = self._control.makefile("rb")
        self._rest = Rest(self._keeper.pid, threads)
        if self._token:
            self._send(self._token)

    @functools.cached_property
    def pid(self) -> int:
        """The worker's process."""
        return int(self._told.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, timeout: float, **command: Any) -> dict[str, Any]:
        """Send a command and return the reply. Memory counts towards the peak in what the solver itself does."""
        self.check_rest()
        self._rest.end()
        if command["do"] == "stage":  # what is staged runs at once: no rest, and nobody asks what it took
            self._send(json.dumps(command))
            return self.reply(timeout, LOOKS[1], counts=False)
        before, waited = family.cpu_s(self._keeper.pid), self._waited()
        self._send(json.dumps(command))
        answer = self.reply(timeout, LOOKS[command["do"] != "warmup"], command["do"] in SOLVES)
        spent = family.cpu_s(self._keeper.pid)
        self.cpu_s, self.waited_s = spent - before, self._waited() - waited
        replied = time.monotonic()
        if reason := self._rest.begin(spent):
            raise self._ended("failed", reason)
        if self.threads > 1:  # a team of threads spins a while before it sleeps
            self.waited_s += time.monotonic() - replied
        return answer

    def _waited(self) -> float:
        """Seconds that the worker, and this process, were ready to go on and had no core."""
        return self.queued_s() + usage.queued(os.getpid())

    def queued_s(self) -> float:
        """Seconds that the worker was ready to go on and had no core, since it began."""
        with contextlib.suppress(OSError, ValueError):  # its keeper is gone
            return usage.queued(self.pid)
        return 0.0

    def check_rest(self) -> None:
        """WorkerEnded when too much was computed since the last answer."""
        if reason := self._rest.so_far():
            raise self._ended("failed", reason)

    def reply(self, timeout: float, look_s: float = LOOKS[0], counts: bool = True) -> dict[str, Any]:
        """Wait for the next reply; raises WorkerEnded instead of waiting longer than `timeout` seconds."""
        line = self._line(timeout, look_s, counts)
        token, _, text = line.partition(b" ") if self._token else (b"", b"", line)
        answer = None
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(text)
        if not hmac.compare_digest(token, self._token.encode()) or not isinstance(answer, dict):
            raise self._ended("failed", f"wrote to the reply pipe: {line[:80]!r}")
        if "failure" in answer:
            raise self._ended(str(answer["failure"]), str(answer.get("reason")), str(answer.get("traceback")))
        return cleaned(answer)

    def _send(self, line: str) -> None:
        assert self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise self._died() from None

    def _line(self, timeout: float, look_s: float, counts: bool) -> bytes:
        """The next line that is written to the reply pipe."""
        assert self._keeper.stdout is not None
        descriptor, searched = self._keeper.stdout.fileno(), 0
        start = looked = time.monotonic()
        while (cut := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > MOST_REPLY:
                raise self._ended("failed", f"wrote more than {MOST_REPLY >> 20} MB to the reply pipe in one line")
            now = time.monotonic()
            pause = min(look_s + (now - start) / 20, LOOKS[1])
            if select.select([descriptor], [], [], pause)[0]:
                chunk = os.read(descriptor, 1 << 20)
                if not chunk:
                    raise self._died()
                self._received += chunk
            now = time.monotonic()
            if now - looked >= pause:
                self._look(counts)
                looked = now
            if now - start > timeout:
                raise self._ended("timeout", f"no answer within {timeout:.0f} s; killed")
        line = bytes(self._received[:cut])
        del self._received[: cut + 1]
        return line

    def _look(self, counts: bool) -> None:
        """Note the memory held by the process and its children; kill them when it is more than the limit."""
        if self._keeper.poll() is not None:
            raise self._died()
        held = family.held_mb(self._keeper.pid)
        if counts:
            self.peak_tree_mb = max(self.peak_tree_mb, held)
        if held > self.limit_mb:
            reason = f"held {held:.0f} MB, more than its limit of {self.limit_mb} MB; killed"
            raise self._ended("out_of_memory", reason)

    def _ended(self, status: str, reason: str, traceback: str = "") -> WorkerEnded:
        """End everything, and what there is to raise."""
        self.end()
        return WorkerEnded(status, reason, traceback)

    def _died(self) -> WorkerEnded:
        """What became of a process that closed its end."""
        self._keeper.send_signal(signal.SIGCONT)  # a solver may have stopped it
        try:
            self._keeper.wait(timeout=family.END_S)
        except subprocess.TimeoutExpired:
            return self._ended("crashed", "closed the reply pipe")
        code, said = None, ""
        with contextlib.suppress(OSError, ValueError, IndexError, TypeError):
            last = json.loads(self._told.read().splitlines()[-1])
            code, said = last["code"], last["said"].strip()
        if code is None:
            reason = "its keeper was killed"
        elif code < 0:
            reason = f"killed by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}"
        else:
            reason = f"ended with exit code {code}"
        last_line = said.splitlines()[-1] if said else ""
        return self._ended("crashed", f"{reason}{': ' if last_line else ''}{last_line[:200]}", said)

    def end(self) -> None:
        """Kill the process and all that it started; harmless when they are gone."""
        self._keeper.send_signal(signal.SIGCONT)
        with contextlib.suppress(OSError, ValueError):
            self._control.shutdown(socket.SHUT_WR)
            self._told.read()  # to its end, which the keeper's own is
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(timeout=1)
        if self._keeper.returncode != 0:
            family.end_marked(self._mark)
            self._keeper.kill()
            self._keeper.wait()
        for stream in (self._keeper.stdin, self._keeper.stdout, self._told, self._control):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
