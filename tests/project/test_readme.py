"""The README says what is so."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from records import fast, slow, write_run

from harness import report
from harness.records import fingerprint
from harness.records.run import Run
from harness.reports import origin, readme
from harness.reports import run as reports_run
from implementations.registry import Registry

TEXT = readme.README.read_text()
PLUGINS = (readme.ROOT / "docs" / "plugins.md").read_text()
PAGES = sorted((readme.ROOT / "docs").glob("*.md"))


def test_its_example_solver_runs_and_passes_its_gate(tmp_path):
    (code,) = re.findall(r"```python\n(\"\"\"What if.*?)```", PLUGINS, flags=re.DOTALL)
    plugin = tmp_path / "cut_off.py"
    plugin.write_text(code)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness.sweep", "--plugin", plugin, "--solvers", "baseline,cut-off", "--strict"),
            *("--pixels", "100", "--bins", "34", "--repeats", "3", "--max-seconds", "5", "--out", tmp_path / "run"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(tmp_path / "run" / "table.csv").set_index("solver")
    assert table.gate["cut-off"] == "pass"
    assert table.external["cut-off"]
    assert table.negative_pixels["cut-off"] == 0
    command = [sys.executable, "-m", "harness.check", "--plugin", plugin]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "cut-off: pass\n"), checked.stdout + checked.stderr


def test_its_tables_are_the_reference_runs():
    assert readme.main(["--check"]) == 0, "README.md is stale: make readme"


def test_a_solver_whose_source_changed_since_is_marked(tmp_path):
    now = fingerprint.of_solver("baseline", Registry())
    laws = {"baseline": slow, "numba": fast}
    run = write_run(tmp_path / "known", laws, numba={"source": "0" * 12}, baseline={"source": now})
    assert origin.named([run.table()]) == {"baseline": "`baseline`", "numba": "`numba` †"}
    assert "†: the solver's source has changed since." in origin.of([run], ())
    assert "commit abc, 2026-01-01" in origin.of([run], ())
    old = write_run(tmp_path / "old", laws)
    assert origin.named([old.table()])["numba"] == "`numba`"
    assert "before sources were kept" in origin.of([old], ())


def test_its_footers_have_commit_and_date():
    for name in (readme.PEERS, readme.TABLE):
        text = TEXT if name == readme.PEERS else readme.RESULTS.read_text()
        made = text.split(f"<!-- {name}: begin -->")[1].split(f"<!-- {name}: end -->")[0]
        assert re.search(r"commit [0-9a-f]{12}\+?, \d{4}-\d\d-\d\d", made), name


def test_it_is_short():
    assert len(TEXT.split()) <= 1200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    for path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / path).exists(), path


def test_the_committed_page_and_figures_are_of_the_committed_runs():
    (command,) = re.findall(r"harness\.report --out plots (results/.*)", (readme.ROOT / "Makefile").read_text())
    runs = [Run.open(readme.ROOT / folder) for folder in command.split()]
    page = html.unescape((readme.ROOT / "plots" / report.PAGE).read_text())
    for run in runs:
        assert reports_run.provenance(run) in page, f"plots/ is stale for {run.folder.name}: make readme"
    pictures = {picture for picture in (readme.ROOT / "plots").glob("*.png") if picture.name != "dem_maps.png"}
    for picture in pictures:  # maps of the Sun are pixels, and invert's: no figure of a run
        assert picture.with_suffix(".svg").exists()


def test_every_file_and_command_it_names_exists():
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (readme.ROOT / path).exists(), path
    makefile = (readme.ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z-]+)", TEXT):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for folder in re.findall(r"`([a-z]+/)`", TEXT):
        assert Path(readme.ROOT, folder).is_dir(), folder
