"""What runs show, in sentences and small tables made from their records: the notebooks' findings hold no typed number.

Every function takes rows that were measured (`harness.figures.gallery.measured(runs).table`, whose column `panel` keeps
workloads, numbers of bins and runs apart) and returns a table, or sentences in Markdown.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.advice import held_out
from harness.advice.breakeven import MOST_PIXELS, Leg
from harness.advice.candidates import given_up
from harness.advice.evidence import Evidence
from harness.advice.held_out import Trial
from harness.judge import intervals
from harness.show.terminal import ratio, seconds

REFERENCE = "baseline"


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for panel, rows in table.groupby("panel", sort=False):
        yield str(panel).replace("\n", ", "), rows


def _range(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """k of time ~ pixels^k with its 95% interval: a row for each solver, a column for each panel."""
    found: dict[str, dict[str, str]] = {}
    for panel, rows in _panels(table):
        for solver, points in rows.groupby("solver", sort=False):
            if points.pixels.nunique() > 2:  # a line through two points fits whatever they are
                k = intervals.exponent(points.pixels.astype(float).tolist(), points.median_s.tolist())
                interval = f" [{k.low:.2f}, {k.high:.2f}]" if np.isfinite(k.high) else ""
                found.setdefault(panel, {})[str(solver)] = f"{k.value:.2f}{interval}"
    return pd.DataFrame(found).reindex(list(dict.fromkeys(table.solver))).dropna(how="all").fillna("–")


def fastest(table: pd.DataFrame) -> list[str]:
    """The fastest exact solver, and the fastest of all, that passed its gate at each panel's largest map."""
    said = []
    for panel, rows in _panels(table):
        passed = rows[rows.gate == "pass"]
        if passed.empty:
            said.append(f"{panel}: no solver passed its gate.")
            continue
        largest = passed[passed.pixels == passed.pixels.max()].sort_values("median_s")
        parts = [_speed(largest[largest.accuracy == "exact"], passed), _speed(largest, passed)]
        said.append(f"{panel}, {largest.pixels.iloc[0]:,} pixels: {'; '.join(dict.fromkeys(filter(None, parts)))}.")
    return said


def _speed(largest: pd.DataFrame, passed: pd.DataFrame) -> str:
    """The first row's solver, its time and its speedup; the speedup at the smallest map beside it."""
    if largest.empty:
        return ""
    best = largest.iloc[0]
    kind = best.accuracy if best.method == "demreg" else f"method {best.method}"
    line = f"**{best.solver}** ({kind}) takes {seconds(best.median_s)}"
    if pd.isna(best.speedup):
        return line
    interval = f" [{ratio(best.speedup_low)}, {ratio(best.speedup_high)}]" if pd.notna(best.speedup_low) else ""
    line += f", {ratio(best.speedup)}{interval} the baseline's speed"
    small = passed[passed.solver == best.solver].sort_values("pixels").iloc[0]
    differs = small.pixels < best.pixels and pd.notna(small.speedup)
    return line + (f" ({ratio(small.speedup)} with {small.pixels:,} pixels)" if differs else "")


def growth_with_bins(table: pd.DataFrame) -> list[str]:
    """How much more a pixel costs with the largest than with the smallest number of bins, at the largest shared map."""
    said = []
    for (run, dataset), rows in table.groupby(["run", "dataset"], sort=False):
        few, many = rows.bins.min(), rows.bins.max()
        shared = set(rows[rows.bins == few].pixels) & set(rows[rows.bins == many].pixels)
        if few == many or not shared:
            continue
        at = rows[rows.pixels == max(shared)].pivot(index="solver", columns="bins", values="median_s")
        grown = (at[many] / at[few]).dropna().sort_values()
        parts = ", ".join(f"{solver} {ratio(value)}" for solver, value in grown.items())
        said.append(f"{dataset} ({run}), {max(shared):,} pixels: {many} bins take {parts} as long as {few}.")
    return said


def gates(table: pd.DataFrame) -> list[str]:
    """How many rows passed, and which did not, with the reason."""
    passed = int((table.gate == "pass").sum())
    said = [f"{passed} of {len(table)} measured rows passed their gate."]
    for (solver, reason), rows in table[table.gate != "pass"].groupby(["solver", "gate_reasons"], sort=False):
        places = ", ".join(f"{r.dataset}, {r.pixels} px x {r.bins} bins" for r in rows.itertuples())
        said.append(f"**{solver}** did not ({places}): {reason or 'it was not judged'}.")
    return said


def agreement(table: pd.DataFrame) -> list[str]:
    """How far exact solvers are from the baseline at worst, and what approximate ones and other methods change."""
    said = []
    others = table[table.solver != REFERENCE]
    columns = {"DEM": "parity_dem", "edem": "parity_edem", "elogt": "parity_elogt", "chisq": "parity_chisq"}
    for solver, rows in others[others.accuracy == "exact"].groupby("solver", sort=False):
        parts = [f"{name} {rows[column].max():.1e}" for name, column in columns.items() if rows[column].notna().any()]
        said.append(f"**{solver}** (exact), farthest from the baseline in any pixel: {', '.join(parts)}.")
    baseline = table[table.solver == REFERENCE]
    both = others.merge(baseline, on=["run", "dataset", "seed", "pixels", "bins"], suffixes=("", "_baseline"))
    for solver, rows in both[both.accuracy != "exact"].groupby("solver", sort=False):
        judged = {"χ² median": "chisq_median", "χ² p95": "chisq_p95", "DEM error": "truth_dem_error"}
        parts = [
            f"{name} {_range((rows[column] / rows[f'{column}_baseline']).tolist(), '.2f')}"
            for name, column in judged.items()
            if rows[column].notna().all()
        ]
        kind = "approximate" if rows.method.iloc[0] == "demreg" else f"method {rows.method.iloc[0]}"
        said.append(f"**{solver}** ({kind}), times the baseline's: {', '.join(parts)}.")
    return said


