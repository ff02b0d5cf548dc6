"""Everything that needs a device, in three calls of under eight minutes each: is it right, how fast, beside whom.

    make gpu-check PYTHON=python3 ARGS="--part correctness --out DIR"
    make gpu-check PYTHON=python3 ARGS="--part speed --out DIR"
    make gpu-check PYTHON=python3 ARGS="--part prior --out DIR"

Installs nothing. Correctness: the device and its driver, 40 pixels of every solver against the baseline, NVIDIA's
sanitizer and profiler where they are found, the tests marked `gpu`, gates, copy rates. Speed: 34 and 200 bins, a
4096 x 4096 map, sizes to a million pixels, the aims. Prior: the rows of docs/prior-work.md that need a device. A step
is a process of its own; one for which too little time is left is not begun. What is known is written after every step:
DIR/gpu-PART.json, and DIR/gpu-PART.tar.gz with the runs, which unpacks in results/. Host memory for the map: counts,
errors and the outputs of one solver at a time, about 25 GB.
"""

import json
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from harness.records.files import plain, write_atomically
from harness.records.run import Run
from harness.show import terminal
from harness.upkeep.gpu_steps import MAP, PARTS, QUARTER, STRETCH, Step, take
from implementations import command_line as cli

PART_S = 470.0
"""What a part may take."""


@dataclass(frozen=True)
class Aim:
    """What a solver is to reach on one H200-class device."""

    run: str
    solver: str
    pixels: int
    bins: int
    figure: str
    """`median_s`: seconds, transfers included, at most `limit`; `kernel`: DEM/s of kernel time, at least `limit`."""
    limit: float

    def reached(self, value: float) -> bool:
        """Whether a measured value is good enough."""
        return value <= self.limit if self.figure == "median_s" else value >= self.limit

    def text(self, value: float) -> str:
        """A value with its unit."""
        return terminal.seconds(value) if self.figure == "median_s" else f"{value / 1e6:.3g} million DEM/s (kernel)"

    def name(self) -> str:
        """In words."""
        word = "at most" if self.figure == "median_s" else "at least"
        return f"{self.solver}, {self.pixels:,} pixels x {self.bins} bins: {word} {self.text(self.limit)}"


AIMS = (
    Aim("map", "gpu-fused", MAP, 34, "median_s", 3.0),
    Aim("map", "gpu-fused", MAP, 34, "kernel", 20e6),
    Aim("stretch", "gpu-fused", STRETCH, 200, "kernel", 1e6),
    Aim("batched", "gpu-batched", QUARTER, 34, "median_s", 12.0 / 4),
)


def measured(run: Run, aim: Aim) -> float | None:
    """The aim's figure from a run's records; None where its solver was not measured there."""
    for record in run.records():
        row = record["row"]
        if (row["solver"], row["pixels"], row["bins"]) != (aim.solver, aim.pixels, aim.bins) or row["status"] != "ok":
            continue
        if aim.figure == "median_s":
            return float(row["median_s"])
        facts = [f for number in record["turns"] for f in record["facts"].get(number, [])]
        valid = row["pixels"] - row["invalid_pixels"]
        return valid / median(f["kernel_s"] for f in facts) if facts else None
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.gpu_check", description=__doc__, epilog=cli.EXIT_CODES)
    parser.add_argument("--part", choices=PARTS, default="correctness", help="of the check (correctness)")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="of what is found (results)")
    given = parser.parse(arguments)
    prefix = given.out.resolve() / f"gpu-{given.part}"
    taken = [f"{prefix}{end}" for end in (".json", ".tar.gz") if Path(f"{prefix}{end}").exists()]
    if taken:
        parser.error(f"{taken[0]} exists, and is never overwritten; expected a --out without it")
    parser.folder(given.out)
    return check(PARTS[given.part], prefix, terminal.console())


def check(steps: Sequence[Step], prefix: Path, console: Console) -> int:
    """Take the steps, one after the other, into files that begin with `prefix`."""
    end, ended = time.monotonic() + PART_S, []
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        for step in steps:
            ended.append(take(step, work, prefix.parent, end - time.monotonic()))
            show(ended[-1], console)
            aims = [aim for aim in AIMS if aim.run == step.name]
            ended[-1]["aims"] = [judged(aim, work, console) for aim in aims]
            write_atomically(Path(f"{prefix}.json"), json.dumps(plain({"steps": ended}), indent=1) + "\n")
            keep(work, Path(f"{prefix}.tar.gz"))
    console.print(f"what was found: {prefix}.json, {prefix}.tar.gz", soft_wrap=True)
    return exit_code(ended)


def show(ended: dict[str, Any], console: Console) -> None:
    """A line for a step; the last that it said where it failed."""
    about = ended.get("reason") or f"{ended['seconds']:.0f} s"
    console.print(
        f"{ended['ended']}: {ended['step']}, {about}", highlight=False, markup=False, soft_wrap=not console.is_terminal
    )
    if ended["ended"] not in ("ok", "not run"):
        console.print("\n".join(f"    {line}" for line in ended["said"][-8:]), highlight=False, markup=False)


def judged(aim: Aim, work: Path, console: Console) -> dict[str, Any]:
    """What was measured beside an aim, printed as soon as it is known."""
    folder = work / aim.run
    value = measured(Run.open(folder), aim) if folder.is_dir() else None
    verdict = "not measured" if value is None else "reached" if aim.reached(value) else "missed"
    said = "" if value is None else f": {aim.text(value)}"
    console.print(f"    {verdict}: {aim.name()}{said}", highlight=False, soft_wrap=not console.is_terminal)
    return {"aim": aim.name(), "limit": aim.limit, "measured": value, "verdict": verdict}


def keep(work: Path, archive: Path) -> None:
    """Everything that was measured so far as one file, complete whenever one looks."""
    partial = archive.with_name(archive.name + ".part")
    with tarfile.open(partial, "w:gz", compresslevel=3) as packed:
        for path in sorted(work.iterdir()):
            packed.add(path, arcname=f"gpu-{path.name}")
    partial.replace(archive)


def exit_code(ended: Sequence[dict[str, Any]]) -> int:
    """A gate's, where one failed; that of failed steps where any did or none could be run."""
    codes = {each.get("exit_code") for each in ended if each["ended"] != "not run"}
    if cli.GATE_FAILED in codes:
        return cli.BOTH_FAILED if codes - {cli.OK, cli.GATE_FAILED} else cli.GATE_FAILED
    return cli.OK if codes == {cli.OK} else cli.CELL_FAILED


if __name__ == "__main__":
    cli.run(main)
