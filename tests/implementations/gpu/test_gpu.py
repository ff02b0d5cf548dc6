"""On a device: parity with the baseline, chunks and streams, precision, its own clock. Skipped elsewhere."""

import numpy as np
import pytest
from problems import assert_close, problem, with_invalid
from solvers import REGISTRY, rows

from implementations import demmap
from implementations.contract import OUTPUTS

REASON = REGISTRY.unavailable("gpu-fused")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(REASON), reason=REASON)]
EXACT = [parameter for parameter in rows("exact") if REGISTRY.describe(parameter.values[0])["device"] == "gpu"]
STREAMED = ("gpu-batched", "gpu-fused", "gpu-l2")


@pytest.fixture(autouse=True)
def linear_algebra_that_fails_raises():
    """CuPy's factorisations leave NaN behind unless they are told to raise."""
    cupyx = pytest.importorskip("cupyx")
    with cupyx.errstate(linalg="raise"):
        yield


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("options", [{}, {"gloci": 1}, {"gloci": (0, 1, 1, 0, 1, 1), "l_emd": True}])
@pytest.mark.parametrize(("pixels", "bins"), [(40, 14), (20, 34), (4, 200)])
def test_parity_with_the_baseline(name, options, pixels, bins):
    given, _ = with_invalid(problem(max(pixels, 12), bins, **options))
    got, expected = REGISTRY.create(name).run(given), REGISTRY.create("baseline").run(given)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(expected, output))
    np.testing.assert_array_equal(got.status, expected.status)


@pytest.mark.parametrize("name", STREAMED)
def test_chunks_and_streams_change_nothing(name):
    given, _ = with_invalid(problem(5000))
    whole, cut = REGISTRY.create(name).run(given), REGISTRY.create(f"{name}[chunk=333,devices=0]").run(given)
    for output in OUTPUTS:
        assert_close(getattr(cut, output), getattr(whole, output))


def test_single_precision_moves_the_resolution_alone():
    given = problem(500, 34)
    got, exact = REGISTRY.create("gpu-fused[precision=float32]").run(given), REGISTRY.create("gpu-fused").run(given)
    for output in ("dem", "edem", "chisq", "dn_reg"):
        assert_close(getattr(got, output), getattr(exact, output))
    step = (given.logt[-1] - given.logt[0]) / 51
    assert (np.abs(got.elogt - exact.elogt) <= step + 1e-5).all()
    assert np.mean(np.abs(got.elogt - exact.elogt) > 1e-5) < 0.05


@pytest.mark.parametrize("name", STREAMED)
def test_a_run_says_its_times_and_memory(name):
    solver = REGISTRY.create(name)
    state = solver.prepare(problem(2000, 34))
    solver.collect(state, solver.solve(state))
    facts = solver.facts(state)
    assert all(facts[phase] > 0 for phase in ("upload_s", "kernel_s", "download_s"))
    assert facts["peak_device_mb"] * 2**20 >= 2000 * 34 * 3 * 8


@pytest.mark.parametrize("name", STREAMED)
def test_outputs_of_single_precision_are_the_others_rounded(name):
    given, _ = with_invalid(problem(2000))
    double, single = REGISTRY.create(name).run(given), REGISTRY.create(f"{name}[outputs=float32]").run(given)
    for output in OUTPUTS:
        np.testing.assert_allclose(getattr(single, output), getattr(double, output), rtol=1e-6)


@pytest.mark.parametrize("name", STREAMED)
def test_cupy_arrays_give_cupy_arrays(name):
    cupy, of = pytest.importorskip("cupy"), problem(500)
    given = (of.rmatrix, of.logt, of.dlogt, np.zeros(6))
    expected = demmap(of.dn, of.edn, *given, solver=name)
    got = demmap(cupy.asarray(of.dn), cupy.asarray(of.edn), *given, solver=name)
    for a, b in zip(got, expected, strict=True):
        assert isinstance(a, cupy.ndarray)
        np.testing.assert_allclose(a.get(), b, rtol=1e-9, atol=1e-12 * np.abs(b).max())
