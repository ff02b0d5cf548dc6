"""What is particular to the shared-SVD solver: its choice of mu and its error bars, against plain restatements."""

import numpy as np
from problems import problem

from implementations import baseline
from implementations.cpu.l2 import L2, tabulate
from implementations.maths import discrepancy

GIVEN = problem(40)
GOT = L2().run(GIVEN)


def inverses() -> tuple[np.ndarray, np.ndarray]:
    """The grid, and K-dagger (G, T, F) at each of its points from the normal equations."""
    kernel = GIVEN.rmatrix.T
    s = np.linalg.svd(kernel * np.sqrt(GIVEN.dlogt), compute_uv=False)
    mu = discrepancy.grid(s[None], GIVEN.options.nmu)[0]
    constraint = np.diag(1 / GIVEN.dlogt)
    return mu, np.stack([np.linalg.solve(kernel.T @ kernel + m * constraint, kernel.T) for m in mu])


def chosen() -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's K-dagger (P, T, F) and unclipped DEM (P, T), by trying every grid point."""
    _, k_daggers = inverses()
    dems = np.einsum("gtf,pf->pgt", k_daggers, GIVEN.dn)
    misfit = ((dems @ GIVEN.rmatrix - GIVEN.dn[:, None]) ** 2).sum(axis=2)
    point = np.abs(misfit - (GIVEN.edn**2).sum(axis=1)[:, None]).argmin(axis=1)
    return k_daggers[point], dems[np.arange(40), point]


def test_dem_is_that_of_the_discrepancy_clipped():
    _, dem = chosen()
    assert (dem < 0).any()
    np.testing.assert_allclose(GOT.dem, np.maximum(dem, 0), rtol=1e-6, atol=1e-7 * dem.max())


def test_edem_is_the_spread_of_solutions_of_noisy_counts():
    k_dagger, _ = chosen()
    noise = np.random.default_rng(0).standard_normal((20000, *GIVEN.edn.shape)) * GIVEN.edn
    spread = np.stack([(noise[:, p] @ k_dagger[p].T).std(axis=0) for p in range(40)])
    np.testing.assert_allclose(GOT.edem, spread, rtol=0.05)


def test_elogt_is_that_of_the_solution_s_own_inverse():
    k_dagger, _ = chosen()
    for pixel in range(40):
        profiles = k_dagger[pixel] @ GIVEN.rmatrix.T
        expected = baseline.temperature_resolution(profiles, GIVEN.logt, GIVEN.dlogt)
        np.testing.assert_allclose(GOT.elogt[pixel], expected, rtol=1e-9)


def test_table_holds_the_inverses_of_the_whole_grid():
    mu, k_daggers = inverses()
    table = tabulate(GIVEN)
    assert table.k_dagger.shape == (len(mu), 6, 14)
    for got, expected in zip(table.k_dagger, k_daggers, strict=True):
        np.testing.assert_allclose(got.T, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())
    assert table.left.shape == (6, len(mu))
