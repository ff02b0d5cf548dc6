"""The gallery: what is drawn from records, and what says why it isn't."""

import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import records
from matplotlib.figure import Figure

from harness.figures import common, gallery, headline, machine, quality
from harness.judge import excerpt, intervals
from harness.records.run import Run

mpl.use("Agg")
LAWS = {"baseline": records.slow, "fast": records.fast}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with everything in its records that figures draw."""
    limits = {
        "machine": {"cores": 2},
        "flops_per_s": {"core": {"best": 1e11}, "all": {"best": 2e11}},
        "copy_bytes_per_s": [{"bytes": 2**20, "core": {"best": 1e10}, "all": {"best": 2e10}}],
    }
    work = {
        "strategy_flops": 1e6,
        "strategy_bytes": 1e4,
        "speedup": 1.0,
        "truth_coverage": 0.4,
        "truth_peak_logt_error": 0.1,
    }
    faster = work | {"speedup": 30.0, "speedup_low": 29.0, "speedup_high": 31.0}
    folder = tmp_path_factory.mktemp("runs") / "made"
    records.write_run(folder, LAWS | {"fast[threads=2]": records.slow}, baseline=work, fast=faster)
    about = json.loads((folder / "run.json").read_text()) | {"limits": limits, "run": "made"}
    (folder / "run.json").write_text(json.dumps(about))
    logt = np.linspace(5.7, 7.1, 12)
    for path in (folder / "cells").glob("*.json"):
        record = json.loads(path.read_text())
        if record["row"]["solver"] == "fast[threads=2]":
            record["row"]["threads"] = 2
        example = {"pixel": 7, **{name: excerpt.pack(np.sin(logt) + 2) for name in ("truth", "dem", "edem", "elogt")}}
        record["shown"] = {
            "logt": excerpt.pack(logt),
            "pixels": [example] * 3,
            "chisq_percentiles": excerpt.pack(np.linspace(0, 3, 101)),
        }
        path.write_text(json.dumps(record))
    return Run.open(folder)


@pytest.mark.parametrize("entry", gallery.FIGURES, ids=lambda e: e.name)
def test_every_figure_draws_every_panel(entry, made):
    figure = entry.draw(common.measured([made]))
    assert isinstance(figure, Figure), figure
    assert sum(bool(axes.get_title()) for axes in figure.axes) >= 2 - (entry is gallery.FIGURES[0])
    assert all(axes.has_data() for axes in figure.axes)


@pytest.mark.parametrize("entry", gallery.FIGURES, ids=lambda e: e.name)
def test_records_of_times_alone_are_drawn_or_it_is_said_why_not(entry, tmp_path):
    run = records.write_run(tmp_path / "old", LAWS, pixels=(200,))
    figure = entry.draw(common.measured([run]))
    assert isinstance(figure, Figure) or (figure and "\n" not in figure)


def test_runs_of_the_same_workload_have_panels_of_their_own(tmp_path):
    runs = [records.write_run(tmp_path / name, LAWS, created=name) for name in ("2026-01-01", "2026-02-02")]
    for run in runs:
        for path in (run.folder / "cells").glob("*.json"):
            record = json.loads(path.read_text())
            record["row"]["run"] = run.folder.name
            path.write_text(json.dumps(record))
    data = common.measured(runs)
    assert data.table.groupby("panel").run.nunique().eq(1).all()
    assert data.table.panel.nunique() == 4
    assert common.measured(runs[:1]).table.panel.nunique() == 2


def test_the_points_are_the_tables(made):
    data = common.measured([made])
    row = data.largest.iloc[0]
    figure = headline.speed_against_quality(data)
    points = {tuple(np.ravel(line.get_xydata())) for line in figure.axes[0].lines}
    assert (row.pixels_per_s, row.truth_dem_error) in points
    assert figure.get_suptitle() == "fast: 30 times the baseline, same answer, with error bars"
    efficiency = machine.parallel_efficiency(data).axes[0].lines[0].get_ydata()
    fast = data.table[(data.table.panel == row.panel) & data.table.solver.str.startswith("fast")]
    one, two = (fast[(fast.threads == n) & (fast.pixels == fast.pixels.min())].median_s.iloc[0] for n in (1, 2))
    assert efficiency == pytest.approx([1, one / two / 2])


def test_a_gate_that_did_not_pass_is_hollow_and_named(tmp_path):
    run = records.write_run(tmp_path / "r", LAWS, fast={"gate": "fail", "gate_reasons": "dem"})
    figure = headline.speed_against_quality(common.measured([run]))
    hollow = {line.get_label(): line.get_markerfacecolor() == "none" for line in figure.axes[0].lines}
    assert hollow == {"baseline": False, "fast": True}
    assert "hollow: a gate failed" in figure.axes[0].get_title()
    assert "times the baseline" not in figure.get_suptitle(), "nobody passed"


def test_a_solver_looks_the_same_wherever_it_is_drawn_and_like_no_other():
    assert len({common.style_of(name) for name in common.KNOWN}) == len(common.KNOWN)
    assert common.style_of("numba[threads=2]")[0] == common.style_of("numba")[0]
    assert common.style_of("numba[threads=2]") != common.style_of("numba")
    assert common.style_of("mine") == common.style_of("mine")


def test_a_workload_whose_truth_can_be_told_goes_first(tmp_path):
    runs = [
        records.write_run(tmp_path / name, LAWS, baseline={"dataset": name}, fast={"dataset": name})
        for name in ("random-response", "aia")
    ]
    title = headline.speed_against_quality(common.measured(runs)).axes[0].get_title()
    assert title.startswith("aia, ")


def test_a_figure_that_cannot_be_drawn_costs_no_other(made):
    def broken(data):
        raise ValueError("Axis limits cannot be NaN or Inf")

    said = gallery.Picture(broken, "", "").of(common.measured([made]))
    assert said == "can't be drawn of these records: ValueError: Axis limits cannot be NaN or Inf"


def test_another_method_is_ringed_and_named(tmp_path):
    other = {"accuracy": "other", "method": "plowman"}
    run = records.write_run(tmp_path / "run", LAWS, (200,), (34,), fast=other)
    axes = headline.speed_against_quality(common.measured([run])).axes[0]
    assert "fast\nmethod plowman" in [text.get_text() for text in axes.texts]
    points = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
    assert [line.get_xdata()[0] for line in axes.lines if line.get_markersize() > 15] == [points["fast"]]


def test_exact_solvers_that_agree_are_drawn_once_and_others_apart(made):
    rows = common.measured([made]).largest
    assert [row.solver for row in quality._distinct(rows[rows.panel == rows.panel.iloc[0]])] == ["baseline"]
    failed = rows.assign(gate=rows.gate.where(rows.solver != "fast", "fail"))
    drawn = [row.solver for row in quality._distinct(failed[failed.panel == rows.panel.iloc[0]])]
    assert drawn == ["fast", "baseline"]


def test_the_exponent_of_a_power_law():
    sizes = [100.0, 300.0, 1000.0, 5000.0]
    k = intervals.exponent(sizes, [3e-5 * p**0.9 for p in sizes])
    assert k.value == pytest.approx(0.9)
    assert k.low == pytest.approx(0.9)
    noisy = intervals.exponent(sizes, [3e-5 * p**0.9 * e for p, e in zip(sizes, (1.1, 0.9, 1.1, 0.9), strict=True)])
    assert noisy.low < 0.9 < noisy.high
    assert np.isnan(intervals.exponent(sizes[:2], [1, 2]).low)
    with pytest.raises(ValueError, match="two sizes"):
        intervals.exponent([5.0], [1.0])


def test_written_as_png_and_svg(made, tmp_path):
    written = gallery.write_figures([made], tmp_path, "the machine")
    assert [path.stem for path in written] == [entry.name for entry in gallery.FIGURES]
    for path in written:
        assert Path(path).stat().st_size > 5000
        assert path.with_suffix(".svg").read_text().count("<g id=") > 20
