"""Runs written by hand: records whose times follow a known law, for the tests of what reads records."""

import numpy as np

from harness.machine import facts as machine_facts
from harness.records.run import Run
from harness.records.schema import Cell

MACHINE = machine_facts.machine()
GRID = {"solvers": [], "threads": 1}


def slow(pixels, bins):
    """Seconds: an overhead, and a cost per pixel that grows from bins to bins cubed."""
    return 0.01 + pixels * (4e-5 * bins + 2e-9 * bins**3)


def fast(pixels, bins):
    """Thirty times cheaper per pixel, ten times the overhead: overtakes `slow` at some size."""
    return 0.1 + (slow(pixels, bins) - 0.01) / 30


def memory(pixels, bins):
    """MB."""
    return 160 + pixels * (3 * bins + 20) * 8 / 2**20


def write_run(
    folder,
    laws,
    pixels=(200, 1000, 5000),
    bins=(34, 200),
    noise=0.0,
    seed=1,
    machine=MACHINE,
    created="2026-01-01",
    **columns,
):
    """A run of solvers named in `laws` (name -> law), every row's other columns overridden by `columns[name]`."""
    rng = np.random.default_rng(seed)
    facts = {"created": created, "commit": "abc", "machine": machine, "software": {}, "grid": GRID}
    run = Run.create(folder, facts | {"grid": GRID | {"solvers": list(laws)}})
    for count in bins:
        for size in pixels:
            for name, law in laws.items():
                made = row(name, law, size, count, rng, noise, columns)
                run.add(Cell(made["dataset"], size, count, 1), name, made, {"turns": {}})
    return Run.open(folder)  # as a reader, who lets tests change what is written


def row(name, law, pixels, bins, rng, noise, columns):
    time = law(pixels, bins) * np.exp(noise * rng.standard_normal())
    return {
        "run": "made",
        "commit": "abc",
        "machine": MACHINE["id"],
        "solver": name,
        "device": "cpu",
        "accuracy": "exact",
        "external": False,
        "dataset": "random-response",
        "seed": 1,
        "pixels": pixels,
        "channels": 6,
        "bins": bins,
        "threads": 1,
        "status": "ok",
        "oneoff_s": 0.5,
        "prepare_s": 0.0,
        "solve_s": time,
        "collect_s": 0.0,
        "median_s": time,
        "ci_low_s": time * 0.98,
        "ci_high_s": time * 1.02,
        "n": 5,
        "pixels_per_s": pixels / time,
        "peak_rss_mb": memory(pixels, bins) + rng.uniform(0, 0.5),
        "chisq_median": 1.2,
        "chisq_iqr": 1.0,
        "chisq_p95": 3.0,
        "parity_dem": 1e-13,
        "parity_edem": 1e-13,
        "parity_elogt": 0.0,
        "parity_chisq": 1e-13,
        "parity_dn_reg": 1e-13,
        "truth_dem_error": 0.9,
        "gate": "pass",
        "gate_reasons": "",
    } | columns.get(name.partition("[")[0], {})
