"""The pipeline: order, how much is held at a time, and what becomes of it when a stage fails."""

import threading
import time

import pytest

from implementations.aia import stream


@pytest.mark.parametrize("threads", [1, 3])
def test_everything_is_written_in_order(threads):
    written = []
    compute = lambda item, stopped: (time.sleep(0.002 * (item % 3)), item * item)[1]  # noqa: E731
    stream.run(range(30), compute, lambda item, made: written.append((item, made)), threads)
    assert written == [(i, i * i) for i in range(30)]


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_are_held_than_the_threads_and_a_few(threads):
    read, done, most = 0, 0, 0

    def items():
        nonlocal read, most
        for i in range(50):
            read += 1
            most = max(most, read - done)
            yield i

    def write(item, made):
        nonlocal done
        time.sleep(0.001)
        done += 1

    stream.run(items(), lambda item, stopped: item, write, threads)
    assert done == 50
    assert most <= threads + stream.AHEAD + 1


def test_as_many_are_computed_at_a_time_as_threads_while_another_is_written():
    meet = threading.Barrier(3, timeout=20)

    def compute(item, stopped):
        if item in (1, 2):
            meet.wait()

    def write(item, made):
        if item == 0:
            meet.wait()

    stream.run(range(3), compute, write, 2)


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_what_fails_first_is_raised_and_the_rest_is_stopped(stage):
    begun = []

    def fail(where, item):
        if where == stage and item == 2:
            raise OSError(f"{where} failed")

    def items():
        for i in range(1000):
            fail("read", i)
            yield i

    def compute(item, stopped):
        begun.append(item)
        fail("compute", item)
        if item > 2 and stopped.wait(5):
            raise stream.StoppedError

    start = time.monotonic()
    with pytest.raises(OSError, match=f"{stage} failed"):
        stream.run(items(), compute, lambda item, made: fail("write", item), 2)
    assert max(begun) <= 2 + 2 + stream.AHEAD + 1
    assert time.monotonic() - start < 30
