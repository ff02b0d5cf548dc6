"""Time, memory and quality of every registered solver; for each of them, rising means worse.

A cell is measured once, by `measurement.record`, when the first of its metrics is set up; no method here runs a solver,
and a profile of one shows nothing: `calls` is for that.
"""

import itertools
import math
import statistics
from collections.abc import Callable
from typing import Any

from asv_runner.benchmarks import peakmem

from . import measurement
from .measurement import setup_cache

__all__ = ["Solver", "setup_cache"]
PARITIES = ("parity_dem", "parity_edem", "parity_elogt", "parity_chisq", "parity_dn_reg")


def unit(name: str) -> Callable[[Any], Any]:
    """The unit of what a method returns."""

    def named(method: Any) -> Any:
        method.unit = name
        return method

    return named


class Solver:
    """A solver on a map of some pixels with some temperature bins, in the same rounds as the baseline."""

    params = (measurement.solvers(), *measurement.sizes()[:2])
    param_names = ("solver", "pixels", "bins")
    version = "1"
    timeout = 1800
    number, rounds, warmup_time = 1, 1, 0.0
    row: dict[str, Any]

    def setup(self, listing: measurement.Listing, solver: str, pixels: int, bins: int) -> None:
        """NotImplementedError, which asv takes for a skip, where the solver can't run; RuntimeError where it failed."""
        measurement.demand(listing, solver)
        if hasattr(self, "clock"):  # asv sets up anew before every sample
            return
        record = measurement.record(listing, solver, pixels, bins)
        self.row = record["row"]
        if self.row["status"] == "skipped":
            raise NotImplementedError(self.row["reason"])
        if self.row["status"] != "ok":
            raise RuntimeError(f"{solver}: {self.row['status']}: {self.row['reason']}")
        turns = [_turn_seconds(runs) for runs in record["turns"].values()]
        middle = statistics.median(turns)
        turns.sort(key=lambda seconds: abs(seconds - middle))  # the first is all that `--quick` takes
        self.repeat = len(turns)
        self.clock = itertools.chain.from_iterable((0.0, seconds) for seconds in turns)

    def timer(self) -> float:
        """A clock that replays the rounds: asv gets the harness's samples, and its statistics from them."""
        return next(self.clock)

    def time_solve(self, *cell: Any) -> None:
        """Staging, inverting and bringing home; a sample is a round's median."""

    def peakmem_solve(self, *cell: Any) -> None:
        """Most memory held by the solver's process and its children, in place of asv's own measure of its process."""
        peakmem.get_maxrss = lambda: int(self.row["peak_rss_mb"] * 2**20)

    @unit("seconds")
    def track_oneoff(self, *cell: Any) -> float:
        """Import, loading of compiled kernels, device context: what is paid once in a process."""
        return self.row["oneoff_s"]

    track_oneoff.version = "2"

    @unit("baseline's time")
    def track_time_to_baseline(self, *cell: Any) -> float:
        """One over the speedup: the time as a share of the baseline's in the same rounds."""
        return 1 / _number(self.row.get("speedup"))

    @unit("chi-squared")
    def track_chisq_median(self, *cell: Any) -> float:
        """Median chi-squared over the valid pixels."""
        return _number(self.row["chisq_median"])

    @unit("chi-squared")
    def track_chisq_iqr(self, *cell: Any) -> float:
        """Its interquartile range."""
        return _number(self.row["chisq_iqr"])

    @unit("chi-squared")
    def track_chisq_p95(self, *cell: Any) -> float:
        """Its 95th percentile."""
        return _number(self.row["chisq_p95"])

    @unit("relative to the true DEM")
    def track_dem_error(self, *cell: Any) -> float:
        """Median distance of the DEM to the one that made the counts."""
        return _number(self.row["truth_dem_error"])

    @unit("relative to the pixel's peak")
    def track_worst_parity(self, *cell: Any) -> float:
        """Worst deviation from the baseline, over pixels and outputs."""
        return max(_number(self.row.get(name)) for name in PARITIES)

    @unit("0 or 1")
    def track_gate_violation(self, *cell: Any) -> float:
        """1 where the gate says fail; no value where there was no baseline to judge by."""
        return {"pass": 0.0, "fail": 1.0}.get(self.row["gate"], math.nan)


def _number(value: float | str | None) -> float:
    """A record's value, in which NaN is null and an infinity a word."""
    return math.nan if value is None else float(value)


def _turn_seconds(runs: list[list[float]]) -> float:
    """A turn's median run, the sample that statistics are made of; a run is (prepare, solve, collect)."""
    return statistics.median(sum(run) for run in runs)
