"""`dn2dem` given CuPy arrays, with a library of the host in CuPy's place."""

import sys

import numpy as np
import pytest
from emulated import COMPILER, Emulator
from fake_device import FakeDevices
from problems import problem

from implementations import demmap, dn2dem
from implementations.contract import Status
from implementations.gpu import device as gpu_device
from implementations.gpu import fused, resident

pytestmark = pytest.mark.skipif(not COMPILER, reason="g++ is not installed")
LOGT = np.linspace(5.5, 7.5, 41)
TRESP = 1e-24 * np.exp(-0.5 * ((LOGT[:, None] - np.array([5.8, 6.0, 6.2, 6.4, 6.8, 7.1])) / 0.2) ** 2) + 1e-28
TEMPS = np.logspace(5.7, 7.2, 16)
DN = np.random.default_rng(4).uniform(20, 900, (4, 5, 6))
DN[1, 2, 3], DN[3, 0] = np.nan, -1.0
EDN = 0.1 * np.abs(np.nan_to_num(DN)) + 1
EDN[0, 0, 0] = 0.0


class ndarray(np.ndarray):
    """As CuPy's: of a module of that name, and to the host by `get`."""

    def get(self):
        return np.array(self)


ndarray.__module__ = "cupy"


class Cupy(Emulator):
    """Its arrays come of `asarray`, `empty` and `zeros`."""

    def asarray(self, array, dtype=None):
        return np.asarray(array, dtype=dtype).view(ndarray)

    def empty(self, shape, dtype=float):
        return np.empty(shape, dtype).view(ndarray)

    def zeros(self, shape, dtype=float):
        return np.zeros(shape, dtype).view(ndarray)


@pytest.fixture
def cupy(monkeypatch):
    library = Cupy()
    monkeypatch.setitem(sys.modules, "cupy", library)
    monkeypatch.setattr(gpu_device, "runtime", lambda: FakeDevices(xp=library))
    monkeypatch.setattr(gpu_device, "available", lambda: (True, ""))
    monkeypatch.setattr(fused, "SPREAD", 1)
    return library


def call(dn, edn, solver, **options):
    return dn2dem(dn, edn, TRESP, LOGT, TEMPS, solver=solver, **options)


@pytest.mark.parametrize("solver", ["gpu-fused", "gpu-batched", "gpu-l2", "numba", "gpu-fused[outputs=float32]"])
@pytest.mark.parametrize("options", [{}, {"gloci": 1, "emd_int": True, "full": True}, {"rscl": True}])
def test_arrays_of_a_device_give_arrays_of_a_device(cupy, solver, options):
    expected = call(DN, EDN, solver, **options)
    got = call(cupy.asarray(DN), cupy.asarray(EDN), solver, **options)
    assert type(got) is type(expected)
    for a, b in zip(got, expected, strict=True):
        assert type(a) is ndarray
        assert a.shape == b.shape
        np.testing.assert_allclose(
            a.get(), b, rtol=2e-7 if "float32" in solver else 1e-9, atol=1e-12 * np.abs(b).max(initial=0)
        )


@pytest.mark.parametrize("solver", ["gpu-fused", "gpu-batched"])
def test_nothing_of_the_pixels_goes_through_host_memory(cupy, monkeypatch, solver):
    moved = []
    get = ndarray.get
    monkeypatch.setattr(ndarray, "get", lambda self: (moved.append(self.nbytes // 20), get(self))[1])
    call(cupy.asarray(DN), cupy.asarray(EDN), solver)
    assert sorted(moved) == [1, 4]  # status and iterations, for warnings


@pytest.mark.parametrize("shape", [(6,), (3, 6), (1, 3, 6)])
def test_any_number_of_axes_and_the_users_weights(cupy, shape):
    dn, edn = DN[0, :3].reshape(-1, 6)[: max(1, np.prod(shape) // 6)].reshape(shape), None
    edn = 0.1 * dn + 1
    norm = np.linspace(1, 2, 15)
    expected = call(dn, edn, "gpu-fused", dem_norm0=norm)
    got = call(cupy.asarray(dn), cupy.asarray(edn), "gpu-fused", dem_norm0=cupy.asarray(norm))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.array(a), b, rtol=1e-12)
    with pytest.raises(ValueError, match="dem_norm0 has weights that are 0"):
        call(cupy.asarray(dn), cupy.asarray(edn), "gpu-fused", dem_norm0=np.where(norm > 1.5, 0, norm))


def test_scales_beyond_all_sense_are_warned_of_as_on_the_host(cupy):
    edn = EDN.copy()
    edn[2, 2] = 1e-20
    for place in (np.asarray, cupy.asarray):
        with pytest.warns(UserWarning, match="1 of 20 pixels have counts or errors that rounding would decide on"):
            got = call(place(DN), place(edn), "gpu-fused", full=True)
        assert np.array(got.status)[2, 2] == Status.INVALID


def test_arrays_need_not_lie_in_c_order_nor_be_of_double_precision(cupy):
    dn, edn = (np.asfortranarray(a.astype(np.float32)) for a in (DN, EDN))
    expected = call(dn, edn, "gpu-fused")
    for a, b in zip(call(cupy.asarray(dn), cupy.asarray(edn), "gpu-fused"), expected, strict=True):
        np.testing.assert_array_equal(a.get(), b)


def test_a_list_of_pixels_too(cupy):
    of = problem(12)
    given = (of.rmatrix, of.logt, of.dlogt, np.zeros(6))
    expected = demmap(of.dn, of.edn, *given, solver="gpu-fused")
    got = demmap(cupy.asarray(of.dn), cupy.asarray(of.edn), *given, solver="gpu-fused")
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a.get(), b)


@pytest.mark.parametrize("solver", ["gpu-fused", "gpu-batched"])
def test_chunks_on_the_device_change_nothing(cupy, monkeypatch, solver):
    whole = call(cupy.asarray(DN), cupy.asarray(EDN), solver)
    monkeypatch.setattr(resident, "_chunk", lambda *_: 3)
    for a, b in zip(call(cupy.asarray(DN), cupy.asarray(EDN), solver), whole, strict=True):
        np.testing.assert_allclose(a.get(), b.get(), rtol=1e-9, atol=1e-12 * np.abs(b).max())


def test_no_room_on_the_device_is_a_memory_error(cupy, monkeypatch):
    monkeypatch.setattr(gpu_device, "runtime", lambda: FakeDevices(xp=cupy, free_bytes=1000))
    with pytest.raises(MemoryError, match=r"a pixel needs \d+ bytes on the device, of which 0 are free"):
        call(cupy.asarray(DN), cupy.asarray(EDN), "gpu-batched")
