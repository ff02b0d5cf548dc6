"""Workloads: the same everywhere and however generated, as stated in their specifications."""

import hashlib
import tomllib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.workloads import mixture, specification
from harness.workloads import problem as workload
from harness.workloads.problem import BLOCK

ALL = [name for name in workload.names() if not workload.load(name).generator.startswith("aia")]  # test_aia has these
GOLDEN_DRAWS = ["71b9dfecd6b8e7c6", "66cf8b35e26959a5", "3707088dcf7113f0"]  # uniforms, normals, whole numbers
GOLDEN_SUMS = {  # of rmatrix, dn, edn, true DEM
    "gaussian-response": [0.0038408418355280584, 6942.746265924887, 292.08533656680714, 22185128.301923666],
    "random-response": [0.03394251334609316, 2171069.20540538, 223360.83827262386, 674647600.6790023],
    "random-response-loci": [0.03394251334609316, 2171069.20540538, 223360.83827262386, 674647600.6790023],
    "solar-mix": [0.0038408418355280584, 4525.244226897528, 211.12450626224654, 14406661.908855185],
}


def test_the_stated_workloads_are_there():
    assert {"random-response", "random-response-loci", "gaussian-response", "solar-mix"} <= set(ALL)


def test_the_loci_workload_differs_by_its_option_only():
    one, other = workload.load("random-response"), workload.load("random-response-loci")
    assert replace(other.options, gloci=0) == one.options
    assert other.options.gloci == 1
    for key in one.tables.keys() - {"name", "options"}:
        assert one[key] == other[key], key
    a, b = workload.generate(one, 50, 12)[0], workload.generate(other, 50, 12)[0]
    assert np.array_equal(a.dn, b.dn)
    assert np.array_equal(a.rmatrix, b.rmatrix)


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


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(ALL), pixels=st.integers(1, 3 * BLOCK), chunk=st.integers(1, 4 * BLOCK))
def test_chunks_do_not_matter_and_a_small_map_begins_a_large_one(name, pixels, chunk):
    spec = workload.load(name)
    whole, truth = workload.generate(spec, 3 * BLOCK, 5)
    covered = 0
    for part, block in workload.stream(spec, pixels, 5, spec.seed, chunk):
        assert part.start == covered
        covered = part.stop
        assert np.array_equal(block.dn, whole.dn[part], equal_nan=True)
        assert np.array_equal(block.edn, whole.edn[part], equal_nan=True)
        assert np.array_equal(block.true_dem, truth[part])
    assert covered == pixels


def test_a_chunk_of_nothing_is_one_line_at_once():
    with pytest.raises(ValueError, match="chunk must be at least 1 pixel, got 0"):
        workload.stream(workload.load("solar-mix"), 10, 10, 0, 0)


def test_draws_are_these_on_every_machine():
    rng = workload._stream(20130405, 1, 0)
    draws = [
        workload._stream(20130405, 0).random(1000).astype("<f8"),
        workload._normals(rng, 6).astype("<f8"),
        rng.integers(6, size=1000).astype("<i8"),
    ]
    assert [hashlib.sha256(drawn.tobytes()).hexdigest()[:16] for drawn in draws] == GOLDEN_DRAWS


def test_the_last_bits_of_a_normal_do_not_matter():
    normals = workload._normals(workload._stream(1, 1, 0), 6)
    raw = workload._stream(1, 1, 0).standard_normal((BLOCK, 6))
    assert np.abs(normals - raw).max() <= workload.NORMAL_STEP / 2
    for neighbour in (np.nextafter(raw, np.inf), np.nextafter(raw, -np.inf)):
        assert np.array_equal(np.rint(neighbour / workload.NORMAL_STEP) * workload.NORMAL_STEP, normals)


@pytest.mark.parametrize("name", ALL)
def test_a_problem_is_this_on_every_machine(name):
    problem, truth = workload.generate(workload.load(name), 7, 10)
    got = [problem.rmatrix.sum(), np.nansum(problem.dn), np.nansum(problem.edn), truth.sum()]
    assert got == pytest.approx(GOLDEN_SUMS[name], rel=1e-12, abs=0)


def test_counts_are_the_quadrature_of_the_prior_study():
    """Noiseless counts = sum of R DEM 10^logT ln(10^0.05), from the draws; bins are not 0.05 wide."""
    seed, bins = 7, 20
    problem, truth = workload.generate(workload.load("random-response"), 100, bins, seed)
    logt = 5.7 + 1.4 / bins * (np.arange(bins) + 0.5)
    response = workload._stream(seed, 0).random((bins, 6)) * 1e-24
    dem = 4e22 / (np.sqrt(2 * np.pi) * 0.15) * np.exp(-((logt - 6.5) ** 2) / (2 * 0.15**2))
    scale = 0.8 + 0.4 * workload._stream(seed, 1, 0).random(BLOCK)[:100, None]
    counts = scale * (response * (dem * 10**logt * np.log(10**0.05))[:, None]).sum(axis=0)
    assert problem.edn == pytest.approx(0.1 * counts, rel=1e-12)
    assert problem.logt == pytest.approx(logt, rel=1e-13)
    width = 10**logt * np.log(10 ** (1.4 / bins))
    assert problem.rmatrix == pytest.approx(response * width[:, None] * 1e15, rel=1e-12)
    assert truth == pytest.approx(scale * dem * 0.05 / (1.4 / bins) / 1e15, rel=1e-12)
    assert truth @ problem.rmatrix == pytest.approx(counts, rel=1e-12)


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


