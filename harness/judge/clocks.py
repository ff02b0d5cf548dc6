"""What a row's turns say beside their middle: by which clock they count, and whether their figures can be trusted.

A solver with one thread, that doesn't wait, counts by the CPU time it used: other work on the machine makes its wall
time longer and scatters it, but hardly its CPU time (docs/clocks.md). Several threads, a pool or a device count by wall
time: what they take together is more than what each uses.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.judge import intervals

BUSY, STOLEN = "busy machine", "the host took"
WALL, CPU, WHOLE = "wall", "CPU", "CPU of whole turns"
OF_WALL, OF_CPU = ("median_s", "ci_low_s", "ci_high_s"), ("cpu_s", "cpu_low_s", "cpu_high_s")
"""Columns of a row's time with its interval, by either clock."""
RARE = 0.002
"""A test says so of a row that has nothing of the kind once in so many."""
MATTERS = 0.02
"""What is less than this share of a time is nobody's concern, however surely it is there."""
APART = 0.05
"""Turns that scatter by more than this share of their time, surely: something beside the solver decides on them."""
FEWEST, FEWEST_FIRST, FEWEST_OF_SHAPE = 8, 3, 20
"""Turns that a test of their order needs, first ones among them, and turns that a test of their distribution needs."""
MOST_EXACT = 60
"""Turns whose exact probabilities take no time to work out."""
Turns = Mapping[int, Sequence[Sequence[float]]]
"""Round -> a turn's runs: seconds of three phases; or CPU seconds, seconds in the queue, switches of two kinds."""
Machine = Mapping[int, Sequence[float]]
"""Round -> a turn's seconds, those that the solver's processes used, that all cores meanwhile worked for others, and
that were stolen."""


