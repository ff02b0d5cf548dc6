"""The decision table: which solver is fastest from how many pixels on, and where one overtakes another."""

import math
from dataclasses import dataclass, replace

import numpy as np

from harness.advice.candidates import Laws, Request, advise
from harness.advice.evidence import Evidence
from harness.advice.growth_law import Law

MOST_PIXELS = 1e9
PER_DECADE = 400


@dataclass(frozen=True)
class Leg:
    """A range of map sizes in which one solver is predicted fastest."""

    bins: int
    device: str
    """"cpu": CPU solvers only; "any": with a GPU or cluster too."""
    needs: str
    """"exact": solvers held to the baseline's outputs; "any": approximate ones too."""
    from_pixels: float
    to_pixels: float
    solver: str
    threads: int
    accuracy: str
    start_low: float
    start_high: float
    """Where it might overtake the solver before it, by the predictions' intervals; NaN for the first leg."""
    beyond: float
    """How many times beyond the largest measured map the leg's start is; 1: within."""


def table(evidence: Evidence, request: Request, bins: list[int]) -> list[Leg]:
    """The legs for every number of bins, with and without approximate solvers, and with and without other devices."""
    legs: list[Leg] = []
    laws = Laws(evidence, request.dataset)
    devices = ["cpu", "any"] if (evidence.measured.device != "cpu").any() else ["cpu"]
    for count in bins:
        for device in devices if request.device == "any" else [request.device]:
            able = [c for c in advise(evidence, replace(request, bins=count, device=device)) if not c.refused]
            for needs in ("exact", "any"):
                chosen = [c for c in able if needs == "any" or c.accuracy == "exact"]
                laws_of = {(c.solver, c.threads, c.accuracy): laws.of(c.solver, c.threads) for c in chosen}
                legs += _legs(count, device, needs, {k: v for k, v in laws_of.items() if isinstance(v, Law)})
    return legs


def _legs(bins: int, device: str, needs: str, laws: dict[tuple[str, int, str], Law]) -> list[Leg]:
    if not laws:
        return []
    pixels = np.geomspace(1, MOST_PIXELS, int(PER_DECADE * math.log10(MOST_PIXELS)) + 1)
    keys = list(laws)
    predicted = [laws[key].predict(pixels, bins) for key in keys]
    times = np.log([p.value for p in predicted])
    spreads = np.array([p.spread for p in predicted])
    fastest = times.argmin(axis=0)
    starts = [0, *(np.flatnonzero(np.diff(fastest)) + 1)]
    legs = []
    for start, stop in zip(starts, [*starts[1:], len(pixels) - 1], strict=True):
        now = fastest[start]
        low = high = math.nan
        if start:
            before = fastest[start - 1]
            apart = np.abs(times[now] - times[before]) > np.hypot(spreads[now], spreads[before])
            low = pixels[max(np.flatnonzero(apart[:start]), default=0)]
            high = pixels[start + min(np.flatnonzero(apart[start:]), default=len(pixels) - 1 - start)]
        solver, threads, accuracy = keys[now]
        beyond = laws[keys[now]].reach(max(float(pixels[start]), 1.0), bins)[0]
        largest = laws[keys[now]].measured.pixels.max()
        reached = beyond if pixels[start] > largest else 1.0
        span = [_rounded(p) for p in (pixels[start], pixels[stop], low, high)]
        legs.append(Leg(bins, device, needs, span[0], span[1], solver, threads, accuracy, span[2], span[3], reached))
    return legs


def _rounded(value: float) -> float:
    """Two significant figures: break-even sizes are known no better."""
    return value if math.isnan(value) else float(f"{value:.2g}")
