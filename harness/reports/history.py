"""The history as sections of a page: figures, steps, the newest commit's figures, and cells that have none."""

from pathlib import Path
from typing import Any

import pandas as pd

from harness.figures import history as figures_history
from harness.records.files import write_atomically
from harness.records.history import FEWEST_ROUNDS, METRICS, History, read
from harness.show import html as show_html
from harness.show.html import Datum, Grid, Section
from harness.show.terminal import ratio, seconds

PAGE = "history.html"
LEAD = """This project over its own commits, by airspeed velocity: time, memory and quality of every solver, in shuffled
rounds with the baseline. For every quantity, rising means worse."""
STEPS = f"""Where a quantity changed for good, by asv's step detection: by more than 5%; of times, where their 99%
intervals on both sides don't meet, which takes {FEWEST_ROUNDS} rounds; of the time over the baseline's, by more than
{METRICS["track_time_to_baseline"].step:.0%} after as many rounds; of the one-off, which is timed once, by more than
{METRICS["track_oneoff"].step:.0%} over two commits on both sides. A busy machine moves
times, all together, and less so their ratios to the baseline; but a solver so fast that it is done before others get
the core keeps its time while the baseline's grows."""
CELL = ["solver", "pixels", "bins"]


def write(folder: Path, out: Path) -> Path:
    """Write the page of asv's results in `folder`. ValueError, in one line, when there are none; OSError."""
    history = read(folder)
    html = show_html.render("History", " ".join(LEAD.split()), sections(history), list(history.machines.values()))
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / PAGE, html)
    return out / PAGE


def sections(history: History) -> list[Section]:
    """Two sections for each machine, and one for what has no figures."""
    names = [name for name in history.machines if (history.points.machine == name).any()]
    return [section for name in names for section in _machine(history, name)] + [_unmeasured(history.notes)]


def _machine(history: History, name: str) -> list[Section]:
    points = history.points[history.points.machine == name]
    commits = list(dict.fromkeys(points.commit))
    span = f"{len(commits)} commits, {commits[0]} to {commits[-1]}" if commits[1:] else f"One commit, {commits[0]}"
    pictures = [
        show_html.picture(
            f"{name}-{group}",
            group,
            figures_history.caption(history, name, group),
            figures_history.draw(history, name, group),
        )
        for group in figures_history.GROUPS
    ]
    steps = _steps(history.steps[history.steps.machine == name], commits)
    told = [history.caveat or " ".join(STEPS.split())]
    return [
        Section(history.machines[name], [f"{span}, in the order of their dates."], pictures),
        Section("Steps", told, (), [steps] if steps.rows else ()),
        Section(f"At {commits[-1]}", (), (), [_newest(points[points.commit == commits[-1]])]),
    ]


def _steps(steps: pd.DataFrame, commits: list[str]) -> Grid:
    """The newest first."""
    order = {commit: i for i, commit in enumerate(commits)}
    rows = []
    for step in steps.sort_values("commit", key=lambda column: -column.map(order), kind="stable").itertuples():
        factor = step.after / step.before if step.before else float("nan")
        rows.append(
            [
                Datum(step.commit, order[step.commit]),
                Datum(METRICS[str(step.metric)].title),
                Datum(step.solver),
                _number(step.pixels, ",.0f"),
                _number(step.bins, ".0f"),
                _number(step.before, ".3g"),
                _number(step.after, ".3g"),
                _number(factor, ".3g"),
                Datum("▲ worse", mark="bad") if step.worse else Datum("▼ better", mark="good"),
            ]
        )
    headings = ("commit", "quantity", "solver", "pixels", "bins", "before", "after", "after / before", "")
    return Grid(headings, rows)


def _newest(points: pd.DataFrame) -> Grid:
    """A row for each cell of one commit."""
    wide = points.pivot_table(index=CELL, columns="metric", values="value", sort=False)
    times = points[points.metric == "time_solve"].set_index(CELL)
    rows = []
    for cell, values in wide.reindex(columns=list(METRICS)).iterrows():
        solver, pixels, bins = cell
        spread = n = Datum("–")
        if cell in times.index:
            time = times.loc[cell]
            spread = Datum(f"{seconds(time.low)} to {seconds(time.high)}" if pd.notna(time.low) else "–")
            n = _number(time.n, ".0f")
        gate = {0.0: Datum("✔ pass", mark="good"), 1.0: Datum("✘ fail", mark="bad")}
        rows.append(
            [
                Datum(solver),
                _number(pixels, ",.0f"),
                _number(bins, ".0f"),
                gate.get(values.track_gate_violation, Datum("–", mark="quiet")),
                _time(values.time_solve),
                spread,
                n,
                _speedup(values.track_time_to_baseline),
                _time(values.track_oneoff),
                _number(values.peakmem_solve, ",.0f"),
                _number(values.track_chisq_median, ".3f"),
                _number(values.track_dem_error, ".3f"),
                _number(values.track_worst_parity, ".0e"),
            ]
        )
    headings = (
        *CELL,
        "gate",
        "median",
        "99% interval",
        "n",
        "speedup",
        "one-off",
        "peak MB",
        "χ² median",
        "DEM error",
        "worst deviation",
    )
    return Grid(headings, rows, "n is the number of rounds; the speedup is the ratio to the baseline in them.")


def _time(value: float) -> Datum:
    return Datum("–") if pd.isna(value) else Datum(seconds(value), float(value))


def _speedup(share: float) -> Datum:
    return Datum("–") if pd.isna(share) else Datum(ratio(1 / share), float(1 / share))


def _number(value: Any, form: str) -> Datum:
    return Datum("–") if pd.isna(value) else Datum(format(value, form), float(value))


def _unmeasured(notes: pd.DataFrame) -> Section:
    """One line for what several cells and commits have in common."""
    title = "Cells without figures, and violated gates"
    if notes.empty:
        return Section(title, ["None."])
    violated = notes.status == "ok"
    told = notes.assign(
        what=notes.status.where(~violated, "gate " + notes.gate), why=notes.reason.where(~violated, notes.gate_reasons)
    )
    rows = []
    for (solver, what, why), same in told.groupby(["solver", "what", "why"], sort=False):
        cells = [f"{pixels} x {bins}" for pixels, bins in dict.fromkeys(zip(same.pixels, same.bins, strict=True))]
        mark = "quiet" if what in ("skipped", "gate none") else "bad"
        rows.append(
            [
                Datum(str(solver)),
                Datum(str(what), mark=mark),
                Datum(str(why), mark="long"),
                Datum(", ".join(cells)),
                Datum(", ".join(dict.fromkeys(same.commit)), mark="long"),
            ]
        )
    return Section(title, (), (), [Grid(("solver", "what", "why", "pixels x bins", "commits"), rows)])