def headline(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Columns of the time that stands for a row: wall time, or CPU time where the machine was busy meanwhile."""
    return OF_CPU if was_busy(row) and row["cpu_s"] == row["cpu_s"] is not None else OF_WALL


def was_busy(row: Mapping[str, Any]) -> bool:
    """Whether a row's threads surely waited for a core, longer than matters."""
    return str(row["doubts"]).startswith(BUSY)


def seconds(turns: Turns) -> dict[int, float]:
    """Round -> wall seconds of the turn's middle run: runs in a row aren't independent samples."""
    return {number: float(np.median(np.sum(runs, axis=1))) for number, runs in turns.items()}


def cpu(turns: Turns, used: Turns) -> dict[int, float]:
    """Round -> CPU seconds of the turn's runs, their lowest quarter's end; of those turns of which they are known.

    What comes between makes some runs of a turn longer, and none shorter.
    """
    return {
        r: float(np.quantile([run[0] for run in used[r]], 0.25))
        for r in turns
        if len(used.get(r) or ()) == len(turns[r])
    }


def clock(turns: Turns, used: Turns, threads: int, device: str) -> str:
    """By which clock a row's turns count."""
    own = cpu(turns, used)
    if threads != 1 or device != "cpu" or len(own) < len(turns) or not min(own.values(), default=0.0) > 0:
        return WALL
    return WALL if _surely(_waiting(turns, used)) else CPU


def _waiting(turns: Turns, used: Turns) -> list[float]:
    """Of each turn, seconds neither on a core nor in the queue for one, relative to CPU seconds."""
    return [
        float(np.median([(sum(run) - u[0] - u[1]) / max(u[0], 1e-9) for run, u in zip(turns[r], used[r], strict=True)]))
        for r in turns
    ]


def _queueing(turns: Turns, used: Turns, machine: Machine, threads: int) -> list[float]:
    """Of each turn, seconds in the queue for a core relative to all others, by thread.

    As many at most as others worked, or the host stole: a solver's own processes queue for one another, too.
    """
    found = []
    for number in [r for r in turns if len(used.get(r) or ()) == len(turns[r])]:
        others = sum(machine[number][2:4]) if number in machine else math.inf
        queued, whole = min(sum(u[1] for u in used[number]), others) / threads, float(np.sum(turns[number]))
        found.append(queued / max(whole - queued, 1e-9))
    return found


def _surely(shares: Sequence[float]) -> bool:
    """Whether the middle of some shares is, by the whole of its interval, one that matters."""
    return intervals.median(shares).low > MATTERS if len(shares) else False


def busy(turns: Turns, used: Turns, machine: Machine, threads: int) -> bool:
    """Whether its threads surely waited for others to leave a core, longer than matters."""
    return _surely(_queueing(turns, used, machine, threads))


def doubts(
    turns: Turns,
    used: Turns,
    machine: Machine,
    threads: int,
    by: str,
    process: Mapping[int, int] | None = None,
) -> list[str]:
    """Why a row's figures are to be read with care, each in a few words; none where no test says so.

    `process`: which process had a turn, where there were several.
    """
    found = []
    queueing = _queueing(turns, used, machine, threads)
    if _surely(queueing):
        found.append(f"{BUSY}: waited {np.median(queueing):.0%} longer for a core")
    if len(machine):
        passed, _, _, stolen = np.sum([machine[r] for r in machine], axis=0)
        if stolen / passed > MATTERS:
            found.append(f"{STOLEN} {stolen / passed:.0%} of its time")
    values = cpu(turns, used) if by == CPU else seconds(turns)
    times = np.array([values[number] for number in sorted(values)])
    if times.size < FEWEST or not np.ptp(times):
        return found
    logs = np.log(np.maximum(times, 1e-12))
    relative = within(values, process or {})
    if slower_at_first(relative):
        found.append("warm-up was not over: the first turns are slower than the later ones")
    elif drift := _drift(logs):
        found.append(f"drifts: {math.expm1(drift):+.0%} from its first turn to its last")
    parts = len({(process or {}).get(number, 0) for number in values})
    return found + (_shape(logs) or _scatter(np.log(np.maximum(relative, 1e-12)), parts))


def within(times: Mapping[int, float], process: Mapping[int, int]) -> NDArray[np.float64]:
    """Turns' times by round, each relative to the middle one of its process: that processes differ is no warm-up."""
    own: dict[int, list[float]] = {}
    for number in sorted(times):
        own.setdefault(process.get(number, 0), []).append(times[number])
    middle = {place: max(float(np.median(each)), 1e-12) for place, each in own.items()}
    return np.array([times[number] / middle[process.get(number, 0)] for number in sorted(times)])


def slower_at_first(times: NDArray[np.float64]) -> int:
    """How many of the first turns are slower than the later ones by more than matters, if any (Mann and Whitney)."""
    how = "exact" if times.size <= MOST_EXACT else "asymptotic"
    for count in (times.size // 2, times.size // 4, times.size // 8):
        first, later = times[:count] / (1 + MATTERS), times[count:]
        if count >= FEWEST_FIRST and stats.mannwhitneyu(first, later, alternative="greater", method=how).pvalue < RARE:
            return count
    return 0


def _drift(logs: NDArray[np.float64]) -> float:
    """The change from the first turn to the last, 0 where its interval (Theil and Sen) holds some that don't matter."""
    slope, _, low, high = stats.theilslopes(logs, np.arange(logs.size), alpha=1 - RARE)
    least = min(abs(low), abs(high)) * (logs.size - 1)
    return float(slope) * (logs.size - 1) if low * high > 0 and least > math.log1p(MATTERS) else 0.0


def _shape(logs: NDArray[np.float64]) -> list[str]:
    """What the turns' distribution is beside a single hump, where it is wide enough to matter."""
    if logs.size < FEWEST_OF_SHAPE or np.std(logs) < MATTERS:
        return []
    if np.mean(_of_one_kind(logs.size) >= _split(logs[None])[0]) < RARE:
        return ["its turns are of two kinds, faster and slower ones"]
    if stats.kurtosistest(logs, alternative="greater").pvalue < RARE:  # Anscombe and Glynn
        return ["some turns are far from all others"]
    return []


def _scatter(logs: NDArray[np.float64], parts: int) -> list[str]:
    """By how much turns scatter about the middles of so many processes, where that is surely much (chi-squared)."""
    free = logs.size - parts
    if free < FEWEST_FIRST:
        return []
    # Four in five turns of a normal distribution are within 1.28 deviations, and single ones don't decide; a deviation
    # that is told by them is as well known as from 0.63 times as many turns.
    share = float(np.quantile(np.abs(logs), 0.8)) / 1.2816 * math.sqrt(logs.size / free)
    least = share * math.sqrt(0.63 * free / stats.chi2.ppf(1 - RARE, 0.63 * free))
    return [f"turns scatter by {share:.0%}"] if least > APART else []


def _split(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest share of the variance (S,) that goes when each sample of (S, n) is cut into two, a tenth at least."""
    values = np.sort(logs, axis=1) - logs.mean(axis=1, keepdims=True)
    n = values.shape[1]
    below = np.arange(1, n)
    between = np.cumsum(values, axis=1)[:, :-1] ** 2 * (1 / below + 1 / (n - below))
    inner = slice(n // 10, n - 1 - n // 10)
    return np.asarray(between[:, inner].max(axis=1) / np.maximum((values**2).sum(axis=1), 1e-300))


@functools.lru_cache
def _of_one_kind(n: int) -> NDArray[np.float64]:
    """`_split` of uniform samples of that size, the flattest hump there is, as many as tell what is rare."""
    return _split(np.random.default_rng(0).random((round(2 / RARE), n)))
