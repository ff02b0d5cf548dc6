"""Workloads: the same everywhere and however generated, as stated in their specifications."""

import hashlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import specification, workload
from harness.workload import BLOCK

ALL = workload.names()
GOLDEN_DRAWS = ["71b9dfecd6b8e7c6", "dcfb8c7711022bd7"]
GOLDEN_SUMS = {
    "gaussian-response": [0.003181910771020067, 3620.2607241632313, 222.75586149447045, 19630954.08077084],
    "random-response": [0.03394251334609316, 2171069.2056458294, 223360.83827262386, 674647600.6790023],
    "random-response-loci": [0.03394251334609316, 2171069.2056458294, 223360.83827262386, 674647600.6790023],
    "solar-mix": [0.003181910771020067, 2388.1212566908926, 170.59231317529077, 12137431.845924968],
}


def test_the_stated_workloads_are_there():
    assert {"random-response", "random-response-loci", "gaussian-response", "solar-mix"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_problem_other_seed_another(name):
    spec = workload.load(name)
    a, truth = workload.generate(spec, 50, 12)
    b, same_truth = workload.generate(spec, 50, 12)
    c, _ = workload.generate(spec, 50, 12, spec.seed + 1)
    assert np.array_equal(a.dn, b.dn, equal_nan=True)
    assert np.array_equal(truth, same_truth)
    assert not np.isclose(a.dn, c.dn).any()
    assert len(np.unique(a.dn[:, 0])) > 45, "pixels must differ"
    assert truth.shape == (50, 12)
    assert (truth > 0).any(axis=1).all()


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(ALL), pixels=st.integers(1, 3 * BLOCK), chunk=st.integers(1, 2 * BLOCK))
def test_chunks_do_not_matter_and_a_small_map_begins_a_large_one(name, pixels, chunk):
    spec = workload.load(name)
    whole, _ = workload.generate(spec, 3 * BLOCK, 5)
    covered = 0
    if pixels / chunk > 60:
        chunk = pixels
    for part, block in workload.stream(spec, pixels, 5, spec.seed, chunk):
        assert part.start == covered
        covered = part.stop
        assert np.array_equal(block.dn, whole.dn[part], equal_nan=True)
        assert np.array_equal(block.edn, whole.edn[part], equal_nan=True)
    assert covered == pixels


def test_draws_are_these_on_every_machine():
    uniform = workload._stream(20130405, 0).random(1000)
    normal = workload._stream(20130405, 1, 0).standard_normal(1000)
    digests = [hashlib.sha256(draws.astype("<f8").tobytes()).hexdigest()[:16] for draws in (uniform, normal)]
    assert digests == GOLDEN_DRAWS


@pytest.mark.parametrize("name", ALL)
def test_a_problem_is_this_on_every_machine(name):
    problem, truth = workload.generate(workload.load(name), 7, 10)
    got = [problem.rmatrix.sum(), np.nansum(problem.dn), np.nansum(problem.edn), truth.sum()]
    assert got == pytest.approx(GOLDEN_SUMS[name], rel=1e-12)


def test_truth_explains_the_counts_of_the_random_response():
    problem, truth = workload.generate(workload.load("random-response"), 3000, 34)
    residual = (problem.dn - truth @ problem.rmatrix) / problem.edn
    assert np.abs(residual.mean()) < 0.03
    assert residual.std() == pytest.approx(1, abs=0.03)


def test_noise_is_photon_and_read_noise():
    spec = workload.load("gaussian-response")
    problem, truth = workload.generate(spec, 20000, 40)
    noise = {key: np.array(value) for key, value in spec["noise"].items()}
    counts = truth @ problem.rmatrix * noise["exposure"]  # DN
    per_photon = noise["gain"] * noise["wavelength"] / 3397
    sigma = np.sqrt(counts * per_photon + (noise["read_noise"] * per_photon) ** 2) / per_photon  # DN
    residual = (problem.dn * noise["exposure"] - counts) / sigma
    assert np.abs(residual.mean(axis=0)).max() < 0.03
    assert residual.std(axis=0) == pytest.approx(np.ones(6), abs=0.03)
    bright = counts > 100
    assert (problem.edn * noise["exposure"])[bright] == pytest.approx(sigma[bright], rel=0.25)


