"""The inversion of a tile of pixels by `plowman` as one compiled function, and what it is given.

Imports Numba: the strategy imports this module when it prepares a problem, not before.
"""

# mypy: allow-untyped-defs

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implementations.compiled.jit import entry, fingerprint, part
from implementations.compiled.kernel import gather, put_row
from implementations.compiled.simd import LANES, splat, store
from implementations.compiled.staging import Samples, Sizes, along_bins, round_up, stage
from implementations.compiled.staging import Setup as Fused
from implementations.contract import Array, Problem
from implementations.cpu.plowman_errors import elogt_of_lane, propagate
from implementations.cpu.plowman_steps import descend, scaled_start

OK = 0


class Setup(NamedTuple):
    """What all pixels share, read-only. Nodes are bin centres; a hat function of each is what a DEM is made of."""

    channels: int
    bins: int
    row: int  # slopes between nodes, T - 1, filled up with zeros
    target: float
    folded: Array  # (T, F): counts of a hat
    root: Array  # root of 1 / the roughness of a unit difference between a node and the next
    lower: Array  # what a hat of the node before puts into a bin
    middle: Array
    upper: Array
    loci: Array  # (T, F): the DEM at a node that makes all of a count, over it; or no rows
    norm: Array  # (P, T): the user's start, or no rows
    unit: Array  # (T,): what a bin's DEM is times at its node
    sizes: Sizes  # what `compiled.uncertainty` takes, the rank being F
    response: Array  # (F, S), unfolded
    samples: Samples
    sorts: bool


class Scratch(NamedTuple):
    """Working memory of one thread; rows across nodes or channels, LANES wide."""

    number: NDArray[np.intp]
    steps: NDArray[np.intp]
    counts: Array
    inverse_error: Array
    dem: Array  # exp(s), at the nodes
    log: Array  # s, but for a constant; at the end edem
    turn: Array  # to the linearised problem's solution; at the end the DEM in bins
    way: Array  # the last step's, as one of 1
    slopes: Array  # N
    model: Array  # m, the whitened counts
    residual: Array
    aim: Array
    level: Array
    gram: Array
    left: Array
    border: Array
    near: Array
    far: Array
    answer: Array
    remains: Array
    spread: Array
    sensitivity: Array
    active: Array
    chisq: Array
    off: Array
    share: Array
    slope: Array
    scale: Array
    length: Array
    trial: Array
    elogt: Array
    line: Array
    profiles: Any


def layout(problem: Problem, delta: float) -> tuple[Setup, Fused]:
    """What all pixels share; and as `compiled.kernel` has it, for `memory`."""
    _, channels, bins = problem.sizes
    options, logt, mask = problem.options, problem.logt, problem.options.loci_mask(channels)
    step = np.diff(logt)
    # What a unit of emission in a bin adds to its DEM: one, or per kelvin, but for a constant.
    per_bin = np.ones(bins) if options.l_emd else 10.0 ** (logt.mean() - logt) / problem.dlogt
    beside, own = step / 6, (np.append(step, 0) + np.append(0, step)) / 3
    lower, middle, upper = np.append(0, beside) * per_bin, own * per_bin, np.append(beside, 0) * per_bin
    response = problem.rmatrix
    folded = response * middle[:, None]
    folded[:-1] += response[1:] * lower[1:, None]
    folded[1:] += response[:-1] * upper[:-1, None]
    roughness = channels / (delta**2 * (logt[-1] - logt[0]) * step)
    row, root = round_up(bins - 1, 4), 1 / np.sqrt(roughness)
    loci = np.empty((0, channels))
    if mask is not None:
        with np.errstate(divide="ignore"):
            loci = np.where(mask & (response > 0), 1 / (response * (per_bin * problem.dlogt)[:, None]), math.inf)
    fused = stage(problem, np.float64)
    fused = fused._replace(sizes=fused.sizes._replace(rank=channels))
    norm = problem.dem_norm0
    if norm is None:
        norm = np.empty((0, bins))
        norm.flags.writeable = False  # as the user's is: the kernel is compiled once for both
    setup = Setup(
        channels,
        bins,
        row,
        target=float(options.reg_tweak),
        folded=folded.ravel(),
        root=root,
        lower=lower,
        middle=middle,
        upper=upper,
        loci=loci,
        norm=norm,
        unit=per_bin * problem.dlogt,
        sizes=fused.sizes,
        response=fused.response,
        samples=fused.samples,
        sorts=fused.settings.sorts,
    )
    return setup, fused


