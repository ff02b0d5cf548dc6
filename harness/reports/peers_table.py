"""Real images, real peers: what the runs of `make peers` say, as the README's first table and as statements to check.

`python -m harness.reports.peers_table` prints the statements and exits with 1 when one of them doesn't hold. Reads
records alone.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.judge.intervals import FEWEST, Estimate, paired_ratio
from harness.records.run import TABLE_FILE, Run
from harness.reports import origin
from harness.show import markdown
from harness.show.terminal import ratio, seconds
from implementations import command_line as cli
from implementations.contract import OUTPUTS
from implementations.places import ROOT, need_checkout

CROPS, DISC = ROOT / "results" / "reference-peers", ROOT / "results" / "reference-peers-disc"
"""The runs: one thread on a sample of the disc, on the flare, and on mixtures whose truth is known; the whole disc."""
IMAGE, FLARES, KNOWN = "aia-image", ("aia-image.flare-before", "aia-image.flare-peak"), "aia"
OURS, ORACLE, OTHER, POSITIVE = "numba", "demregpy", "utu", "plowman"
WHOLE_IMAGE_S, CORES, AGREEMENT, FASTER = 5.0, 2, 1e-9, 3.0
WORDS = {True: "holds", False: "DOES NOT HOLD", None: "not yet measured"}
UNMASKED = "[mask=false]"
VERSIONS = ("python", "numpy", "numba", "demregpy", "utu", "EMToolKit")


class Statement(NamedTuple):
    """A sentence with its figures, and whether what is asked for holds; None where it isn't measured yet."""

    text: str
    holds: bool | None


class Records(NamedTuple):
    """Both runs, and their tables; None where the whole disc isn't measured yet."""

    crops: Run
    disc: Run | None
    crop_table: pd.DataFrame
    disc_table: pd.DataFrame | None

    @classmethod
    def open(cls, crops: Path = CROPS, disc: Path = DISC) -> "Records":
        """ValueError, in one line, when the crops' run isn't there."""
        sample, whole = Run.open(crops), Run.open(disc) if disc.exists() else None
        return cls(sample, whole, sample.table(), whole.table() if whole else None)

    @property
    def runs(self) -> list[Run]:
        """Those that there are."""
        return [run for run in (self.crops, self.disc) if run]

    def crop(self, solver: str, dataset: str) -> pd.Series:
        """A solver's row on one of the crops. ValueError when there is none."""
        return _only(self.crop_table, solver, dataset, self.crops)

    def whole(self, solver: str) -> pd.Series | None:
        """A solver's row on the whole disc, if it was run there."""
        if self.disc_table is None:
            return None
        rows = self.disc_table[self.disc_table.solver == solver]
        return rows.iloc[0] if len(rows) else None

    def solvers(self) -> list[str]:
        """Those of the crops that have no tunables, DEMREG's first, each the fastest first; those that failed, last."""
        rows = self.crop_table[self.crop_table.dataset == IMAGE].assign(other=lambda table: table.method != "demreg")
        rows = rows.sort_values(["other", "median_s"])
        return [solver for solver in rows.solver if "[" not in solver]


def _only(table: pd.DataFrame, solver: str, dataset: str, run: Run) -> pd.Series:
    rows = table[(table.solver == solver) & (table.dataset == dataset)]
    if not len(rows):
        raise ValueError(f"{run.folder} has no row of {solver} on {dataset}: make peers")
    return rows.iloc[0]


def table_of(records: Records) -> str:
    """The table: a row for each solver."""
    head = (
        "solver",
        "DEM/s per core",
        f"1024 x 1024 image, {CORES} cores",
        "error bars",
        "χ² median / p95",
        "negative",
        "DEM error",
        "bad pixels",
        "gate",
    )
    names = origin.named([run.table() for run in records.runs])
    return markdown.table(head, [_cells(records, solver, names[solver]) for solver in records.solvers()])


