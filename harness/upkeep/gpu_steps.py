"""The steps of the check of a device: what each runs, what it needs, and how it is run within the time left."""

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from harness.measure.cell import LIMIT_VARIABLE, MEMORY_SHARE
from implementations.places import ROOT
from implementations.registry import Registry

TESTED = "tests/implementations/gpu/test_gpu.py", "tests/implementations/test_contract.py"
MAP, QUARTER, STRETCH = 4096 * 4096, 2048 * 2048, 1 << 20
FUSED = "gpu-fused,gpu-fused[precision=float32]"
ALL_CORES = f"numba[threads={os.cpu_count()}]"
FORMS = "published,numpy,numba,cupy,fused"
EXACT = "gpu-batched,gpu-fused,cupy-regmap,cupy"
GATED = f"baseline,numba,numba-float32,gpu-batched,{FUSED},gpu-l2,cupy-regmap"
"""But for `cupy`, which takes half a minute for 200 pixels of 200 bins; its gate is the parity's."""
MIX = "--dataset solar-mix --strict"
TOOLKITS = ("/usr/local/cuda/bin", "/opt/nvidia/nsight-compute/latest")
"""Where NVIDIA's tools lie that are on no path."""
END_S = 20.0
"""What a step that is out of time gets to put down what it has."""
LAST_LINES = 40


@dataclass(frozen=True)
class Step:
    """A process of its own. `needs_s`: with less time left it isn't begun; `most_s`: what it may take of the time."""

    name: str
    command: tuple[str, ...]
    """With {work}, the folder of what is measured, and {out}, the one of what comes back."""
    needs_s: float = 20.0
    tool: str = ""
    """A program that must be there, and is the command's first word."""
    most_s: float = math.inf

    def unable(self) -> str:
        """Why it can't be run here; "" where it can."""
        if self.tool and not found(self.tool):
            return f"{self.tool} is not found"
        if "pytest" in self.command and (find_spec("pytest") is None or not (ROOT / TESTED[0]).is_file()):
            return "pytest or the tests are not here"
        return Registry().unavailable("gpu-fused")


def _python(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def _task(name: str, *words: str, needs_s: float = 20.0) -> Step:
    return Step(name, _python("harness.upkeep.gpu_tasks", *words), needs_s)


def _sweep(name: str, asked: str, needs_s: float) -> Step:
    return Step(name, _python("harness.sweep", *asked.split(), "--out", f"{{work}}/{name}"), needs_s)


def _solve(pixels: int, bins: int = 34) -> tuple[str, ...]:
    return _python("harness.upkeep.gpu_tasks", "solve", "gpu-fused", str(pixels), str(bins))


def _sanitised(tool: str) -> Step:
    return Step(tool, ("--tool", tool, "--error-exitcode", "9", *_solve(100)), 60.0, "compute-sanitizer", 100.0)


def _profiled(bins: int) -> Step:
    asked = ("--clock-control", "none", "--set", "full", "--kernel-name", "invert", "--launch-count", "1")
    log = ("--log-file", f"{{out}}/ncu-{bins}.txt")
    return Step(f"ncu-{bins}", (*asked, *log, *_solve(200_000, bins)), 60.0, "ncu", 100.0)


PARTS: dict[str, tuple[Step, ...]] = {
    "correctness": (
        _task("device", "device"),
        _sweep("parity", f"--solvers baseline,{EXACT},gpu-l2 --pixels 40 --bins 34 --repeats 1 --strict", 45.0),
        *map(_sanitised, ("memcheck", "racecheck", "initcheck")),
        Step(
            "contract",
            _python("pytest", "-m", "gpu", "-x", "-W", "default", "-p", "no:cacheprovider", *TESTED),
            60.0,
            most_s=150.0,
        ),
        _sweep("gates", f"--preset gpu --solvers {GATED} --max-seconds 8 --strict", 60.0),
        _task("limits", "limits"),
        _task("svd", "svd"),
        *map(_profiled, (34, 200)),
    ),
    "speed": (
        _task("memory", "touch", "30", "40", needs_s=50.0),
        _task("rates", "rates", "{work}/rates"),
        _sweep("bins", f"--solvers {FUSED},{ALL_CORES} {MIX} --pixels 100000 --bins 34,200 --max-seconds 10", 90.0),
        _sweep(
            "map", f"--solvers {FUSED},{ALL_CORES} {MIX} --pixels {MAP} --bins 34 --repeats 3 --max-seconds 40", 120.0
        ),
        _sweep("stretch", f"--solvers {FUSED} {MIX} --pixels {STRETCH} --bins 200 --repeats 3 --max-seconds 20", 45.0),
        _sweep(
            "sizes",
            f"--solvers {FUSED},gpu-l2,numba,{ALL_CORES} {MIX} --pixels 100,1000,10000,100000,1000000 --bins 34 "
            "--max-seconds 5",
            40.0,
        ),
        _sweep(
            "batched", f"--solvers gpu-batched {MIX} --pixels {QUARTER} --bins 34 --repeats 3 --max-seconds 30", 60.0
        ),
    ),
    "prior": (
        _sweep(
            "steps", f"--step regularisation --solvers {FORMS} --pixels 1,100 --bins 34 --nmu 500 --max-seconds 5", 20.0
        ),
        _sweep("l2", "--solvers baseline,gpu-l2 --pixels 200 --bins 200,400 --repeats 3 --max-seconds 20", 40.0),
        _sweep("contention", "--preset contention --max-seconds 40", 60.0),
        _sweep("cupy", "--solvers baseline,cupy --pixels 200 --bins 200 --repeats 1 --max-seconds 60", 90.0),
    ),
}
"""The most telling first. Speed: the batched solver last, and on a quarter of the frame. Prior: what docs/prior-work.md
compares with what others published."""


def found(tool: str) -> str | None:
    """A program of NVIDIA's, on the path or in its toolkit."""
    return shutil.which(tool) or shutil.which(tool, path=os.pathsep.join(TOOLKITS))


def take(step: Step, work: Path, out: Path, left_s: float) -> dict[str, Any]:
    """Run a step and say how it ended: `ok`, `failed`, `out of time`, or `not run` with the reason."""
    reason = step.unable()
    if not reason and left_s < step.needs_s:
        reason = f"{max(left_s, 0):.0f} s are left, and it needs {step.needs_s:.0f}"
    if reason:
        return {"step": step.name, "ended": "not run", "reason": reason}
    words = [word.replace("{work}", str(work)).replace("{out}", str(out)) for word in step.command]
    command = [*([found(step.tool) or step.tool] if step.tool else []), *words]
    start, log = time.perf_counter(), work / f"{step.name}.log"
    with (
        log.open("w") as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, env=environment()) as process,
    ):
        code = _wait(process, min(left_s, step.most_s) - END_S)
    lines = log.read_text(errors="replace").splitlines()
    return {
        "step": step.name,
        "ended": "out of time" if code is None else "ok" if code == 0 else "failed",
        "exit_code": code,
        "seconds": time.perf_counter() - start,
        "command": " ".join(words),
        "said": lines[-LAST_LINES:],
    }


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code; None for a process that was interrupted, and in the end killed, because its time was over."""
    try:
        return process.wait(max(seconds, 1.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(END_S / 2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return None


def environment() -> dict[str, str]:
    """Workers may take their share of all the memory that the machine has, whatever is free of it at that second."""
    limit = int(psutil.virtual_memory().total / 2**20 * MEMORY_SHARE)
    return {LIMIT_VARIABLE: str(limit), **os.environ}
