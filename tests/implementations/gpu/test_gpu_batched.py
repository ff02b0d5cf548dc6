"""`gpu-batched` with array libraries of the host standing in for the device's: parity, chunks, and who waits when."""

import subprocess

import array_api_strict
import numpy as np
import pytest
from draws import draws
from emulated import COMPILER, Emulator
from fake_device import FakeDevices, allow_assignment_by_numbers
from hypothesis import given as drawn
from hypothesis import settings
from problems import assert_close, problem, with_invalid

from harness.judge.contract_checks import held_to_the_baseline
from harness.judge.replay import Tally
from implementations.contract import OUTPUTS, Problem
from implementations.cpu.batched import Batched
from implementations.gpu import batched
from implementations.gpu import device as gpu_device
from implementations.gpu.batched import GpuBatched
from implementations.maths import factorise

pytestmark = pytest.mark.skipif(not COMPILER, reason="g++ is not installed")
NAMESPACES = {"numpy": np, "strict": array_api_strict}


@pytest.fixture(params=NAMESPACES)
def device(request, monkeypatch):
    """Stand-ins for the devices; a new set for each run, of the array library that the test is parametrised with."""
    allow_assignment_by_numbers(monkeypatch)

    def install(**kwargs):
        xp = Emulator(library=NAMESPACES[request.param])
        monkeypatch.setattr(gpu_device, "runtime", lambda: FakeDevices(xp=xp, **kwargs))

    install()
    return install


def same(got, expected):
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output))
    np.testing.assert_array_equal(got.iterations, expected.iterations)
    np.testing.assert_array_equal(got.status, expected.status)


@pytest.mark.parametrize("options", [{"gloci": 0}, {"gloci": 1}, {"gloci": (0, 1, 1, 0, 1, 1), "l_emd": True}])
@pytest.mark.parametrize("tunables", [{}, {"chunk": 7}, {"chunk": 3, "devices": 0}, {"profile_mb": 1e-6}])
def test_chunks_and_devices_change_nothing(device, options, tunables):
    device(devices=3, order=5)
    given, _ = with_invalid(problem(50, **options))
    same(GpuBatched(**tunables).run(given), Batched().run(given))


def test_user_weights_go_up_with_the_counts(device):
    plain = problem(9)
    norm = np.random.default_rng(3).uniform(0.2, 2, (9, 14))
    norm[1], norm[4, 0] = 1, 0
    given = Problem(plain.dn, plain.edn, plain.rmatrix, plain.logt, plain.dlogt, plain.options, norm)
    same(GpuBatched(chunk=4).run(given), Batched().run(given))


def test_parity_with_the_baseline(device):
    tally = Tally()

    @settings(max_examples=40, deadline=None, derandomize=True)
    @drawn(draws())
    def parity(draw):
        held_to_the_baseline(GpuBatched(chunk=3).run(draw.problem()), draw, tally)

    parity()
    assert tally.well_conditioned >= 0.2 * tally.pixels


@pytest.mark.parametrize("pixels", [1, 5])
def test_few_pixels(device, pixels):
    same(GpuBatched().run(problem(pixels)), Batched().run(problem(pixels)))


def test_no_pixel(device):
    GpuBatched().run(problem(0)).check(problem(0))


def test_all_pixels_invalid(device):
    given = problem(5)
    solution = GpuBatched().run(Problem(given.dn * np.nan, given.edn, given.rmatrix, given.logt, given.dlogt))
    assert not any(getattr(solution, output).any() for output in OUTPUTS)


