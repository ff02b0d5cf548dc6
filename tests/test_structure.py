"""Imports run one way, and files stay readable."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("implementations/**/*.py"), *ROOT.glob("harness/**/*.py")])
STRATEGY_PARTS = ("numba_", "executors", "gpu_device", "gpu_stream", "dask_", "blas", "solver_spec")
"""What strategy files may share beside contract and maths: kernels, executors and devices, by prefix."""
BY_DEFINITION = {"numba_regmap": "baseline", "gpu_batched": "batched", "gpu_l2": "l2", "cupy_regmap": "baseline"}
"""Strategies that are another one with one thing replaced: a step, or the place where it is computed."""
LEAVES = {"environment": {"harness.machine.devices"}, "stats": set(), "devices": set()}
COMMANDS = ("implementations.invert",)
"""What is run with `python -m` among the implementations: solves by name, as `api` does, with the commands' parser."""


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path):
    """Every module of this project that a file imports, at its top or within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    modules = {module_of(p) for p in SOURCES}
    owners = {name if name in modules else name.rpartition(".")[0] for name in found}
    return {o for o in owners if o.split(".")[0] in ("implementations", "harness")}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_one_way(path):
    name, uses = module_of(path), imported(path)
    if name == "implementations.contract":
        assert not uses
    elif name.startswith("implementations.maths"):
        assert all(u == "implementations.contract" or u.startswith("implementations.maths") for u in uses)
    elif name.startswith("implementations.aia"):
        known = ("implementations.contract", "implementations.maths", "implementations.aia")
        assert all(u.startswith(known) for u in uses), "the instrument knows no solver"
    elif name in COMMANDS:
        assert {u for u in uses if u.startswith("harness")} <= set()
    elif name.startswith("implementations"):
        assert not any(u.startswith("harness") for u in uses), "strategies know no harness"
        if name == "implementations.baseline":
            assert not any("maths" in u for u in uses), "the oracle shares no maths"
    elif name.removeprefix("harness.") in LEAVES:
        assert uses <= LEAVES[name.removeprefix("harness.")]
    elif name == "harness.upkeep.full_frame":
        uses -= {"implementations.command_line"}
        assert {u for u in uses if u.startswith("impl")} == {"implementations.api", "implementations.contract"}
    elif name not in ("harness.selfcheck",):
        allowed = (
            "implementations.contract",
            "implementations.maths",
            "implementations.aia",
            "implementations.registry",
            "implementations.solver_spec",
            "implementations.command_line",
        )
        assert all(u.startswith(("harness", *allowed)) for u in uses), "solvers are known by name only"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_strategies_do_not_import_one_another(path):
    above = ("__init__", "api", "contract", "invert", "registry", "zarr_maps", "zarr_store")
    if path.parent.name != "implementations" or path.stem in above:
        return
    others = {u.split(".")[1] for u in imported(path) if u.startswith("implementations.")}
    others.discard(BY_DEFINITION.get(path.stem))
    strategies = {o for o in others if o not in ("contract", "maths")}
    assert all(o.startswith(STRATEGY_PARTS) for o in strategies), strategies


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[-2] == "harness"], ids=module_of)
def test_harness_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 250
