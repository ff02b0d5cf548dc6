"""The figures in docs/methods.md: both methods on known DEMs, their error bars, and where each misses the counts.

`harness.reports.readme` writes them from the files of `make methods`; rates are those of `make peers`.
"""

from typing import Any

import pandas as pd

from harness.records import files
from harness.records.run import Run
from harness.reports.peers_table import CROPS
from harness.show import markdown
from implementations.places import ROOT

PAGE = ROOT / "docs" / "methods.md"
FOLDER = ROOT / "results" / "reference-methods"
KNOWN = ROOT / "results" / "reference-peers-known"
BESIDE = ("baseline", "numba", "utu", "plowman")
COVERAGE, MISFIT = FOLDER / "coverage.json", FOLDER / "misfit.json"


def known(data: dict[str, Any], rates: pd.DataFrame) -> str:
    """A row for each workload and solver: fit, distance from the truth, error bars, rate."""
    head = ("workload", "solver", "χ² median / p95", "DEM error", "bias", "scatter", "negative", "DEM/s per core")
    rows = [
        (
            row["dataset"],
            f"`{row['solver']}`",
            f"{row['chisq']:.2f} / {row['chisq_p95']:.2f}",
            *(f"{row[name]:.3f}" for name in ("dem_error", "bias", "spread")),
            f"{row['negative']:.1%}",
            _rate(rates, row["dataset"], row["solver"]),
        )
        for row in data["rows"]
    ]
    return markdown.table(head, rows, left=2) + "\n\n" + _made(data)


def _rate(rates: pd.DataFrame, dataset: str, solver: str) -> str:
    rows = rates[(rates.dataset == dataset) & (rates.solver == solver) & (rates.status == "ok")]
    if not len(rows):
        return "not yet measured"
    row = rows.iloc[0]
    return f"{(row.pixels - row.invalid_pixels) / row.median_s:,.0f}"


def beside(table: pd.DataFrame) -> str:
    """Both methods in the same rounds: a row for each workload and solver, as the sweep's records have them."""
    head = ("workload", "solver", "χ² median / p95", "DEM error", "coverage", "negative", "DEM/s per core", "gate")
    rows = []
    for dataset in table.dataset.unique():
        for solver in BESIDE:
            found = table[(table.dataset == dataset) & (table.solver == solver) & (table.status == "ok")]
            for row in found.itertuples():
                told = pd.notna(row.truth_dem_error)
                error = f"{row.truth_dem_error:.3f}" if told else "–"
                coverage = f"{row.truth_coverage:.3f}" if told and pd.notna(row.truth_coverage) else "–"
                valid = row.pixels - row.invalid_pixels
                fit = f"{row.chisq_median:.2f} / {row.chisq_p95:.2f}"
                negative = f"{row.negative_pixels / valid:.1%}"
                rate = f"{valid / row.median_s:,.0f}"
                rows.append((dataset, f"`{solver}`", fit, error, coverage, negative, rate, row.gate))
    return markdown.table(head, rows, left=2)


def _made(data: dict[str, Any]) -> str:
    pixels = max(row["pixels"] for row in data["rows"])
    return f"Up to {pixels} DEMs of each workload, {data['draws']} draws of noise each, {data['bins']} bins."


def coverage(data: dict[str, Any]) -> str:
    """What the error bars cover, of solvers that have any."""
    head = ("workload", "solver", "within one edem of the draws' mean", "scatter over edem", "within one of the truth")
    rows = [
        (row["dataset"], f"`{row['solver']}`", *(f"{row[name]:.3f}" for name in ("noise", "scatter", "truth")))
        for row in data["rows"]
        if row["noise"] is not None
    ]
    return markdown.table(head, rows, left=2)


def alike(data: dict[str, Any]) -> str:
    """How far the two implementations of one method are apart."""
    head = ("workload", "both at the target", "apart, median", "apart, 95th percentile")
    rows = [
        (row["dataset"], *(f"{row[name]:.1%}" for name in ("both", "apart_median", "apart_p95")))
        for row in data["alike"]
    ]
    return markdown.table(head, rows, left=1)


def misfit(data: dict[str, Any]) -> str:
    """A row for each group of pixels, the solvers beside one another; iterations are each solver's own."""
    solvers = list(dict.fromkeys(row["solver"] for row in data["rows"]))
    by_group: dict[str, dict[str, Any]] = {}
    for row in data["rows"]:
        by_group.setdefault(row["group"], {})[row["solver"]] = row
    first = solvers[0]
    head = ["pixels", "share", f"of `{first}`'s worst 5%", f"`{first}`'s passes"]
    head += [f"χ² of `{name}`, median / p95" for name in solvers]
    rows = []
    for group, found in by_group.items():
        if first not in found:
            continue
        own = found[first]
        shares = ["" if own[name] is None else f"{own[name]:.1%}" for name in ("share", "share_of_worst")]
        passes = group.endswith("iterations")  # another method's are of another kind
        fits = [
            f"{found[n]['chisq_median']:.2f} / {found[n]['chisq_p95']:.2f}"
            if n in found and (n == first or not passes)
            else ""
            for n in solvers
        ]
        rows.append([group, *shares, f"{own['iterations']:.1f}", *fits])
    return markdown.table(head, rows, left=1)


def rewritten() -> str:
    """The page as the files say. ValueError when one isn't there or can't be read."""
    covered, missed = files.load(COVERAGE), files.load(MISFIT)
    rates = pd.concat([Run.open(folder).table() for folder in (CROPS, KNOWN)])
    text = PAGE.read_text()
    for name, part in (
        ("beside", beside(rates[~rates.dataset.str.contains("flare")])),
        ("known", known(covered, rates)),
        ("coverage", coverage(covered)),
        ("alike", alike(covered)),
        ("misfit", misfit(missed)),
    ):
        text = markdown.rewritten(text, name, part)
    return text
