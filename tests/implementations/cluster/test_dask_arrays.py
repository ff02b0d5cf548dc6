"""The drop-in calls on dask arrays."""

import golden_cases
import numpy as np
import pytest

import implementations
from implementations.contract import OUTPUTS
from implementations.maths import response

da = pytest.importorskip("dask.array")
FILE = golden_cases.FILE
TEMPS = FILE[f"temps {golden_cases.CASES['map']['temps']}"]
RNG = np.random.default_rng(7)
DN = FILE["map dn"][RNG.integers(0, 3, (5, 4)), RNG.integers(0, 2, (5, 4))] * RNG.uniform(0.8, 1.2, (5, 4, 6))
EDN = 0.05 * DN + 0.1
NORM = RNG.uniform(0.5, 2, (5, 4, len(TEMPS) - 1))


def call(dn, edn, **more):
    return implementations.dn2dem(dn, edn, FILE["tresp"], FILE["tresp_logt"], TEMPS, **more)


@pytest.mark.parametrize("chunks", [(2, 3, 6), (5, 4, 6), (1, 1, 2)])
@pytest.mark.parametrize("more", [{}, {"dem_norm0": NORM}, {"dem_norm0": NORM[0, 0]}, {"gloci": 1, "emd_ret": True}])
def test_outputs_are_those_of_the_arrays_in_blocks(chunks, more):
    lazy = call(da.from_array(DN, chunks), da.from_array(EDN, (5, 2, 6)), **more)
    for name, got, expected in zip(OUTPUTS, lazy, call(DN, EDN, **more), strict=True):
        assert isinstance(got, da.Array)
        assert got.shape == expected.shape, name
        assert got.chunks[:2] == da.core.normalize_chunks(chunks[:2], (5, 4))
        np.testing.assert_array_equal(got.compute(scheduler="synchronous"), expected, err_msg=name)


def test_nothing_is_loaded_before_it_is_computed_and_each_pixel_once():
    loaded = []

    def load(block_info=None):
        loaded.append(block_info[None]["array-location"][0])
        first, last = loaded[-1]
        return DN[first:last]

    dn = da.map_blocks(load, chunks=((1,) * 5, (4,), (6,)), dtype=float, meta=np.empty((0, 0, 0)))
    outputs = call(dn, EDN)
    assert loaded == []
    outputs[0][2].compute(scheduler="synchronous")
    assert loaded == [(2, 3)]
    loaded.clear()
    da.compute(*outputs, scheduler="synchronous")
    assert sorted(loaded) == [(i, i + 1) for i in range(5)]


def test_one_pixel_and_two_axes():
    for shape in ((6,), (4, 6)):
        dn, edn = (a.reshape(-1, 6)[:4].reshape(4, 6)[: shape[0] if len(shape) > 1 else 1] for a in (DN, EDN))
        dn, edn = dn.reshape(shape), edn.reshape(shape)
        for got, expected in zip(call(da.from_array(dn), da.from_array(edn)), call(dn, edn), strict=True):
            np.testing.assert_array_equal(got.compute(scheduler="synchronous"), expected)


def test_demmap():
    logt, dlogt = response.bins_of(TEMPS)
    constants = (response.response_matrix(FILE["tresp"], FILE["tresp_logt"], logt, dlogt), logt, dlogt, np.zeros(6))
    dd, ed = DN.reshape(-1, 6), EDN.reshape(-1, 6)
    lazy = implementations.demmap(da.from_array(dd, (7, 6)), ed, *constants)
    for got, expected in zip(lazy, implementations.demmap(dd, ed, *constants), strict=True):
        np.testing.assert_array_equal(got.compute(scheduler="synchronous"), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edn": EDN[:2]}, r"the errors have shape \(2, 4, 6\), expected that of the counts"),
        ({"dem_norm0": NORM[:2]}, r"dem_norm0 has shape \(2, 4, 24\)"),
        ({"max_iter": 0}, "max_iter must be a whole number from 1"),
        ({"solver": "nunba"}, "unknown solver 'nunba'"),
        ({"solver": "dask[inner=numba]"}, "starts workers, which dask arrays have already"),
    ],
)
def test_bad_arguments_are_named_at_the_call(changes, message):
    edn = changes.pop("edn", EDN)
    with pytest.raises(ValueError, match=message):
        call(da.from_array(DN), edn, **changes)
