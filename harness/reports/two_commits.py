"""Two commits' solvers taking turns in the same rounds, and what their times and gates say of the later one.

Where both workers say what their runs used, a pair of one-thread solvers is compared by CPU time; where the older one
doesn't, by the CPU time of whole turns as the parent sees it; what waits, or has several threads, by wall time.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.judge import clocks, intervals
from harness.judge.comparison import NO_ESTIMATE, SLOWER, Comparison, Row, Tolerance
from harness.measure import cell as measure_cell
from harness.measure import record_row
from harness.measure.contender import Contender
from harness.measure.plan import Plan, threads_of
from harness.records.schema import Cell
from harness.reports.checkout import Checkout
from implementations.solver_spec import UnknownNameError, parse

FEWEST_ROUNDS = 10
"""Before these, nothing is clear."""
PLAIN = 4
"""A change of so many half widths of its interval is clear, however wide that is."""


class Match:
    """Two commits and what they are compared on. ValueError, in one line, when neither has a solver that is named."""

    def __init__(
        self,
        base: Checkout,
        head: Checkout,
        plan: Plan,
        tolerance: Tolerance,
        scratch: Path,
        solvers: tuple[str, ...] = (),
    ):
        self.base, self.head, self.plan, self.tolerance, self.scratch = base, head, plan, tolerance, scratch
        self.known = {checkout: checkout.solvers() for checkout in (base, head)}
        every = list(dict.fromkeys([*self.known[base], *self.known[head]]))
        unknown = [name for name in solvers if name.partition("[")[0] not in every]
        if unknown:
            raise ValueError(f"neither commit has a solver '{unknown[0]}'; known: {', '.join(every)}")
        self.solvers = list(solvers or every)
        for spec in solvers:
            self._check(spec)
        self.unstaged: set[Checkout] = set()
        """Whose workers don't know what problem of its own a run of this harness has."""

    def _check(self, spec: str) -> None:
        """ValueError, in one line, when neither commit has the tunables that are given, or they are no threads."""
        name, given = parse(spec)
        threads_of(spec, self.plan.threads)
        told = [known[name].get("tunables") for known in self.known.values() if name in known]
        tunables = {key for each in told for key in each or ()}
        for key in given:
            if key not in tunables and None not in told:  # an older commit doesn't say which it has
                raise UnknownNameError(f"tunable of solver '{name}'", key, tunables or ["(it has none)"])

    def notes(self) -> list[str]:
        """What the times and gates stand on, where that isn't a problem of each run's own."""
        return [
            f"{word}: all its runs were timed on one problem, and judged by the first solution"
            for word, checkout in (("base", self.base), ("head", self.head))
            if checkout in self.unstaged
        ]

    def compare(self, cell: Cell) -> list[Comparison]:
        """Every solver in one cell; those whose time changed, measured anew in fresh processes: both must say so."""
        first = self._measure(cell, self.solvers)
        suspects = [comparison.solver for comparison in first if comparison.changed]
        again = {comparison.solver: comparison for comparison in self._measure(cell, suspects)} if suspects else {}
        return [_both(comparison, again.get(comparison.solver)) for comparison in first]

    def _measure(self, cell: Cell, solvers: list[str]) -> list[Comparison]:
        contenders = {
            (checkout, name): Contender(
                name, threads_of(name, self.plan.threads), self.plan.max_seconds, checkout.folder
            )
            for checkout in (self.base, self.head)  # the base's baseline first: all are judged by it
            for name in solvers
            if self._described(checkout, name).get("available")
        }
        found = {}
        if contenders:
            every, nobody = list(contenders.values()), measure_cell.Nobody()
            judge = self.base.folder
            result = measure_cell.measure_contenders(
                cell, every, self.plan, self.scratch, nobody, self._satisfy, judge=judge
            )
            found = {key: record_row.row_of(contender, result) for key, contender in contenders.items()}
            self.unstaged |= {key[0] for key, each in contenders.items() if each.turns and not each.stages}

        def row(checkout: Checkout, name: str) -> Row | None:
            described = self._described(checkout, name)
            if not described:
                return None
            left_out = record_row.skipped(str(described["reason"]), self.plan.threads)
            failed = {"status": "failed"} if described.get("fault") else {}  # on any machine
            return found.get((checkout, name)) or left_out | failed

        compared = []
        for name in solvers:
            pair = contenders.get((self.base, name)), contenders.get((self.head, name))
            ratio, clock, doubt = _ratio(*pair)
            tolerance = self.tolerance({"solver": name, "pixels": cell.pixels, "bins": cell.bins})
            compared.append(
                Comparison(name, row(self.base, name), row(self.head, name), ratio, tolerance, clock, doubt)
            )
        return compared

    def _described(self, checkout: Checkout, name: str) -> Row:
        return self.known[checkout].get(name.partition("[")[0], {})

    def _satisfy(self, contenders: list[Contender]) -> None:
        """Let those pairs rest whose ratio is known well enough; one that lost its partner has nothing to wait for."""
        for base in contenders:
            pair = [other for other in contenders if other.spec == base.spec and not other.ended]
            if len(pair) < 2:
                base.satisfied = True
            elif base is pair[0] and len(pair[1].turns) >= FEWEST_ROUNDS:
                warming = [each.keep_warming() for each in pair]
                ratio = _ratio(*pair)[0]
                known = ratio.half_width <= max(self.plan.rel_ci, abs(np.log(ratio.value)) / PLAIN)
                pair[0].satisfied = pair[1].satisfied = known and not any(warming)


def _both(first: Comparison, again: Comparison | None) -> Comparison:
    """What both measurements say together; only where the first said that the time changed, there is another.

    Both must say so of times, which noise can change. A gate that was violated once is violated.
    """
    if again is None:
        return first
    told = first if first.code & ~SLOWER and not again.code & ~SLOWER else again
    ratio = again.ratio
    if not np.isnan([first.ratio.low, again.ratio.low]).any():
        ratio = intervals.together(first.ratio, again.ratio)
    return replace(told, ratio=ratio, clock=again.clock, doubt=again.doubt)


def _ratio(base: Contender | None, head: Contender | None) -> tuple[intervals.Estimate, str, str]:
    """Head's time over base's, by which clock, and why it says nothing; no estimate where either has none."""
    if base is None or head is None or base.ended or head.ended or not base.turns or not head.turns:
        return NO_ESTIMATE, "", ""
    clock = base.clock_beside(head)
    busy = clock == clocks.WALL and clocks.busy(head.turns, head.used, head.machine, head.threads)
    return base.speedup(head), clock, "the machine was busy, and its clock is the wall" if busy else ""