def chisq_misleads(table: pd.DataFrame) -> str:
    """Whether some solver fits the counts better than the baseline and recovers a worse DEM."""
    baseline = table[table.solver == REFERENCE]
    both = table.merge(baseline, on=["run", "dataset", "seed", "pixels", "bins"], suffixes=("", "_baseline"))
    closer = abs(both.chisq_median - 1) < abs(both.chisq_median_baseline - 1) - 0.01
    rows = both[closer & (both.truth_dem_error > 1.01 * both.truth_dem_error_baseline)]
    if rows.empty:
        return "In these runs no solver has a chi-squared nearer to one than the baseline's and yet a worse DEM."
    row = rows.loc[(rows.truth_dem_error / rows.truth_dem_error_baseline).idxmax()]
    return (
        f"Chi-squared alone would mislead: **{row.solver}** has a median of {row.chisq_median:.2f}, nearer to one "
        f"than the baseline's {row.chisq_median_baseline:.2f}, and a DEM error of {row.truth_dem_error:.3f} against "
        f"{row.truth_dem_error_baseline:.3f} ({row.pixels:,} pixels x {row.bins} bins)."
    )


def limits(table: pd.DataFrame) -> list[str]:
    """Which share of what the machine could do at best each solver reaches."""
    rows = table[table.of_limit.notna()]
    if rows.empty:
        return ["These runs don't hold the machine's limits: how far solvers are from them was not measured."]
    said = []
    for solver, those in rows.groupby("solver", sort=False):
        said.append(f"**{solver}** reaches {_range((100 * those.of_limit).tolist(), '.2g')}% of the machine's limit.")
    return said


def costs(table: pd.DataFrame) -> pd.DataFrame:
    """One-off cost, phases' shares and peak memory of every solver at each panel's largest map."""
    largest = table[table.pixels == table.groupby("panel").pixels.transform("max")]
    total = largest[["prepare_s", "solve_s", "collect_s"]].sum(axis=1)
    shares = {name: (largest[f"{name}_s"] / total).map("{:.1%}".format) for name in ("prepare", "solve", "collect")}
    words = {"one-off": largest.oneoff_s.map(seconds), "time": largest.median_s.map(seconds)}
    memory = largest.peak_rss_mb.map(lambda mb: "–" if pd.isna(mb) else f"{mb:,.0f}")
    panel = largest.panel.str.replace("\n", ", ")
    columns = {"workload": panel, "solver": largest.solver, **words, **shares, "peak MB": memory}
    return pd.DataFrame(columns).set_index(["workload", "solver"])


def stages(profile: dict[str, Any]) -> str:
    """Where a profiled solver's time goes, in a sentence."""
    cell = profile["cell"]
    what = f"**{profile['solver']}**, {cell['pixels']:,} pixels x {cell['bins']} bins"
    if profile["stages"] is None:
        return f"{what}: {profile['stages_reason']}."
    total = sum(profile["stages"].values())
    parts = sorted(profile["stages"].items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {value / total:.0%}" for name, value in parts if value / total >= 0.005)
    return f"{what}: {shares}; {seconds(profile['undisturbed_s'])} when nothing watches."


def decisions(legs: Sequence[Leg]) -> pd.DataFrame:
    """The decision table, and the map sizes between which a solver overtakes the one before it."""

    def between(leg: Leg) -> str:
        if np.isnan(leg.start_low):
            return ""
        if leg.start_high >= MOST_PIXELS:
            return f"{leg.start_low:,.0f} and more, not settled" if leg.start_low > 1 else "as fast at any size"
        return f"{leg.start_low:,.0f} and {leg.start_high:,.0f} pixels"

    table = pd.DataFrame(
        {
            "bins": leg.bins,
            "device": leg.device,
            "solvers": "exact" if leg.needs == "exact" else "all",
            "from pixels": f"{leg.from_pixels:,.0f}",
            "solver": leg.solver,
            "threads": leg.threads,
            "overtakes between": between(leg),
            "beyond measured": f"{leg.beyond:.2g}x" if leg.beyond > 1 else "",
        }
        for leg in legs
    )
    return table.set_index(["bins", "device", "solvers"]) if len(table) else table


def approximations(evidence: Evidence) -> list[str]:
    """What each approximate solver gives up, at worst, over all its records."""
    rows = evidence.measured[evidence.measured.accuracy == "approximate"]
    return [f"**{solver}**: {given_up(those, evidence)}." for solver, those in rows.groupby("solver")]


def predictions(trials: Sequence[Trial]) -> list[str]:
    """How good the predictions are, over all and for every solver."""
    return [
        f"{held_out.tally(trials)}.",
        *(f"{solver}: at most {error:.0%} off." for solver, error in held_out.worst(trials).items()),
    ]
