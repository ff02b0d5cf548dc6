"""What a recommendation lacks records of on this machine, and a sweep of a minute at most that makes them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.advice.candidates import Candidate, Request
from implementations import registry

MINUTE = 60.0
SMALL, LARGE = (100, 1000, 5000), (10_000, 100_000)
"""Map sizes to measure a solver at that has no records, and one whose predictions reach far beyond its records."""
FAR = 10.0
"""Predictions this many times beyond the largest measured map are worth a measurement."""
AFFORDABLE_S = 2.0
"""A solver is measured at a large size if it is predicted to take no longer."""


@dataclass(frozen=True)
class Gap:
    """Solvers to measure at some map sizes, and why."""

    solvers: tuple[str, ...]
    pixels: tuple[int, ...]
    why: str


def gaps(candidates: Sequence[Candidate], request: Request) -> list[Gap]:
    """What would be worth measuring: solvers without a prediction, and the fastest beyond their measured sizes."""
    table = registry.Registry()
    runnable = [d for d in map(table.describe, table.names()) if d["available"]]
    if request.device != "any":
        runnable = [d for d in runnable if d["device"] == request.device]
    predicted = {c.solver for c in candidates if c.time_s}
    judged = {c.solver for c in candidates if c.refused and c.gate != "pass" and not c.refused.startswith("skipped")}
    unknown = [d["name"] for d in runnable if d["name"] not in predicted | judged]
    found = []
    if unknown:
        found.append(Gap(tuple(unknown), SMALL, f"no prediction at {request.bins} bins"))
    able = [c for c in candidates if not c.refused and c.time_s and c.beyond[0] > FAR and c.parts]
    sizes = {c.spec: tuple(p for p in LARGE if _affordable(c, p, request)) for c in able[:4]}
    wanted = tuple(spec for spec, pixels in sizes.items() if pixels)
    if wanted:
        pixels = tuple(sorted(set.intersection(*(set(sizes[spec]) for spec in wanted))))
        found.append(Gap(wanted, pixels, "predicted far beyond the largest measured map"))
    return [gap for gap in found if gap.pixels]


def _affordable(candidate: Candidate, pixels: int, request: Request) -> bool:
    assert candidate.time_s is not None
    largest = request.pixels / candidate.parts / candidate.beyond[0]
    return largest < pixels <= request.pixels and candidate.time_s.value * pixels / request.pixels <= AFFORDABLE_S


def measure(found: Sequence[Gap], request: Request, root: Path, sweep: Sequence[str]) -> list[Path]:
    """Sweep over the gaps, `MINUTE` seconds in all; whole cells that were measured by then are kept. The new runs.

    `sweep` are the words that start one.
    """
    deadline = time.monotonic() + MINUTE
    made = []
    for number, gap in enumerate(found):
        left = deadline - time.monotonic()
        if left <= 1:
            break
        folder = root / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-recommend{number}"
        command = [
            *sweep,
            "--solvers",
            ",".join(gap.solvers),
            "--dataset",
            request.dataset,
            "--pixels",
            ",".join(map(str, gap.pixels)),
            "--bins",
            str(request.bins),
            "--repeats",
            "5",
            "--max-seconds",
            f"{left / (2 * len(gap.pixels)):.1f}",
            "--out",
            str(folder),
        ]
        hang = {"DEMREG_BENCH_HANG_S": f"{max(left / 2, 1):.0f}"}
        process = subprocess.Popen(command, stdout=sys.stderr, env=os.environ | hang)
        try:
            process.wait(timeout=left)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
        if (folder / "run.json").exists():
            made.append(folder)
    return made
