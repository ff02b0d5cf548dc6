"""Do solvers execute what `harness.machine.counted_work` counts? Instructions per pixel, by callgrind, beside the
counted operations.

A worker under valgrind is warmed up uninstrumented; then callgrind counts the instructions of one run. Two maps, one of
twice the pixels, leave what a pixel takes. Valgrind knows no AVX-512, so kernels are compiled for AVX2: an instruction
does at most 4 multiply-adds, 8 operations, and those that move, compare or address, an interpreter's among them, do
none. A count that leaves most of the work out shows as few operations an instruction, one that invents work as more
than 8. Exit code 1 where it is so.
"""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from harness.machine import confinement, counted_work, facts
from harness.measure.supervisor import Supervisor
from harness.show import terminal
from harness.workloads import problem as workload
from implementations import command_line as cli
from implementations.contract import Problem
from implementations.registry import Registry

DATASET = "random-response"
PIXELS = {"baseline": 2, "vectorized": 8, "batched": 64, "l2": 512, "numba": 512, "numba-float32": 512}
"""Solvers, and pixels of the smaller map: enough that what a run takes beside its pixels cancels."""
MOST = 8.0
LEAST = 0.1
"""Operations an instruction: more can't be done; fewer, and most of the work isn't in the count."""
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+f16c",
}
OUT = "callgrind.out"
WAIT_S = 900.0


class Counted(NamedTuple):
    """A solver at one number of bins."""

    solver: str
    bins: int
    instructions: float
    """Per pixel."""
    operations: float
    """Per pixel, by the model; divisions and square roots are one each."""

    @property
    def density(self) -> float:
        """Operations an instruction."""
        return self.operations / self.instructions


def unavailable() -> str | None:
    """Why instructions can't be counted here; None where they can."""
    missing = [name for name in ("valgrind", "callgrind_control") if not shutil.which(name)]
    return f"{' and '.join(missing)} not found: install valgrind" if missing else None


def executed(spec: str, problem: Problem) -> int:
    """Instructions of one run on the problem, start of the solver and harness included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.save(problem, folder)
        tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder / OUT}")
        for under in ((), tool):  # first without: a kernel compiled under valgrind takes minutes
            memory = confinement.memory_mb()
            with Supervisor(folder, spec, [], 1, memory, under=under, variables=AVX2) as worker:
                worker.reply(WAIT_S)
                worker.ask(WAIT_S, do="warmup")
                if under:
                    _control(worker.pid, "-i", "on")
                    worker.ask(WAIT_S, do="run", repeats=1)
                    _control(worker.pid, "-i", "off")
                    _control(worker.pid, "-d")
        written = (path.read_text() for path in folder.glob(f"{OUT}*"))
        return sum(int(total) for text in written for total in re.findall(r"^totals: (\d+)", text, re.MULTILINE))


def _control(process: int, *words: str) -> None:
    """Tell the callgrind of a process."""
    subprocess.run(["callgrind_control", *words, str(process)], check=True, capture_output=True, timeout=WAIT_S)


def count(spec: str, bins: int) -> Counted:
    """A solver's instructions for a pixel, and the operations that the model counts for it."""
    few = PIXELS[spec]
    problem, _ = workload.generate(workload.load(DATASET), 2 * few, bins)
    shorter, whole = (executed(spec, part) for part in (problem.take(slice(0, few)), problem))
    iterations = Registry().create(spec).run(problem).iterations[few:]
    work = counted_work.strategy(spec, counted_work.Shape.of(problem, iterations))
    assert work is not None
    return Counted(spec, bins, (whole - shorter) / few, work.flops + work.divisions)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, show and return the exit code."""
    parser = cli.Parser("harness.instructions", description=__doc__)
    parser.add_argument("--solvers", type=cli.words, default=tuple(PIXELS))
    parser.add_argument("--bins", type=cli.whole_numbers, default=(34, 200))
    parser.add_argument("--json", action="store_true")
    given = parser.parse(arguments)
    if reason := unavailable():
        parser.error(reason)
    if unknown := [spec for spec in given.solvers if spec not in PIXELS]:
        parser.error(f"nobody has counted the operations of '{unknown[0]}'; known: {', '.join(PIXELS)}")
    rows = [count(spec, bins) for bins in given.bins for spec in given.solvers]
    if given.json:
        counted = [row._asdict() | {"density": row.density} for row in rows]
        print(json.dumps(facts.origin() | {"rows": counted}, indent=1))
    else:
        _show(rows)
    return cli.OK if all(LEAST <= row.density <= MOST for row in rows) else cli.GATE_FAILED


def _show(rows: list[Counted]) -> None:
    view = Table("solver", box=None)
    for name in ("bins", "instructions", "operations", "operations an instruction"):
        view.add_column(name, justify="right")
    for row in rows:
        numbers = (f"{row.bins}", f"{row.instructions:,.0f}", f"{row.operations:,.0f}", f"{row.density:.2f}")
        view.add_row(row.solver, *numbers)
    terminal.console().print(view)


if __name__ == "__main__":
    cli.run(main)