@pytest.mark.parametrize("gloci", [0, 1])
def test_the_host_waits_once_a_positivity_pass(monkeypatch, gloci):
    """Counted: whatever makes a value or a size that depends on values known to the host."""
    allow_assignment_by_numbers(monkeypatch)
    waits = []
    kind = type(array_api_strict.zeros(1))
    for name in ("__bool__", "__int__", "__float__", "__index__", "__complex__"):
        original = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda self, *a, f=original, n=name: (waits.append(n), f(self, *a))[1])
    get, nonzero = kind.__getitem__, array_api_strict.nonzero

    def getitem(self, key):
        if isinstance(key, kind) and key.dtype == array_api_strict.bool:
            waits.append("mask")
        return get(self, key)

    monkeypatch.setattr(kind, "__getitem__", getitem)
    monkeypatch.setattr(array_api_strict, "nonzero", lambda x: (waits.append("nonzero"), nonzero(x))[1])
    monkeypatch.setattr(gpu_device, "runtime", lambda: FakeDevices(xp=Emulator(library=array_api_strict)))
    given = problem(60, gloci=gloci)
    solution = GpuBatched().run(given)
    passes = int(solution.iterations.max())
    assert passes > 2
    assert waits == ["nonzero"] * (passes if (solution.dem >= 0).all() else passes - 1)


def test_what_is_done_is_not_solved_again(device, monkeypatch):
    from implementations.cpu import batched

    solved, original = [], batched.solution_at

    def counted(target, of, rmatrix):
        solved.append(of.linv.shape[0])
        return original(target, of, rmatrix)

    monkeypatch.setattr(batched, "solution_at", counted)
    given = problem(60, gloci=1)
    passes = GpuBatched().run(given).iterations
    assert solved == [int((passes > n).sum()) for n in range(passes.max())]


def test_its_own_facts_are_handed_over(device):
    solver, given = GpuBatched(), problem(20)
    state = solver.prepare(given)
    solver.collect(state, solver.solve(state))
    facts = solver.facts(state)
    assert facts["peak_device_mb"] > 0
    assert facts["kernel_s"] > 0


def test_no_svd_is_asked_of_the_device(device, monkeypatch):
    expected = Batched().run(problem(20))
    monkeypatch.setattr(factorise, "thin_svd", None)
    same(GpuBatched().run(problem(20)), expected)


@pytest.mark.parametrize("state", [0, 1])
def test_the_host_and_the_kernels_agree_on_a_factorised_pixel(device, monkeypatch, state):
    """The kernels don't compile where the host takes other bytes for it."""
    monkeypatch.setattr(batched, "state_size", lambda problem: state)
    with pytest.raises(subprocess.CalledProcessError):
        GpuBatched().run(problem(20))


def test_no_room_is_a_memory_error_and_no_crash(device):
    device(free_bytes=1000)
    with pytest.raises(MemoryError, match=r"a pixel needs \d+ bytes on the device, of which 0 are free"):
        GpuBatched().run(problem(20))


@pytest.mark.parametrize("tunables", [{"devices": -1}, {"devices": 1.5}, {"chunk": 0}, {"profile_mb": 0}])
def test_tunables_out_of_range_are_refused(tunables):
    with pytest.raises(ValueError, match=f"{next(iter(tunables))} must be"):
        GpuBatched(**tunables)


@pytest.mark.parametrize(("reg_tweak", "scale"), [(1e6, 1.0), (1e18, 1.0), (1e4, 1e9), (1e-9, 1e18)])
def test_of_equal_points_the_first_is_chosen(device, reg_tweak, scale):
    """Where the target is beyond all misfits, some of which rounding makes equal."""
    plain = problem(30, reg_tweak=reg_tweak, max_iter=2)
    given = Problem(plain.dn * scale, plain.edn * scale, plain.rmatrix, plain.logt, plain.dlogt, plain.options)
    same(GpuBatched().run(given), Batched().run(given))


def test_outputs_of_single_precision_are_the_others_rounded(device):
    given, _ = with_invalid(problem(30))
    double, single = GpuBatched().run(given), GpuBatched(outputs="float32", chunk=8).run(given)
    for output in OUTPUTS:
        np.testing.assert_allclose(getattr(single, output), getattr(double, output), rtol=1e-6)
        assert getattr(single, output).dtype == np.float32
    np.testing.assert_array_equal(single.status, double.status)
