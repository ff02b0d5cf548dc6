"""Makes the README's tables from the committed reference runs.

`python -m harness.reports.readme` rewrites what stands between the markers in README.md, docs/results.md,
docs/profiling.md, docs/cluster.md, docs/gpu.md, docs/methods.md, docs/prior-work.md, docs/steps.md, docs/scale.md and
docs/solar.md;
`--check` changes nothing and exits with 1 when they are not what the records say. `make readme` makes the page and the
figures in plots/ too.
"""

from collections.abc import Sequence

import pandas as pd

from harness.judge.intervals import FEWEST
from harness.records.run import TABLE_FILE, Run
from harness.reports import origin, peers_table
from harness.reports.pages import (
    cluster_page,
    gpu_page,
    methods_page,
    prior_work_page,
    profiling_page,
    scale_page,
    solar_page,
    steps_page,
    trust_page,
)
from harness.show.markdown import rewritten, table
from harness.show.terminal import ratio, seconds
from implementations import command_line as cli
from implementations.places import ROOT, need_checkout

README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.md"
REFERENCES = (ROOT / "results" / "reference", ROOT / "results" / "reference-loci")
TABLE, PEERS, STATEMENTS, FRAME = "table", "peers", "statements", "frame"
"""What stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""


def text_of(runs: Sequence[Run]) -> str:
    """The table, a row per solver and number of bins at each run's largest map, with the provenance beneath."""
    tables = [run.table() for run in runs]
    largest = pd.concat([each[each.pixels == each.pixels.max()] for each in tables])
    names = origin.named(tables)
    rows = [{"solver": names[row.solver]} | cells_of(row) for _, row in largest.iterrows()]
    links = ", ".join(f"[{run.folder.name}](../results/{run.folder.name}/{TABLE_FILE})" for run in runs)
    return "\n".join(
        [
            table(list(rows[0]), [list(row.values()) for row in rows]),
            "",
            f"{runs[0].provenance['grid']['threads']} thread(s) a solver, all solvers in the same rounds, on "
            f"{origin.of(runs, ('python', 'numpy', 'scipy', 'numba'))} n: how often a solver was timed, where that is "
            f"too seldom for an interval. All sizes: {links}.",
        ]
    )


def cells_of(row: pd.Series) -> dict[str, str]:
    """A row's texts by column, but for its solver."""
    cells = {"workload": row.dataset, "pixels": f"{row.pixels}", "bins": f"{row.bins}"}
    measured = ("time", "pixels/s", "speedup [99% interval]", "peak MB", "χ² median / IQR / p95", "DEM error", "gate")
    if row.status != "ok":
        return cells | dict.fromkeys(measured, "") | {"time": f"{row.status}: {row.reason}", "gate": "none"}
    interval = f" [{ratio(row.speedup_low)}, {ratio(row.speedup_high)}]" if pd.notna(row.speedup_low) else ""
    texts = (
        seconds(row.median_s) + (f" (n={row.n})" if row.n < FEWEST else ""),
        f"{row.pixels_per_s:,.0f}",
        ratio(row.speedup) + interval * (row.solver != "baseline"),
        f"{row.peak_rss_mb:.0f}",
        f"{row.chisq_median:.2f} / {row.chisq_iqr:.2f} / {row.chisq_p95:.2f}",
        f"{row.truth_dem_error:.3f}",
        row.gate,
    )
    return cells | dict(zip(measured, texts, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite, or check, and return the exit code."""
    parser = cli.Parser("harness.reports.readme", description=__doc__)
    parser.add_argument("--check", action="store_true")
    given = parser.parse(arguments)
    try:
        need_checkout()
        runs = [Run.open(folder) for folder in REFERENCES]
    except ValueError as error:
        parser.error(str(error))
    peers = peers_table.Records.open()
    results = rewritten(RESULTS.read_text(), TABLE, text_of(runs))
    front = rewritten(README.read_text(), PEERS, peers_table.text_of(peers))
    pages = {
        README: rewritten(front, FRAME, solar_page.in_short()),
        RESULTS: rewritten(results, STATEMENTS, peers_table.told(peers)),
    }
    pages |= {
        page.PAGE: page.rewritten()
        for page in (
            profiling_page,
            cluster_page,
            gpu_page,
            methods_page,
            prior_work_page,
            steps_page,
            scale_page,
            solar_page,
            trust_page,
        )
    }
    if given.check:
        return cli.OK if all(text == page.read_text() for page, text in pages.items()) else cli.GATE_FAILED
    for page, text in pages.items():
        page.write_text(text)
    prior_work_page.draw()
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
