"""Whether there is a device is a value with its reason, whatever is missing or broken."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from implementations.gpu import device as gpu_device


class Driver:
    """The functions of the driver's library that the probe calls."""

    def __init__(self, init=0, devices=1, megabytes=80000):
        self.init, self.devices, self.megabytes = init, devices, megabytes

    def cuInit(self, flags):
        return self.init

    def cuDeviceGetCount(self, number):
        number._obj.value = self.devices
        return 0

    def cuDeviceGet(self, handle, device):
        handle._obj.value = device
        return 0

    def cuDeviceTotalMem_v2(self, size, handle):
        size._obj.value = self.megabytes * 2**20
        return 0

    def cuGetErrorString(self, code, text):
        text._obj.value = {100: b"no CUDA-capable device is detected"}.get(code)
        return 0


@pytest.fixture
def with_driver(monkeypatch):
    def install(driver):
        gpu_device.probe.cache_clear()
        monkeypatch.setattr(gpu_device, "find_spec", lambda name: object())
        monkeypatch.setattr(gpu_device.ctypes, "CDLL", lambda library: driver)

    yield install
    gpu_device.probe.cache_clear()


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(), ""),
        (Driver(init=100), "no usable NVIDIA device: no CUDA-capable device is detected (CUDA error 100)"),
        (Driver(init=803), "no usable NVIDIA device: CUDA error 803"),
        (Driver(devices=0), "no NVIDIA device"),
        (Driver(megabytes=512), "too little memory on the device: 512 MB, expected at least 1024 MB"),
        (object(), "the NVIDIA driver can't be asked: AttributeError: 'object' object has no attribute 'cuInit'"),
    ],
)
def test_what_the_driver_says_is_the_reason(with_driver, driver, reason):
    with_driver(driver)
    assert gpu_device.available() == (not reason, reason)


def test_without_cupy_the_driver_is_not_asked(monkeypatch):
    monkeypatch.setattr(gpu_device, "find_spec", lambda name: None)
    monkeypatch.setattr(gpu_device, "probe", lambda library: pytest.fail("asked"))
    assert gpu_device.available() == (False, "CuPy is not installed")


def test_without_a_driver_its_library_is_named(monkeypatch):
    monkeypatch.setattr(gpu_device, "find_spec", lambda name: object())
    monkeypatch.setattr(gpu_device, "DRIVER", "libno-such-driver.so.1")
    available, reason = gpu_device.available()
    assert not available
    assert reason.startswith("no NVIDIA driver: libno-such-driver.so.1")


def test_probing_imports_no_cupy():
    code = "import sys; from implementations.gpu import device; device.available(); print('cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_devices_streams_are_made_once_for_all_problems(monkeypatch):
    """CuPy keeps freed memory for the stream that it was used on, so that each new stream would take its own."""
    monkeypatch.setattr(gpu_device, "STREAMS", {})
    current = SimpleNamespace(id=0)
    cuda = SimpleNamespace(Device=lambda: current, Stream=lambda non_blocking: SimpleNamespace(blocks=not non_blocking))

    def streams():
        device = object.__new__(gpu_device.Cupy)
        device.cuda = cuda
        return [device.stream(role) for role in ("up", "compute", "down")]

    first = streams()
    assert len({id(stream) for stream in first}) == 3
    assert not any(stream.blocks for stream in first)
    assert [a is b for a, b in zip(streams(), first, strict=True)] == [True] * 3
    current.id = 1
    assert not any(a is b for a, b in zip(streams(), first, strict=True))
