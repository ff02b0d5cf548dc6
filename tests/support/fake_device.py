"""Devices made of host memory that stand in for `implementations.gpu.device.Cupy`.

They are as nasty as the order allows. Operations wait in their streams. `lazy` does none before the host waits for an
event, and then only what it depends on; `eager` does each at once; an integer seeds a generator that lets streams run
ahead at random. A program whose order is right gives the same result under all of them.
"""

import threading
from collections import Counter, deque
from contextlib import contextmanager

import array_api_strict
import numpy as np


class Event:
    def __init__(self, stream):
        self.stream, self.tick = stream, None


class Stream:
    def __init__(self, device, number, weight):
        self.device, self.number, self.weight, self.pending = device, number, weight, deque()


class FakeDevices:
    def __init__(self, devices=1, xp=np, order="lazy", free_bytes=10**9):
        self.xp, self.devices, self.order, self.memory = xp, devices, order, free_bytes
        self.held, self.tick, self.streams, self.roles = Counter(), 0, [], {}
        self.log: list[tuple[int, str]] = []
        self.random = np.random.default_rng(order) if isinstance(order, int) else None
        self.lock, self.here = threading.RLock(), threading.local()

    def count(self):
        return self.devices

    @contextmanager
    def on(self, device):
        before = getattr(self.here, "device", None)
        self.here.device = device
        try:
            yield
        finally:
            self.here.device = before

    @property
    def device(self):
        device = getattr(self.here, "device", None)
        assert device is not None, "no device is this thread's own"
        return device

    def free_bytes(self):
        return self.memory - self.held[self.device]

    def held_bytes(self):
        return self.held[self.device]

    def in_use_bytes(self):
        return self.held[self.device] + 10**6

    def settle(self):
        errors = []
        with self.lock:
            for stream in self.streams:
                while stream.device == self.device and stream.pending:
                    try:
                        self._step(stream)
                    except Exception as error:
                        errors.append(error)
        if errors:
            raise errors[0]

    def pinned(self, shape, dtype):
        self.log.append((self.device, f"pinned {np.dtype(dtype).itemsize * int(np.prod(shape))}"))
        return np.full(shape, 99, dtype)

    def empty(self, shape, dtype):
        self.held[self.device] += np.dtype(dtype).itemsize * int(np.prod(shape))
        return self.xp.asarray(np.full(shape, 77, dtype))

    def stream(self, role):
        if (self.device, role) not in self.roles:
            weight = 1.0 if self.random is None else self.random.random() ** 8  # so that one may run far ahead
            self.streams.append(Stream(self.device, len(self.streams), weight))
            self.roles[self.device, role] = self.streams[-1]
        return self.roles[self.device, role]

    def copy(self, stream, source, target):
        self._give(stream, "copy", lambda: self._copied(source, target))

    def _copied(self, source, target):
        if self.xp is not np and not isinstance(target, np.ndarray):
            source = self.xp.asarray(source)
        target[...] = np.asarray(source) if isinstance(target, np.ndarray) else source

    def launch(self, stream, work):
        self._give(stream, "launch", work)

    def record(self, stream):
        event = Event(stream)

        def happen():
            event.tick = self.tick

        self._give(stream, "record", happen)
        return event

    def wait(self, stream, event):
        self._give(stream, "wait", event)

    def finish(self, event):
        with self.lock:
            self._until(event)

    def seconds(self, start, end):
        assert start.tick is not None
        assert end.tick is not None, "the event has not happened yet"
        return float(end.tick - start.tick)

    def _give(self, stream, name, work):
        assert stream.device == self.device, "another device's stream"
        with self.lock:
            stream.pending.append((name, work))
            if self.order == "eager":
                while stream.pending:
                    self._step(stream)
            elif self.random is not None:
                favoured = np.array([s.weight for s in self.streams])
                for _ in range(self.random.integers(4)):
                    self._step(self.random.choice(self.streams, p=favoured / favoured.sum()))

    def _until(self, event):
        while event.tick is None:
            self._step(event.stream)

    def _step(self, stream):
        """Do the stream's next operation, and before it what it waits for."""
        if not stream.pending:
            return
        name, work = stream.pending.popleft()
        if name == "wait":
            self._until(work)
        else:
            with self.on(stream.device):
                work()
        self.tick += 1
        self.log.append((stream.device, name))


def allow_assignment_by_numbers(monkeypatch):
    """Let array-api-strict do `x[numbers, ...] = values`: the one thing that CuPy has, the standard has not, and the
    positivity loop needs."""
    kind = type(array_api_strict.zeros(1))
    original = kind.__setitem__

    def setitem(self, key, value):
        rows = key[0] if isinstance(key, tuple) else key
        if isinstance(rows, kind) and rows.dtype == array_api_strict.int64:
            self._array[np.asarray(rows)] = np.asarray(value) if isinstance(value, kind) else value
        else:
            original(self, key, value)

    monkeypatch.setattr(kind, "__setitem__", setitem)
