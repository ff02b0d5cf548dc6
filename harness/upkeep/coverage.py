"""Whether error bars are the scatter that noise makes: the same DEMs, inverted with noise drawn again and again.

`python -m harness.upkeep.coverage --out FILE.json` writes, for each solver and workload, the share of bins within one
edem of the draws' mean (0.68 for the noise alone), the share within one edem of the truth (regularisation's bias
included), the scatter over the error bar, and bias and scatter beside the DEM itself. --draw makes the figure of such a
file.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.figures.common import STYLE, style_of
from harness.figures.marks import beneath
from harness.machine import facts as machine_facts
from harness.records.files import dump, replacing, write_atomically
from harness.workloads import problem as workload
from implementations import command_line as cli
from implementations.contract import Array, Problem, Solver
from implementations.registry import Registry

DATASETS = "aia,gaussian-response,solar-mix,random-response,lines-10,lines-20,lines-30"
ALIKE, MANY = ("plowman", "utu"), 1000
"""Two implementations of one method, and on how many pixels they are compared."""
NOMINAL = 0.6827
"""What one standard error of a normal distribution covers."""


@dataclass(frozen=True)
class Coverage:
    """Of all bins of all pixels and draws, or medians over the pixels' bins."""

    noise: float
    """Share within one edem of the mean over the draws."""
    truth: float
    """Share within one edem of the truth."""
    scatter: float
    """Median of the standard deviation over draws over the root mean square of edem."""
    bias: float
    """Median over pixels of the mean's distance from the truth over the truth, as roots of summed squares."""
    spread: float
    """The same of the standard deviation."""
    chisq: float
    """Median of chi-squared per channel, here and next 95th percentile, over pixels and draws."""
    chisq_p95: float
    dem_error: float
    """Median over pixels and draws, as bias."""
    negative: float
    """Share of pixels and draws with a bin below 0."""


def of(solver: Solver, problem: Problem, truth: Array, draws: int, seed: int) -> Coverage:
    """Coverage of a solver on pixels whose true DEM (P, T) is known, errors as the problem has them.

    A draw with a count that isn't positive is an invalid pixel, and left out.
    """
    pixels, channels, bins = problem.sizes
    noise = np.random.default_rng(seed).standard_normal((pixels, draws, channels))
    edn = np.repeat(problem.edn[:, None], draws, axis=1)
    dn = (truth @ problem.rmatrix)[:, None] + edn * noise
    flat = Problem(
        dn.reshape(-1, channels),
        edn.reshape(-1, channels),
        problem.rmatrix,
        problem.logt,
        problem.dlogt,
        problem.options,
    )
    solution = solver.run(flat)
    valid = flat.valid()
    dem, edem = (
        np.where(valid[:, None], a, np.nan).reshape(pixels, draws, bins) for a in (solution.dem, solution.edem)
    )
    mean, deviation = np.nanmean(dem, axis=1), np.nanstd(dem, axis=1)
    got = valid.reshape(pixels, draws)

    has_errors = bool(np.isfinite(edem).any())  # a solver may leave them out

    def share(distance: Array) -> float:
        return float(np.mean(np.abs(distance[got]) <= edem[got])) if has_errors else np.nan

    size, chisq = np.linalg.norm(truth, axis=1), solution.chisq[valid]
    return Coverage(
        noise=share(dem - mean[:, None]),
        truth=share(dem - truth[:, None]),
        scatter=float(np.median(deviation / np.sqrt(np.nanmean(edem**2, axis=1)))) if has_errors else np.nan,
        bias=float(np.median(np.linalg.norm(mean - truth, axis=1) / size)),
        spread=float(np.median(np.linalg.norm(deviation, axis=1) / size)),
        chisq=float(np.median(chisq)),
        chisq_p95=float(np.percentile(chisq, 95)),
        dem_error=float(np.median((np.linalg.norm(dem - truth[:, None], axis=2) / size[:, None])[got])),
        negative=float(np.asarray((dem < 0).any(axis=2))[got].mean()),
    )


def narrow_lines(channels: int, pixels: int, bins: int) -> tuple[Problem, Array]:
    """As a spectrometer such as EIS has it: lines of 0.1 dex over 1.6 dex, counts known to 10%, DEMs of two
    Gaussians."""
    rng, width = np.random.default_rng(7), 1.6 / bins
    logt = 5.5 + width * (np.arange(bins) + 0.5)
    kelvin = 10.0**logt * np.log(10.0**width)
    centres = np.linspace(5.6, 7.0, channels)
    rmatrix = 1e-8 * np.exp(-((logt[:, None] - centres) ** 2) / (2 * 0.1**2)) * kelvin[:, None]
    truth = np.zeros((pixels, bins))
    for low, high in ((5.9, 6.3), (6.3, 6.7)):
        peak, spread = rng.uniform(low, high, (pixels, 1)), rng.uniform(0.15, 0.3, (pixels, 1))
        truth += 10 ** rng.uniform(5, 6, (pixels, 1)) * np.exp(-((logt - peak) ** 2) / (2 * spread**2))
    dn = np.asarray(truth @ rmatrix, np.float64)
    edn = 0.1 * dn + 1e-3 * dn.mean(axis=1, keepdims=True)
    return Problem(dn, edn, rmatrix, np.asarray(logt, np.float64), np.full(bins, width)), truth


