"""A timed run's own problem."""

from dataclasses import replace

import numpy as np
import pytest
from problems import problem, with_invalid
from solvers import create

from harness.judge import quality
from harness.judge.summary import summarise
from harness.measure.handover import FIRST, Original
from harness.workloads import variant


def test_a_variant_is_the_same_pixels_scaled_in_another_order():
    given, _ = with_invalid(problem(50))
    changed = variant.of(given, 3)
    for name in ("dn", "edn"):
        restored = np.empty_like(given.dn)
        restored[changed.order] = getattr(changed.problem, name) / changed.factor
        np.testing.assert_allclose(restored, getattr(given, name), rtol=1e-15)
        assert not (getattr(changed.problem, name) == getattr(given, name)[changed.order])[
            changed.problem.valid()
        ].all()
    assert 1e-4 < np.abs(changed.factor - 1).max() <= variant.SPREAD
    assert len(np.unique(changed.factor)) == 50, "each pixel's own"
    norm = np.arange(50.0)[:, None] + np.ones(given.sizes[2])
    assert np.array_equal(variant.of(replace(given, dem_norm0=norm), 3).problem.dem_norm0, norm[changed.order])
    assert np.array_equal(changed.problem.valid(), given.valid()[changed.order])
    assert np.array_equal(variant.of(given, 3).problem.dn, changed.problem.dn, equal_nan=True)
    assert not np.array_equal(variant.of(given, 4).order, changed.order)


def test_a_map_of_several_chunks_has_the_same_pixels_scaled_in_another_order():
    pixels = 2 * variant.CHUNK + 1
    few = problem(50)
    given = few.with_pixels(
        np.resize(few.dn, (pixels, 6)) * np.arange(1.0, pixels + 1)[:, None], np.resize(few.edn, (pixels, 6)), None
    )
    changed = variant.of(given, 3)
    assert np.array_equal(changed.problem.dn, given.dn[changed.order] * changed.factor)
    assert np.array_equal(changed.problem.edn, given.edn[changed.order] * changed.factor)


def test_a_variant_in_the_memory_of_an_earlier_one_is_the_same_as_in_its_own():
    given, _ = with_invalid(problem(50))
    room = variant.room(given)
    for seed in (3, 4):
        lies, stands = variant.staged(given, seed, room), variant.of(given, seed).problem
        for name, memory in zip(("dn", "edn"), room, strict=True):
            assert np.array_equal(getattr(lies, name), getattr(stands, name), equal_nan=True)
            assert np.shares_memory(getattr(lies, name), memory)
            assert not getattr(lies, name).flags.writeable
            assert not np.shares_memory(getattr(stands, name), memory)


@pytest.mark.parametrize("pixels", [1, 2, 127, 128, 129, 4095, 4097, 10_001, 70_001])
def test_every_pixel_of_a_map_of_any_size_is_there_once_and_hardly_any_in_its_place(pixels):
    order = variant.of(problem(pixels), 5).order
    assert np.array_equal(np.sort(order), np.arange(pixels))
    assert pixels < 3 or np.mean(order == np.arange(pixels)) < 0.01


def test_seeds_differ_with_every_word_and_the_secret():
    seeds = [variant.seed(*words) for words in (("a", 1, 2), ("a", 12), ("a", 1, 3), ("b", 1, 2))]
    assert len(set(seeds)) == 4
    assert seeds[0] == variant.seed("a", 1, 2) < 2**63


def test_a_turn_holds_the_rounds_problem_once_and_where_is_secret():
    original = Original(problem(5), None, "s")
    places = set()
    for spec in map(str, range(90)):
        seeds, place = original.turn(4, spec, 6)
        assert seeds[place] == variant.seed("s", 4, 0)
        assert set(seeds) == set(original.turn(4, "other", 6)[0]), "the same problems for all solvers of a round"
        assert len(set(seeds)) == 6
        places.add(place)
    assert len(places) == 6
    assert not set(seeds) & set(original.turn(5, "other", 6)[0])


def test_a_solution_of_a_variant_is_called_by_the_maps_own_pixels():
    given, _ = with_invalid(problem(40))
    original = Original(given, None, "s")
    pixels = np.array([2, 3, 17, 30])
    chosen = {FIRST: pixels[1:], 7: pixels}
    few = create("baseline").run(original.some(chosen))
    apart = original.apart(summarise(original.some(chosen), vars(few)), chosen)
    whole = summarise(given, vars(create("baseline").run(given)))
    changed = original.variant(7)
    solved = summarise(changed.problem, vars(create("baseline").run(changed.problem)), np.arange(40))
    for got in (apart[7], solved.restored(changed.order, changed.factor)):
        ours, theirs = quality.matched(got, apart[7])
        compared = quality.parity(ours, theirs, given)
        assert compared["parity_dem"] < 1e-12
        assert compared["compared_pixels"] == given.valid()[pixels].sum()
    np.testing.assert_allclose(apart[7].dem, whole.dem[pixels], rtol=0.05, atol=0.05 * np.abs(whole.dem).max())
    assert np.array_equal(apart[FIRST].pixels, pixels[1:])


def test_what_is_restored_has_the_maps_own_pixels_and_units():
    given = problem(6)
    solved = summarise(given, vars(create("baseline").run(given)))
    numbers, factor = np.array([4, 2, 0, 5, 1, 3]), np.arange(1.0, 7.0)[:, None]
    restored = solved.restored(numbers, factor)
    assert np.array_equal(restored.pixels, np.arange(6))
    assert np.array_equal(restored.sample, np.arange(6))
    for name in ("dem", "edem", "dn_reg"):
        assert np.array_equal(getattr(restored, name)[numbers], getattr(solved, name) / factor)
    for name in ("chisq", "chisq_sample", "elogt", "iterations"):
        assert np.array_equal(getattr(restored, name)[numbers], getattr(solved, name))