def memory(fused: Fused, setup: Setup, dtype: type[np.floating]) -> Scratch:
    """Working memory for one thread: some 3 F + 5 rows of bins for each of `LANES` pixels."""
    f, t = setup.channels, setup.bins
    across = {"dem": t, "log": t, "turn": t, "way": t, "slopes": f * setup.row, "spread": f * t, "sensitivity": f * t}
    across |= {"gram": f * f, "remains": f * f, "trial": 2}
    across |= dict.fromkeys(("active", "chisq", "off", "share", "slope", "scale", "length"), 1)
    names = "counts inverse_error model residual aim level left border near far answer"
    across |= dict.fromkeys(names.split(), f)
    ends = np.cumsum(list(across.values())) * LANES
    whole = np.zeros(ends[-1] + LANES)
    skipped = -whole.ctypes.data // 8 % LANES  # a vector that straddles two cache lines costs two accesses
    rows = dict(zip(across, np.split(whole[skipped:][: ends[-1]], ends[:-1]), strict=True))
    profiles = along_bins(f, setup.sizes.padded, dtype, lines=True)
    return Scratch(
        number=np.zeros(LANES, np.intp),
        steps=np.zeros(LANES, np.intp),
        elogt=profiles.elogt,
        line=np.zeros(setup.sizes.padded),
        profiles=profiles,
        **rows,
    )


@part
def start(setup, w):
    """Flat; or the user's row, or the EM loci, where these are positive in all bins. Then scaled to the counts."""
    for t in range(setup.bins):
        store(w.dem, t * LANES, splat(1.0))
        store(w.log, t * LANES, splat(0.0))
        store(w.way, t * LANES, splat(0.0))
    if len(setup.norm) or len(setup.loci):
        for lane in range(LANES):
            shaped_start(setup, w, lane)
    scaled_start(setup, w)


@part
def shaped_start(setup, w, lane):
    """A start that isn't flat, into one lane."""
    pixel, given = w.number[lane], False
    if len(setup.norm) and setup.norm[pixel, 0] != 0.0:
        for t in range(setup.bins):
            given |= setup.norm[pixel, t] != 1.0
    if not (given or len(setup.loci)):
        return
    usable = True
    for t in range(setup.bins):
        value = math.inf
        if given:
            value = abs(setup.norm[pixel, t]) / setup.unit[t]
        else:
            for f in range(setup.channels):
                value = min(value, w.counts[f * LANES + lane] * setup.loci[t, f])
        w.line[t] = value
        usable &= 0.0 < value < math.inf
    if usable:
        for t in range(setup.bins):
            w.dem[t * LANES + lane], w.log[t * LANES + lane] = w.line[t], math.log(w.line[t])


@part
def finish(setup, w, lane, outputs):
    """The outputs of one lane."""
    pixel = w.number[lane]
    for f in range(setup.channels):
        outputs.dn_reg[pixel, f] = w.model[f * LANES + lane] / w.inverse_error[f * LANES + lane]
    outputs.chisq[pixel], outputs.iterations[pixel], outputs.status[pixel] = w.chisq[lane], w.steps[lane] + 1, OK
    elogt_of_lane(setup, w, lane)
    put_row(outputs.elogt, pixel, w.elogt, setup.bins)
    for t in range(setup.bins):
        outputs.dem[pixel, t] = w.turn[t * LANES + lane]
        outputs.edem[pixel, t] = w.log[t * LANES + lane]


def _compiled(version):
    """`invert`, keyed in Numba's cache by the version of its sources: see `compiled.kernel`."""

    @entry
    def invert(setup, scratch, dn, edn, first, last, outputs, ticks):
        """Solve pixels first to last - 1; `ticks` is there for the call to be `compiled.kernel`'s."""
        _ = version, ticks
        while first < last:
            found, first = gather(dn, edn, first, last, setup.channels, scratch, outputs)
            if found == 0:
                break
            start(setup, scratch)
            descend(setup, scratch)
            propagate(setup, scratch)
            for lane in range(found):
                finish(setup, scratch, lane, outputs)

    return invert


invert = _compiled(fingerprint() ^ fingerprint(Path(__file__).parent))
