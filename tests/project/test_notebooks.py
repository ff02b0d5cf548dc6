"""The notebooks, run headless on a small run, and the sentences that they say."""

import ast
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import numpy as np
import pytest
from records import MACHINE, fast, slow, write_run

from harness.advice import breakeven, evidence, held_out
from harness.advice.candidates import Request
from harness.figures import common
from harness.figures import laws as figures_laws
from harness.records.run import Run
from harness.reports import beside, findings
from harness.upkeep import notebooks
from implementations.aia import files, formats
from implementations.places import ROOT

BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SIZES = ("--pixels", "6,12", "--bins", "12,20", "--repeats", "3", "--max-seconds", "10")
LAWS = {"baseline": slow, "quick": fast, "rough": lambda p, b: 0.2 * fast(p, b), "wrong": fast}
MEASURED = re.compile(r"\d(?:\.\d+)?\s?(?:x\b|ms\b|s\b|%|MB\b|times\b)")
"""What a measured figure looks like in a text."""


def cells(book, kind):
    return ["".join(c["source"]) for c in json.loads(book.read_text())["cells"] if c["cell_type"] == kind]


def test_there_are_four_on_runs_and_one_on_images():
    assert [book.stem for book in BOOKS] == [
        *("01_scaling", "02_quality", "03_profiling", "04_recommendation", "05_dem_of_aia"),
    ]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_without_typed_numbers_or_logic(book):
    text = "\n".join(cells(book, "markdown"))
    assert all(f"**{word}.**" in text for word in ("Question", "Method", "Finding"))
    assert MEASURED.findall(text) == []
    for source in cells(book, "code"):
        banned = (ast.For, ast.While, ast.If, ast.FunctionDef, ast.ClassDef, ast.BinOp, ast.Lambda)
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, banned)], "a notebook has no logic"


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_committed_with_outputs_of_its_code_and_of_the_committed_records(book):
    assert notebooks.main(["--check", str(book)]) == 0, f"{book.name} is stale: make notebooks"
    found = [output for cell in json.loads(book.read_text())["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in found if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in found), "GitHub shows no other pictures"
    said = json.dumps([o.get("text", "") for o in found] + [_texts(o) for o in found])
    assert not re.search(r"/(?:tmp|home|root|work)/", said), "a path of somebody's machine"


def _texts(output):
    return {kind: text for kind, text in output.get("data", {}).items() if kind != "image/png"}


def test_together_they_are_small():
    assert sum(book.stat().st_size for book in BOOKS) < 2e6


def test_what_makes_one_stale(tmp_path, monkeypatch):
    folder = tmp_path / "results" / "some"
    folder.mkdir(parents=True)
    (folder / "table.csv").write_text("solver\n")
    book = tmp_path / "book.ipynb"
    code = 'RUNS = ["results/some"]'
    output = nbformat.v4.new_output("stream", text="said")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code, outputs=[output])])
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    made.metadata[notebooks.KEY] = {"made_from": notebooks.made_from(made)}
    nbformat.write(made, book)
    assert not notebooks.stale(book)
    (folder / "table.csv").write_text("solver\nnumba\n")
    assert notebooks.stale(book)
    (folder / "table.csv").write_text("solver\n")
    assert not notebooks.stale(book)
    made.cells[0].source = code + "  # another"
    nbformat.write(made, book)
    assert notebooks.stale(book)
    made.cells[0] |= {"source": code, "outputs": []}
    nbformat.write(made, book)
    assert notebooks.stale(book), "without outputs"


