"""The recipes of docs/cluster.md, as far as one machine can tell."""

import re

import pytest

from implementations.places import ROOT

pytest.importorskip("dask_jobqueue")

from harness.cli import COMMANDS
from harness.measure import plan
from implementations import registry

TEXT = (ROOT / "docs" / "cluster.md").read_text()


def test_the_slurm_recipe_submits_a_job_of_single_threaded_workers():
    recipe = {"__name__": "recipe"}
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1], recipe)
    here = {"host": "127.0.0.1", "port": 0, "dashboard": False}
    with recipe["cluster"](scheduler_options=here) as cluster:
        script, address = cluster.job_script(), cluster.scheduler_address
    assert script.startswith("#!/usr/bin/env bash\n")
    for line in ("#SBATCH -p compute", "#SBATCH -n 1", "#SBATCH --cpus-per-task=16", "#SBATCH -t 02:00:00"):
        assert line in script.splitlines()
    assert "#SBATCH --mem=60G" in script
    last = script.strip().splitlines()[-1]
    assert script.index("source .venv/bin/activate") < script.index(last)
    for part in (f"dask_worker {address} ", "--nthreads 1 ", "--nworkers 16 ", "--nanny"):
        assert part in last


def test_every_solver_and_command_of_the_page_exists():
    specs = set(re.findall(r"dask\[[^\]\n]*\]", TEXT))
    assert len(specs) >= 4
    for spec in specs:
        registry.Registry().create(re.sub(r",?workers=\d+", "", spec))
    assert set(re.findall(r"python -m ([\w.]+)", TEXT)) <= set(COMMANDS.values())
    assert set(re.findall(r"--preset (\w+)", TEXT)) <= set(plan.PRESETS)
