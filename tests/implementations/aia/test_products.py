"""What is made of DEMs for maps: bands, mean temperature, and which bins the counts constrain."""

import numpy as np
import pytest

from implementations.aia import products
from implementations.maths import response

LOGT, DLOGT = response.bins_of(np.logspace(5.7, 7.4, 18))
WIDTH = 10**LOGT * np.log(10**DLOGT)
RESPONSE = 1e-24 * np.exp(-0.5 * ((LOGT[:, None] - [5.9, 6.1, 6.3, 6.8]) / 0.2) ** 2)
RNG = np.random.default_rng(7)


def planes(shape=(3, 5), kind=np.float64):
    dem = (1e21 * RNG.lognormal(0, 2, (17, *shape)) * RNG.choice([1, 1, 1, -1], (17, *shape))).astype(kind)
    edem = (np.abs(dem) * RNG.uniform(0.05, 0.5, dem.shape)).astype(kind)
    counts = np.einsum("t...,tf->f...", dem * WIDTH.reshape(-1, *[1] * len(shape)), RESPONSE).astype(kind)
    chisq = RNG.choice([0.5, 1.0, 2.0], shape).astype(kind)
    return {"dem": dem, "edem": edem, "dn_reg": np.abs(counts), "chisq": chisq, "status": np.zeros(shape, np.int8)}


def made(given, bands):
    """The products of planes, as `Products.fill` makes them from a solution's rows."""
    image, pixels = given["status"].shape, given["status"].size
    rows = [given[name].reshape(-1, pixels).T for name in ("dem", "edem", "edem", "dn_reg")]
    making = products.Products(RESPONSE, LOGT, DLOGT, bands)
    numbers = np.zeros((making.planes, pixels), np.uint32)
    making.fill([*rows, given["chisq"].reshape(-1, 1)], np.ones(5), given["status"].ravel(), numbers, 0, False)
    values = numbers.view(np.float32).reshape(-1, *image)
    first = 3 * len(LOGT) + 5
    found = {"em_bands": values[first:-2], "temperature": values[-2], "constrained": values[-1]}
    assert [len(found["em_bands"]), first + len(bands) + 2] == [len(bands), making.planes]
    return found


def by_hand(given, pixel):
    """Constrained bins of one pixel, bin by bin."""
    dem, edem, counts = (given[name][:, *pixel] for name in ("dem", "edem", "dn_reg"))
    kept = []
    for t in range(len(LOGT)):
        most = max(dem[t] * WIDTH[t] * RESPONSE[t, f] / counts[f] for f in range(4))
        worse = np.sqrt(max(given["chisq"][pixel], 1))
        kept.append(dem[t] >= 3 * edem[t] * worse and most >= 2.0 * DLOGT[t])
    return np.array(kept)


def test_products_are_of_the_constrained_bins():
    given, bands = planes((9, 15)), products.bands_of([5.7, 6.0, 6.35, 7.4], LOGT, DLOGT)
    found = made(given, bands)
    kept = products.constrained(given["dem"], given["edem"], given["dn_reg"], given["chisq"], RESPONSE, LOGT, DLOGT)
    assert 0.1 < kept.mean() < 0.9
    for pixel in np.ndindex(9, 15):
        sure = by_hand(given, pixel)
        np.testing.assert_array_equal(kept[:, *pixel], sure)
        measure = given["dem"][:, *pixel] * WIDTH
        total = np.where(sure, measure, 0)
        assert found["em_bands"][0][pixel] == pytest.approx(total[:3].sum(), rel=1e-5)
        assert found["em_bands"][1][pixel] == pytest.approx(total[3:6].sum() + total[6] / 2, rel=1e-5)
        if sure.any():
            assert found["temperature"][pixel] == pytest.approx((total * 10**LOGT).sum() / total.sum(), rel=1e-5)
        assert found["constrained"][pixel] == pytest.approx(total.sum() / measure[measure > 0].sum(), rel=1e-5)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bins", "pixels", "start"), [(17, 200, 0), (17, 128, 3), (5, 70, 1), (8, 64, 0)])
def test_planes_are_the_rows_in_single_precision_and_either_order_of_bytes(order, bins, pixels, start):
    scales = np.array([1e15, 1e15, 0.4246609, 1.0, 1.0])
    rng = np.random.default_rng(1)
    rows = [rng.lognormal(0, 3, (pixels, width)) for width in (bins, bins, bins, 4, 1)]
    making = products.Products(RESPONSE[:bins], LOGT[:bins], DLOGT[:bins], ((5.7, 6.0),))
    numbers = np.full((making.planes, start + pixels + 2), 7, np.uint32)
    swap = np.dtype(f"{order}f4") != np.dtype("=f4")
    making.fill(rows, scales, np.zeros(pixels, np.int8), numbers, start, swap)
    expected = np.concatenate(
        [(values * scale).T.astype(np.float32) for values, scale in zip(rows, scales, strict=True)]
    )
    np.testing.assert_array_equal(numbers.view(f"{order}f4")[: 3 * bins + 5, start : start + pixels], expected)
    assert (numbers[:, :start] == 7).all()
    assert (numbers[:, start + pixels :] == 7).all()


def test_bands_add_up_to_all_emission():
    given = planes()
    bands = products.bands_of(None, LOGT, DLOGT)
    assert np.array(bands).ravel() == pytest.approx(
        [5.7, 5.7 + 1.7 / 3, 5.7 + 1.7 / 3, 5.7 + 3.4 / 3, 5.7 + 3.4 / 3, 7.4]
    )
    everything = products.in_bands(given["dem"], bands, LOGT, DLOGT).sum(axis=0)
    np.testing.assert_allclose(everything, np.tensordot(WIDTH, given["dem"], 1), rtol=1e-9)


def test_what_is_not_inverted_or_not_constrained_is_not_a_number():
    given = planes()
    given["status"][0, 0] = 2
    for name in ("dem", "edem", "dn_reg"):
        given[name][:, 0, 0] = 0
    given["edem"][:, 1, 1] = 1e30
    found = made(given, products.bands_of(None, LOGT, DLOGT))
    assert all(np.isnan(values[..., 0, 0]).all() for values in found.values())
    assert not found["em_bands"][:, 1, 1].any()
    assert (np.isnan(found["temperature"][1, 1]), found["constrained"][1, 1]) == (True, 0)
    assert np.isfinite(found["temperature"]).sum() == 13


def test_a_flare_in_single_precision_does_not_overflow():
    given = planes(kind=np.float32)
    given["dem"] = np.full_like(given["dem"], 1e24)
    given["edem"] = given["dem"] / 10
    given["dn_reg"] = np.einsum("tyx,tf->fyx", given["dem"] * WIDTH[:, None, None], RESPONSE).astype(np.float32)
    found = made(given, products.bands_of(None, LOGT, DLOGT))
    assert all(np.isfinite(values).all() for values in found.values())
    assert (found["temperature"] > 1e6).all()


@pytest.mark.parametrize(
    ("edges", "said"),
    [([6.0], "got 6"), ([6.0, 6.0, 7.0], "got 6 6 7"), ([5.5, 6.0], "got 5.5 6"), ([6.0, 7.5], "7.5")],
)
def test_bands_that_are_none(edges, said):
    with pytest.raises(ValueError, match=f"bands must be rising edges within the bins, log T 5.7 to 7.4, .*{said}"):
        products.bands_of(edges, LOGT, DLOGT)
