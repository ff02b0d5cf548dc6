"""The figures in docs/profiling.md, from the committed profiles and the reference run; `harness.reports.readme` writes
them."""

import json
from pathlib import Path
from typing import Any

from harness.machine import facts as machine_facts
from harness.profiling.engines import PROFILE_FILE
from harness.records.run import Run
from harness.show import markdown
from harness.show.markdown import table
from harness.show.terminal import seconds
from implementations.places import ROOT

PAGE = ROOT / "docs" / "profiling.md"
PROFILES = tuple(ROOT / "results" / name for name in ("reference-profile", "reference-profile-numba"))
PREDICTION = PROFILES[1] / "predict.json"
INSTRUCTIONS = ROOT / "results" / "reference-instructions" / "instructions.json"
BEFORE = INSTRUCTIONS.with_name("before.json")
"""Of a commit whose kernels still had an SVD of each pixel."""
REFERENCE = ROOT / "results" / "reference"
HEADLINE = ("factorisation", "grid search")
"""The stages that the published finding is about."""
SHOWN_CALLS = 5


def profiles() -> list[dict[str, Any]]:
    """The committed profiles: the baseline's, and numba's."""
    return [json.loads((folder / PROFILE_FILE).read_text()) for folder in PROFILES]


def shares(record: dict[str, Any]) -> dict[str, float]:
    """Each stage's share of the run, the largest first."""
    stages = sorted(record["stages"].items(), key=lambda item: -item[1])
    total = sum(record["stages"].values())
    return {name: value / total for name, value in stages}


def headline_share(record: dict[str, Any]) -> float:
    """What factorisation and grid search take together."""
    return sum(shares(record).get(name, 0.0) for name in HEADLINE)


def _stages() -> str:
    records = profiles()
    parts = [shares(record) for record in records]
    names = [f"`{r['solver']}`, {r['cell']['pixels']} pixels x {r['cell']['bins']} bins" for r in records]
    rows = [
        [stage, *(f"{part.get(stage, 0):.1%}" for part in parts)] for stage in dict.fromkeys([*parts[0], *parts[1]])
    ]
    rows.append(["factorisation and grid search", *(f"{headline_share(r):.0%}" for r in records)])
    rows.append(["a pixel", *(seconds(r["undisturbed_best_s"] / r["cell"]["pixels"]) for r in records)])
    notes = [_agreement(record) for record in records]
    return "\n".join([table(["stage", *names], rows, left=1), "", *notes, "", f"Made on {_made(records[0])}."])


def _agreement(record: dict[str, Any]) -> str:
    """Whether the stages of a profile add up to an undisturbed run."""
    off = f"{record['stages_excess']:+.1%}"
    said = "within a tenth" if record["stages_agree"] else "read the shares rather than the seconds"
    return f"`{record['solver']}`: the sum of the stages is {off} off an undisturbed run; {said}."


def _made(record: dict[str, Any]) -> str:
    return f"{machine_facts.machine_label(record['machine'])}, {record['created'][:10]}, commit {record['commit']}"


def _calls() -> str:
    record = profiles()[0]
    rows = [
        (f"`{row['function']}`", f"{row['calls']:,}", f"{row['own_share']:.1%}", f"{row['cumulative_share']:.1%}")
        for row in record["functions"][:SHOWN_CALLS]
    ]
    lines = table(("function", "calls", "own time", "with what it calls"), rows, left=1)
    return f"{lines}\n\nIts hot spot, in the tool's words: {record['hot_spot']}"


def _limit() -> str:
    run = Run.open(REFERENCE)
    known = run.table()
    most = known.pixels.max()
    counted = known[(known.pixels == most) & (known.status == "ok") & known.strategy_flops.notna()]
    names = ("solver", "bins", "a pixel", "operations a pixel", "algorithm's operations", "share of the limit")
    rows = [
        (
            f"`{row.solver}`",
            f"{row.bins}",
            seconds(row.median_s / row.pixels),
            f"{row.strategy_flops:,.0f}",
            f"{row.algorithm_flops:,.0f}",
            f"{100 * row.of_limit:.2g}%",
        )
        for _, row in counted.iterrows()
    ]
    facts = run.provenance
    where = f"{machine_facts.machine_label(facts['machine'])}, {facts['created'][:10]}"
    return f"{table(names, rows, left=1)}\n\n{most:,} pixels, one thread a solver, on {where}."


def _prediction() -> str:
    got = json.loads(PREDICTION.read_text())
    names = ("pixels", "bins", "positivity passes", "predicted", "measured", "ratio")
    rows = [
        (
            f"{row['pixels']}",
            f"{row['bins']}",
            f"{row['passes']:.2f}",
            seconds(row["predicted_s"]),
            seconds(row["measured_s"]),
            f"{row['ratio']:.2f}",
        )
        for row in got["rows"]
    ]
    return f"{table(names, rows, left=0)}\n\nWorst: {got['worst']:.0%} off. Made on {machine_facts.told(got)}."


def counts(file: Path = INSTRUCTIONS) -> dict[str, Any]:
    """The committed instruction counts; or those of an earlier commit."""
    record: dict[str, Any] = json.loads(file.read_text())
    return record


def _instructions() -> str:
    got, before = counts(), counts(BEFORE)
    earlier = {(row["solver"], row["bins"]): row for row in before["rows"]}
    names = ("solver", "bins", "instructions a pixel", "before", "operations a pixel", "operations an instruction")
    rows = [
        (
            f"`{row['solver']}`",
            f"{row['bins']}",
            f"{row['instructions']:,.0f}",
            f"{earlier[row['solver'], row['bins']]['instructions']:,.0f}",
            f"{row['operations']:,.0f}",
            f"{row['density']:.2f}",
        )
        for row in got["rows"]
    ]
    then = f"Before: commit {before['commit']}, whose kernels had an SVD of each pixel"
    return f"{table(names, rows, left=1)}\n\nMade on {machine_facts.told(got)}. {then}."


BLOCKS = {"stages": _stages, "calls": _calls, "limit": _limit, "prediction": _prediction, "instructions": _instructions}


def rewritten() -> str:
    """The page with the records' figures between its markers."""
    text = PAGE.read_text()
    for name, block in BLOCKS.items():
        text = markdown.rewritten(text, name, block())
    return text
