"""The parent's side of a worker: start it, ask it one thing at a time, and end it when it hangs, bloats or dies."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from harness.machine.pinning import worker_environment

WORKERS = ("harness.measure.worker", "harness.worker")
"""The worker's module, and what it was before the harness had rooms: an older commit under comparison has that one."""
LOOKS = (0.02, 0.25)
"""Seconds between looks at a worker's memory: often at first, when a short solve may come and go, then more seldom, and
seldom throughout while it is being timed."""


def worker_module(checkout: Path | None) -> str:
    """The worker's module in a commit's checkout, or in this one. ValueError when it has none."""
    if checkout is None:
        return WORKERS[0]
    for name in WORKERS:
        if checkout.joinpath(*name.split(".")).with_suffix(".py").is_file():
            return name
    raise ValueError(f"{checkout} has no worker to run: looked for {' and '.join(WORKERS)}")


class WorkerEnded(Exception):
    """A worker is no more: `status` is a row's status, the text its reason."""

    def __init__(self, status: str, reason: str, traceback: str = ""):
        super().__init__(reason)
        self.status, self.reason, self.traceback = status, reason, traceback


class Supervisor:
    """A worker's process. An answer comes within the limits, or the process group is killed and WorkerEnded raised."""

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
        self.peak_tree_mb = 0.0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(
            [*under, sys.executable, "-m", worker_module(checkout), folder, spec, str(threads), *plugins],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**worker_environment(threads, checkout), **(variables or {})},
            cwd=checkout,
            process_group=0,
        )
        self._received = b""

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, timeout: float, **command: Any) -> dict[str, Any]:
        """Send a command and return the reply."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        return self.reply(timeout, watch_children=command.get("do") == "warmup")

    def reply(self, timeout: float, watch_children: bool = True) -> dict[str, Any]:
        """Wait for the next reply; raises WorkerEnded instead of waiting longer than `timeout` seconds."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._received:
            elapsed = timeout - (deadline - time.monotonic())
            pause = min(LOOKS[0] + elapsed / 20, LOOKS[1]) if watch_children else LOOKS[1]
            ready, _, _ = select.select([descriptor], [], [], pause)
            if ready:
                chunk = os.read(descriptor, 1 << 20)
                if not chunk:
                    raise self._died()
                self._received += chunk
                continue
            self._look(watch_children)
            if time.monotonic() > deadline:
                self.end()
                raise WorkerEnded("timeout", f"no answer within {timeout:.0f} s; killed")
        line, _, self._received = self._received.partition(b"\n")
        answer = json.loads(line)
        if "failure" in answer:
            self.end()
            raise WorkerEnded(answer["failure"], answer["reason"], answer["traceback"])
        return answer

    def _look(self, watch_children: bool) -> None:
        """Note the memory held by the process and its children; kill them when it is more than the limit."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)] if watch_children else [process]
            held = sum(_rss(p) for p in family) / 2**20
        except psutil.Error:
            if self._process.poll() is not None:
                raise self._died() from None
            return
        self.peak_tree_mb = max(self.peak_tree_mb, held)
        if held > self.limit_mb:
            self.end()
            raise WorkerEnded("out_of_memory", f"held {held:.0f} MB, more than its limit of {self.limit_mb} MB; killed")

    def _died(self) -> WorkerEnded:
        """What became of a process that closed its end."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self._kill()
        if code is not None and code < 0:
            reason = f"killed by {signal.Signals(-code).name}"
        else:
            reason = f"ended with exit code {code}" if code is not None else "closed its pipe"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self.end()
        last = said.splitlines()[-1][:200] if said else ""
        return WorkerEnded("crashed", f"{reason}{': ' if last else ''}{last}", said[-4000:])

    def end(self) -> None:
        """Kill the process and all that it started; harmless when it is gone."""
        self._kill()
        self._errors.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0
