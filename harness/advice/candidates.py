"""Which solver for how many pixels and bins: every solver's predicted time and memory, and why it may not be chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.advice.evidence import Evidence
from harness.advice.growth_law import MEMORY, TIME, Law, Prediction, sizes

ERRORS_AGREE = 1e-3
"""Error bars count as the algorithm's own where they differ from the baseline's by this share of a pixel's peak."""
MOST_PARTS = 10_000


@dataclass(frozen=True)
class Request:
    """What is to be inverted, and what it may take."""

    pixels: int
    bins: int
    dataset: str
    memory_mb: float
    device: str = "any"
    needs: tuple[str, ...] = ()
    memory_asked: bool = False
    """Whether the limit was asked for, or is just what the machine has."""


@dataclass(frozen=True)
class Candidate:
    """A solver with its threads. `refused` says why it can't be recommended, "" where it can."""

    solver: str
    threads: int
    device: str
    accuracy: str
    refused: str
    gives_up: str
    gate: str
    time_s: Prediction | None = None
    memory_mb: Prediction | None = None
    parts: int = 1
    """How many pieces the map is solved in, one after another, so that each fits the memory; 0: none does."""
    oneoff_s: tuple[float, float] = (math.nan, math.nan)
    """Median and greatest of the records: import, compilation, device context."""
    beyond: tuple[float, float] = (1.0, 1.0)
    """How many times beyond the measured pixels and bins the request is."""
    measured_at: str = ""
    pinned: bool = False

    @property
    def spec(self) -> str:
        """The name to call the solver by."""
        if self.threads == 1 or not self.pinned:
            return self.solver
        inner = f"threads={self.threads}"
        return f"{self.solver[:-1]},{inner}]" if self.solver.endswith("]") else f"{self.solver}[{inner}]"


class Laws:
    """Fitted laws of every solver and thread count on one workload, made when first asked for."""

    def __init__(self, evidence: Evidence, dataset: str):
        self.evidence = evidence
        self.rows = evidence.measured[evidence.measured.dataset == dataset]
        self._made: dict[tuple[str, int, str], Law | str] = {}

    def of(self, solver: str, threads: int, column: str = "median_s") -> Law | str:
        """The law of a column, or why there is none."""
        key = (solver, threads, column)
        if key not in self._made:
            self._made[key] = self._fitted(*key)
        return self._made[key]

    def _fitted(self, solver: str, threads: int, column: str) -> Law | str:
        rows = self.rows[(self.rows.solver == solver) & (self.rows.threads == threads) & self.rows[column].notna()]
        try:
            if column == "median_s":
                return Law(sizes(rows.pixels, rows.bins, rows[column], rows.ci_low_s, rows.ci_high_s), TIME)
            return Law(sizes(rows.pixels, rows.bins, rows[column]), MEMORY)
        except ValueError as error:
            return str(error)


def advise(evidence: Evidence, request: Request) -> list[Candidate]:
    """Every solver and thread count in the evidence, those that may be recommended first, each lot fastest first."""
    laws = Laws(evidence, request.dataset)
    found = []
    for (solver, threads), rows in evidence.table.groupby(["solver", "threads"], sort=True):
        others = evidence.table[(evidence.table.solver == solver) & (evidence.table.threads != threads)]
        found.append(_candidate(laws, rows, others, request))
    return sorted(found, key=lambda c: (bool(c.refused), c.time_s.value if c.time_s else math.inf, c.solver))


