"""The shared maths: each step against a plain restatement, and the same under a strict array library as under NumPy."""

from types import ModuleType
from typing import Any

import array_api_strict
import numpy as np
import pytest

from implementations import baseline
from implementations.maths import constraint, discrepancy, factorise, inverse, response, uncertainty

NAMESPACES = [np, array_api_strict]


@pytest.fixture(params=NAMESPACES, ids=["numpy", "strict"])
def xp(request) -> ModuleType:
    return request.param


def arrays(pixels: int = 5, bins: int = 11, channels: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logt = 5.7 + 0.1 * (np.arange(bins) + 0.5)
    rmatrix = np.exp(-((logt[:, None] - rng.uniform(5.7, 6.8, channels)) ** 2) / 0.05) + 0.01
    dn = rng.uniform(0.1, 3, (pixels, bins)) @ rmatrix
    edn = dn * rng.uniform(0.02, 0.3, dn.shape)
    weight = rng.uniform(1e-3, 1, (pixels, bins))
    return {"logt": logt, "dlogt": rng.uniform(0.05, 0.2, bins), "rmatrix": rmatrix, "dn": dn, "edn": edn, "w": weight}


def pipeline(a: dict[str, Any], l_emd: bool = False) -> dict[str, Any]:
    """Every function of the shared maths once, in the order of a solve."""
    kernel, d = response.whiten(a["rmatrix"], a["dn"], a["edn"])
    linv = constraint.inverse_diagonal(a["w"], a["dlogt"], l_emd)
    u, s = factorise.thin_svd(factorise.reduced(a["rmatrix"], linv), a["edn"])
    projection, outside = discrepancy.project(u, d)
    grid = discrepancy.grid(s, 9)
    misfit = discrepancy.misfit(grid, s, projection, outside)
    mu = discrepancy.morozov(grid, misfit, misfit[:, 0] * 0 + u.shape[1])
    dem = inverse.solution(u, s, projection, mu, linv, a["rmatrix"], a["edn"])
    k_dagger = inverse.k_dagger(u, s, mu, linv, a["rmatrix"], a["edn"])
    per_count = k_dagger / a["edn"][:, :, None]
    sampling = uncertainty.sampling(a["logt"])
    peak = uncertainty.profile_peak(per_count, a["rmatrix"])
    dn_reg = uncertainty.counts(dem, a["rmatrix"])
    return {
        "kernel": kernel,
        "d": d,
        "linv": linv,
        "s": s,
        "grid": grid,
        "misfit": misfit,
        "mu": mu,
        "dem": dem,
        "k_dagger": k_dagger,
        "peak": peak,
        "dn_reg": dn_reg,
        "edem": uncertainty.edem(k_dagger),
        "elogt": uncertainty.elogt(per_count, a["rmatrix"], peak, sampling, a["dlogt"]),
        "chisq": uncertainty.chisq(a["dn"], a["edn"], dn_reg),
        "points": sampling.points,
        "given": constraint.is_given(a["w"]),
        "loci": constraint.loci_weight(a["dn"], a["rmatrix"]),
        "self": constraint.solution_weight(dem),
        "uniform": constraint.uniform_inverse_diagonal(a["dlogt"]),
    }


@pytest.mark.parametrize("sizes", [(5, 11, 4), (3, 3, 7), (1, 6, 6), (0, 8, 3)])
@pytest.mark.parametrize("l_emd", [False, True])
def test_a_strict_array_library_gives_what_numpy_gives(sizes, l_emd):
    plain = arrays(*sizes)
    expected = pipeline(plain, l_emd)
    got = pipeline({n: array_api_strict.asarray(a) for n, a in plain.items()}, l_emd)
    for name, value in expected.items():
        assert type(got[name]).__module__.startswith("array_api_strict"), name
        np.testing.assert_allclose(np.asarray(got[name]), value, rtol=1e-12, atol=1e-300, err_msg=name)


def test_float32_stays_float32():
    single = {n: a.astype(np.float32) for n, a in arrays().items()}
    assert {n: v.dtype.type for n, v in pipeline(single).items() if v.dtype != bool} == dict.fromkeys(
        (n for n in pipeline(single) if n != "given"), np.float32
    )


def test_inputs_stay_as_they_are():
    given = arrays()
    for array in given.values():
        array.flags.writeable = False
    pipeline(given)


@pytest.mark.parametrize("bins", [3, 4, 5, 6, 40])
def test_smoothing_is_that_of_the_baseline(xp, bins):
    weight = 10 ** np.random.default_rng(bins).uniform(-12, 3, (6, bins))
    got = np.asarray(constraint.smoothed(xp.asarray(weight)))
    np.testing.assert_allclose(got, [baseline.smoothed(w) for w in weight], rtol=1e-14)


def test_weights_that_count_as_given(xp):
    norm = xp.asarray(np.array([[1.0, 1, 1], [0, 2, 3], [1, 1, 2], [-2, 0, 1]]))
    np.testing.assert_array_equal(np.asarray(constraint.is_given(norm)), [False, False, True, True])


def test_a_channel_blind_to_a_bin_sets_no_limit_there(xp):
    rmatrix = np.array([[1.0, 0], [0.5, 1], [0.25, 2]])
    got = constraint.loci_weight(xp.asarray(np.array([[2.0, 3]])), xp.asarray(rmatrix))
    np.testing.assert_allclose(np.asarray(got), [baseline.smoothed(np.array([2.0, 3, 1.5]))], rtol=1e-14)


@pytest.mark.parametrize("sizes", [(6, 34), (12, 12), (2, 3), (7, 3), (12, 4)])
@pytest.mark.parametrize("closeness", [0, 6, 12])
def test_thin_svd_loses_no_more_than_an_svd_does(xp, sizes, closeness):
    channels, bins = sizes
    rng = np.random.default_rng(closeness)
    rmatrix = rng.uniform(0.1, 1, (bins, channels))
    if closeness:
        rmatrix[:, 1] = rmatrix[:, 0] + 10.0**-closeness * rng.random(bins)
    linv, edn = rng.uniform(0.1, 1, (4, bins)), rng.uniform(0.1, 1, (4, channels))
    u, s = factorise.thin_svd(factorise.reduced(xp.asarray(rmatrix), xp.asarray(linv)), xp.asarray(edn))
    u, s, b = np.asarray(u), np.asarray(s), rmatrix.T * linv[:, None, :] / edn[:, :, None]
    rank, largest = min(sizes), s[:, :1]
    assert u.shape == (4, channels, rank)
    assert (np.abs(s - np.linalg.svd(b, compute_uv=False)) <= 1e-14 * largest).all()
    np.testing.assert_allclose(np.swapaxes(u, 1, 2) @ u, np.broadcast_to(np.eye(rank), (4, rank, rank)), atol=1e-14)
    # The rows of U^T B are the right singular vectors times s: orthogonal, of length s.
    gram = np.swapaxes(u, 1, 2) @ b @ np.swapaxes(b, 1, 2) @ u
    assert (np.abs(gram - s[:, :, None] ** 2 * np.eye(rank)) <= 1e-14 * largest[:, :, None] ** 2).all()


def test_triangle_of_rows_that_are_multiples_of_one(xp):
    b = np.array([[[3.0, 4, 0], [6, 8, 0], [0, 0, 5]]])
    got = np.asarray(factorise.triangle(xp.asarray(b)))
    np.testing.assert_allclose(got @ np.swapaxes(got, 1, 2), b @ np.swapaxes(b, 1, 2), atol=1e-14)


@pytest.mark.parametrize("nmu", [2, 3, 42, 500])
def test_grid_has_both_ends(xp, nmu):
    s = np.array([[3.0, 0.2, 1e-5], [1e6, 1e5, 1e5]])
    grid = np.asarray(discrepancy.grid(xp.asarray(s), nmu))
    assert grid.shape == (2, nmu)
    np.testing.assert_allclose(grid[:, 0], [1e-14, 1e6], rtol=1e-12)
    np.testing.assert_allclose(grid[:, -1], [3, 1e6], rtol=1e-12)
    np.testing.assert_allclose(np.diff(np.log(grid), n=2), 0, atol=1e-10)


def test_morozov_takes_the_first_of_equals(xp):
    mu, misfit = np.array([[1.0, 2, 3, 4]] * 3), np.array([[1.0, 3, 5, 7], [4, 4, 4, 4], [9, 1, 9, 1]])
    got = discrepancy.morozov(xp.asarray(mu), xp.asarray(misfit), xp.asarray(np.array([4.0, 0, 2])))
    np.testing.assert_array_equal(np.asarray(got), [2, 1, 2])


@pytest.mark.parametrize("sizes", [(4, 11), (9, 3)])
def test_misfit_is_that_of_the_solution(sizes):
    channels, bins = sizes
    a = arrays(6, bins, channels)
    linv = constraint.inverse_diagonal(a["w"], a["dlogt"])
    u, s = factorise.thin_svd(factorise.reduced(a["rmatrix"], linv), a["edn"])
    projection, outside = discrepancy.project(u, a["dn"] / a["edn"])
    mu = discrepancy.grid(s, 5)
    misfit = discrepancy.misfit(mu, s, projection, outside)
    for point in range(5):
        dem = inverse.solution(u, s, projection, mu[:, point], linv, a["rmatrix"], a["edn"])
        chisq = uncertainty.chisq(a["dn"], a["edn"], uncertainty.counts(dem, a["rmatrix"]))
        np.testing.assert_allclose(misfit[:, point], chisq * channels, rtol=1e-9, atol=1e-14)


def test_inverse_is_that_of_the_normal_equations():
    a, mu = arrays(), 0.3
    linv = constraint.inverse_diagonal(a["w"], a["dlogt"])
    u, s = factorise.thin_svd(factorise.reduced(a["rmatrix"], linv), a["edn"])
    got = inverse.k_dagger(u, s, np.full(5, mu), linv, a["rmatrix"], a["edn"])
    kernel, _ = response.whiten(a["rmatrix"], a["dn"], a["edn"])
    for k, diagonal, row in zip(kernel, linv, got, strict=True):
        normal = np.linalg.solve(k.T @ k + mu * np.diag(1 / diagonal**2), k.T)
        np.testing.assert_allclose(row, normal.T, rtol=1e-8, atol=1e-10 * np.abs(normal).max())


@pytest.mark.parametrize("bins", [3, 4, 17, 60])
def test_resolution_is_that_of_the_baseline(xp, bins):
    a = arrays(3, bins, 4)
    a["logt"] = 5.7 + np.cumsum(a["dlogt"])
    k_dagger = np.random.default_rng(bins).standard_normal((3, 4, bins))
    k_dagger[2] = -np.abs(k_dagger[2])  # no maximum above zero: no sample reaches half of it
    b = {n: xp.asarray(v) for n, v in a.items()}
    per_count = xp.asarray(k_dagger) / b["edn"][:, :, None]
    peak = uncertainty.profile_peak(per_count, b["rmatrix"])
    got = uncertainty.elogt(per_count, b["rmatrix"], peak, uncertainty.sampling(b["logt"]), b["dlogt"])
    for pixel in range(3):
        profiles = k_dagger[pixel].T @ (a["rmatrix"] / a["edn"][pixel]).T
        expected = baseline.temperature_resolution(profiles, a["logt"], a["dlogt"])
        np.testing.assert_allclose(np.asarray(got)[pixel], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(np.asarray(got)[2], a["dlogt"])


def test_bins_of_temperature_edges():
    logt, dlogt = response.bins_of(10 ** np.array([5.7, 5.8, 5.9, 6.1]))
    np.testing.assert_allclose(dlogt, [0.1, 0.1, 0.2])
    np.testing.assert_allclose(logt, [5.75, 5.85, 6.0])


def test_response_is_repaired_and_interpolated():
    tresp = np.array([[1e-25, 0.0], [1e-24, 4e-26], [1e-23, -1.0]])
    np.testing.assert_array_equal(response.repaired(tresp)[:, 1], [4e-26] * 3)
    logt, dlogt = np.array([5.4, 5.95, 6.5, 7.3]), np.full(4, 0.1)
    got = response.response_matrix(tresp, np.array([5.5, 6.0, 6.5]), logt, dlogt, emd_int=True) / response.SCALE
    np.testing.assert_allclose(got[:, 0], [1e-25, 10**-24.1, 1e-23, 1e-23])
    width = response.response_matrix(tresp, np.array([5.5, 6.0, 6.5]), logt, dlogt) / response.SCALE / got
    np.testing.assert_allclose(width, np.repeat(10**logt * np.log(10) * 0.1, 2).reshape(4, 2))
    with pytest.raises(ValueError, match="tresp has a channel without any positive value"):
        response.repaired(np.array([[1.0, 0.0], [1.0, -1.0]]))
