"""The fused kernel once more, composed of the same parts, with the processor's cycle counter read between the stages.

For profiles only (`harness.profiling.stages`): the kernel that solvers run has no counter in it. A reading costs some
ten nanoseconds, a few per pixel. A test holds its outputs against the kernel's, bit by bit.
"""

# mypy: allow-untyped-defs

import platform
import time
from collections import deque
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from implementations.compiled import tiles as compiled_tiles
from implementations.compiled.constraint import given_weight, loci_weight, smoothed, solution_weight
from implementations.compiled.discrepancy import grid, morozov, reciprocal
from implementations.compiled.factorise import triangle, uniform_triangle
from implementations.compiled.inverse import solution
from implementations.compiled.jit import entry, fingerprint, part
from implementations.compiled.kernel import HIT_MAX_ITER, OK, gather, put, svd
from implementations.compiled.simd import LANES
from implementations.compiled.uncertainty import count, edem_and_rows, elogt_of, order_rows, profile_samples
from implementations.contract import Problem, Solution

STAGES = ("weights", "factorisation", "grid search", "positivity", "errors", "profile width", "other")
"""Reading pixels and writing outputs are the other ones."""
WEIGHTS, FACTORISATION, SEARCH, POSITIVITY, ERRORS, WIDTH, OTHER = range(len(STAGES))


def unavailable() -> str:
    """Why the counter can't be read on this machine, "" when it can: others don't let programs read theirs."""
    return "" if platform.machine() in ("x86_64", "AMD64") else f"no cycle counter on {platform.machine()}"


