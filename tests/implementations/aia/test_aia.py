"""AIA's files, response, noise and images, and the workloads made of them. What needs `make data` skips without it."""

import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from aia_files import EXPOSURE, TABLE, TABLE_LOGT, counts, write_set

from harness import sweep
from harness.judge import gates
from harness.records import run
from harness.upkeep import data
from harness.workloads import images as workloads_images
from harness.workloads import mixture
from harness.workloads import problem as workload
from harness.workloads.problem import BLOCK
from implementations.aia import files, images, instrument
from implementations.contract import Bounds


def has_data():
    try:
        files.response_file(), files.image_set(files.DISC_SET), files.image_set(files.FLARE_SETS[0])
    except files.MissingError:
        return False
    return True


needs_data = pytest.mark.skipif(not has_data(), reason="the images of demregpy 1.0.0 aren't here: make data")


def test_files_in_their_order_whatever_the_order_given(tmp_path):
    paths = write_set(tmp_path, minute=3) + write_set(tmp_path, minute=1)
    sets = images.sets_of(paths[::-1])
    assert [p.name for p in sets[0]] == [f"aia_01_{c:03d}.fits" for c in files.CHANNELS]
    assert [p.name for p in sets[1]] == [f"aia_03_{c:03d}.fits" for c in files.CHANNELS]


def test_counts_are_rates_and_errors_photon_and_read_noise(tmp_path):
    image = images.read_set(write_set(tmp_path))
    assert image.dn == pytest.approx(counts((12, 17)), rel=1e-12)
    gain, read = [18.3, 17.6, 17.7, 18.3, 18.3, 17.6], [1.14, 1.18, 1.15, 1.20, 1.20, 1.18]
    for i, wavelength in enumerate(files.CHANNELS):
        dn = image.dn[..., i] * EXPOSURE[i]
        photons = dn * gain[i] * wavelength / 3397
        expected = np.sqrt((np.sqrt(photons) / (gain[i] * wavelength / 3397)) ** 2 + read[i] ** 2) / EXPOSURE[i]
        assert image.edn[..., i] == pytest.approx(expected, rel=1e-12)
    assert image.time == "2014-01-01T00:00:02.12"
    assert image.remarks == ()


def test_a_negative_count_has_read_noise_alone_and_a_missing_one_no_error():
    rate = np.array([[-5.0, 1, 1, 1, 1, 1], [np.nan, 1, 1, 1, 1, 1]])
    got = instrument.errors(rate, EXPOSURE)
    assert got[0, 0] == pytest.approx(1.14 / 2.9)
    assert np.isnan(got[1, 0])
    assert np.isfinite(got[0]).all()


def test_images_in_dn_per_second_are_taken_so(tmp_path):
    def per_second(channel, values, header):
        values /= header["EXPTIME"]
        header["BUNIT"] = "DN / s"

    assert images.read_set(write_set(tmp_path, change=per_second)).dn == pytest.approx(counts((12, 17)), rel=1e-12)


def test_level_1_and_saturation_are_remarked_upon(tmp_path):
    def flaring(channel, values, header):
        header["LVL_NUM"] = 1.0
        values[0, :3] = 16000.0

    level, saturated = images.read_set(write_set(tmp_path, change=flaring)).remarks
    assert "level 1:" in level
    assert saturated.startswith("3 pixels")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("EXPTIME", 0.0, r"EXPTIME 0.0 and no XPOSURE, expected seconds > 0"),
        ("WAVELNTH", 304, r"is of 304 angstrom, expected one of 94, 131"),
        ("BUNIT", "furlong", r"BUNIT 'furlong', expected DN or DN/s"),
    ],
)
def test_a_bad_header_is_one_line_that_names_the_file(tmp_path, key, value, message):
    def spoil(channel, values, header):
        if channel == 193:
            header[key] = value

    with pytest.raises(ValueError, match=f"aia_00_193.fits (has )?{message}"):
        images.read_set(write_set(tmp_path, change=spoil))


def test_a_file_that_is_no_image_or_a_channel_that_lacks_is_one_line(tmp_path):
    paths = write_set(tmp_path)
    with pytest.raises(ValueError, match=r"expected as many of each of 94.*got 1 of 94, 1 of 131, 1 of 171, 1 of 193"):
        images.sets_of(paths[:4])
    (tmp_path / "text.fits").write_text("not FITS")
    with pytest.raises(ValueError, match=r"text.fits can't be read as FITS"):
        images.sets_of([tmp_path / "text.fits"])
    with pytest.raises(ValueError, match=r"nowhere.fits can't be read as FITS"):
        images.sets_of([tmp_path / "nowhere.fits"])


def test_images_of_different_grids_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    mixed = [*write_set(tmp_path)[:5], write_set(tmp_path / "other", shape=(12, 16))[5]]
    with pytest.raises(ValueError, match=r"aia_00_335.fits has shape \(12, 16\), expected that of 171, \(12, 17\)"):
        images.read_set(mixed)


