"""The pipeline: order, how much is held at a time, and what becomes of it when a stage fails."""

import gc
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from aia_files import TABLE, write_set
from astropy.io import fits

from implementations.aia import formats, frames, stream
from implementations.aia.files import CHANNELS
from implementations.aia.opening import Job


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


SAMPLED = """
import sys, threading
from implementations import invert

most, ended = 0, threading.Event()

def watch():
    global most
    while not ended.wait(0.005):
        with open("/proc/self/status") as file:
            most = max(most, int(file.read().split("RssAnon:")[1].split()[0]))

watching = threading.Thread(target=watch)
watching.start()
invert.main(sys.argv[1:])
ended.set()
watching.join()
print("held", most)
"""


def held_mb(paths, out, response):
    """The most memory of its own that a process has which inverts these images, MiB; pages of files left out."""
    asked = [*map(str, paths), "-o", str(out), "--bins", "6", "--threads", "2", "--response", str(response)]
    done = subprocess.run([sys.executable, "-c", SAMPLED, *asked], capture_output=True, text=True, check=True)
    return int(done.stdout.rsplit("held ", 1)[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("few", "many"), [((1, 2048), (1, 3840)), ((8, 256), (15, 256))], ids=["pixels", "sets"])
def test_memory_grows_neither_with_the_image_nor_with_the_number_of_sets(tmp_path, few, many):
    np.savez(tmp_path / "response.npz", logt=TABLE[0], tresp=TABLE[1], channels=CHANNELS)
    held = []
    for sets, rows in (few, many):
        folder = tmp_path / f"{sets}-{rows}"
        folder.mkdir()
        paths = [path for minute in range(sets) for path in write_set(folder, (rows, 256), minute)]
        held.append(held_mb(paths, folder / "dem.fits", tmp_path / "response.npz"))
        shutil.rmtree(folder)
    more_mb = 7 * 65536 * 4 * (3 * 6 + 6 + 1 + 5) / 2**20
    assert min(held) > 50, "Python alone has as much"
    assert held[1] - held[0] < more_mb / 5, "a fifth of the maps of seven more strips"


def test_of_most_images_no_header_is_held(tmp_path):
    """One of a real image takes 100 kB, and a day has 43,200."""
    paths = [path for minute in range(14) for path in write_set(tmp_path, minute=minute)]
    alive = []
    for sets in (6, 14):
        job = Job.of(frames.frames_of(paths[: 6 * sets]), False, None)
        described = job.description(Bins(), [])
        gc.collect()
        alive.append(sum(type(one) is fits.Header for one in gc.get_objects()))
        assert len(formats.pointing(described)["CRVAL1"]) == sets
        assert {len(header) for header in described.headers[1:]} == {15}, "what says where it was"
    assert alive[1] - alive[0] <= 8, "one for each time, of a few keywords"


class Bins:
    """What a description takes of an inversion."""

    logt = dlogt = response = np.ones(3)
    bands = ()


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system can't be told what to keep of a file")
def test_the_last_bytes_written_stay_and_older_ones_are_let_go(tmp_path, monkeypatch):
    told, held = [], stream.WriteBehind()
    monkeypatch.setattr(stream, "BEHIND", 100)
    monkeypatch.setattr(stream.os, "posix_fadvise", lambda file, place, size, advice: told.append((place, size)))
    (tmp_path / "file").write_bytes(bytes(1000))
    for place in range(0, 200, 40):
        held.wrote(tmp_path / "file", place, 40)
    assert told == [(0, 40), (40, 40), (80, 40), (0, 40), (120, 40), (40, 40), (160, 40), (80, 40)]
    assert [piece[1:] for piece in held.pieces] == [(120, 40), (160, 40)]


def test_what_was_written_is_still_there(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BEHIND", 8192)
    path, held = tmp_path / "file", stream.WriteBehind()
    with path.open("wb", buffering=0) as file:
        for number in range(64):
            file.write(bytes([number]) * 4096)
            held.wrote(path, number * 4096, 4096)
    assert path.read_bytes() == b"".join(bytes([number]) * 4096 for number in range(64))


def test_a_system_that_cannot_be_told_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.delattr(stream.os, "posix_fadvise", raising=False)
    stream.WriteBehind().wrote(tmp_path / "not there", 0, 10)
