"""The probe of a device, with libraries that are broken or stand in for CuPy; and which commit a copy is of."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from harness.machine import facts, probes
from implementations.places import ROOT


def library(monkeypatch, **kept):
    """A CuPy of NumPy's arrays, small, with what is `kept` in place of its own."""

    class Array(np.ndarray):
        def set(self, source):
            self[...] = source

        def get(self, out):
            out[...] = self

    def ones(shape):
        return np.ones(8 if isinstance(shape, tuple) else shape).view(Array)

    cuda = SimpleNamespace(
        alloc_pinned_memory=lambda size: bytearray(size), Device=lambda: SimpleNamespace(synchronize=lambda: None)
    )
    launched = []

    def raw(code, name):
        assert f"void {name}(" in code
        return lambda grid, block, arguments: launched.append((grid, block, arguments))

    names = {"is_available": lambda: True, "ones": ones, "empty": ones, "copyto": np.copyto, "RawKernel": raw}
    here = SimpleNamespace(**{"cuda": cuda, "negative": np.negative, **names, **kept})
    monkeypatch.setattr(probes, "find_spec", lambda name: object())
    monkeypatch.setattr(probes, "DEVICE_BYTES", 1 << 16)
    monkeypatch.setitem(sys.modules, "cupy", here)
    return launched


def test_a_devices_rates_are_pinned_and_pageable_copies_and_plain_and_matrix_arithmetic(monkeypatch):
    launched = library(monkeypatch, negative=None)  # one that can't be had
    found = probes.device()
    assert found.pop("launches_per_s") is None
    assert found.keys() == {
        "copy_bytes_per_s",
        "flops_per_s",
        "plain_flops_per_s",
        "to_device_bytes_per_s",
        "to_host_bytes_per_s",
        "pinned_to_device_bytes_per_s",
        "pinned_to_host_bytes_per_s",
    }
    assert all(rate > 0 for rate in found.values())
    assert launched[0][:2] == ((4096,), (256,))


def broken():
    raise RuntimeError("cudaErrorInsufficientDriver")


@pytest.mark.parametrize("kept", [{"is_available": broken}, {"ones": lambda shape: broken()}, {"is_available": bool}])
def test_a_probe_that_raises_is_none_and_not_the_end_of_the_run(monkeypatch, kept):
    library(monkeypatch, **kept)
    assert probes.device() is None


def test_a_library_that_does_not_import_is_none(monkeypatch):
    monkeypatch.setattr(probes, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert probes.device() is None


def test_a_copy_without_a_repository_is_told_by_its_files_or_by_who_copied_it(monkeypatch, tmp_path):
    for folder in ("harness", "implementations", "datasets"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code = "from harness.machine import facts; print(facts.commit())"

    def said(**environment):
        monkeypatch.delenv(facts.COMMIT_VARIABLE, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    monkeypatch.setattr(facts, "ROOT", tmp_path)
    assert said() == said() == facts.copied()
    before = said()
    assert before.startswith("files-")
    (tmp_path / "implementations" / "gpu" / "fused.cu").write_text("// another\n")
    assert said() != before
    assert said(DEMREG_BENCH_COMMIT="0123456789ab") == "0123456789ab"


def test_results_that_were_remade_do_not_make_the_sources_others(monkeypatch, tmp_path):
    for name in ("harness/x.py", "results/run.json", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(facts, "ROOT", tmp_path)
    monkeypatch.setattr(facts, "INSTALLED", False)
    (tmp_path / "results" / "run.json").write_text("2")
    clean = facts.commit()
    assert len(clean) == 12
    (tmp_path / "harness" / "x.py").write_text("2")
    assert facts.commit() == f"{clean}+"
