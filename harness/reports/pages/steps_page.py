"""docs/steps.md: one step of the algorithm in all its forms, from the committed runs of it and of the whole.

`harness.reports.readme` writes the figures; `make reference-steps` makes the runs.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.show import markdown
from harness.show.terminal import seconds
from harness.workloads import variation
from implementations.places import ROOT

PAGE = ROOT / "docs" / "steps.md"
STEP = ROOT / "results" / "reference-steps"
WHOLE = ROOT / "results" / "reference-steps-whole"
DEVICE = ROOT / "results" / "gpu-steps"
"""The step on a device's machine, for the form that needs one; ratios are to the published form there."""
PRIOR = {"as published": 53.3, "NumPy": 4.38, "Numba": 4.1, "Numba parallel+fastmath": 7.69}
"""Of the prior assignment, ms: a single pixel at nmu 500."""
FORMS = {
    "as published": ("published", "baseline"),
    "NumPy": ("numpy", "numpy-regmap"),
    "Numba": ("numba", "numba-regmap"),
    "Numba parallel+fastmath": ("numba-parallel[threads=2]", "numba-regmap-parallel"),
    "CuPy": ("cupy", "cupy-regmap"),
    "fused": ("fused", "numba"),
}
"""What the page calls them -> the form of the step, and the solver that has it."""
NMU = 500


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both runs, with their grids' points: of the step by form, of the whole by solver."""
    return _read(STEP), _read(WHOLE)


def _read(folder: Path) -> pd.DataFrame:
    table = Run.open(folder).table()
    table["nmu"] = [variation.split(name)[1].get("nmu", 42) for name in table.dataset]
    table["form"] = [name.partition(".")[2] or name for name in table.solver]
    return table[table.bins == 34]


def row() -> str:
    """The prior assignment's row beside this project's, as ratios."""
    lines = []
    for name, places in FORMS.items():
        cells = [f"{PRIOR['as published'] / PRIOR[name]:.1f}x ({PRIOR[name]:.3g} ms)" if name in PRIOR else "–"]
        alone, whole = (_one(table, form, 1, NMU) for table, form in zip(tables(), places, strict=True))
        if name == "CuPy" and (alone is None or alone.status == "skipped"):
            alone = _one(_read(DEVICE), places[0], 1, NMU)
        cells += [_ratio(alone), _ratio(whole)]
        lines.append([name, cells[0], cells[2], cells[1]])
    header = ("the search", "prior assignment", "here, whole inversion", "here, the step alone")
    device = Run.open(DEVICE).provenance
    on = f"CuPy, the step alone: {machine_facts.machine_label(device['machine'])}, {device['created'][:10]}"
    return f"{markdown.table(header, lines, left=1)}\n\n{_made()} {on}, commit {device['commit']}."


def _one(table: pd.DataFrame, form: str, pixels: int, nmu: int) -> Any:
    rows = table[(table.form == form) & (table.pixels == pixels) & (table.nmu == nmu)]
    return rows.iloc[0] if len(rows) else None


def _ratio(row: Any) -> str:
    if row is None or row.status == "skipped":
        return "not yet measured" if row is None else f"not yet measured ({row.reason})"
    if row.status != "ok":
        return f"{row.status}: {row.reason}"
    interval = f" [{row.speedup_low:.3g}, {row.speedup_high:.3g}]" if pd.notna(row.speedup_low) else ""
    gate = "" if row.gate == "pass" else f", gate: {row.gate}"
    return f"{row.speedup:.3g}x{interval} ({_time(row)}{gate})"


def sizes() -> str:
    """The step's forms over pixels and points of the grid."""
    table, _ = tables()
    cells = sorted({(int(r.pixels) * int(r.nmu), int(r.pixels), int(r.nmu)) for r in table.itertuples()})
    lines = [
        [f"{pixels:,}", f"{nmu:,}", *(_time(_one(table, form, pixels, nmu)) for form, _ in FORMS.values())]
        for _, pixels, nmu in cells
    ]
    return markdown.table(("pixels", "nmu", *FORMS), lines, left=0)


def _time(row: Any) -> str:
    if row is None or row.status != "ok":
        return "–"
    return seconds(row.median_s) + "?" * (pd.notna(row.doubts) and bool(row.doubts))


def parallel() -> str:
    """Why parallel is slower for one pixel, and from what size on it isn't, in the same run."""
    table, _ = tables()
    plain, team = (FORMS[name][0] for name in ("Numba", "Numba parallel+fastmath"))
    both = []
    for pixels, nmu in sorted({(int(r.pixels), int(r.nmu)) for r in table.itertuples()}, key=lambda of: of[0] * of[1]):
        a, b = _one(table, plain, pixels, nmu), _one(table, team, pixels, nmu)
        if a is not None and b is not None and a.status == b.status == "ok":
            both.append((pixels * nmu, pixels, nmu, a, b))
    single = next(each for each in both if each[1:3] == (1, NMU))
    _, _, _, a, b = single
    why = f"{NMU} points of six terms are less work than waking a thread, handing it its part and waiting for it"
    said = (
        f"At one pixel and nmu {NMU} the search compiled plainly takes {seconds(a.median_s)} and on two threads "
        f"{seconds(b.median_s)}"
        f"{f': {why}.' if b.ci_low_s > a.ci_high_s else '; their intervals do not tell the two apart.'}"
    )
    first = next((n for n, each in enumerate(both) if all(b.ci_high_s < a.ci_low_s for *_, a, b in both[n:])), None)
    if first is None:
        return f"{said} {_even(both)} In none of the sizes measured is it surely faster.{_company(table, team)}"
    size, pixels, nmu, a, b = both[first]
    before = f" ({both[first - 1][0]:,} are not enough)" if first else ""
    return (
        f"{said} From {size:,} points on, pixels times nmu, it is faster{before}: {pixels:,} pixels at nmu {nmu} "
        f"take {seconds(a.median_s)} plainly and {seconds(b.median_s)} on two threads."
    )


def _even(both: list[Any]) -> str:
    """From what size on it isn't surely slower."""
    even = next((n for n in range(len(both)) if all(b.ci_low_s <= a.ci_high_s for *_, a, b in both[n:])), None)
    if even is None:
        return "It is surely slower at the largest size measured, too."
    return f"From {both[even][0]:,} points on, pixels times nmu, it is no slower: the intervals meet."


def _company(table: pd.DataFrame, team: str) -> str:
    """What else ran while the threads had their turns: without a core to itself a second thread gains nothing."""
    others, cores = table[table.form == team].others_cores.median(), Run.open(STEP).provenance["machine"]["cores"]
    return f" Other work had {others:.1f} of the machine's {cores} cores meanwhile." if others >= 0.1 else ""


def _made() -> str:
    facts = Run.open(STEP).provenance
    return (
        f"Ratios to the published form in the same rounds, with 99% intervals, and medians on the wall. Ratios of one "
        f"thread are by CPU time, reading the clocks included, those of two by the wall: of short steps, a slower form "
        f"can have the larger ratio. ?: the record says why the time isn't to be relied on. Made on "
        f"{machine_facts.machine_label(facts['machine'])}, {facts['created'][:10]}, commit {facts['commit']}."
    )


def rewritten() -> str:
    """The page with the runs' figures between its markers."""
    text = PAGE.read_text()
    for name, part in (("row", row), ("sizes", sizes), ("parallel", parallel)):
        text = markdown.rewritten(text, name, part())
    return text
