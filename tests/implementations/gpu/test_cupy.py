"""The device's other strategies, with array libraries of the host standing in for CuPy."""

import array_api_strict
import numpy as np
import pytest
from draws import draws
from fake_device import FakeDevices
from hypothesis import given as drawn
from hypothesis import settings
from problems import assert_close, problem, with_invalid

from harness.judge.contract_checks import held_to_the_baseline
from harness.judge.replay import Tally
from implementations.contract import OUTPUTS
from implementations.cpu.l2 import L2
from implementations.gpu import device as gpu_device
from implementations.gpu.direct import CupyDirect
from implementations.gpu.l2 import GpuL2
from implementations.gpu.regmap import CupyRegmap

NAMESPACES = {"numpy": np, "strict": array_api_strict}


@pytest.fixture(params=NAMESPACES)
def device(request, monkeypatch):
    def install(**kwargs):
        monkeypatch.setattr(gpu_device, "runtime", lambda: FakeDevices(xp=NAMESPACES[request.param], **kwargs))

    install()
    return install


@pytest.mark.parametrize("solver", [CupyDirect, CupyRegmap])
def test_parity_with_the_baseline(device, solver):
    tally = Tally()

    @settings(max_examples=25, deadline=None, derandomize=True)
    @drawn(draws(most_pixels=3))
    def parity(draw):
        held_to_the_baseline(solver().run(draw.problem()), draw, tally)

    parity()
    assert tally.well_conditioned >= 0.2 * tally.pixels


@pytest.mark.parametrize("tunables", [{}, {"chunk": 7}, {"chunk": 3, "devices": 0}])
@pytest.mark.parametrize("order", ["lazy", 1])
def test_l2_on_the_device_is_l2(device, tunables, order):
    device(devices=2, order=order)
    given, _ = with_invalid(problem(50))
    expected, got = L2().run(given), GpuL2(**tunables).run(given)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output))
    np.testing.assert_array_equal(got.status, expected.status)
    np.testing.assert_array_equal(got.iterations, expected.iterations)
    assert (got.edem[got.status == 0] > 0).all()


def test_l2_takes_every_point_of_the_grid_from_the_table(device):
    """Pixels of very different noise choose different inverses; the same ones as on the host."""
    given = problem(200)
    scale = np.geomspace(0.1, 30, 200)[:, None]
    given = type(given)(given.dn, given.edn * scale, given.rmatrix, given.logt, given.dlogt, given.options)
    got, expected = GpuL2(chunk=64).run(given), L2().run(given)
    assert len(np.unique(got.elogt, axis=0)) > 5
    assert_close(got.elogt, expected.elogt)
    assert_close(got.edem, expected.edem)


@pytest.mark.parametrize("solver", [CupyDirect, CupyRegmap, GpuL2])
def test_without_a_device_the_reason_is_the_devices(monkeypatch, solver):
    monkeypatch.setattr(gpu_device, "available", lambda: (False, "no NVIDIA device"))
    assert solver.available() == (False, "no NVIDIA device")
