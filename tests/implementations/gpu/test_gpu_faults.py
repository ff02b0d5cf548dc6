"""Faults planted into the fused kernel, one at a time: the emulator, or parity with the baseline, notices each."""

from dataclasses import replace

import numpy as np
import pytest
from emulated import COMPILER, WATCHED, Emulator, emulated
from problems import problem

from implementations.baseline import Baseline
from implementations.contract import OUTPUTS
from implementations.gpu import device, fused

pytestmark = pytest.mark.skipif(not COMPILER, reason="g++ is not installed")
WAIT = "    __syncwarp();\n"
WAITS = device.source(fused.SOURCES).count(WAIT)
FAULTS = {
    "threshold of the weights": ("1e-4 * greatest(peak)", "3e-4 * greatest(peak)"),
    "floor of the weights": ("fmax(sum * fifth, 1e-8)", "fmax(sum * fifth, 1e-6)"),
    "a shuffle less in sums": (
        "for (int far = LANES / 2; far; far /= 2) x +=",
        "for (int far = 8; far; far /= 2) x +=",
    ),
    "a shuffle less in maxima": ("far /= 2) x = fmax(", "far /= 4) x = fmax("),
    "the grid's low end": ("1e-33 * high) * 1e-4", "1e-33 * high) * 1.0001e-4"),
    "the grid's high end": ("if (!(step > 1e-12 * high)) break;", "break;"),
    "the point beyond for the nearest": ("low >= 0 && lower", "low >= 0 && lower && target < 0.0"),
    "a pass too many": ("solves < options.max_iter", "solves <= options.max_iter"),
    "half the maximum": ("peak[o] /= 2", "peak[o] *= 0.499"),
    "one count's error": ("variance += sum * sum", "variance = sum * sum"),
    "an invalid pixel": ("if (good >> p & 1) finished(", "if (true) finished("),
    "the smoothed line's ends": ("t == 0 || t == BINS - 1 ? 0.0 : weight[o]", "weight[o]"),
    "the nearest point": ("below < beyond : below <= beyond", "below > beyond : below >= beyond"),
    "how the target is raised": ("target *= options.rgt_fact", "target *= 1.05 * options.rgt_fact"),
}
LOCI = ("fmin(weight[o], dn[f]", "fmax(weight[o], dn[f]")


@pytest.fixture(scope="module")
def known():
    """Pixels that differ in weights, grids and passes, some with negative bins, one invalid; what they should give."""
    plain = problem(32, 34, max_iter=4)
    scale = np.where(np.arange(32) % 2, 1e8, 1.0)[:, None]  # of a large first solution small weights are at the floor
    dn, edn = plain.dn * scale, plain.edn * scale
    dn[5, 2] = np.nan
    of = replace(plain, dn=dn, edn=edn)
    return of, Baseline().run(of)


def watched(of, change=str):
    xp = Emulator(WATCHED, change)
    return emulated(of, xp=xp), xp.modules[0].race


def off(got, expected):
    """The furthest of any output from what is expected, relative to its pixel's peak."""
    worst = []
    for name in OUTPUTS:
        values, right = (getattr(solution, name).reshape(32, -1) for solution in (got, expected))
        apart, peak = np.abs(values - right).max(axis=1), np.abs(right).max(axis=1)
        worst.append(np.divide(apart, peak, out=np.where(apart == 0, 0.0, np.inf), where=peak > 0))
    return np.where(np.isfinite(worst), worst, np.inf).max()


def test_the_kernel_as_it_is_has_no_fault(known):
    of, expected = known
    got, race = watched(of)
    assert race == ""
    assert off(got, expected) < 1e-10
    assert (got.status == 1).any()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(known, fault):
    old, new = FAULTS[fault]
    of, expected = known

    def change(code):
        assert code.count(old) == 1
        return code.replace(old, new)

    got, _ = watched(of, change)
    assert off(got, expected) > 1e-9 or (got.iterations != expected.iterations).any()


def test_a_fault_in_the_em_loci_is_noticed():
    of = problem(32, 34, gloci=1)
    expected = Baseline().run(of)
    assert off(watched(of)[0], expected) < 1e-10
    assert off(watched(of, lambda code: code.replace(*LOCI))[0], expected) > 1e-9


@pytest.mark.parametrize("number", range(WAITS))
def test_a_removed_wait_is_noticed(known, number):
    """All lanes of the emulator see at once what one writes; a device's need not before they wait."""

    def change(code):
        parts = code.split(WAIT)
        return WAIT.join(parts[: number + 1]) + WAIT.join(parts[number + 1 :])

    assert watched(known[0], change)[1]