def test_errors_given_are_those_of_the_counts_given():
    """Where counts are high, the error of the noisy count is as good as that of the clean one: chi is N(0, 1)."""
    problem, truth = workload.generate(workload.load("gaussian-response"), 20000, 40)
    clean = truth @ problem.rmatrix
    chi = ((problem.dn - clean) / problem.edn)[:, :3]  # 171, 193 and 211
    assert np.abs(chi.mean(axis=0)).max() < 0.05
    assert chi.std(axis=0) == pytest.approx(np.ones(3), abs=0.03)


@pytest.mark.parametrize("bins", [20, 34, 100])
@pytest.mark.parametrize("name", ["gaussian-response", "solar-mix"])
def test_counts_of_every_component_are_those_stated(name, bins):
    spec = workload.load(name)
    problem, truth = workload.generate(spec, 10 * BLOCK, bins)
    pick = np.concatenate([workload._stream(spec.seed, 1, block).random(BLOCK) for block in range(10)])
    kind, clean = mixture.component_of(spec, pick), truth @ problem.rmatrix
    for number, component in enumerate(spec["component"]):
        medians = np.median(clean[kind == number], axis=0)
        assert medians == pytest.approx(component["median_counts"], rel=0.1), component["name"]
        assert (kind == number).mean() == pytest.approx(component["share"], abs=0.01)


AIA = {  # median DN s-1 px-1 of 171 193 211 335 94 131
    "coronal hole": [61, 32, 8.7, 0.41, 0.24, 1.4],
    "quiet Sun": [117, 151, 38, 1.1, 0.7, 3.3],
    "active region": [661, 1030, 390, 11, 5.5, 27],
}


def test_counts_stated_are_near_the_instruments():
    stated = {component["name"]: component["median_counts"] for component in workload.load("solar-mix")["component"]}
    for region, counts in AIA.items():
        assert stated[region] == pytest.approx(counts, rel=0.1), region
    (one,) = workload.load("gaussian-response")["component"]
    assert (np.array(AIA["quiet Sun"]) <= one["median_counts"]).all()
    assert (one["median_counts"] <= np.array(AIA["active region"])).all()


@pytest.mark.parametrize("name", ["gaussian-response", "solar-mix"])
def test_defects_come_in_the_stated_shares(name):
    spec = workload.load(name)
    problem, _ = workload.generate(spec, 50000, 20)
    dead = np.isnan(problem.dn).any(axis=1)
    assert dead.mean() == pytest.approx(spec["defects"]["dead"], abs=0.003)
    assert np.array_equal(np.isnan(problem.dn), np.isnan(problem.edn))
    assert not problem.valid()[dead].any()
    assert (problem.dn <= 0).any(axis=1).mean() == pytest.approx(spec["expected"]["not_positive"], abs=0.01)
    strongly = (problem.dn < -8 * problem.edn).any(axis=1).mean()  # no noise does that
    assert strongly <= spec["defects"]["negative"] * 1.1
    assert strongly >= spec["defects"]["negative"] * 0.3, "the bright channels that were made negative"
    ceiling = spec["defects"]["full_scale"] / np.array(spec["noise"]["exposure"])
    assert (problem.dn[~dead] <= ceiling).all()
    assert (problem.dn == ceiling).any(axis=1).mean() == pytest.approx(spec["expected"]["saturated"], abs=0.002)


def test_what_is_written_is_read_back_and_mapped_not_copied(tmp_path):
    spec = workload.load("solar-mix")
    sample = np.array([0, 5, BLOCK + 1, BLOCK + 99])
    true_dem = workload.write(spec, BLOCK + 100, 8, 3, tmp_path, sample)
    problem = workload.read(tmp_path)
    whole, truth = workload.generate(spec, BLOCK + 100, 8, 3)
    assert np.array_equal(problem.dn, whole.dn, equal_nan=True)
    assert np.array_equal(true_dem, truth[sample])
    assert not [path for path in tmp_path.iterdir() if "true" in path.name]
    assert problem.options == spec.options
    base = problem.dn
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_a_sample_that_does_not_rise_or_fit_is_refused(tmp_path):
    for sample in ([3, 1], [1, 1], [-1, 2], [5, 10]):
        with pytest.raises(ValueError, match="sample must be rising pixel numbers from 0 to 9"):
            workload.write(workload.load("random-response"), 10, 5, 0, tmp_path, np.array(sample))
    assert not list(tmp_path.iterdir())


