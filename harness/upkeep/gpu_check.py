"""Everything that needs a device, by one command: parity, gates, speed, maps, and the tests marked `gpu`.

    make gpu-check PYTHON=python3

Installs nothing. Planned for some ten minutes on one device (not yet measured), most of them for making a 4096 x 4096
map on one core. Host memory: counts, errors and the outputs of one solver at a time, about 25 GB; a solver that may not
hold so much ends as out of memory, and the rest goes on. Writes results/gpu-DEVICE-gates, -sizes, -map and -bins, and
says beside each aim what was measured.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from harness import sweep
from harness.machine import devices
from harness.records.files import write_atomically
from harness.records.run import Run
from harness.show import terminal
from implementations import command_line as cli
from implementations.places import ROOT
from implementations.registry import Registry

TESTED = "tests/implementations/gpu/test_gpu.py", "tests/implementations/test_contract.py"
MAP, STRETCH = 4096 * 4096, 1 << 20
LARGE = "gpu-batched,gpu-fused,gpu-fused[precision=float32]"
MAPS = f"--solvers {LARGE} --dataset solar-mix --repeats 3 --max-seconds 60"
STEPS = {
    "gates": "--preset gpu",
    "sizes": f"--solvers numba,{LARGE},gpu-l2 --dataset solar-mix --pixels 1000,10000,100000,1000000 --bins 34 "
    "--max-seconds 10",
    "map": f"{MAPS} --pixels {MAP} --bins 34",
    "bins": f"{MAPS} --pixels {STRETCH} --bins 200",
}
"""What each run is asked to measure."""


@dataclass(frozen=True)
class Aim:
    """What a solver is to reach on one H200-class device."""

    run: str
    solver: str
    figure: str
    """`median_s`: seconds, transfers included, at most `limit`; `kernel`: DEM/s of kernel time, at least `limit`."""
    limit: float

    def reached(self, value: float) -> bool:
        """Whether a measured value is good enough."""
        return value <= self.limit if self.figure == "median_s" else value >= self.limit

    def text(self, value: float) -> str:
        """A value with its unit."""
        return terminal.seconds(value) if self.figure == "median_s" else f"{value / 1e6:.3g} million DEM/s (kernel)"


AIMS = (
    Aim("map", "gpu-batched", "median_s", 12.0),
    Aim("map", "gpu-fused", "median_s", 3.0),
    Aim("map", "gpu-fused", "kernel", 20e6),
    Aim("bins", "gpu-fused", "kernel", 1e6),
)


def measured(run: Run, aim: Aim) -> float | None:
    """The aim's figure from a run's records; None where its solver was not measured there."""
    for record in run.records():
        row = record["row"]
        if row["solver"] != aim.solver or row["status"] != "ok":
            continue
        if aim.figure == "median_s":
            return float(row["median_s"])
        facts = [f for number in record["turns"] for f in record["facts"].get(number, [])]
        valid = row["pixels"] - row["invalid_pixels"]
        return valid / median(f["kernel_s"] for f in facts) if facts else None
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.gpu_check", description=__doc__, epilog=cli.EXIT_CODES, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="folder of the runs (results)")
    given = parser.parse(arguments)
    facts = Registry().describe("gpu-batched")
    if not facts["available"]:
        parser.error(f"nothing to check: {facts['reason']}; expected a machine with an NVIDIA device and CuPy")
    names = [str(device["name"]) for device in devices.facts()]
    prefix = given.out / f"gpu-{slug(names[0] if names else 'unnamed')}"
    taken = [folder for folder in (Path(f"{prefix}-{step}") for step in STEPS) if folder.exists()]
    if taken:
        parser.error(f"{taken[0]} exists, and runs are never overwritten; expected a --out without it")
    return check(prefix, terminal.console())


def slug(name: str) -> str:
    """A device's name in a folder's: "NVIDIA H100 80GB" -> "h100-80gb"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("nvidia ")).strip("-")


def check(prefix: Path, console: Console) -> int:
    """The tests and all steps into folders that begin with `prefix`; the first exit code that is no success."""
    codes = [gpu_tests(console)]
    for step, asked in STEPS.items():
        console.rule(f"{step}: {prefix}-{step}")
        codes.append(sweep.main([*asked.split(), "--strict", "--out", f"{prefix}-{step}"]))
        if codes[-1] == cli.INTERRUPTED:
            break
    show_aims(prefix, console)
    return next((code for code in codes if code), cli.OK)


def gpu_tests(console: Console) -> int:
    """The tests that are marked `gpu`; the gates of the first run judge the same solvers where pytest is missing."""
    if find_spec("pytest") is None or not (ROOT / TESTED[0]).is_file():
        console.print("GPU-marked tests: not run, pytest or the tests are not here; the gates run judges parity")
        return cli.OK
    done = subprocess.run([sys.executable, "-m", "pytest", "-m", "gpu", *TESTED], cwd=ROOT, check=False)
    return cli.OK if done.returncode == 0 else cli.CELL_FAILED


def show_aims(prefix: Path, console: Console) -> None:
    """Write and show what was aimed at, and what was measured."""
    lines = ["solver,pixels,bins,figure,aim,measured,reached"]
    view = Table("aim", "measured", "", title="Aims on one H200-class device", title_justify="left", box=None)
    sizes = {"map": (MAP, 34), "bins": (STRETCH, 200)}
    for aim in AIMS:
        folder = Path(f"{prefix}-{aim.run}")
        value = measured(Run.open(folder), aim) if folder.is_dir() else None
        pixels, bins = sizes[aim.run]
        word = "at most" if aim.figure == "median_s" else "at least"
        verdict = "not measured" if value is None else "reached" if aim.reached(value) else "missed"
        name = f"{aim.solver}, {pixels:,} pixels x {bins} bins: {word} {aim.text(aim.limit)}"
        view.add_row(name, "–" if value is None else aim.text(value), verdict)
        lines.append(f"{aim.solver},{pixels},{bins},{aim.figure},{aim.limit:g},{value or ''},{verdict}")
    path = Path(f"{prefix}-aims.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "\n".join(lines) + "\n")
    console.print(view)
    console.print(f"aims: {path}", soft_wrap=True)


if __name__ == "__main__":
    cli.run(main)
