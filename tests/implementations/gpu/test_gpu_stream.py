"""Chunks through fake devices: nothing is overwritten before it was read, whatever order the streams run in."""

import threading
import time
from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
from fake_device import FakeDevices

from implementations.gpu import pipeline as gpu_pipeline
from implementations.gpu.pipeline import Job, Pipeline, plan

ORDERS = ["lazy", "eager", *range(8)]
UP, MAIN, DOWN = range(3)
"""The streams of a device, in the order they are made in."""


def job(pixels=23, rows=None, compute=None, every=False):
    """y = 3 x + 1 by row, and the sum of each row of z."""
    rng = np.random.default_rng(0)
    inputs = {"x": rng.uniform(0, 1, pixels), "z": rng.uniform(0, 1, (pixels, 4))}
    outputs = {"y": np.zeros(pixels), "sum": np.zeros(pixels), "kind": np.full(pixels, 9, np.int8)}
    rows = np.arange(pixels) if rows is None else rows

    def simple(shared, given, out, stream):
        xp = shared.__array_namespace__()
        out["y"][...] = shared * given["x"] + 1
        out["sum"][...] = xp.sum(given["z"], axis=1)
        out["kind"][...] = 1

    return Job(inputs, outputs, None if every else rows, lambda xp: xp.asarray([3.0]), compute or simple, 100)


def check(of: Job):
    everything = np.arange(len(of.inputs["x"]))
    rows = everything if of.rows is None else of.rows
    rest = np.setdiff1d(everything, rows)
    np.testing.assert_allclose(of.outputs["y"][rows], 3 * of.inputs["x"][rows] + 1)
    np.testing.assert_allclose(of.outputs["sum"][rows], of.inputs["z"][rows].sum(axis=1))
    assert (of.outputs["kind"][rows] == 1).all()
    assert (of.outputs["y"][rest] == 0).all()
    assert (of.outputs["kind"][rest] == 9).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("chunk", [1, 2, 5, 23, 100])
@pytest.mark.parametrize("devices", [1, 3])
def test_every_pixel_arrives_whatever_the_order(order, chunk, devices):
    given = job()
    pipeline = Pipeline(given, FakeDevices(devices, order=order), devices, chunk)
    pipeline.run()
    check(given)
    for output in given.outputs.values():
        output[...] = 0
    given.outputs["kind"][...] = 9
    pipeline.run()
    check(given)


@pytest.mark.parametrize("rows", [[], [0], [22], [3, 4, 5], [0, 2, 3, 9, 10, 11, 22], range(0, 23, 2)])
def test_only_the_rows_asked_for_are_touched(rows):
    given = job(rows=np.array(rows, np.intp))
    Pipeline(given, FakeDevices(), chunk=3).run()
    check(given)


@pytest.mark.parametrize("chunk", [1, 5, 23])
def test_every_pixel_may_be_asked_for_without_naming_them(chunk):
    given = job(every=True)
    Pipeline(given, FakeDevices(order=3), chunk=chunk).run()
    check(given)
    assert all(isinstance(rows, slice) for rows in given.chunks(chunk))


def test_gaps_are_gathered_into_pinned_memory_without_another_array(monkeypatch):
    """NumPy's `take` by numbers that it must check first goes through a buffer, at a third of the rate."""
    taken, take = [], np.take
    monkeypatch.setattr(np, "take", lambda *a, **k: (taken.append(k), take(*a, **k))[1])
    given = job(rows=np.array([0, 2, 3, 9]))
    Pipeline(given, FakeDevices()).run()
    check(given)
    assert len(taken) == 2
    assert all(k["mode"] == "clip" and k["out"] is not None for k in taken)


def test_a_strict_array_library_can_be_the_device():
    given = job()
    Pipeline(given, FakeDevices(xp=array_api_strict), chunk=4).run()
    check(given)


@pytest.mark.parametrize("forgotten", [(UP, MAIN), (MAIN, UP), (MAIN, DOWN), (DOWN, MAIN)])
def test_the_fake_device_notices_a_wait_that_is_left_out(forgotten):
    """Each kind of wait is needed: without it, some order of the streams spoils the result."""

    class Forgetful(FakeDevices):
        def seconds(self, start, end):
            return 0.0

        def wait(self, stream, event):
            if (stream.number % 3, event.stream.number % 3) != forgotten:
                super().wait(stream, event)

        def finish(self, event):
            if threading.current_thread() is not threading.main_thread():
                time.sleep(0.002)  # copiers that come late force nothing early
            super().finish(event)

    spoilt = 0
    for order in range(12):
        given = job()
        Pipeline(given, Forgetful(order=order), chunk=2).run()
        try:
            check(given)
        except AssertionError:
            spoilt += 1
    assert spoilt > 0


def test_the_next_upload_is_under_way_before_a_chunk_is_computed():
    fake, uploads_at_launch = FakeDevices(order="eager"), []

    def compute(shared, given, out, stream):
        uploads_at_launch.append(sum(name == "copy" for _, name in fake.log))

    Pipeline(job(compute=compute), fake, chunk=5).run()
    assert len(uploads_at_launch) == 5
    # Two inputs a chunk go up, three outputs come down: at chunk k, k + 2 chunks are up and k are down.
    assert uploads_at_launch == [2 * min(k + 2, 5) + 3 * k for k in range(5)]