def test_streaming_and_writing_hold_no_more_for_more_pixels(tmp_path):
    spec = workload.load("gaussian-response")

    def peak(pixels: int) -> int:
        tracemalloc.start()
        for _ in workload.stream(spec, pixels, 10, 0):
            pass
        workload.write(spec, pixels, 10, 0, tmp_path, np.arange(10))
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    assert peak(300_000) < 1.2 * peak(4 * BLOCK)


@pytest.mark.parametrize(
    ("pixels", "bins"), [(0, 34), (-5, 34), (10**10, 34), (10, 2), (10, 10**6), (1.5, 34), (True, 34)]
)
def test_absurd_sizes_are_one_line(pixels, bins):
    with pytest.raises(ValueError, match="must be whole numbers from") as error:
        workload.check_sizes(pixels, bins)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True])
def test_an_absurd_seed_is_one_line(seed):
    with pytest.raises(ValueError, match="--seed must be whole numbers from 0"):
        workload.generate(workload.load("random-response"), 10, 10, seed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("relative_error = 0.10", ""), r"\[counts\] relative_error must be a number > 0, got None"),
        (("logt_range = [5.7, 7.1]", "logt_range = [5.7]"), r"logt_range must be 2 numbers"),
        (('generator = "random-response"', 'generator = "random"'), "nearest known: random-response"),
        (("seed = 20130405", 'seed = "x"'), "seed must be given, int"),
        (("[dem]", "[mem]"), "unknown key in .* 'mem'; nearest known: dem"),
        (("[options]", "[options]\ngloki = 1\n#"), "unknown option .* 'gloki'; nearest known: gloci"),
        (("[options]", "[options"), "not TOML"),
        (("[options]", "[options]\nmax_iter = 2.5\n#"), r"\[options\] max_iter must be int, got 2.5"),
        (
            ("[options]", "[options]\nmax_iter = 0\n#"),
            r"\[options\] max_iter must be a whole number from 1 to 1000, got 0",
        ),
        (("seed = 20130405", "seed = true"), "seed must be given, int, got True"),
        (("seed = 20130405", "seed = -1"), "seed must be >= 0, got -1"),
        (("width = 0.15", "width = -0.15"), r"\[dem\] width must be a number > 0, got -0.15"),
        (("width = 0.15", "width = nan"), r"\[dem\] width must be a number > 0, got nan"),
        (("width = 0.15", "widht = 0.15"), r"unknown key in .*\[dem\] 'widht'; nearest known: width"),
        (("channels = 6", "channels = 2.5"), r"channels must be a number whole and from 1 to 1000, got 2.5"),
        (("logt_range = [5.7, 7.1]", "logt_range = [7.1, 5.7]"), "logt_range must be a range from low to high"),
        (("provenance = ", "provenence = "), "provenance must be given, str"),
    ],
)
def test_a_bad_specification_is_one_line(change, message):
    text = (specification.FOLDER / "random-response.toml").read_text()
    assert change[0] in text
    with pytest.raises(ValueError, match=message) as error:
        specification.parse(text.replace(*change), "datasets/x.toml")
    assert "\n" not in str(error.value).replace("(at line", "")
    assert "datasets/x.toml" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("share = 0.15", "share = 0.25"), "shares must add up to 1, got 1.1"),
        (("share = 0.15", "share = -0.15"), "share must be a number from 0 to 1, got -0.15"),
        (("dead = 0.01 ", "dead = 0.99 "), "dead and negative must add up to at most 1, got 1.01"),
        (("exposure = [2.0, ", "exposure = ["), r"\[noise\] exposure must be 6 numbers, each > 0"),
        (
            ("peak = [5.83, 5.93]", "peak = 5.83"),
            r"\(coronal hole\) gaussian peak must be 2 numbers, each finite, got 5.83",
        ),
        (('name = "flare"', "name = 4"), r"\[\[component\]\] 4 name must be given, str"),
        (("[[component]]", "[[componant]]"), "unknown key in .* 'componant'; nearest known: component"),
    ],
)
def test_a_bad_mixture_is_one_line(change, message):
    text = (specification.FOLDER / "solar-mix.toml").read_text()
    assert change[0] in text
    with pytest.raises(ValueError, match=message) as error:
        specification.parse(text.replace(*change), "datasets/x.toml")
    assert "\n" not in str(error.value)


def test_a_table_that_is_missing_is_one_line():
    head = "\n".join(f'{key} = "random-response"' for key in ("name", "description", "provenance", "generator"))
    with pytest.raises(ValueError, match=r"^datasets/x.toml: \[temperature\] is missing$"):
        specification.parse(f"{head}\nseed = 1", "datasets/x.toml")


@pytest.mark.parametrize("name", ALL)
def test_a_specification_says_what_it_is(name):
    content = tomllib.loads((specification.FOLDER / f"{name}.toml").read_text())
    assert len(content["description"]) > 100
    assert content["provenance"]


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(ValueError, match="unknown dataset 'solar-mx'; nearest known: solar-mix"):
        workload.load("solar-mx")