def problem_of(dataset: str, pixels: int, bins: int) -> tuple[Problem, Array]:
    """The valid pixels of a workload, or of `lines-F`, F narrow lines, and their true DEMs."""
    word, _, lines = dataset.partition("-")
    if word == "lines" and lines.isdigit() and int(lines):
        return narrow_lines(int(lines), pixels, bins)
    problem, truth = workload.generate(workload.load(dataset), pixels, bins)
    valid = np.flatnonzero(problem.valid())
    return problem.take(valid), truth[valid]


def measured(solvers: Sequence[str], datasets: Sequence[str], pixels: int, bins: int, draws: int) -> dict[str, object]:
    """What the file holds: a row for each solver and workload, and what they were made of."""
    table, rows, alike = Registry(), [], []
    for dataset in datasets:
        problem, truth = problem_of(dataset, pixels, bins)
        for name in solvers:
            found = of(table.ready(name), problem, truth, draws, seed=1)
            rows.append({"solver": name, "dataset": dataset, "pixels": len(truth), **asdict(found)})
        if set(ALIKE) <= set(solvers):
            alike.append(
                {
                    "dataset": dataset,
                    **agreement(problem_of(dataset, MANY, bins)[0], *(table.ready(name) for name in ALIKE)),
                }
            )
    return machine_facts.origin() | {"bins": bins, "draws": draws, "rows": rows, "alike": alike}


def agreement(problem: Problem, ours: Solver, theirs: Solver) -> dict[str, float]:
    """How far two solvers' DEMs are apart, as the root of summed squares over one's, where both reach their target."""
    target, (one, other) = problem.options.reg_tweak, (solver.run(problem) for solver in (ours, theirs))
    both = np.maximum(np.abs(one.chisq - target), np.abs(other.chisq - target)) <= 0.1 * target
    apart = np.linalg.norm(one.dem - other.dem, axis=1)[both] / np.linalg.norm(other.dem, axis=1)[both]
    median, p95 = np.percentile(apart, [50, 95]) if both.any() else (np.nan, np.nan)
    return {"both": float(both.mean()), "apart_median": float(median), "apart_p95": float(p95)}


def figure(data: dict[str, object]) -> Figure:
    """Coverage of the noise and of the truth, a group of points for each workload."""
    rows: list[dict[str, float]] = data["rows"]  # type: ignore[assignment]
    rows = [row for row in rows if pd.notna(row["noise"])]
    datasets, solvers = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in ("dataset", "solver"))
    with plt.rc_context(STYLE):
        drawn, axes = plt.subplots(1, 2, figsize=(10, 1.1 + 0.5 * len(datasets)), sharey=True)
        for n, (one, key) in enumerate(zip(axes, ("noise", "truth"), strict=True)):
            for i, name in enumerate(solvers):
                own = [row for row in rows if row["solver"] == name]
                places = [datasets.index(str(row["dataset"])) + 0.16 * (i - (len(solvers) - 1) / 2) for row in own]
                colour, shape = style_of(name)
                one.plot([row[key] for row in own], places, shape, color=colour, label=name if n == 0 else None)
            one.axvline(NOMINAL, color="grey", lw=1, ls=":")
            one.set(xlim=(0, 1), yticks=range(len(datasets)), yticklabels=datasets)
            one.tick_params(labelleft=True)
            one.set_xlabel("within one edem of the draws' mean" if n == 0 else "within one edem of the truth")
        drawn.legend(loc="outside upper center", ncols=len(solvers), frameon=False)
        made = [str(data["created"])[:10]] if "created" in data else []
        made += [f"commit {data['commit'] or 'unknown'}"]
        key = f"dotted: {NOMINAL:.0%}, a normal distribution's"
        said = [f"{data['draws']} draws of the noise", f"{data['bins']} bins", *made]
        beneath(drawn, key, "; ".join(said))
    return drawn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.coverage", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--draw", type=Path, metavar="FILE.svg", help="draw the figure too")
    parser.add_argument("--solvers", type=cli.words, default="numba,utu,plowman", help="by commas (numba,utu,plowman)")
    parser.add_argument("--dataset", type=cli.words, default=DATASETS, help=f"with a known truth ({DATASETS})")
    parser.add_argument("--pixels", type=int, default=40, help="how many DEMs of each workload (40)")
    parser.add_argument("--bins", type=int, default=34)
    parser.add_argument("--draws", type=int, default=400, help="of the noise of each pixel (400)")
    given = parser.parse(arguments)
    parser.folder(given.out.parent)
    try:
        workload.check_sizes(given.pixels, given.bins)
        if given.draws < 2:
            raise ValueError(f"--draws must be 2 or more, got {given.draws}")
        data = measured(given.solvers, given.dataset, given.pixels, given.bins, given.draws)
    except (ValueError, RuntimeError) as error:
        parser.error(" ".join(str(error).split()))
    write_atomically(given.out, dump(data))
    if given.draw:
        with plt.rc_context(STYLE), replacing(given.draw) as whole:
            figure(data).savefig(whole, format="svg", metadata={"Date": None})
    for row in data["rows"]:  # type: ignore[attr-defined]
        print(f"{row['solver']:>12} {row['dataset']:<18} noise {row['noise']:.3f}  truth {row['truth']:.3f}")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
