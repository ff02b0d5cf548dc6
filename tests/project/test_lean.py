"""A machine where little can be installed: what then still runs, and that the stand-ins compute the same."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from problems import assert_close, problem
from sweeps import rows_of, sweep

from implementations.contract import OUTPUTS
from implementations.cpu import batched
from implementations.cpu.batched import Batched
from implementations.maths import constraint, discrepancy, factorise, inverse, response, uncertainty
from implementations.maths.namespace import Standard
from implementations.places import ROOT

MISSING = (
    "array_api_compat",
    "joblib",
    "threadpoolctl",
    "jinja2",
    "dask",
    "distributed",
    "zarr",
    "astropy",
    "asdf",
    "asv",
    "pytest",
    "hypothesis",
    "array_api_strict",
    "line_profiler",
    "memray",
    "pyinstrument",
    "snakeviz",
    "sunpy",
)


@pytest.fixture
def lean(tmp_path):
    """The environment of processes, and of those that they start, in which imports of `MISSING` fail."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({MISSING!r}))\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_a_sweep_needs_no_more(lean, tmp_path):
    blocked = "import importlib.util, joblib"
    assert subprocess.run([sys.executable, "-c", blocked], env=lean, capture_output=True).returncode == 1
    sweep(
        "--solvers",
        "baseline,batched,numba,processes[inner=l2,workers=1],dask,gpu-batched",
        "--pixels",
        "12",
        "--bins",
        "12",
        "--repeats",
        "1",
        "--strict",
        "--out",
        tmp_path / "run",
        check=0,
        env=lean,
    )
    rows = rows_of(tmp_path / "run")
    ran = rows[rows.status == "ok"]
    assert {"baseline", "batched", "numba", "processes[inner=l2,workers=1]"} <= set(ran.index)
    assert (ran.gate == "pass").all()
    assert "not installed" in rows.reason["dask"]


def test_gpu_check_and_reading_records_need_no_more(lean):
    modules = (
        "harness.upkeep.gpu_check, harness.sweep, harness.recommend, harness.compare, implementations.gpu.pipeline"
    )
    code = f"import sys, {modules}; print([m for m in {MISSING!r} if sys.modules.get(m)])"
    done = subprocess.run([sys.executable, "-c", code], env=lean, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_solvers_of_a_device_and_the_maths_are_tested_without_the_common_namespace(tmp_path):
    """As on a machine with a device that has no array-api-compat: the strict library's arrays know their own."""
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["array_api_compat"] = None\n')
    tests = ["tests/implementations/maths", "tests/implementations/gpu/test_cupy.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-k", "not parity", *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def old_library():
    """NumPy without the names that version 2 took over from the standard, as an older CuPy is."""
    names = {name: getattr(np, name) for name in dir(np) if name not in ("permute_dims", "concat", "astype")}
    linalg = {name: getattr(np.linalg, name) for name in ("svd", "norm")}

    def pinv(array, rcond):
        return np.linalg.pinv(array, rcond)

    return SimpleNamespace(**{**names, "linalg": SimpleNamespace(pinv=pinv, **linalg)})


@pytest.mark.parametrize("options", [{}, {"gloci": 1}, {"gloci": (0, 1, 1, 0, 1, 1), "l_emd": True}])
def test_an_older_library_under_the_standards_names_computes_the_same(monkeypatch, options):
    given = problem(20, **options)
    expected = Batched().run(given)
    asked = []

    def namespace(*arrays):
        asked.append(arrays)
        return Standard(old_library())

    for module in (batched, constraint, discrepancy, factorise, inverse, response, uncertainty):
        monkeypatch.setattr(module, "array_namespace", namespace)
    got = Batched().run(given)
    assert asked
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output))


def test_its_pseudo_inverse_takes_the_standards_tolerance():
    matrix = np.diag([1.0, 1e-3, 1e-12])
    got = Standard(old_library()).linalg.pinv(matrix, rtol=1e-6)
    np.testing.assert_allclose(np.diag(got), [1, 1e3, 0], atol=1e-9)
