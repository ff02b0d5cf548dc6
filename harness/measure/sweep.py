"""A plan being carried out, cell by cell."""

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.measure import cell as measure_cell
from harness.measure import progress, record_row
from harness.measure.contender import Contender
from harness.measure.forecast import Forecast, earlier_rows
from harness.measure.plan import Plan, threads_of
from harness.records import fingerprint
from harness.records.run import Run
from harness.records.schema import Cell
from implementations import registry, solver_spec


class Sweep:
    """A plan being carried out: which solvers can't run here, and which ran out of time or memory in what cells.

    `origin` is what every new row says of where it is from: commit, machine, software.
    """

    def __init__(self, plan: Plan, table: registry.Registry, run: Run, origin: dict[str, Any]):
        self.plan, self.table, self.run, self.origin = plan, table, run, origin
        self.limits = run.provenance.get("limits")
        self.unavailable = {spec: table.unavailable(spec) for spec in plan.solvers}
        self.at_fault = [spec for spec in plan.solvers if table.fault(spec)]
        specifications = {name: plan.specification(name) for name in plan.datasets}
        self.workloads = {name: spec.fingerprint for name, spec in specifications.items()}
        self.options = {name: asdict(spec.options) for name, spec in specifications.items()}
        run.asked = frozenset(run.path(cell, spec) for cell in plan.cells() for spec in plan.solvers)
        self.recorded = [(Cell(**record["cell"]), record["row"]) for record in run.records()]
        self.exhausted: dict[str, list[tuple[Cell, str]]] = defaultdict(list)
        for cell, row in self.recorded:
            self._note_exhausted(cell, row)

    def measure_all(self, console: Console) -> None:
        """Every cell that isn't whole yet. A cell's records are written when its rounds are over."""
        cells = self.plan.cells()
        able = [spec for spec in self.plan.solvers if not self.unavailable[spec]]
        earlier = earlier_rows(self.run.folder.parent, self.origin["machine"]["id"])
        forecast = Forecast(cells, able, self.plan.max_seconds, self.plan.repeats, earlier)
        done = {(cell, row["solver"]) for cell, row in self.recorded}
        for cell, row in self.recorded:
            forecast.know(cell, [row])
        with progress.Display(console, forecast) as show, self.run.scratch() as scratch:
            for cell in cells:
                missing = [spec for spec in self.plan.solvers if (cell, spec) not in done]
                if missing:
                    show.cell(cell)
                show.cell_done(cell, self.measure(cell, missing, scratch, show) if missing else [])
        self.run.write_table()

    def measure(
        self, cell: Cell, missing: list[str], scratch: Path, listener: measure_cell.Listener
    ) -> list[dict[str, Any]]:
        """Measure what is missing of a cell (beside the baseline, for the ratios), record it, and return the rows."""
        solvers = self.plan.solvers
        reasons = {s: self.unavailable[s] or record_row.dominated(cell, self.exhausted[s]) for s in solvers}
        able = [s for s in solvers if not reasons[s] and (s in missing or s == self.plan.reference)]
        identities = {spec: self._identity(cell, spec) for spec in missing}  # before the solvers' source may change
        result = measure_cell.measure(cell, able, self.plan, scratch, listener) if set(able) & set(missing) else None
        contenders = {contender.spec: contender for contender in result.contenders} if result else {}
        recorded = []
        for spec in missing:
            row, detail = identities[spec], {}
            if result is None or spec not in contenders:
                row |= record_row.skipped(reasons[spec], threads_of(spec, self.plan.threads))
                row["status"] = "failed" if spec in self.at_fault else row["status"]
            else:
                row = self._row(row, contenders[spec], result)
                detail = record_row.detail_of(contenders[spec], result)
            self.run.add(cell, spec, row, detail | {"origin": self.origin, "options": self.options[cell.dataset]})
            self._note_exhausted(cell, row)
            recorded.append(row)
        return recorded

    def _row(self, identity: dict[str, Any], contender: Contender, result: measure_cell.CellResult) -> dict[str, Any]:
        """The row of what was measured. Nobody is faster than the machine: such times are a failed row.

        One that isn't exact may do with fewer operations than the algorithm, but not with less traffic.
        """
        row = identity | record_row.row_of(contender, result)
        if row["status"] != "ok" or row["device"] != "cpu" or not self.limits or self.plan.step:
            return row
        figures = record_row.limit(contender, result, self.limits)
        took, best = row["median_s"], figures.get("limit_s", 0.0)
        if figures and contender.hello["accuracy"] != "exact":
            best = record_row.traffic_s(contender, result, self.limits, figures)
        if best <= took:
            return row | figures
        contender.fail(f"its times can't be: {took:.3g} s for work that takes this machine {best:.3g} s at best")
        return identity | record_row.row_of(contender, result)

    def _identity(self, cell: Cell, spec: str) -> dict[str, Any]:
        """What a row is of."""
        described = self.table.describe(solver_spec.parse(spec)[0])
        return {
            "run": self.run.provenance["run"],
            "commit": self.origin["commit"],
            "machine": self.origin["machine"]["id"],
            "solver": spec,
            "device": described["device"],
            "accuracy": described["accuracy"],
            "method": described["method"],
            "external": described["external"],
            "dataset": cell.dataset,
            "seed": cell.seed,
            "pixels": cell.pixels,
            "bins": cell.bins,
            "source": fingerprint.of_solver(spec, self.table),
            "workload": self.workloads[cell.dataset],
        }

    def _note_exhausted(self, cell: Cell, row: dict[str, Any]) -> None:
        if row["status"] in ("timeout", "out_of_memory"):
            self.exhausted[row["solver"]].append((cell, row["status"]))
