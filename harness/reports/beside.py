"""Solvers beside one another in what a reader decides by: the truth, other people's solvers, threads; from records.

Takes rows that were measured, as `harness.reports.findings` does. Workloads whose truth the counts tell come first.
"""

from typing import Any

import numpy as np
import pandas as pd

from harness.advice.evidence import without_threads
from harness.figures.common import TELLING
from harness.figures.machine import efficiency
from harness.show.terminal import ratio, seconds

OURS = "numba"
NOTHING = "–"


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    """Each panel's rows of its largest map: those whose truth is telling first, the fewest bins first."""
    rows = table[table.pixels == table.groupby("panel").pixels.transform("max")]
    places = [TELLING.index(name) if name in TELLING else len(TELLING) for name in rows.dataset]
    return rows.assign(place=places).sort_values(["place", "dataset", "bins"], kind="stable")


def _rate(rows: pd.DataFrame) -> Any:
    """DEMs of valid pixels per second and core."""
    return (rows.pixels - rows.invalid_pixels.astype(float).fillna(0.0)) / rows.median_s / rows.threads


def _cells(values: Any, form: str) -> list[str]:
    return [NOTHING if pd.isna(value) else format(float(value), form) for value in values]


def quality(table: pd.DataFrame) -> pd.DataFrame:
    """What each solver's speed buys: a row for each workload and solver, at the largest map."""
    rows = _largest(table[~table.solver.str.contains("[", regex=False)])
    names = [f"{row.solver} (peer)" if row.external else row.solver for row in rows.itertuples()]
    columns = {
        "workload": rows.panel.str.replace("\n", ", "),
        "solver": names,
        "DEM/s per core": _cells(_rate(rows), ",.0f"),
        "error bars": ["no" if "edem" in said.split() else "yes" for said in rows.leaves_out],
        "χ² median": _cells(rows.chisq_median, ".2f"),
        "χ² p95": _cells(rows.chisq_p95, ".2f"),
        "DEM error": _cells(rows.truth_dem_error, ".3f"),
        "coverage": _cells(rows.truth_coverage, ".0%"),
        "negative": _cells(rows.negative_pixels / rows.pixels, ".1%"),
        "gate": rows.gate.tolist(),
    }
    return pd.DataFrame(columns).set_index(["workload", "solver"])


def peers(table: pd.DataFrame) -> list[str]:
    """Each solver of others beside ours on the same workload: rate, truth, error bars, and what a gate says."""
    said = []
    rows = _largest(table[~table.solver.str.contains("[", regex=False)]).assign(rate=_rate)
    for panel, group in rows.groupby("panel", sort=False):
        ours = group[group.solver == OURS]
        for row in group[group.external.astype(bool)].itertuples() if len(ours) else ():
            mine = ours.iloc[0]
            parts = [f"{row.rate:,.0f} DEM/s per core, {OURS} {ratio(mine.rate / row.rate)} as many"]
            if np.isfinite(row.truth_dem_error):
                parts.append(f"DEM error {row.truth_dem_error:.3f}, {OURS} {mine.truth_dem_error:.3f}")
            parts.append(f"χ² median {row.chisq_median:.2f}, {OURS} {mine.chisq_median:.2f}")
            parts += ["no error bars"] * ("edem" in row.leaves_out.split())
            parts += [f"gate failed: {row.gate_reasons}"] * (row.gate == "fail")
            said.append(f"**{row.solver}** on {str(panel).partition(chr(10))[0]}: {'; '.join(parts)}.")
    return said or ["These runs have no solver of others: `make peers` measures them."]


def threads(table: pd.DataFrame) -> list[str]:
    """What several threads of a solver gain over one, at every panel's largest map."""
    said = []
    rows = _largest(table)
    rows = rows.assign(family=rows.solver.map(without_threads))
    for (panel, family), group in rows.groupby(["panel", "family"], sort=False):
        one = group[group.threads == 1]
        if one.empty:
            continue
        alone = {f"{name}_one": one[name].iloc[0] for name in ("median_s", "ci_low_s", "ci_high_s")}
        several = group[group.threads > 1].assign(**alone)
        for row, value, low, high in zip(several.itertuples(), *efficiency(several), strict=True):
            interval = f" [{low:.0%}, {high:.0%}]" if low == low else ""
            doubted = "; these times are doubted" * bool(row.doubts or one.doubts.iloc[0])
            gain, of_one = ratio(value * row.threads), seconds(row.median_s_one)
            times = f"{seconds(row.median_s)}, one {of_one}: {gain} as fast"
            said.append(
                f"**{family}**, {str(panel).partition(chr(10))[0]}, {row.pixels:,} pixels: {row.threads} threads take "
                f"{times}, an efficiency of {value:.0%}{interval}{doubted}."
            )
    return said or ["These runs have no solver that was timed on one thread and on several."]