@intrinsic
def cycles(typingctx):
    """The processor's cycle counter."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), codegen


@part
def mark(ticks, stage, since):
    """Add the cycles since the last mark to a stage; returns the counter."""
    now = cycles()
    ticks[stage] += now - since
    return now


@part
def constrain(s, w, lane, ticks, since):
    """See `compiled.kernel.constrain`."""
    at = lane * s.padded
    if not (len(s.norm) and given_weight(s.norm, w.pixel[lane], s.scale, s.l_emd, w.weight, at, s.bins)):
        if s.self_normalised:
            since = mark(ticks, WEIGHTS, since)
            g = grid(w.energy, w.projection, w.unfitted, lane, s.rank, w.power, w.excess, s.ramp, s.nmu)
            w.guess[0] = morozov(g, s.channels * s.reg_tweak, w.guess[0])
            since = mark(ticks, SEARCH, since)
            solution(
                s.response,
                s.width,
                0,
                w.factor,
                w.energy,
                w.projection,
                w.inverse_error,
                lane,
                1.0 / reciprocal(g, w.guess[0]),
                w.coefficient,
                w.dem,
                s.channels,
                s.rank,
                s.padded,
            )
            solution_weight(w.dem, s.fallback, w.line, s.padded)
        else:
            loci_weight(s.loci, w.counts, lane, w.line, s.channels, s.padded)
        smoothed(w.line, s.scale, s.l_emd, w.weight, at, s.bins, s.padded)
    return mark(ticks, WEIGHTS, since)


@part
def solve(s, w, lane, ticks, since):
    """See `compiled.kernel.solve`."""
    g = grid(w.energy, w.projection, w.unfitted, lane, s.rank, w.power, w.excess, s.ramp, s.nmu)
    target, index, mu = s.channels * s.reg_tweak, w.guess[1], 0.0
    negative, iterations = True, 0
    while negative and iterations < s.max_iter:
        index = morozov(g, target, index)
        since = mark(ticks, SEARCH, since)
        if iterations == 0:
            w.guess[1] = index
        mu = 1.0 / reciprocal(g, index)
        negative = solution(
            s.response,
            w.weight,
            lane * s.padded,
            w.factor,
            w.energy,
            w.projection,
            w.inverse_error,
            lane,
            mu,
            w.coefficient,
            w.dem,
            s.channels,
            s.rank,
            s.padded,
        )
        iterations += 1
        target *= s.rgt_fact
        since = mark(ticks, POSITIVITY, since)
    return mu, iterations, HIT_MAX_ITER if negative else OK, since


@part
def finish(s, w, lane, mu, ticks, since, dem, edem, elogt, chisq, dn_reg):
    """See `compiled.kernel.finish`."""
    pixel, at = w.pixel[lane], lane * s.padded
    residual = 0.0
    for f in range(s.channels):
        counts = count(s.response, f * s.padded, w.dem, s.padded)
        dn_reg[pixel, f] = counts
        residual += ((w.counts[f * LANES + lane] - counts) * w.inverse_error[f * LANES + lane]) ** 2
    chisq[pixel] = residual / s.channels
    greatest = edem_and_rows(
        s.response,
        w.weight,
        at,
        w.factor,
        w.energy,
        w.inverse_error,
        lane,
        mu,
        w.coefficient,
        w.edem,
        w.wz,
        w.gz,
        w.reach,
        w.bound,
        s.channels,
        s.rank,
        s.padded,
    )
    since = mark(ticks, ERRORS, since)
    if s.sorts:
        order_rows(w.bound, greatest, w.bucket, w.tally, w.order, w.limit, s.bins)
    profile_samples(w.wz, w.bound, s.left, s.near, s.far, w.sample, w.sample_bound, s.rank, s.padded)
    elogt_of(
        w.wz,
        w.gz,
        w.reach,
        w.order,
        w.limit,
        w.sample,
        w.sample_bound,
        s.position,
        s.dlogt,
        w.elogt,
        s.bins,
        s.rank,
        s.padded,
    )
    since = mark(ticks, WIDTH, since)
    put(dem, pixel, w.dem, s.bins)
    put(edem, pixel, w.edem, s.bins)
    put(elogt, pixel, w.elogt, s.bins)
    return mark(ticks, OTHER, since)


def _compiled(sources):
    @entry
    def counted(setup, scratch, ticks, dn, edn, first, last, dem, edem, elogt, chisq, dn_reg, iterations, status):
        """See `compiled.kernel.invert`; `ticks` gets the cycles of each stage added."""
        assert sources
        s, w = setup, scratch
        outputs = dem, edem, elogt, chisq, dn_reg, iterations, status
        since = cycles()
        while first < last:
            found, first = gather(dn, edn, first, last, w.pixel, w.counts, w.inverse_error, s.channels, outputs)
            since = mark(ticks, OTHER, since)
            if found == 0:
                break
            if s.self_normalised:
                uniform_triangle(s.uniform, w.inverse_error, w.factor, s.channels, s.rank)
                svd(s, w)
                since = mark(ticks, FACTORISATION, since)
            for lane in range(LANES):
                since = constrain(s, w, lane, ticks, since)
            triangle(
                s.response, w.weight, w.inverse_error, w.root, w.panel, w.factor, s.channels, s.rank, s.bins, s.padded
            )
            svd(s, w)
            since = mark(ticks, FACTORISATION, since)
            for lane in range(found):
                mu, iterations[w.pixel[lane]], status[w.pixel[lane]], since = solve(s, w, lane, ticks, since)
                since = finish(s, w, lane, mu, ticks, since, dem, edem, elogt, chisq, dn_reg)

    return counted


counted = _compiled(fingerprint())


def stages(solver: Any, problem: Problem) -> tuple[Solution, float, dict[str, float]]:
    """A run of a `NumbaFused` solver with counters: solution, seconds, and how they divide among the stages.

    Beside `STAGES`: "transfers" is the staging of the constant arrays, "pool overhead" the threads' start and end and
    the time that they waited for one another.
    """
    start = time.perf_counter()
    state = compiled_tiles.prepare(problem, getattr(np, solver.precision), solver.threads)
    staged = time.perf_counter()
    answer = compiled_tiles._unfilled(problem)
    tiles = deque(range(0, len(problem.dn), state.tile))
    team = state.others + 1
    others = [state.pool.submit(_count, state, answer, tiles) for _ in range(state.others)] if state.pool else []
    found = [_count(state, answer, tiles), *(other.result() for other in others)]
    compiled_tiles.finish(state)
    end = time.perf_counter()
    ticks = sum(each[0] for each in found)
    inside = sum(each[1] for each in found) / team
    seconds = dict(zip(STAGES, (inside * ticks / ticks.sum()).tolist(), strict=True))
    return answer, end - start, seconds | {"transfers": staged - start, "pool overhead": end - staged - inside}


def _count(state: Any, s: Solution, tiles: deque[int]) -> tuple[Any, float]:
    """One thread's cycles per stage, and its seconds from its first tile to its last."""
    p, ticks = state.problem, np.zeros(len(STAGES), np.int64)
    start = time.perf_counter()
    scratch = compiled_tiles.working_memory(state.setup, state.dtype)
    while tiles:
        try:
            first = tiles.popleft()
        except IndexError:  # another thread was faster
            break
        counted(
            state.setup,
            scratch,
            ticks,
            p.dn,
            p.edn,
            first,
            min(first + state.tile, len(p.dn)),
            s.dem,
            s.edem,
            s.elogt,
            s.chisq,
            s.dn_reg,
            s.iterations,
            s.status,
        )
    return ticks, time.perf_counter() - start
