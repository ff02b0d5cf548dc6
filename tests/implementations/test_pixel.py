"""One pixel: Monte Carlo errors, which agree with the propagated ones where nothing is chosen anew, and its figure."""

import golden_cases
import matplotlib.pyplot as plt
import numpy as np
import pytest

from implementations import dn2dem, draw_pixel, monte_carlo

FILE = golden_cases.FILE
RESPONSE = (FILE["tresp"], FILE["tresp_logt"], FILE["temps even"])
DN, EDN = FILE["self dn"], FILE["self edn"]
WEIGHTS = np.linspace(1.0, 2.0, 24)


def test_draws_are_inverted_one_by_one():
    spread = monte_carlo(DN, EDN, *RESPONSE, draws=7, seed=3)
    random = np.random.default_rng(3)
    dems = np.array([dn2dem(DN + EDN * random.standard_normal(DN.shape), EDN, *RESPONSE)[0] for _ in range(7)])
    np.testing.assert_allclose(spread.mean, dems.mean(axis=0), rtol=1e-9, atol=1e-9 * dems.max())
    np.testing.assert_allclose(spread.std, dems.std(axis=0, ddof=1), rtol=1e-7, atol=1e-9 * dems.max())
    assert spread.draws.tolist() == [7] * 5


@pytest.mark.parametrize("shape", [(6,), (1, 6), (5, 1, 6)])
def test_pixels_have_the_spread_they_have_alone(shape, monkeypatch):
    count = int(np.prod(shape[:-1]))
    dn, edn = DN[:count].reshape(shape), EDN[:count].reshape(shape)
    whole = monte_carlo(dn, edn, *RESPONSE, draws=9)
    assert whole.std.shape == (*shape[:-1], 24)
    assert np.shape(whole.draws) == shape[:-1]
    monkeypatch.setattr("implementations.pixel.MOST_AT_ONCE", 2 * count)
    same = monte_carlo(dn, edn, *RESPONSE, draws=9)
    np.testing.assert_allclose(whole.std, same.std, rtol=1e-9)


def test_propagated_errors_are_those_of_draws_with_all_held():
    """With errors so small that no draw is regularised otherwise, what is left is the propagated error alone."""
    dn, edn = DN[1], 1e-7 * DN[1]
    settings = {"nmu": 50, "max_iter": 1, "gloci": 1}
    found = dn2dem(dn, edn, *RESPONSE, full=True, **settings)
    spread = monte_carlo(dn, edn, *RESPONSE, draws=1500, **settings)
    ratio = np.linalg.norm(spread.std) / np.linalg.norm(found.edem)
    assert 0.85 < ratio < 1.15


def test_a_systematic_error_is_drawn():
    plain, more = (monte_carlo(DN, EDN, *RESPONSE, draws=60, systematic=s, reg_tweak=1.0) for s in (0.0, 0.3))
    assert np.median(np.linalg.norm(more.std, axis=1) / np.linalg.norm(plain.std, axis=1)) > 2


def test_a_systematic_error_may_have_a_unit():
    percent = pytest.importorskip("astropy.units").Quantity(30.0, "percent")
    one, other = (monte_carlo(DN, EDN, *RESPONSE, draws=5, systematic=s) for s in (0.3, percent))
    np.testing.assert_array_equal(one.std, other.std)


def test_draws_that_cannot_be_inverted_are_not_counted():
    dn, edn = DN.copy(), EDN.copy()
    dn[0, 2] = 0.5 * edn[0, 2]
    dn[1, 3] = np.nan
    edn[2, 0] = 0
    spread = monte_carlo(dn, edn, *RESPONSE, draws=40)
    assert 10 < spread.draws[0] < 40
    assert spread.draws[1:].tolist() == [0, 0, 40, 40]
    assert np.isfinite(spread.std[[0, 3, 4]]).all()
    assert np.isnan(spread.std[1:3]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 1}, "draws must be a whole number from 2 to 100000, got 1"),
        ({"full": True}, "monte_carlo takes no full"),
        ({"dem_norm0": WEIGHTS}, "monte_carlo takes no dem_norm0"),
        ({"solver": "nunba"}, "unknown solver 'nunba'"),
    ],
)
def test_bad_arguments_of_draws_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        monte_carlo(DN, EDN, *RESPONSE, **changes)


def test_the_figure_has_the_dem_its_errors_loci_and_counts():
    dn = DN[4].copy()
    dn[0] = np.nan
    names = [f"A{n}" for n in range(6)]
    settings = {"fewest_channels": 5, "gloci": 1, "max_iter": 1}
    figure = draw_pixel(dn, EDN[4], *RESPONSE, names=names, title="here", draws=20, **settings)
    found = dn2dem(dn, EDN[4], *RESPONSE, full=True, **settings)
    left, right = figure.axes
    assert left.get_yscale() == "log"
    labels = left.get_legend_handles_labels()[1]
    assert [label for label in labels if label.startswith("EM locus")] == [f"EM locus A{n}" for n in range(1, 6)]
    assert "20 draws, mean ± 1 σ" in labels
    marks = [bars for bars in left.containers if bars.has_yerr and bars.has_xerr]
    drawn = np.concatenate([bars.lines[0].get_xydata() for bars in marks])
    below = [line for line in left.lines if line.get_label() == "DEM ≤ 0"]
    assert len(drawn) + sum(len(line.get_xdata()) for line in below) == 24
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(found.dem[found.dem > 0]))
    heights = [line.get_ydata()[0] for line in right.lines if line.get_marker() == "o" and len(line.get_xdata())]
    np.testing.assert_allclose(heights, (found.dn_reg / dn)[1:])
    assert next(t.get_text().split("\n")[1] for t in right.get_xticklabels()) == "left out"
    assert figure.get_suptitle().startswith("here; χ² per channel")
    plt.close(figure)


def test_the_figures_errors_have_the_systematic_one():
    figure = draw_pixel(DN[4], EDN[4], *RESPONSE, systematic=0.2)
    right = figure.axes[1]
    (bars,) = (bars.lines[2][0].get_segments() for bars in right.containers)
    half = [(high - low) / 2 for (_, low), (_, high) in bars]
    np.testing.assert_allclose(half, np.hypot(EDN[4], 0.2 * DN[4]) / DN[4])
    plt.close(figure)


@pytest.mark.parametrize(
    ("dn", "changes", "message"),
    [
        (DN[0], {"emd_ret": True}, "draw_pixel takes no emd_ret"),
        (DN[0], {"draws": 5, "rscl": True}, "draw_pixel takes no rscl"),
        (DN, {}, r"draw_pixel draws one pixel, got counts of shape \(5, 6\)"),
        (-DN[0], {}, "the pixel is invalid: counts -"),
        (DN[0], {"names": ["94"]}, "names has 1 channels, expected 6"),
    ],
)
def test_a_pixel_that_cannot_be_drawn_is_one_line(dn, changes, message):
    with pytest.raises(ValueError, match=message):
        draw_pixel(dn, np.abs(dn), *RESPONSE, **changes)