def test_buffers_are_allocated_once():
    fake, given = FakeDevices(), job()
    pipeline = Pipeline(given, fake, chunk=2)
    allocated = [name for _, name in fake.log if name.startswith("pinned")]
    held = fake.held[0]
    pipeline.run()
    pipeline.run()
    assert [name for _, name in fake.log if name.startswith("pinned")] == allocated
    assert fake.held[0] == held == 2 * gpu_pipeline.SLOTS * given.slot_bytes()


def test_a_slow_device_gets_fewer_chunks():
    taken = {0: 0, 1: 0}
    fake = FakeDevices(2, order="eager")
    fake.lock = threading.RLock()

    def compute(shared, given, out, stream):
        taken[stream.device] += 1

    class Slow(gpu_pipeline.Line):
        def _compute(self, slot, n):
            super()._compute(slot, n)
            time.sleep(0.02 if self.device == 0 else 0.0005)

    given = job(200, compute=compute)
    pipeline = Pipeline(given, fake, 2, chunk=4)
    pipeline.lines = [Slow(given, fake, device, 4) for device in range(2)]
    pipeline.run()
    assert taken[0] + taken[1] == 50
    assert 0 < taken[0] < taken[1]


def test_a_failing_computation_ends_all_devices_with_its_error():
    fake = FakeDevices(2, order="eager")

    def compute(shared, given, out, stream):
        raise ArithmeticError("no good")

    with pytest.raises(ArithmeticError, match="no good"):
        Pipeline(job(compute=compute), fake, 2, chunk=1).run()


@pytest.mark.parametrize("when", ["compute", "share"])
def test_an_exception_waits_for_all_streams_before_buffers_go_back(when):
    fake = FakeDevices(order="lazy")
    given, computed = job(), []

    def broken(*_):
        computed.append(1)
        if len(computed) > (2 if when == "compute" else 0):
            raise ArithmeticError("no good")

    def run():
        of = replace(given, compute=broken) if when == "compute" else replace(given, share=broken)
        pipeline = Pipeline(of, fake, chunk=2)
        pipeline.run()

    with pytest.raises(ArithmeticError, match="no good"):
        run()
    assert len(fake.streams) == 3
    assert not any(stream.pending for stream in fake.streams)


def test_an_exception_while_waiting_does_not_hide_the_first():
    class Broken(FakeDevices):
        def settle(self):
            raise RuntimeError("an illegal memory access was encountered")

    def compute(*_):
        raise ArithmeticError("no good")

    with pytest.raises(ArithmeticError, match="no good"):
        Pipeline(job(compute=compute), Broken(order="eager"), chunk=2).run()


def test_a_slots_pinned_memory_is_one_block_that_fills_a_power_of_two():
    """CuPy's pool rounds sizes up to powers of two."""
    pixels = 200_000
    fake, given = FakeDevices(), job(pixels)
    pipeline = Pipeline(given, fake)
    blocks = [int(name.split()[1]) for _, name in fake.log if name.startswith("pinned")]
    assert len(blocks) == gpu_pipeline.SLOTS
    assert pipeline.chunk < pixels
    for size in blocks:
        rounded = 1 << (size - 1).bit_length()
        assert rounded / 1.02 < size <= rounded
    pipeline.run()
    check(given)


def test_facts_are_the_devices_own():
    fake, given = FakeDevices(order="eager"), job()
    pipeline = Pipeline(given, fake, chunk=23)
    pipeline.run()
    facts = pipeline.facts()
    assert facts["peak_device_mb"] == fake.held[0] / 2**20 > 0
    # The fake's clock ticks with every operation: one kernel, two inputs, three outputs.
    assert facts["device_in_use_mb"] == (fake.held[0] + 10**6) / 2**20
    assert (facts["kernel_s"], facts["upload_s"], facts["download_s"]) == (2, 3, 4)
    assert facts["chunk_pixels"] == 23


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(ValueError, match="devices=3, but there are 2"):
        Pipeline(job(), FakeDevices(2), 3)


def test_a_chunk_fits_the_free_memory_of_the_smallest_device():
    given = job(10**5)
    free = 10**6
    pipeline = Pipeline(given, FakeDevices(free_bytes=free))
    per_pixel = 2 * given.slot_bytes() + given.work_bytes
    most = int(0.8 * free) // per_pixel
    assert most / 2 < pipeline.chunk <= most
    assert per_pixel * pipeline.chunk <= free


def test_a_plan_keeps_to_all_its_limits():
    # Enough memory: as many chunks as overlap asks for, but not so small that a device idles; 2^n bytes.
    assert plan(10**6, 1000, 1000, 10**12) == (2**26 - 2**14) // 1000
    assert plan(10**6, 1000, 1000, 10**12, devices=4) == (2**24 - 2**14) // 1000
    assert gpu_pipeline.FEWEST / 2 < plan(50000, 1000, 1000, 10**12) <= gpu_pipeline.FEWEST
    assert plan(7, 1000, 1000, 10**12) == 7
    # Little memory, and the limit of pinned memory.
    assert plan(10**6, 1000, 1000, 3 * 10**6) == (2**19 - 2**14) // 1000
    assert plan(10**6, 100_000, 1000, 3 * 10**6) == 10
    assert plan(10**8, 1000, 1000, 10**12) == (2**29 - 2**14) // 1000


def test_a_device_that_cannot_hold_one_pixel_says_so():
    with pytest.raises(MemoryError, match="a pixel needs 3000 bytes on the device, of which 3000 are free for pixels"):
        plan(10, 1000, 1000, 3000)