def best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The fastest that may be recommended; an exact one where their intervals leave open which is faster."""
    able = [c for c in candidates if not c.refused and c.time_s is not None]
    if not able:
        return None
    first = able[0]
    for other in able:
        if other.accuracy == "exact" and other.time_s and first.time_s and other.time_s.low <= first.time_s.value:
            return other
    return first


def _candidate(laws: Laws, rows: pd.DataFrame, others: pd.DataFrame, request: Request) -> Candidate:
    """`rows` are of one solver and number of threads, `others` of the solver with other numbers."""
    solver, threads = str(rows.solver.iloc[0]), int(rows.threads.iloc[0])
    ran = rows[rows.status == "ok"]
    known = ran if len(ran) else rows
    device, accuracy = known.device.iloc[-1], known.accuracy.iloc[-1]
    gate, reason = _verdict(rows, request)
    reason = _beside(rows, others, reason) if gate == "fail" else reason or _failed_beside(rows, others)
    facts = {"device": device, "accuracy": accuracy, "gate": gate, "pinned": bool(known.pinned.any())}
    gives_up = given_up(ran, laws.evidence) if accuracy == "approximate" else ""
    if (method := known.method.iloc[-1]) != "demreg":
        reason = reason or f"another method ({method}), whose DEM is another: to be chosen for that (docs/methods.md)"
    law = laws.of(solver, threads)
    reason = reason or _unfit(ran, device, request)
    if isinstance(law, str) or law.refusal(request.bins):
        why = law if isinstance(law, str) else law.refusal(request.bins)
        return Candidate(solver, threads, refused=reason or why, gives_up=gives_up, **facts)
    here = laws.rows[(laws.rows.solver == solver) & (laws.rows.threads == threads)]
    memory, parts = _memory(laws.of(solver, threads, "peak_rss_mb"), request)
    if memory is None and request.memory_asked:
        reason = reason or "its memory isn't known from enough records"
    if parts == 0:
        reason = reason or f"not even one pixel fits in {request.memory_mb:,.0f} MB"
    share = math.ceil(request.pixels / max(parts, 1))
    each = law.predict(share, request.bins)
    return Candidate(
        solver,
        threads,
        refused=reason,
        gives_up=gives_up,
        **facts,
        time_s=Prediction(*(float(x) * max(parts, 1) for x in each)),
        memory_mb=memory,
        parts=parts,
        oneoff_s=(float(here.oneoff_s.median()), float(here.oneoff_s.max())),
        beyond=law.reach(share, request.bins),
        measured_at=f"{here.pixels.min():,} to {here.pixels.max():,} pixels, "
        f"{', '.join(str(b) for b in sorted(here.bins.unique()))} bins",
    )


def _memory(law: Law | str, request: Request) -> tuple[Prediction | None, int]:
    """Peak memory of a part, and the fewest equal parts whose predicted memory fits."""
    if isinstance(law, str) or law.refusal(request.bins):
        return None, 1

    def of(parts: int) -> Prediction:
        return Prediction(*(float(x) for x in law.predict(math.ceil(request.pixels / parts), request.bins)))

    most = min(MOST_PARTS, request.pixels)
    if of(most).value > request.memory_mb:
        return of(1), 0
    low, high = 0, most  # `high` parts fit, `low` don't
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if of(middle).value <= request.memory_mb else (middle, high)
    return of(high), high


def _verdict(rows: pd.DataFrame, request: Request) -> tuple[str, str]:
    """The gates' verdict over all newest rows on all workloads, and why the solver can't be recommended, if so."""
    ran = rows[rows.status == "ok"]
    failed = ran[ran.gate == "fail"]
    if len(failed):
        row = failed.iloc[0]
        return "fail", f"gate failed ({_where(row)}): {row.gate_reasons}"
    ended = rows[~rows.status.isin(["ok", "skipped"])]
    hopeless = ended.status.isin(["failed", "crashed"]) | (
        (ended.pixels <= request.pixels) & (ended.bins <= request.bins)
    )
    if hopeless.any():
        row = ended[hopeless].iloc[0]
        return "none", f"{row.status} ({_where(row)}): {row.reason}"
    if not len(ran):
        return "none", f"skipped: {rows.reason.iloc[-1]}"
    if not (ran.gate == "pass").any():
        return "none", f"never judged: {ran.gate_reasons.iloc[-1]}"
    return "pass", ""


def _beside(rows: pd.DataFrame, others: pd.DataFrame, reason: str) -> str:
    """The reason of a failed gate, and whether other numbers of threads passed where it failed."""
    failed = rows[(rows.status == "ok") & (rows.gate == "fail")].iloc[0]
    passed = others[(others.status == "ok") & (others.gate == "pass") & _there(others, failed)]
    if passed.empty:
        return f"{reason}; it wasn't measured there with another number of threads" if len(others) else reason
    counts = ", ".join(map(str, sorted(passed.threads.unique())))
    return f"{reason}; passed there with {counts} thread(s): what it returns depends on them, or on the rounds' inputs"


def _failed_beside(rows: pd.DataFrame, others: pd.DataFrame) -> str:
    """Why a solver that failed a gate with other threads can't pass with these, if it wasn't judged there; else ""."""
    for _, failed in others[(others.status == "ok") & (others.gate == "fail")].iterrows():
        if rows[(rows.status == "ok") & _there(rows, failed)].empty:
            return (
                f"gate failed with {failed.threads} thread(s) ({_where(failed)}): {failed.gate_reasons}; with "
                f"{rows.threads.iloc[0]} it wasn't measured there"
            )
    return ""


def _there(rows: pd.DataFrame, row: pd.Series) -> pd.Series:
    return (rows.dataset == row.dataset) & (rows.pixels == row.pixels) & (rows.bins == row.bins)


def _where(row: pd.Series) -> str:
    return f"{row.dataset}, {row.pixels} px x {row.bins} bins"


def _unfit(ran: pd.DataFrame, device: str, request: Request) -> str:
    if request.device not in ("any", device):
        return f"runs on the {device}, asked for {request.device}"
    if "errors" in request.needs and len(ran):
        worst = float(np.nanmax(ran[["parity_edem", "parity_elogt"]].to_numpy(dtype=float)))
        if not worst <= ERRORS_AGREE:
            return f"error bars differ from the baseline's by up to {worst:.2g} of a pixel's peak"
    return ""


def given_up(ran: pd.DataFrame, evidence: Evidence) -> str:
    """What an approximate solver's outputs differ in from the baseline's, at worst, from the records."""
    names = {"parity_dem": "DEM", "parity_edem": "its error", "parity_elogt": "temperature resolution"}
    worst = {text: float(ran[name].max()) for name, text in names.items() if len(ran)}
    parts = [f"{text} off by up to {value:.2g}" for text, value in worst.items() if 1e-9 < value < math.inf]
    words = f"{', '.join(parts)} (of a pixel's peak, worst pixel)" if parts else ""
    left_out = [f"no {text}" for text, value in worst.items() if value == math.inf]
    words = "; ".join(filter(None, [words, *left_out]))
    reference = evidence.measured[evidence.measured.solver == "baseline"]
    both = ran.merge(reference, on=["dataset", "seed", "bins", "pixels"], suffixes=("", "_baseline"))
    ratio = (both.chisq_median / both.chisq_median_baseline).dropna()
    if len(ratio) and (abs(ratio - 1) > 1e-6).any():
        words += f"; χ² median {ratio.min():.2g} to {ratio.max():.2g} times the baseline's"
    return words