def test_the_response_between_the_tables_points_is_log_linear():
    logt = np.array([6.0, 6.025, 6.4])
    got = instrument.response_at(TABLE, logt, np.full(3, 0.05))
    at = np.searchsorted(TABLE_LOGT, 6.0)
    assert got[0] == pytest.approx(TABLE[1][at], rel=1e-12)
    assert got[1] == pytest.approx(np.sqrt(TABLE[1][at] * TABLE[1][at + 1]), rel=1e-12)


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A cache with a disc of 40 x 24 pixels under the names of the real images, and a made-up response."""
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(instrument, "read_response", lambda path: TABLE)
    folder = tmp_path / "cache" / files.PACKAGE / "tests" / "data" / "aia"
    folder.mkdir(parents=True)
    (folder / files.RESPONSE).write_bytes(b"stands for the table")
    for path, channel in zip(write_set(folder, (24, 40)), files.CHANNELS, strict=True):
        path.rename(folder / f"aia_synoptic_2014-01-01T00-00-00_{channel:03d}.fits")
    return counts((24, 40)).reshape(-1, 6)


def test_all_pixels_of_an_image_are_the_image_and_then_again(made_up):
    spec = workload.load("aia-image")
    problem, truth = workload.generate(spec, 960, 5)
    key = lambda dn: dn[np.lexsort(dn.T)]  # noqa: E731
    assert key(problem.dn) == pytest.approx(key(made_up), rel=1e-12)
    assert problem.dn != pytest.approx(made_up), "the tiles are shuffled"
    assert np.isnan(truth).all()
    assert truth.shape == (960, 5)
    twice, _ = workload.generate(spec, 2000, 5)
    assert np.array_equal(twice.dn[:960], problem.dn)
    assert np.array_equal(twice.dn[960:1920], problem.dn)
    assert np.array_equal(twice.edn, instrument.errors(twice.dn, EXPOSURE))


def test_the_seed_shuffles_tiles_and_neighbours_stay_together(made_up):
    spec = workload.load("aia-image")
    one, other = workload.generate(spec, 960, 5, 1)[0], workload.generate(spec, 960, 5, 2)[0]
    assert not np.array_equal(one.dn, other.dn)
    rows = {tuple(row): i for i, row in enumerate(np.round(made_up, 9))}
    first_tile = [divmod(rows[tuple(row)], 40) for row in np.round(one.dn[:64], 9)]
    ys, xs = np.array(first_tile).T
    assert np.ptp(ys) == np.ptp(xs) == 7


def test_crops_are_boxes_and_an_unknown_one_names_the_nearest(made_up):
    spec = workload.load("aia-image.quiet")
    spec.tables["crop"][0].update(x=[8, 16], y=[0, 16])
    problem, _ = workload.generate(spec, 128, 5)
    box = made_up.reshape(24, 40, 6)[0:16, 8:16].reshape(-1, 6)
    assert sorted(problem.dn[:, 2]) == pytest.approx(sorted(box[:, 2]))
    with pytest.raises(ValueError, match="unknown crop of dataset 'aia-image' 'flare-pek'; nearest known: flare-peak"):
        workload.load("aia-image.flare-pek")
    with pytest.raises(ValueError, match="crop lies outside the image"):
        workload.generate(workload.load("aia-image.limb"), 10, 5)


def test_a_sweep_over_ones_own_map(made_up, tmp_path, capsys):
    paths = [str(p) for p in files.image_set(files.DISC_SET)]
    assert sweep.main(["--map", *paths, "--bins", "6", "--dry-run"]) == 0
    assert "map: 960 pixels x 6 bins" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        sweep.main(["--map", *paths[:5], "--dry-run"])
    assert "expected as many of each of" in capsys.readouterr().err


@needs_data
def test_a_sweep_over_ones_own_map_is_recorded_and_resumed(tmp_path):
    sweep_command = [sys.executable, "-m", "harness.sweep"]
    grid = ["--bins", "6", "--solvers", "baseline,numba", "--repeats", "1", "--pixels", "150"]
    done = subprocess.run(
        [*sweep_command, *grid, "--out", tmp_path / "run", "--map", *write_set(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = run.Run.open(tmp_path / "run").table()
    assert list(table.gate) == ["pass", "pass"]
    assert set(table.dataset) == {"map"}
    assert table.truth_dem_error.isna().all()
    again = subprocess.run([*sweep_command, "--resume", tmp_path / "run"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr


def test_without_the_files_a_dataset_is_one_line_and_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path))
    for name in ("aia", "aia-image"):
        with pytest.raises(SystemExit) as end:
            sweep.main(["--dataset", name, "--dry-run"])
        assert end.value.code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"dataset '{name}'" in error
        assert "make data" in error


def test_an_approximate_solver_is_not_judged_by_a_truth_that_nobody_knows():
    figures = dict.fromkeys(("chisq_median", "chisq_iqr", "chisq_p95", "negative_share"), 1.0)
    figures |= {"truth_dem_error": np.nan, "status_differs": 0, "invalid_not_zero": 0}
    figures |= {"flaws": {}, "ratio_edem": (1.0, 1.0), "ratio_elogt": (1.0, 1.0)}
    bounds = Bounds(
        (0.5, 2), (0.5, 2), (0.5, 2), truth_dem_error=1.0, negative_pixels=0.0, edem=(0.5, 2), elogt=(0.5, 2)
    )
    assert gates.judge("approximate", bounds, figures, figures).gate == "pass"
    known = figures | {"truth_dem_error": 1.0}
    assert gates.judge("approximate", bounds, figures, known).gate == "fail", "a DEM of NaN where the truth is known"


def test_a_wheel_is_unpacked_only_with_its_own_hash(tmp_path, monkeypatch):
    wheel = tmp_path / data.WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("demregpy/a.fits", "demregpy/b.dat", "demregpy/code.py", "x.dist-info/LICENSE.rst"):
            archive.writestr(name, name)
    with pytest.raises(ValueError, match="expected f3e7f8884a7e69"):
        data.unpack(wheel, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(data, "SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    names = data.unpack(wheel, tmp_path / "cache")
    assert sorted(names) == ["demregpy/a.fits", "demregpy/b.dat", "x.dist-info/LICENSE.rst"]
    assert not (tmp_path / "cache" / "demregpy" / "code.py").exists()


def test_fetching_says_what_went_wrong_in_one_line_and_nothing_when_all_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(data.sys, "executable", "/bin/false")
    with pytest.raises(SystemExit) as end:
        data.main([])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("python -m harness.upkeep.data: demregpy 1.0.0 can't be fetched")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / data.DONE).touch()
    assert data.main([]) == 0
    assert "already" in capsys.readouterr().out


@needs_data
def test_the_real_table_and_disc_are_as_described():
    logt, response = instrument.read_response(files.response_file())
    assert (logt[0], logt[-1], response.shape) == (4.0, 9.0, (101, 6))
    assert logt[np.argmax(response, axis=0)] == pytest.approx([6.85, 5.75, 5.9, 6.15, 6.25, 5.35], abs=1e-6)
    disc = images.read_set(files.image_set(files.DISC_SET))
    assert disc.dn.shape == (1024, 1024, 6)
    assert (disc.dn > 0).all(axis=-1).sum() == 892232
    flare = images.read_set(files.image_set(files.FLARE_SETS[6]))
    assert flare.dn.shape == (67, 67, 6)
    assert len(flare.remarks) == 2


@needs_data
@pytest.mark.parametrize("bins", [20, 34])
def test_the_aia_mixture_comes_out_as_stated(bins):
    spec = workload.load("aia")
    problem, truth = workload.generate(spec, 10 * BLOCK, bins)
    pick = np.concatenate([workload._stream(spec.seed, 1, block).random(BLOCK) for block in range(10)])
    kind, clean = mixture.component_of(spec, pick), truth @ problem.rmatrix
    for number, component in enumerate(spec["component"]):
        medians = np.median(clean[kind == number], axis=0)
        assert medians == pytest.approx(component["median_counts"], rel=0.1), component["name"]
    assert (problem.dn <= 0).any(axis=1).mean() == pytest.approx(spec["expected"]["not_positive"], abs=0.01)
    ceiling = spec["defects"]["full_scale"] / np.array(spec["noise"]["exposure"])
    assert (problem.dn == ceiling).any(axis=1).mean() == pytest.approx(spec["expected"]["saturated"], abs=0.002)
    noise = {key: np.array(value) for key, value in spec["noise"].items()}
    assert noise["gain"] == pytest.approx(instrument.GAIN)
    assert noise["read_noise"] == pytest.approx(instrument.READ_NOISE)
    assert tuple(noise["wavelength"]) == files.CHANNELS


@needs_data
def test_the_real_problem_is_ill_conditioned():
    logt = 5.7 + 0.05 * (np.arange(34) + 0.5)
    response = workloads_images.response_of(logt, np.full(34, 0.05))
    made_up = workload.frame(workload.load("solar-mix"), 34, 0).response
    scaled = [values / np.linalg.norm(values, axis=0) for values in (response, made_up)]
    assert np.linalg.cond(scaled[0]) > 1.5 * np.linalg.cond(scaled[1]), "AIA's channels overlap more than Gaussians"


@needs_data
@pytest.mark.parametrize("crop", ["quiet", "active", "hole", "limb", "flare-before", "flare-peak"])
def test_every_crop_is_there(crop):
    problem, _ = workload.generate(workload.load(f"aia-image.{crop}"), 500, 10)
    assert problem.valid().mean() > 0.5
    medians = {"hole": (20, 100), "active": (150, 2000), "flare-before": (300, 1500), "flare-peak": (5e3, 1e4)}
    low, high = medians.get(crop, (50, 1000))
    assert low < np.median(problem.dn[:, 2]) < high
