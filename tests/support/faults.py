"""Sweeps that meet faults: a program that carries out schedules of them, one for each number it reads.

Most of them time nothing: a cell's solvers are a process that waits and a made-up row, so that hundreds of sweeps end
in a minute. All else is the sweep's own, in a process of its own: its folder, locks, signals, table and figures.
"""

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import records
from matplotlib.figure import Figure

from harness import sweep
from harness.figures import gallery
from harness.measure import record_row
from harness.measure import sweep as measure_sweep
from harness.records.run import Run
from harness.workloads import problem

GRID = ("--solvers", "baseline,vectorized", "--pixels", "1,2,3", "--bins", "3", "--repeats", "1", "--max-seconds", "5")
ROWS = 6
EACH_REAL = 20
"""Of that many schedules one times real solvers."""
STOPS = {signal.SIGKILL: {-9}, signal.SIGINT: {130}, signal.SIGTERM: {143, -15}}
REFUSALS = ("is being measured by process", "holds a run already")
DAMAGES = (
    lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    lambda path: path.write_bytes(random.Random(1).randbytes(999)),
    lambda path: path.write_text('{"schema": 99}'),
    lambda path: path.write_text(path.read_text().replace('"median_s": 0', '"median_s": Infinity, "x": 0')),
    lambda path: path.write_text(""),
    lambda path: (path.unlink(), path.mkdir()),
    lambda path: path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "row"})),
)


def made_up_cell(cell, able, plan, scratch, listener):
    """Instead of measuring: a problem on the disk, and a process that ends with this one."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    problem.write(plan.specification(cell.dataset), cell.pixels, cell.bins, cell.seed, folder, np.arange(1))
    worker = subprocess.Popen(["cat", "-", folder / "dn.npy"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.01)
    finally:
        worker.kill()
        worker.communicate()
    return SimpleNamespace(contenders=[SimpleNamespace(spec=spec) for spec in able])


def made_up_row(contender, _):
    row = records.row(contender.spec, lambda *_: 0.01, 1, 3, np.random.default_rng(1), 0.0, {})
    return {k: v for k, v in row.items() if k not in "run commit machine solver dataset seed pixels bins".split()}


def time_nothing():
    measure_sweep.measure_cell.measure = made_up_cell
    record_row.row_of, record_row.limit = made_up_row, lambda *_: {}
    record_row.detail_of = lambda *_: {"turns": {"1": [[0.0, 0.01, 0.0]]}}
    sweep.limits.known = lambda: {"schema": 1}
    gallery.FIGURES, gallery.Picture.of = gallery.FIGURES[:1], lambda *_: Figure(figsize=(1, 1))


class Sweep:
    """A sweep in a process of its own, in or into a folder; `hurt` is called there before it starts."""

    def __init__(self, folder, real, hurt=lambda: None):
        resumed = (folder / "run.json").exists()
        self.output, ours = os.pipe()  # of which no limit on files' sizes holds
        self.pid = os.fork()
        if self.pid:
            os.close(ours)
            return
        code = 99
        try:
            os.dup2(ours, 1)
            os.dup2(ours, 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if not real:
                time_nothing()
            hurt()
            code = sweep.main(["--resume", str(folder)] if resumed else [*GRID, "--out", str(folder)])
        except KeyboardInterrupt:
            code = 130  # as harness/__init__.py has it
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def end(self):
        """Its exit code, and what it said."""
        with open(self.output, errors="replace") as stream:
            said = stream.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), said

    def ends_with(self, *codes):
        code, said = self.end()
        assert code in codes, f"{code}, not {codes}: {said}"
        assert "Traceback" not in said, said
        return code, said


def stop(rng, folder, real):
    number = rng.choice(list(STOPS))
    running = Sweep(folder, real)
    time.sleep(rng.uniform(0, 8 if real else 0.4))
    os.kill(running.pid, number)
    _, said = running.ends_with(0, *STOPS[number])
    if "continue with --resume" in said:
        run = Run.open(folder)
        assert len(pd.read_csv(folder / "table.csv")) == len(list(run.records()))


def full_disk(rng, folder, real):
    if rng.random() < 0.5:
        most = rng.choice((0, 100, 500, 2000, 3500, 5000))

        def hurt():
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    else:
        left, real_fsync = [rng.randrange(12)], os.fsync

        def fsync(handle):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real_fsync(handle)

        def hurt():
            os.fsync = fsync

    Sweep(folder, real, hurt).ends_with(0, 2)


def damage(rng, folder, _):
    found = sorted(path for path in folder.glob("cells/*.json") if path.is_file())
    if found:
        rng.choice(DAMAGES)(rng.choice(found))


def second(rng, folder, real):
    first = Sweep(folder, real)
    time.sleep(rng.uniform(0, 8 if real else 0.4))
    code, said = Sweep(folder, real).ends_with(0, 2)
    assert code == 0 or any(words in said for words in REFUSALS), said
    first_code, said = first.ends_with(0, 2)
    assert first_code == 0 or any(words in said for words in REFUSALS), said
    assert 0 in (code, first_code)


FAULTS = (stop, stop, full_disk, damage, second)


def schedule(number):
    """One to four faults one after another, then a sweep to the end. AssertionError when something is left undone."""
    rng, real = random.Random(number), number % EACH_REAL == 7
    place = Path(tempfile.mkdtemp(prefix="faults"))
    folder = place / "run"
    try:
        for fault in rng.choices(FAULTS, k=rng.randint(1, 4)):
            fault(rng, folder, real)
            for path in folder.glob("cells/.*"):
                assert fault in (stop, damage), f"{path} is left"  # a sweep that was killed leaves it to the next one
        Sweep(folder, real).ends_with(0)
        table = pd.read_csv(folder / "table.csv")
        assert len(table) == len(Run.open(folder).table()) == ROWS
        assert not table.duplicated(["solver", "pixels", "bins"]).any()
        assert set(table.status) == {"ok"}
        assert sorted(path.name for path in folder.iterdir()) == ["cells", "plots", "run.json", "table.csv"]
        left = [path.name for path in folder.glob("*/*") if path.name.startswith(".")]
        assert not left, left
        assert not processes_of(folder)
    finally:
        shutil.rmtree(place)


def processes_of(folder):
    """Those that still work on a run five seconds after it ended."""
    deadline, left = time.monotonic() + 5, [""]
    while left and time.monotonic() < deadline:
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        left = [line for line in lines if str(folder) in line]
        time.sleep(0.05 if left else 0)
    return left


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            schedule(int(line))
            answer = ""
        except Exception:
            answer = traceback.format_exc()
        print(json.dumps(answer), flush=True)
