"""Is the time of `numba` understood? Predicted from counted operations, against measured, over the preset grid.

Calibrated, on this machine: seconds per operation of each stage and seconds per pixel beside them, from two numbers of
bins and a seed that are not in the grid (`CALIBRATION`), by the cycle counters of `compiled.timed_kernel`.
Every size has a process of its own, as in a sweep: how memory comes to a process depends on what it had before.
Counted: the operations of a pixel as a function of channels, bins, points of the grid and passes of the positivity
loop; the passes of each cell come from its solution. Predicted: everything else. Calibration and all cells take turns,
and the ratio is the median over the rounds, so that a machine that is slow for a while is slow for both sides. Exit
code 1 where some cell is off by more than a quarter.
"""

import importlib
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from harness.machine import confinement, facts
from harness.machine.counted_work import Shape
from harness.measure.supervisor import Supervisor
from harness.profiling import stages
from harness.profiling.stages import COUNTED
from harness.show import terminal
from harness.workloads import problem as workload
from implementations import command_line as cli
from implementations.registry import Registry

SOLVER, DATASET = "numba", "random-response"
CALIBRATION = ((64, 7), (300, 7))
"""(bins, seed)."""
CALIBRATION_PIXELS = 1000
ALLOWED = 0.25
REPEATS, TURN_S, WAIT_S = 4, 0.1, 300.0
COUNTS: dict[str, Callable[[Shape], float]] = {
    "weights": lambda s: s.bins * (2 * s.channels * s.first + 7),
    "factorisation": lambda s: 2 * s.channels**2 * s.bins,
    "grid search": lambda s: (s.passes + s.first) * s.channels * np.log2(s.nmu),
    "positivity": lambda s: s.passes * s.bins * (2 * s.channels + 1),
    "errors": lambda s: s.bins * (2 * s.channels**2 + 4 * s.channels),
    "profile width": lambda s: s.bins * s.channels,
    "other": lambda s: s.bins,
}
"""Operations per pixel. Of the profiles, bounds leave a number of rows that hardly depends on the bins (measured)."""
PER_CALL = ("transfers", "pool overhead")


class Size(NamedTuple):
    """One size: its pixels, what its counts depend on, its process, and seconds of every turn."""

    pixels: int
    shape: Shape
    worker: Supervisor
    turns: list[float]


class Costs(NamedTuple):
    """Seconds per operation and per pixel of each stage, and per call."""

    operation: dict[str, float]
    pixel: dict[str, float]
    call: float

    def seconds(self, shape: Shape, pixels: int) -> float:
        """Of a whole run."""
        return self.call + pixels * sum(self.operation[k] * count(shape) + self.pixel[k] for k, count in COUNTS.items())


def costs(seconds: Sequence[dict[str, float]], shapes: Sequence[Shape], pixels: int) -> Costs:
    """From the stages' seconds at two sizes: a straight line through both; never a negative cost.

    What doesn't depend on the bins (the grid search) has a cost per operation only: both sizes' mean.
    """
    operation, pixel = {}, {}
    for name, count in COUNTS.items():
        (t0, t1), (n0, n1) = (each[name] / pixels for each in seconds), (count(shape) for shape in shapes)
        slope = (t0 / n0 + t1 / n1) / 2 if name == "grid search" else max((t1 - t0) / (n1 - n0), 0.0)
        operation[name], pixel[name] = slope, 0.0 if name == "grid search" else max(t0 - slope * n0, 0.0)
    return Costs(operation, pixel, float(np.mean([sum(each[k] for k in PER_CALL) for each in seconds])))


def _cell(stack: ExitStack, pixels: int, bins: int, seed: int | None) -> Size:
    problem, _ = workload.generate(workload.load(DATASET), pixels, bins, seed)
    iterations = Registry().create(SOLVER).run(problem).iterations
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    workload.save(problem, folder)
    worker = stack.enter_context(Supervisor(folder, SOLVER, [], 1, confinement.memory_mb()))
    worker.reply(WAIT_S)
    worker.ask(WAIT_S, do="warmup")
    return Size(pixels, Shape.of(problem, iterations), worker, [])


def measure(grid: Sequence[tuple[int, int]], rounds: int) -> tuple[list[Costs], list[Size]]:
    """In each round, calibrate and let every cell have its turn: costs by round, and cells with a median by round."""
    with ExitStack() as stack:
        cells = [_cell(stack, pixels, bins, None) for pixels, bins in grid]
        known = [_cell(stack, CALIBRATION_PIXELS, bins, seed) for bins, seed in CALIBRATION]
        calibrated = []
        for _ in range(rounds):
            watch = {"do": "watch", "how": stages.__name__, "spec": SOLVER, "enough_s": TURN_S}
            turns = [c.worker.ask(WAIT_S, **watch) for c in known]
            shapes = [cell.shape for cell in known]
            calibrated.append(costs([turn["stages"] for turn in turns], shapes, CALIBRATION_PIXELS))
            for cell in cells:
                samples = cell.worker.ask(WAIT_S, do="run", repeats=REPEATS)["samples"]
                cell.turns.append(min(map(sum, samples)))
        return calibrated, cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return its exit code."""
    parser = cli.Parser("harness.predict", description=__doc__)
    parser.add_argument("--pixels", type=cli.whole_numbers, default=(200, 1000, 2000, 5000))
    parser.add_argument("--bins", type=cli.whole_numbers, default=(34, 200, 400))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse(arguments)
    reason = importlib.import_module(COUNTED[SOLVER]).unavailable()
    if reason or given.rounds < 1 or min(*given.pixels, 1) < 1:
        parser.error(reason or "--rounds and --pixels must be at least 1")
    calibrated, cells = measure([(p, b) for b in given.bins for p in given.pixels], given.rounds)
    rows = []
    for cell in cells:
        predicted = [each.seconds(cell.shape, cell.pixels) for each in calibrated]
        rows.append(
            {
                "pixels": cell.pixels,
                "bins": cell.shape.bins,
                "passes": cell.shape.passes,
                "predicted_s": float(np.median(predicted)),
                "measured_s": float(np.median(cell.turns)),
                "ratio": float(np.median(np.divide(predicted, cell.turns))),
            }
        )
    worst = max(abs(row["ratio"] - 1) for row in rows)
    if given.json:
        report = facts.origin() | {"worst": worst, "rows": rows}
        print(json.dumps(report | {"costs_s": [each._asdict() for each in calibrated]}, indent=1))
    else:
        _show(rows, worst)
    return cli.OK if worst <= ALLOWED else cli.GATE_FAILED


def _show(rows: list[dict[str, Any]], worst: float) -> None:
    view, console = Table("pixels", "bins", box=None), terminal.console()
    for name in ("passes", "predicted", "measured", "ratio"):
        view.add_column(name, justify="right")
    for row in rows:
        view.add_row(
            f"{row['pixels']}",
            f"{row['bins']}",
            f"{row['passes']:.2f}",
            terminal.seconds(row["predicted_s"]),
            terminal.seconds(row["measured_s"]),
            f"{row['ratio']:.2f}",
        )
    console.print(view)
    console.print(f"worst: {worst:.0%} off, {ALLOWED:.0%} allowed; {facts.machine_label(facts.machine())}")


if __name__ == "__main__":
    cli.run(main)