def _cells(records: Records, solver: str, name: str) -> tuple[str, ...]:
    row, known, whole = records.crop(solver, IMAGE), records.crop(solver, KNOWN), records.whole(solver)
    name += " (peer)" * bool(row.external)
    if row.method != "demreg":
        name += f", method {row.method}"
    if row.status != "ok":
        return (name, f"{row.status}: {row.reason}", *[""] * 7)
    return (
        name,
        f"{(row.pixels - row.invalid_pixels) / row.median_s:,.0f}" + "?" * bool(row.doubts),
        "not yet measured" if whole is None else _time(whole),
        "no" if "edem" in row.leaves_out.split() else "yes",
        f"{row.chisq_median:.2f} / {row.chisq_p95:.2f}",
        f"{row.negative_pixels:,}",
        f"{known.truth_dem_error:.3f}" if known.status == "ok" else known.status,
        _on_bad_pixels(records, solver),
        _gates(records, solver),
    )


def _time(row: pd.Series) -> str:
    if row.status != "ok":
        return f"{row.status}: {row.reason}"
    return seconds(row.median_s) + f" (n={row.n})" * bool(row.n < FEWEST) + "?" * bool(row.doubts)


def _on_bad_pixels(records: Records, solver: str) -> str:
    """What becomes of bad pixels that are handed over: a peer's are masked else."""
    rows = records.crop_table[records.crop_table.solver == solver + UNMASKED]
    row = rows[rows.dataset == KNOWN].iloc[0] if len(rows) else records.crop(solver, KNOWN)
    if row.status != "ok":
        return f"raises {row.reason.partition(':')[0]}"
    return "inverted" if "invalid pixels" in row.gate_reasons else "zeros, marked"


def _gates(records: Records, solver: str) -> str:
    rows = records.crop_table[records.crop_table.solver == solver]
    failed = rows[rows.gate != "pass"]
    return f"{failed.gate.iloc[0]}: {', '.join(failed.dataset)}" if len(failed) else "pass"


def statements(records: Records) -> Iterator[Statement]:
    """What was asked of real images, with what was measured. ValueError when the runs lack a row that it takes."""
    yield _whole_image(records.whole(OURS))
    for dataset in (IMAGE, *FLARES):
        yield _agreement(records, dataset)
    faster = rate_ratio(records.crops, IMAGE)
    yield Statement(
        f"On `{IMAGE}` it makes {ratio(faster.value)} [{ratio(faster.low)}, {ratio(faster.high)}] the DEMs per second "
        f"and core of `{OTHER}`, which computes no error bars (asked for: at least {FASTER:g}x).",
        bool(faster.low >= FASTER),
    )
    yield _positive(records)


def _positive(records: Records) -> Statement:
    """The same method as `OTHER`'s, with error bars."""
    if POSITIVE not in set(records.crop_table.solver):
        return Statement(f"How fast `{POSITIVE}` is beside `{OTHER}`, the same method, isn't measured yet.", None)
    faster = rate_ratio(records.crops, IMAGE, POSITIVE)
    return Statement(
        f"On `{IMAGE}` `{POSITIVE}`, the same method with error bars, makes {ratio(faster.value)} "
        f"[{ratio(faster.low)}, {ratio(faster.high)}] the DEMs per second and core of `{OTHER}` "
        f"(asked for: at least {FASTER:g}x).",
        bool(faster.low >= FASTER),
    )


def _whole_image(row: pd.Series | None) -> Statement:
    if row is None:
        return Statement(f"How long `{OURS}` takes for the whole image on {CORES} cores isn't measured yet.", None)
    if row.status != "ok":
        return Statement(f"`{OURS}` has no result for the whole image: {row.status}, {row.reason}.", False)
    return Statement(
        f"`{OURS}` inverts all {row.pixels - row.invalid_pixels:,} valid pixels of the image's {row.pixels:,}, "
        f"{row.bins} bins, with all five outputs, in {seconds(row.median_s)} on {row.threads} cores "
        f"(asked for: under {WHOLE_IMAGE_S:g} s{f'; with care: {row.doubts}' if row.doubts else ''}).",
        bool(row.median_s < WHOLE_IMAGE_S and row.threads == CORES and not row.leaves_out and row.gate == "pass"),
    )