def outputs(book, folder):
    """What the cells of a notebook show when it is run: outputs as Jupyter stores them."""
    command = [sys.executable, "-m", "harness.upkeep.notebooks", str(book), "--out", str(folder / "shown")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((folder / "shown" / book.name).read_text())
    return [output for cell in found["cells"] for output in cell.get("outputs", [])]


def shown(book, folder):
    """The texts that it shows, joined, and how many pictures."""
    found = outputs(book, folder)
    assert not [o for o in found if o["output_type"] == "error" or o.get("name") == "stderr"]
    data = [{kind: "".join(text) for kind, text in output["data"].items()} for output in found if "data" in output]
    texts = [d.get("text/markdown") or d.get("text/plain", "") for d in data]
    return "\n".join(texts), sum("image/png" in d for d in data)


@pytest.mark.slow
def test_they_run_on_a_small_run_and_say_what_it_found(tmp_path, monkeypatch):
    run = tmp_path / "small"
    command = [sys.executable, "-m", "harness.sweep", "--solvers", "baseline,vectorized,l2", *SIZES, "--out", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("DEMREG_BENCH_RUN", str(run))
    with ThreadPoolExecutor(2) as pool:
        every = list(pool.map(shown, BOOKS[:4], [tmp_path] * 4))
    (scaling, _), (quality, _), (profiling, _), (recommendation, _) = every
    table, created = Run.open(run).table(), Run.open(run).provenance["created"]
    assert all(f"Run small, {created}" in text for text, _ in every)
    assert [pictures for _, pictures in every] == [2, 4, 4, 1]
    written = sorted(path.name for path in (run / "figures").iterdir())
    assert len(written) == 2 * 11
    assert {"speedup.png", "speedup.svg", "truth.svg", "predicted_times.png"} <= set(written)
    assert all(name in scaling for name in ("baseline", "vectorized", "l2", "random-response, 12 bins"))
    assert "20 bins take" in scaling
    assert "no solver that was timed on one thread and on several" in scaling
    assert "no solver of others" in quality
    assert "DEM/s per core" in quality
    assert f"{(table.gate == 'pass').sum()} of 12 measured rows passed" in quality
    assert "**vectorized** (exact)" in quality
    assert "a random response" in quality
    assert "factorisation" in profiling
    assert "% of the machine's limit" in profiling
    assert "predictions within 30%" in recommendation
    assert "from pixels" in recommendation


def images_are_missing():
    try:
        files.image_set(files.DISC_SET), files.response_file()
    except files.MissingError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(images_are_missing()), reason=images_are_missing() or "the images are here")
def test_the_one_on_images_goes_from_six_files_to_cubes(tmp_path):
    book = tmp_path / BOOKS[4].name
    place = 'places.ROOT.joinpath(\\"results\\", \\"dem_of_aia\\")'
    assert BOOKS[4].read_text().count(place) == 1
    book.write_text(BOOKS[4].read_text().replace(place, f'places.Path(\\"{tmp_path / "made"}\\")'))
    text, pictures = shown(book, tmp_path)
    assert pictures == 3
    assert re.search(r"\d+ solves, aimed at chi-squared [\d.]+, reached [\d.]+", text)
    assert "`em_bands`: (3, 1024, 1024)" in text
    (cubes,) = tmp_path.glob("made/dem.fits")
    assert {path.stem for path in cubes.parent.glob("*.svg")} == {"pixel", "pixel_systematic", "bands"}
    made = formats.read(cubes)
    assert made.bands == ((5.7, 6.1), (6.1, 6.5), (6.5, 7.4))
    quiet = (0, ..., slice(600, 700), slice(350, 450))  # where all bins together read several MK
    everything = np.maximum(made.emission_measure()[quiet], 0)
    inverted = everything.any(axis=0)
    mean = np.tensordot(10**made.logt, everything, 1)[inverted] / everything.sum(axis=0)[inverted]
    assert 1.2e6 < np.nanmedian(made.temperature[quiet]) < 2e6 < 4e6 < np.median(mean)
    y, x = np.hypot(*np.meshgrid(*[np.arange(1024) - 511.5] * 2)), np.abs(np.arange(1024) - 511.5)[:, None]
    above_the_poles = (y > 408) & (y < 449) & (x > 250) & (made.status[0] != 2)  # 1.0 to 1.1 solar radii
    assert (made.temperature[0][above_the_poles] > 4e6).mean() < 0.02, "a hot ring"
    active = made.temperature[0][360:430, 710:780]  # the brightest region in 94
    assert (active > 4e6).mean() > 0.5


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Records made by hand: `quick` is better at large maps, `rough` approximate, `wrong` fails."""
    off = {"accuracy": "approximate", "chisq_median": 1.0, "truth_dem_error": 1.8, "parity_dem": 0.4}
    failed = {"gate": "fail", "gate_reasons": "dem: off by 3"}
    folder = tmp_path_factory.mktemp("known") / "run"
    return write_run(folder, LAWS, noise=0.01, rough=off, wrong=failed)


@pytest.fixture(scope="module")
def table(known):
    return common.measured([known]).table


def test_exponents_are_those_of_the_times(table):
    found = findings.exponents(table)
    assert found.shape == (4, 2)
    k = {name: float(found.loc[name].iloc[1].split()[0]) for name in ("baseline", "quick")}
    assert 0.9 < k["baseline"] < 1.05
    assert k["quick"] < 0.9


def test_the_fastest_passed_its_gate_and_the_exact_one_is_named(table):
    for line in findings.fastest(table):
        assert "**quick** (exact)" in line
        assert "**rough** (approximate)" in line
        assert "wrong" not in line
    none = table.assign(gate="fail")
    assert findings.fastest(none)[0].endswith("no solver passed its gate.")


def test_failed_gates_are_told_with_their_reason(table):
    first, second = findings.gates(table)
    assert first == "18 of 24 measured rows passed their gate."
    assert second.startswith("**wrong** did not")
    assert "dem: off by 3" in second


def test_a_good_chisquared_of_a_bad_dem_is_pointed_out(table):
    assert "**rough** has a median of 1.00" in findings.chisq_misleads(table)
    assert findings.chisq_misleads(table[table.solver != "rough"]).startswith("In these runs no solver")


def test_agreement_tells_exact_from_approximate(table):
    said = findings.agreement(table)
    assert any("**quick** (exact), farthest" in line and "DEM 1.0e-13" in line for line in said)
    assert any("**rough** (approximate), times the baseline's: χ² median 0.83" in line for line in said)


def test_growth_with_bins(table):
    (line,) = findings.growth_with_bins(table)
    grown = slow(5000, 200) / slow(5000, 34)
    assert float(re.search(r"baseline ([\d.]+)x", line)[1]) == pytest.approx(grown, rel=0.05)
    assert findings.growth_with_bins(table[table.bins == 34]) == []


def test_each_solver_has_a_row_of_what_its_speed_buys(table):
    found = beside.quality(table.assign(dataset="aia", leaves_out="edem elogt", external=True))
    assert list(found.index.get_level_values("solver").unique()) == [f"{name} (peer)" for name in LAWS]
    assert set(found["error bars"]) == {"no"}
    rates = found["DEM/s per core"].str.replace(",", "").astype(float)
    (fastest,) = rates[rates.index.get_level_values("solver") == "rough (peer)"].iloc[:1]
    assert fastest == pytest.approx(5000 / (0.2 * fast(5000, 34)), rel=0.05)
    unknown = beside.quality(table.assign(truth_dem_error=float("nan")))
    assert set(unknown["DEM error"]) == {"–"}


def test_peers_stand_beside_ours(table):
    named = table.replace({"solver": {"quick": "numba", "rough": "other"}})
    said = beside.peers(named.assign(external=named.solver == "other"))
    assert len(said) == 2
    assert all(line.startswith("**other** on random-response, ") for line in said)
    times, rest = re.search(r"numba ([\d.]+)x as many; (.*)", said[0]).groups()
    assert float(times) == pytest.approx(0.2, rel=0.05)
    assert rest.startswith("DEM error 1.800, numba 0.900; χ² median 1.00")
    assert beside.peers(table) == ["These runs have no solver of others: `make peers` measures them."]


def test_threads_are_held_against_one(table):
    both = table.replace({"solver": {"quick": "own[threads=2]", "baseline": "own[threads=1]"}})
    both.loc[both.solver == "own[threads=2]", "threads"] = 2
    line = beside.threads(both)[0]
    gain = slow(5000, 34) / fast(5000, 34)
    assert line.startswith("**own**, random-response, 34 bins, 5,000 pixels: 2 threads take")
    assert float(re.search(r"efficiency of ([\d,]+)%", line)[1].replace(",", "")) == pytest.approx(50 * gain, rel=0.05)
    assert beside.threads(table)[0].startswith("These runs have no solver")


def test_unmeasured_limits_are_said_to_be(table):
    assert "was not measured" in findings.limits(table)[0]
    assert "reaches 25% of" in findings.limits(table.assign(of_limit=0.25))[0]


def test_the_decision_table_and_its_picture(known):
    records = evidence.gather([known.folder], MACHINE)
    legs = breakeven.table(records, Request(1, 0, "random-response", float("inf")), [34, 200])
    shown = findings.decisions(legs)
    assert set(shown.solver) <= {"baseline", "quick", "rough"}
    assert len(shown) == len(legs) > 2
    picture = figures_laws.predicted_times(records, "random-response", legs)
    assert [axes.get_title() for axes in picture.axes] == ["random-response, 34 bins", "random-response, 200 bins"]
    uprights = [line for line in picture.axes[0].lines if line.get_linestyle() == ":"]
    exact = [leg for leg in legs if leg.needs == "exact" and leg.bins == 34]
    assert len(uprights) == len(exact) - 1 == 1
    assert picture.axes[0].collections, "intervals are drawn"
    assert "**rough**: DEM off by up to 0.4" in findings.approximations(records)[0]


def test_predictions_are_counted(known):
    said = findings.predictions(held_out.trials([known.folder], MACHINE, None))
    assert re.match(r"\d+ of 24 predictions within 30% of the measured time \(\d+ of 8 between .*16 beyond", said[0])
    assert len(said) == 5
