"""What is built and installed: complete, and at work from an empty folder."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import clones
import pandas as pd
import pytest
from packaging.requirements import Requirement

from implementations.places import ROOT

MOST_BYTES = 5 * 2**20
GRID = ("--solvers", "baseline,l2,dask[inner=l2]", "--pixels", "12,24", "--bins", "12", "--repeats", "3")
USER = """
import numpy as np
from implementations import dn2dem

logt = np.linspace(5.7, 7.3, 13)
tresp = np.exp(-((logt[:, None] - np.linspace(5.8, 7.2, 6)) ** 2) / 0.08) * 1e-24
dem, *_ = dn2dem(np.full(6, 100.0), np.full(6, 10.0), tresp, logt, 10**logt)
assert (dem > 0).any()
"""
"""A user's program."""


def closure(requirements):
    """The distributions, of those here, that these requirements bring: name -> distribution."""
    found, todo = {}, [Requirement(text) for text in requirements]
    while todo:
        wanted = todo.pop()
        if (wanted.name, extras := frozenset(wanted.extras or {""})) in found:
            continue
        found[wanted.name, extras] = distribution = metadata.distribution(wanted.name)
        brought = [Requirement(text) for text in distribution.requires or ()]
        todo += [r for r in brought if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return {name: distribution for (name, _), distribution in found.items()}


class Installed:
    """A fresh environment with this project's copy, what it requires, and what builds it."""

    def __init__(self, folder, *source):
        venv.create(folder / "env", symlinks=True)
        self.python = folder / "env" / "bin" / "python"
        ask = "import site; print(site.getsitepackages()[0])"
        self.packages = Path(self.run(self.python, "-c", ask, cwd=folder).stdout.strip())
        required = tomllib.loads((ROOT / "pyproject.toml").read_text())
        for library in closure(required["project"]["dependencies"] + required["build-system"]["requires"]).values():
            for top in {file.parts[0] for file in library.files} - {"..", "__pycache__"}:
                link = self.packages / top
                if not link.exists():  # folders of several distributions
                    link.symlink_to(library.locate_file(top))
        pip = (sys.executable, "-m", "pip", "--python", self.python, "install", "-q", "--no-deps", "--no-index")
        self.run(*pip, "--no-build-isolation", *source, cwd=folder)
        self.empty, self.cache = folder / "empty", folder / "user's cache"
        self.empty.mkdir()

    def run(self, *command, cwd=None, check=0):
        """A process that stands in the empty folder."""
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DEMREG_BENCH_DATA")}
        env = clean | ({} if cwd else {"XDG_CACHE_HOME": str(self.cache)})
        done = subprocess.run(
            [*map(str, command)], cwd=cwd or self.empty, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == check, done.stdout + done.stderr
        return done

    def bench(self, *words, check=0):
        """The console script."""
        return self.run(self.python.with_name("demreg-bench"), *words, check=check)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a wheel and a source distribution of the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    (wheel,) = built.glob("*.whl")
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def tracked():
    clones.need_git()
    return set(clones.git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines())


def test_the_source_distribution_is_what_git_tracks(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        sizes = {member.name.partition("/")[2]: member.size for member in archive if member.isfile()}
    assert set(sizes) - {"PKG-INFO"} == {name for name in tracked() if (ROOT / name).exists()}
    assert max(sizes.values()) < MOST_BYTES


def test_the_wheel_is_both_packages_and_the_datasets(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    packages = {name for name in tracked() if name.startswith(("implementations/", "harness/"))}
    datasets = {f"harness/workloads/{name}" for name in tracked() if name.startswith("datasets/")}
    assert names == packages | datasets
    assert {"implementations/py.typed", "harness/py.typed", "implementations/gpu/fused.cu"} <= names


def test_every_solver_of_the_processor_runs_with_what_the_package_requires(installed):
    found = {row["name"]: row for row in json.loads(installed.bench("list", "--json").stdout)}
    ours = {name: row for name, row in found.items() if row["device"] != "gpu" and not row["external"]}
    assert {"baseline", "numba", "l2", "processes", "dask", "dask-delayed"} <= set(ours)
    assert {row["reason"] for row in ours.values()} == {""}


@pytest.mark.slow
def test_the_commands_from_an_empty_folder(installed):
    assert re.fullmatch(r"demreg-bench \d+\.\d+\.\d+\n", installed.bench("--version").stdout)
    installed.run(installed.python, "-c", USER)
    installed.bench("sweep", *GRID, "--strict", "--out", "results/run")
    assert pd.read_csv(installed.empty / "results" / "run" / "table.csv").status.tolist() == ["ok"] * 6
    assert len(list(installed.cache.glob("demreg-bench/limits-*.json"))) == 1
    installed.bench("report")
    installed.bench("profile", "l2", "--pixels", "12", "--bins", "12")
    assert installed.bench("recommend", "--pixels", "12", "--bins", "12").stdout
    assert "6 rows: 6 same" in installed.bench("compare", "results/run", "results/run").stdout
    assert {path.name for path in installed.empty.iterdir()} == {"results"}
    assert not [path for path in installed.packages.rglob("*") if path.name in ("results", "plots", ".cache")]


def test_what_needs_a_checkout_says_so(installed):
    for command in (("regression", "HEAD"), ("peers",)):
        said = installed.bench(*command, check=2).stderr
        assert "needs a checkout of demreg-bench (git clone), not the installed copy in" in said
        assert said.count("\n") == 1


@pytest.mark.slow
def test_a_copy_installed_from_git_knows_its_commit(tmp_path):
    clone = clones.make(tmp_path)
    copy = Installed(tmp_path, f"git+file://{clone}")
    assert copy.bench("--version").stdout.split()[2] == clones.git(clone, "rev-parse", "--short=12", "HEAD")
    assert "workload random-response: ready" in copy.bench("list").stdout


@pytest.mark.slow
def test_the_source_distribution_passes_its_own_tests(built, tmp_path):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    done = subprocess.run(["make", "test", f"PYTHON={sys.executable}"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
