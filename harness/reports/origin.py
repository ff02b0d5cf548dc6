"""What a table in a page says of where its figures are from: date, commit, machine, and solvers that changed since."""

from collections.abc import Sequence

import pandas as pd

from harness.advice.evidence import changed
from harness.machine import facts as machine_facts
from harness.records.run import Run

MARK = "†"


def named(tables: Sequence[pd.DataFrame]) -> dict[str, str]:
    """Solvers as code, with a mark where their source is not any more what one of these rows was measured of."""
    outdated = {solver for table in tables for solver, _ in changed(table)}
    solvers = {solver for table in tables for solver in table.solver}
    return {solver: f"`{solver}`" + f" {MARK}" * (solver in outdated) for solver in solvers}


def of(runs: Sequence[Run], versions: Sequence[str]) -> str:
    """Machine, some versions, commits and days; what the mark means, where there is one, or why there can be none."""
    facts, tables = [run.provenance for run in runs], [run.table() for run in runs]
    software = ", ".join(f"{name} {facts[0]['software'][name]}" for name in versions if name in facts[0]["software"])
    days = [f"commit {each['commit'] or 'unknown'}, {each['created'][:10]}" for each in facts]
    said = [f"{machine_facts.machine_label(facts[0]['machine'])}; {software}; {'; '.join(dict.fromkeys(days))}."]
    if any(map(changed, tables)):
        said.append(f"{MARK}: the solver's source has changed since.")
    if any((table[table.status == "ok"].source == "").any() for table in tables):
        said.append("Records from before sources were kept: solvers may have changed since.")
    return " ".join(said)