def test_quiet_sun_counts_are_near_the_instruments():
    problem, _ = workload.generate(workload.load("solar-mix"), 20000, 34)
    medians = np.nanmedian(problem.dn, axis=0)
    aia_quiet_sun = np.array([117, 151, 38, 1.1, 0.7, 3.3])
    assert (np.abs(np.log(medians / aia_quiet_sun)) < np.log(2.5)).all()


def test_defects_come_in_the_stated_shares():
    spec = workload.load("solar-mix")
    problem, _ = workload.generate(spec, 50000, 20)
    dead = np.isnan(problem.dn).any(axis=1)
    assert dead.mean() == pytest.approx(spec["defects"]["dead"], abs=0.003)
    assert np.array_equal(np.isnan(problem.dn), np.isnan(problem.edn))
    assert (problem.dn < 0).any(axis=1).mean() >= spec["defects"]["negative"] * 0.8
    ceiling = spec["defects"]["full_scale"] / np.array(spec["noise"]["exposure"])
    at_ceiling = np.isclose(problem.dn, ceiling)
    assert at_ceiling.any(), "some flare pixels saturate"
    assert (problem.dn[~dead] <= ceiling * (1 + 1e-12)).all()
    assert not problem.valid()[dead].any()


def test_what_is_written_is_read_back_and_mapped_not_copied(tmp_path):
    spec = workload.load("solar-mix")
    sample = np.array([0, 5, BLOCK + 1, BLOCK + 99])
    workload.write(spec, BLOCK + 100, 8, 3, tmp_path, sample)
    problem = workload.read(tmp_path)
    whole, truth = workload.generate(spec, BLOCK + 100, 8, 3)
    assert np.array_equal(problem.dn, whole.dn, equal_nan=True)
    assert np.array_equal(np.load(tmp_path / workload.TRUE_DEM), truth[sample])
    assert problem.options == spec.options
    base = problem.dn
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_streaming_holds_no_more_for_more_pixels():
    spec = workload.load("gaussian-response")

    def peak(pixels: int) -> int:
        tracemalloc.start()
        for _ in workload.stream(spec, pixels, 10, 0):
            pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    assert peak(40 * BLOCK) < 1.2 * peak(4 * BLOCK)


@pytest.mark.parametrize(("pixels", "bins"), [(0, 34), (-5, 34), (10**10, 34), (10, 2), (10, 10**6), (1.5, 34)])
def test_absurd_sizes_are_one_line(pixels, bins):
    with pytest.raises(ValueError, match="must be whole numbers from") as error:
        workload.check_sizes(pixels, bins)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("relative_error = 0.10", ""), r"\[counts\] relative_error must be given in numbers, got None"),
        (("logt_range = [5.7, 7.1]", "logt_range = [5.7]"), r"logt_range must be 2 numbers"),
        (('generator = "random-response"', 'generator = "random"'), "nearest known: random-response"),
        (("seed = 20130405", 'seed = "x"'), "seed must be given, int"),
        (("[dem]", "[mem]"), r"\[dem\] is missing"),
        (("[options]", "[options]\ngloki = 1\n#"), "unknown option .* 'gloki'; nearest known: gloci"),
        (("[options]", "[options"), "not TOML"),
    ],
)
def test_a_bad_specification_is_one_line(change, message):
    text = (specification.FOLDER / "random-response.toml").read_text()
    assert change[0] in text
    with pytest.raises(ValueError, match=message) as error:
        specification.parse(text.replace(*change), "datasets/x.toml")
    assert "\n" not in str(error.value).replace("(at line", "")
    assert "datasets/x.toml" in str(error.value)


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(ValueError, match="unknown dataset 'solar-mx'; nearest known: solar-mix"):
        workload.load("solar-mx")
