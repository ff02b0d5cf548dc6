"""On which pixels of a real image a solver misses the counts: by place on the Sun, by brightness, by passes.

`python -m harness.upkeep.misfit --out FILE.json` inverts every fourth pixel each way of the disc and its crops, and
says for each group of pixels its share of all, its share of those above the image's 95th percentile of chi-squared,
median and 95th percentile of chi-squared, and the mean of iterations.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.machine import facts as machine_facts
from harness.records.files import dump, write_atomically
from harness.workloads import problem as workload
from implementations import command_line as cli
from implementations.aia import files, images
from implementations.contract import Array, Problem, Solution, as_problem
from implementations.registry import Registry

EVERY = 4
RINGS = {
    "disc, within 0.95 solar radii": (0.0, 0.95),
    "limb, 0.95 to 1.05": (0.95, 1.05),
    "corona, 1.05 to 1.2": (1.05, 1.2),
    "corona, beyond 1.2": (1.2, np.inf),
}
CROPS = ("hole", "quiet", "active", "limb", "flare-before", "flare-peak")
ITERATIONS = ((1, 3), (4, 6), (7, 10), (11, 101))
BRIGHT = (0.0, 0.5, 0.9, 0.99, 1.0)
"""Quantiles of the 193 counts within the disc."""


def image_of() -> tuple[Problem, Array]:
    """Every fourth pixel each way of the disc, 34 bins, and its distance from the Sun's centre in solar radii (P,)."""
    spec = workload.load("aia-image")
    like, _ = workload.generate(spec, 1, 34)
    whole = images.read_set(files.image_set(spec["crop"][0]["images"]))
    header, rows, columns = whole.header, *whole.dn.shape[:2]
    y, x = np.mgrid[0:rows:EVERY, 0:columns:EVERY]
    away = np.hypot(x + 1 - header["CRPIX1"], y + 1 - header["CRPIX2"]) * header["CDELT1"] / header["RSUN_OBS"]
    dn, edn = (np.ascontiguousarray(a[::EVERY, ::EVERY].reshape(-1, 6)) for a in (whole.dn, whole.edn))
    return as_problem(dn, edn, like.rmatrix, like.logt, like.dlogt, like.options, None), away.ravel()


def groups(problem: Problem, away: Array, iterations: NDArray[np.int32]) -> dict[str, NDArray[np.bool_]]:
    """Names of groups and which pixels (P,) are in them."""
    valid, bright = problem.valid(), problem.dn[:, files.CHANNELS.index(193)]
    found = {name: valid & (away >= low) & (away < high) for name, (low, high) in RINGS.items()}
    disc = next(iter(found.values()))
    edges = np.quantile(bright[disc], BRIGHT)
    for n, (low, high) in enumerate(pairwise(BRIGHT)):
        inside = (bright >= edges[n]) & ((bright < edges[n + 1]) | (n == len(BRIGHT) - 2))
        found[f"disc, 193 counts from {low:.0%} to {high:.0%}"] = disc & inside
    for low, high in ITERATIONS if iterations.any() else ():
        found[f"{low} to {high} iterations"] = valid & (iterations >= low) & (iterations <= high)
    return found


def row_of(name: str, group: NDArray[np.bool_], solution: Solution, worst: NDArray[np.bool_], all_of: int) -> Any:
    """The figures of a group; None for an empty one."""
    if not group.any():
        return None
    chisq = solution.chisq[group]
    return {
        "group": name,
        "share": int(group.sum()) / all_of,
        "share_of_worst": float((group & worst).sum() / worst.sum()),
        "chisq_median": float(np.median(chisq)),
        "chisq_p95": float(np.percentile(chisq, 95)),
        "iterations": float(solution.iterations[group].mean()),
        "negative": float((solution.dem[group] < 0).any(axis=1).mean()),
    }


def measured(solvers: Sequence[str]) -> dict[str, Any]:
    """What the file holds."""
    table, rows = Registry(), []
    problem, away = image_of()
    crops = {name: workload.generate(workload.load(f"aia-image.{name}"), 4096, 34)[0] for name in CROPS}
    for name in solvers:
        solver = table.ready(name)
        solution, valid = solver.run(problem), problem.valid()
        worst = valid & (solution.chisq > np.percentile(solution.chisq[valid], 95))
        sets = {"all valid pixels": valid} | groups(problem, away, solution.iterations)
        found = [row_of(group, which, solution, worst, int(valid.sum())) for group, which in sets.items()]
        for crop, given in crops.items():
            own = row_of(f"crop {crop}", given.valid(), solver.run(given), given.valid(), int(given.valid().sum()))
            found.append(own | {"share": None, "share_of_worst": None})
        rows += [{"solver": name, **row} for row in found if row]
    return {"commit": machine_facts.commit(), "rows": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.misfit", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--solvers", type=cli.words, default="numba,utu,plowman", help="by commas (numba,utu,plowman)")
    given = parser.parse(arguments)
    parser.folder(given.out.parent)
    try:
        data = measured(given.solvers)
    except (ValueError, RuntimeError, ImportError) as error:
        parser.error(" ".join(str(error).split()))
    write_atomically(given.out, dump(data))
    for row in data["rows"]:
        print(f"{row['solver']:>10}  {row['group']:<34} {row['chisq_median']:.2f} {row['chisq_p95']:.2f}")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
