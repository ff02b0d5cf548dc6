"""Peers behind this contract: units, bins, bad pixels by stand-ins on any Python; themselves where installed."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from folders import PLUGINS
from problems import problem, with_invalid
from records import MACHINE
from records import row as made_row

from harness.judge import gates, quality
from harness.judge.summary import summarise
from harness.records import run as records_run
from harness.records import schema
from harness.reports import peers_table as found
from harness.upkeep import coverage
from harness.workloads import problem as workload
from implementations import dn2dem, peers
from implementations.aia import files, images
from implementations.contract import OUTPUTS, Options, Problem, Status
from implementations.maths.response import SCALE
from implementations.registry import PEERS, Registry

TABLE = Registry()
INSTALLED = [
    pytest.param(name, marks=() if (facts := TABLE.describe(name))["available"] else pytest.mark.skip(facts["reason"]))
    for name in PEERS
]
WITHOUT_ERRORS = [row for row in INSTALLED if row.values[0] != "demregpy"]


def has_images():
    try:
        return bool(files.image_set(files.DISC_SET) and files.image_set(files.FLARE_SETS[6]) and files.response_file())
    except files.MissingError:
        return False


needs_images = pytest.mark.skipif(
    not has_images() or bool(images.unavailable()), reason="the images of demregpy 1.0.0 aren't here: make data"
)


def test_peers_are_probed_and_marked_as_external():
    for name in PEERS:
        facts = TABLE.describe(name)
        assert facts["external"]
        assert facts["available"] or facts["name"] in facts["reason"].lower(), facts


@pytest.mark.parametrize(
    ("found", "python", "reason"),
    [
        ("0.6.2", (3, 12), "demregpy 1.0 or newer is needed, 0.6.2 is installed"),
        (None, (3, 12), "demregpy is not installed: pip install demregpy"),
        (None, (3, 11), "demregpy 1.0 or newer needs Python 3.12; this is"),
        ("1.0.0", (3, 13), ""),
    ],
)
def test_why_a_peer_cannot_run_here(monkeypatch, found, python, reason):
    def version(package):
        if found is None:
            raise peers.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(peers, "version", version)
    monkeypatch.setattr(peers.sys, "version_info", python)
    available, said = peers.Demregpy.available()
    assert available == (reason == "")
    assert said.startswith(reason)


@pytest.mark.parametrize("tunables", [{"threads": 0}, {"threads": "two"}, {"mask": 1}])
def test_a_bad_tunable_is_one_line(tunables):
    with pytest.raises(ValueError, match=f"{next(iter(tunables))} must be"):
        peers.Utu(**tunables)


@pytest.fixture
def stand_in(monkeypatch):
    """A demregpy whose dn2dem is this project's, called as the package's own is."""
    calls = []

    def call(dn, edn, tresp, tresp_logt, temps, **options):
        calls.append((dn.shape, options))
        return dn2dem(dn, edn, tresp, tresp_logt, temps, solver="baseline", **options)

    monkeypatch.setitem(sys.modules, "demregpy", SimpleNamespace(dn2dem=call))
    return calls


@pytest.mark.parametrize("options", [{}, {"gloci": (1, 0, 1, 1, 0, 1), "reg_tweak": 0.7, "max_iter": 3, "nmu": 60}])
def test_demregpy_is_called_for_the_problem_as_it_is(stand_in, options):
    given, invalid = with_invalid(problem(20, **options))
    got, expected = peers.Demregpy().run(given), TABLE.create("baseline").run(given)
    ((shape, _),) = stand_in
    assert shape == (20 - len(invalid), 6), "bad pixels aren't handed over"
    for output in OUTPUTS:
        np.testing.assert_allclose(getattr(got, output), getattr(expected, output), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(got.status, expected.status)


def test_demregpy_cannot_be_given_a_coarser_grid(stand_in):
    with pytest.raises(ValueError, match="can't be given nmu 40"):
        peers.Demregpy().run(problem(3, nmu=40))


def test_unmasked_bad_pixels_are_handed_over(stand_in):
    given, _ = with_invalid(problem(20))
    peers.Demregpy(mask=False).run(given)
    assert stand_in[0][0] == (20, 6)


def test_cores_are_given_back(stand_in):
    if not hasattr(peers.os, "sched_getaffinity"):
        pytest.skip("processes can't be kept to some cores here")
    before = peers.os.sched_getaffinity(0)
    with peers.Demregpy(threads=1)._cores():
        assert len(peers.os.sched_getaffinity(0)) == 1
    assert peers.os.sched_getaffinity(0) == before


def test_a_dem_between_temperatures_gives_the_same_counts_in_bins():
    """The method integrates response times DEM over log T, both linear between temperatures: here by a fine grid."""
    given = problem(4, bins=14)
    dem = 1e20 * np.random.default_rng(3).random((4, 14))
    width = 10.0**given.logt * np.log(10.0**given.dlogt)
    response = given.rmatrix / width[:, None] / SCALE
    fine = np.linspace(given.logt[0], given.logt[-1], 13 * 2000 + 1)
    there = np.array([np.interp(fine, given.logt, row) for row in (*dem, *response.T)])
    expected = np.trapezoid(there[:4, None] * there[None, 4:], fine)
    assert peers.PlowmanCaspi.in_bins(dem, given) @ given.rmatrix == pytest.approx(expected, rel=1e-6)


class Halves(peers.PlowmanCaspi):
    """Stands for a method without errors."""

    name = "halves"

    def dem_per_logt(self, dn, edn, logt, response):
        return np.full((len(dn), len(logt)), 1e21)


def test_errors_that_nobody_computes_are_not_invented():
    given, invalid = with_invalid(problem(20))
    got = Halves().run(given)
    valid = np.delete(np.arange(20), invalid)
    for output in OUTPUTS:
        assert not getattr(got, output)[invalid].any()
        assert np.isnan(getattr(got, output)[valid]).all() == (output in Halves.leaves_out)
    np.testing.assert_allclose(got.chisq[valid], (((given.dn - got.dn_reg) / given.edn)[valid] ** 2).mean(axis=1))
    truth = np.ones_like(got.dem)
    assert np.isnan(quality.against_truth(summarise(given, vars(got)), given, truth)["truth_coverage"])


@pytest.mark.parametrize("name", INSTALLED)
def test_a_peer_keeps_the_contract(name):
    given, invalid = with_invalid(problem(20))
    got, leaves_out = TABLE.create(name).run(given), TABLE.load(name).leaves_out
    got.check(given)
    valid = np.delete(np.arange(20), invalid)
    for output in OUTPUTS:
        assert not getattr(got, output)[invalid].any()
        assert np.isnan(getattr(got, output)[valid]).all() == (output in leaves_out)
    np.testing.assert_allclose(got.dn_reg[valid], (got.dem @ given.rmatrix)[valid], rtol=1e-9)
    assert (got.status == Status.INVALID).sum() == len(invalid)
    everything_bad = Problem(given.dn * np.nan, given.edn, given.rmatrix, given.logt, given.dlogt, Options())
    assert not TABLE.create(name).run(everything_bad).dem.any()


@pytest.mark.parametrize("name", WITHOUT_ERRORS)
def test_plowman_and_caspis_method_fits_the_counts(name):
    given = problem(30)
    got = TABLE.create(name).run(given)
    assert (got.dem >= 0).all()
    assert 0.3 < np.median(got.chisq) < 2


@pytest.mark.parametrize("name", WITHOUT_ERRORS)
@pytest.mark.parametrize("dataset", ["gaussian-response", "solar-mix"])
def test_plowman_is_the_peers_method(name, dataset):
    """Both stop anywhere within a tenth of the target, on their own way: the DEMs differ by percents, and no more."""
    given, _ = workload.generate(workload.load(dataset), 200, 34)
    found = coverage.agreement(given.take(given.valid().nonzero()[0]), *map(TABLE.create, ("plowman", name)))
    assert found["both"] > 0.95
    assert found["apart_median"] < 0.04
    assert found["apart_p95"] < 0.25


@needs_images
@pytest.mark.parametrize("name", INSTALLED[:1])
@pytest.mark.parametrize("dataset", ["aia-image", "aia-image.flare-peak", "aia"])
def test_numba_agrees_with_demregpy_on_real_images(name, dataset):
    """2,000 pixels all over the disc; the flare, where most pixels run out of passes; mixtures with defects."""
    given, truth = workload.generate(workload.load(dataset), 2000, 34)
    ours, theirs = (TABLE.create(solver, threads=2).run(given) for solver in ("numba", name))
    if dataset == "aia-image.flare-peak":
        assert (ours.status == Status.HIT_MAX_ITER).mean() > 0.5
    ours, theirs = summarise(given, vars(ours)), summarise(given, vars(theirs))
    compared = quality.parity(ours, theirs, given) | quality.judged_figures(ours, given, truth)
    verdict = gates.judge("exact", None, compared, quality.judged_figures(theirs, given, truth))
    assert verdict == gates.Verdict("pass")


@pytest.mark.skipif(not hasattr(peers.os, "fork"), reason="processes can't be forked here")
def test_a_solver_that_forks_does_not_hang(tmp_path, monkeypatch):
    """demregpy does from 200 pixels on: a forked process closes its standard input, which mustn't be in use."""
    monkeypatch.setenv("DEMREG_BENCH_HANG_S", "30")
    plugin = PLUGINS / "forks.py"
    grid = ["--pixels", "20", "--bins", "10", "--repeats", "1", "--max-seconds", "5"]
    command = [sys.executable, "-m", "harness.sweep", "--plugin", str(plugin), "--solvers", "forks", *grid]
    done = subprocess.run([*command, "--out", tmp_path / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    row = records_run.Run.open(tmp_path / "run").table().iloc[0]
    assert (row.status, row.gate) == ("ok", "pass"), row.reason


def run_of(folder, times, columns, pixels=1000):
    """A run written by hand: times (solver -> dataset -> seconds of each round), other columns by solver."""
    grid = {"solvers": list(times), "threads": 1}
    software = {"python": "3.12.1", "demregpy": "1.0.0"}
    facts = {"created": "2026-01-01", "commit": "abc", "machine": MACHINE, "software": software, "grid": grid}
    run = records_run.Run.create(folder, facts)
    for solver, datasets in times.items():
        for dataset, turns in datasets.items():
            law = lambda pixels, bins, turns=turns: float(np.median(turns))  # noqa: E731
            row = made_row(solver, law, pixels, 34, np.random.default_rng(0), 0.0, {})
            row |= {
                "dataset": dataset,
                "compared_pixels": pixels,
                "tied_pixels": 0,
                "hit_max_iter": 100,
                "negative_pixels": 3,
            }
            row |= {"invalid_pixels": 200, "n": len(turns), "leaves_out": "", **columns.get(solver, {})}
            turned = {str(i + 1): [[0.0, t, 0.0]] for i, t in enumerate(turns)}
            run.add(schema.Cell(dataset, pixels, 34, 1), solver, row, {"turns": turned})
    return run


@pytest.fixture
def records(tmp_path):
    """Peers and ours, of made-up times: numba eight times as fast as utu."""
    data = (found.IMAGE, found.KNOWN, *found.FLARES)
    each = {"numba": [0.01, 0.011, 0.01], "utu": [0.08, 0.088, 0.08], "demregpy": [1.0, 1.1, 1.2]}
    each["plowman"] = [0.02, 0.022, 0.02]
    times = {solver: dict.fromkeys(data, turns) for solver, turns in each.items()}
    times |= {f"{s}[mask=false]": {found.KNOWN: [1.0]} for s in ("utu", "demregpy")}
    another = {"accuracy": "other", "method": "plowman"}
    columns = {
        "utu": {"external": True, **another, "leaves_out": "edem elogt", "truth_dem_error": 0.25},
        "plowman": {**another, "chisq_p95": 1.08, "negative_pixels": 0},
        "utu[mask=false]": {"gate": "fail", "gate_reasons": "invalid pixels: 3 outputs are not zero"},
        "demregpy": {"external": True},
        "demregpy[mask=false]": {
            "status": "failed",
            "reason": "ValueError: negative (dn2dem.py line 235, in dn2dem)",
            "gate": "none",
        },
    }
    run_of(tmp_path / "crops", times, columns)
    whole = {"numba": {"threads": 2}}
    run_of(tmp_path / "disc", {"numba": {found.IMAGE: [2.0] * 3}, "demregpy": {found.IMAGE: [300.0]}}, whole)
    return found.Records.open(tmp_path / "crops", tmp_path / "disc")


def test_the_table_of_peers(records):
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.table_of(records).splitlines()]
    same, later = ["1.20 / 3.00", "3", "0.900"], "not yet measured"
    assert lines[2:] == [
        ["`numba`", "80,000", "2 s", "yes", *same, "zeros, marked", "pass"],
        ["`demregpy` (peer)", "727", "300 s (n=1)", "yes", *same, "raises ValueError", "pass"],
        ["`plowman`, method plowman", "40,000", later, "yes", "1.20 / 1.08", "0", "0.900", "zeros, marked", "pass"],
        ["`utu` (peer), method plowman", "10,000", later, "no", *same[:2], "0.250", "inverted", "pass"],
    ]


def test_what_was_asked_for_holds_or_not(records):
    whole, *rest = found.statements(records)
    assert "all 800 valid pixels of the image's 1,000" in whole.text
    agree, faster, positive = rest[:-2], rest[-2], rest[-1]
    assert len(agree) == 3
    assert "to 2e-13 of a pixel's peak, on 1,000 pixels" in agree[0].text
    assert "10% of all run out of passes" in agree[2].text
    assert "makes 8x [" in faster.text
    assert "`plowman`, the same method with error bars, makes 4x [" in positive.text
    assert all(statement.holds for statement in (whole, *rest))
    assert "Doesn't hold" not in found.told(records)


@pytest.mark.parametrize(
    ("change", "which"),
    [
        ({"disc": {"median_s": 5.1}}, 0),
        ({"disc": {"gate": "fail"}}, 0),
        ({"disc": {"threads": 1}}, 0),
        ({"crops": {"parity_elogt": 2e-9}}, 1),
        ({"crops": {"parity_dem": float("nan")}}, 3),
    ],
)
def test_a_claim_that_does_not_hold_is_said(records, change, which):
    tables = {"crops": records.crop_table, "disc": records.disc_table}
    for name, columns in change.items():
        tables[name] = tables[name].assign(**columns)
    changed = records._replace(crop_table=tables["crops"], disc_table=tables["disc"])
    assert not list(found.statements(changed))[which].holds
    assert "**Doesn't hold.**" in found.told(changed)


def test_what_is_not_measured_is_said_so(records, capsys, monkeypatch):
    without = records._replace(disc=None, disc_table=None)
    assert "whole image on 2 cores isn't measured yet.\n" in found.told(without)
    monkeypatch.setattr(found.Records, "open", lambda: without)
    assert found.main([]) == 1
    assert capsys.readouterr().out.startswith("not yet measured: ")


def test_a_rate_that_is_too_close_does_not_hold(records, monkeypatch):
    monkeypatch.setattr(found, "FASTER", 7.99)
    assert not list(found.statements(records))[-2].holds, "the whole interval must lie above"
    assert list(found.statements(records))[-1].holds is False
    without = records._replace(crop_table=records.crop_table[records.crop_table.solver != "plowman"])
    assert list(found.statements(without))[-1].holds is None


def test_without_runs_it_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(found.Records, "open", lambda: found.Records(*[records_run.Run.open(tmp_path)] * 4))
    with pytest.raises(SystemExit) as end:
        found.main([])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