def _agreement(records: Records, dataset: str) -> Statement:
    """Both against the baseline, on the same pixels: what they differ from each other is at most the sum."""
    ours, theirs = records.crop(OURS, dataset), records.crop(ORACLE, dataset)
    worst = max(float(ours[f"parity_{output}"] + theirs[f"parity_{output}"]) for output in OUTPUTS)
    return Statement(
        f"On `{dataset}` it agrees with `{ORACLE}` in all five outputs to {worst:.0e} of a pixel's peak, on "
        f"{ours.compared_pixels:,} pixels, {ours.tied_pixels + theirs.tied_pixels} ties of the grid apart; "
        f"{ours.hit_max_iter / ours.pixels:.0%} of all run out of passes (asked for: {AGREEMENT:.0e}).",
        bool(worst <= AGREEMENT and ours.gate == theirs.gate == "pass"),
    )


def rate_ratio(run: Run, dataset: str, ours: str = OURS) -> Estimate:
    """How many times as many DEMs per second `ours` makes as `OTHER`, from the rounds that they shared."""
    turns: dict[str, dict[str, Any]] = {
        record["row"]["solver"]: record["turns"] for record in run.records() if record["cell"]["dataset"] == dataset
    }
    times = {
        name: {r: float(np.median([sum(phases) for phases in runs])) for r, runs in turns.get(name, {}).items()}
        for name in (ours, OTHER)
    }
    shared = sorted(times[ours].keys() & times[OTHER].keys())
    if len(shared) < FEWEST:
        raise ValueError(f"{run.folder}: {ours} and {OTHER} share {len(shared)} rounds on {dataset}: make peers")
    return paired_ratio([times[OTHER][r] for r in shared], [times[ours][r] for r in shared])


def text_of(records: Records) -> str:
    """The table, and how it was measured, for the README."""
    return "\n".join([table_of(records), "", _provenance(records)])


def told(records: Records) -> str:
    """The statements, for docs/results.md."""
    lines = [f"- {text}" + " **Doesn't hold.**" * (holds is False) for text, holds in statements(records)]
    return "\n".join(lines)


def _provenance(records: Records) -> str:
    runs = ", ".join(f"[{r.folder.name}](results/{r.folder.name}/{TABLE_FILE})" for r in records.runs)
    datasets = ", ".join(f"`{name}`" for name in (IMAGE, KNOWN, *FLARES))
    table = table_of(records)
    seldom = "n: how often it was timed, where seldom. " * ("(n=" in table)
    seldom += "?: see the row's `doubts`. " * ("? |" in table)
    return (
        f"DEM/s: of the valid ones of {records.crop_table.pixels.max():,} pixels of the disc, "
        f"{records.crop_table.bins.max()} bins, one thread each, all solvers in the same rounds. χ² and pixels "
        f"with negative bins: on `{IMAGE}`. DEM error: the median on `{KNOWN}`, where the truth is known. Bad pixels: "
        f"what becomes of them; peers are timed without them. {seldom}Gate: on all of {datasets}. "
        f"{origin.of(records.runs, VERSIONS)} All rows: {runs}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the statements and return the exit code."""
    parser = cli.Parser("harness.reports.peers_table", description=__doc__)
    parser.parse(arguments)
    try:
        need_checkout()
        held = list(statements(Records.open()))
    except ValueError as error:
        parser.error(" ".join(str(error).split()))
    for statement in held:
        print(f"{WORDS[statement.holds]}: {statement.text}")
    return cli.OK if all(statement.holds for statement in held) else cli.GATE_FAILED


if __name__ == "__main__":
    cli.run(main)
