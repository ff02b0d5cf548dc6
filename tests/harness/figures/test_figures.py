"""The gallery: what is drawn from records, and what says why it isn't."""

import json
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import records
from matplotlib.figure import Figure

from harness.figures import common, gallery, headline, labels, machine, quality, speed
from harness.judge import excerpt, intervals
from harness.records.run import Run
from harness.reports import tables
from harness.show.html import svg
from implementations.places import ROOT
from implementations.registry import IN_REPO, PEERS

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
def test_a_figure_has_every_panel_numbers_at_every_axis_names_at_the_marks_and_its_origin(entry, made):
    data = common.measured([made])
    figure = entry.of(data)
    assert isinstance(figure, Figure), figure
    assert sum(bool(axes.get_title()) for axes in figure.axes) >= 2 - (entry is gallery.FIGURES[0])
    assert all(axes.has_data() for axes in figure.axes)
    figure.canvas.draw()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            assert any(label.get_visible() and label.get_text() for label in axis.get_ticklabels()), axes.get_title()
        named = [text.get_text() for text in (*axes.texts, *axes.get_yticklabels())]
        assert entry.name == "dem_recovery" or any("fast" in name for name in named), "a name stands in every panel"
    assert not [axes for axes in figure.axes if axes.get_legend()]
    assert bool(figure.legends) == (entry.name == "phases"), "of shapes, which are no solvers"
    assert figure.get_supxlabel().startswith(entry.key), "how to read it stands in the picture, without a page too"
    origin = figure.get_supxlabel().removeprefix(entry.key).lstrip()
    assert origin.startswith("2026-01-01; commit abc; ")
    assert records.MACHINE["cpu"] in origin
    assert "n = 5; 1" in origin
    assert "thread" in origin


def test_marks_say_whose_they_are_and_files_keep_it(made, tmp_path):
    data = common.measured([made])
    text = svg(headline.speed_against_quality(data))
    rows = {int(n) for n in re.findall(r'data-row="(\d+)"', text)}
    assert {data.table.solver[n] for n in rows} == {"baseline", "fast"}
    assert not re.search(r'id="(row|of)-', text)
    assert re.search(r'data-of="\d+"', text), "names come and go with their solver"


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
    alone = common.measured(runs[:1]).table
    assert set(alone.panel) == set(alone.dataset + ", " + alone.bins.astype(str) + " bins")
    assert set(data.table.panel.str.partition("\n")[2]) == {"2026-01-01", "2026-02-02"}


@pytest.mark.parametrize(
    ("sizes", "days", "told"),
    [
        ([(200,), (1000, 5000)], ["2026-01-01"] * 2, ["200 pixels", "1,000 to 5,000 pixels"]),
        ([(200,)] * 2, ["2026-01-01T10:00Z", "2026-01-01T11:00Z"], ["2026-01-01T10:00Z", "2026-01-01T11:00Z"]),
        ([(200,)] * 2, ["2026-01-01"] * 2, ["2026-01-01, run 1", "2026-01-01, run 2"]),
    ],
)  # fmt: skip
def test_panels_are_told_apart_by_what_differs_never_by_a_folder(tmp_path, sizes, days, told):
    runs = [
        records.write_run(tmp_path / f"folder{n}", LAWS, pixels, (34,), created=day)
        for n, (pixels, day) in enumerate(zip(sizes, days, strict=True))
    ]
    assert list(dict.fromkeys(common.measured(runs).table.panel)) == [f"random-response, 34 bins\n{t}" for t in told]


def test_a_solver_edited_since_is_named_below_what_its_record_made(tmp_path):
    laws = {"baseline": records.slow, "numba": records.fast}
    run = records.write_run(tmp_path / "run", laws, (200,), (34,), numba={"source": "another"})
    data = common.measured([run])
    figure = gallery.FIGURES[0].of(data)
    assert figure.get_supxlabel().endswith("; source changed since: numba")
    grid = tables.glance(tables.rows_of([run]))
    assert [line[0].text for line in grid.rows] == ["numba †", "baseline"]
    assert "†: measured with another source" in grid.caption


def test_two_sizes_have_no_exponent_and_one_has_no_line(tmp_path):
    drawn = {
        n: speed.runtime_against_pixels(common.measured([records.write_run(tmp_path / str(n), LAWS, sizes, (34,))]))
        for n, sizes in enumerate([(200,), (200, 1000), (200, 1000, 5000)], 1)
    }
    assert drawn[1] == "no workload was measured at two map sizes or more"
    said = {n: [text.get_text() for text in drawn[n].axes[0].texts] for n in (2, 3)}
    assert said[2] == ["baseline", "fast"] or said[2] == ["fast", "baseline"]
    assert all("k=" in text for text in said[3])


def test_values_of_decades_are_on_a_logarithmic_axis(made):
    data = common.measured([made])
    for figure in (quality.chisq_distribution(data), machine.peak_memory(data), speed.speedup(data)):
        assert {axes.get_xscale() for axes in figure.axes} == {"log"}
    figure, _ = plt.subplots()
    for limits, expected in (((0.8, 9), "1"), ((1, 1e4), "1,000"), ((1, 1e6), "10³")):
        axes = figure.add_subplot()
        axes.set_xlim(*limits)
        labels.logarithmic(axes, "x")
        figure.canvas.draw()
        assert expected in [label.get_text() for label in axes.get_xticklabels()]


def test_names_of_marks_on_one_spot_stay_apart():
    figure, axes = plt.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    spot = [labels.Label(0.5, 0.5, f"solver {n}", "black") for n in range(5)]
    labels.beside(axes, spot)
    labels.at_the_right(axes, spot)
    figure.canvas.draw()
    boxes = [mpl.text.Text.get_window_extent(text).get_points() for text in axes.texts]  # without its line
    assert len(boxes) == 10
    for n, (low, high) in enumerate(boxes):
        others = boxes[:n]
        assert not [o for o in others if (low < o[1]).all() and (o[0] < high).all()], "two names overlap"


@pytest.mark.parametrize("ground", ["#ffffff", "#12171e"])
def test_every_hue_can_be_seen_on_light_and_dark_ground(ground):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    for hue in common.HUES:
        light, dark = sorted((luminance(hue), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, f"{hue} on {ground}"


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
    known = (*IN_REPO, *PEERS)
    assert len({common.style_of(name) for name in known}) == len(known)
    assert [name for name in known if common.style_of(name)[0] == common.GREY] == ["baseline"]
    peers = "baseline,numba,numba-float32,l2,plowman,demregpy,utu,emtoolkit"
    for together in (peers, "baseline,vectorized,batched,l2,numba,numba-float32"):
        names = together.split(",")
        assert len({common.style_of(name)[0] for name in names}) == len(names), "of solvers that are measured together"
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


@pytest.mark.parametrize(("dataset", "tells"), [("aia", True), ("random-response-loci", False)])
def test_an_error_that_says_nothing_says_so(tmp_path, dataset, tells):
    names = {name: {"dataset": dataset} for name in LAWS}
    data = common.measured([records.write_run(tmp_path / "run", LAWS, **names)])
    axes = headline.speed_against_quality(data).axes[0]
    assert axes.get_ylabel().endswith("nearer to the truth") is tells
    assert (headline.NOTHING in " ".join(axes.get_title().split())) is not tells
    assert ("no information" in quality.truth(data).axes[0].get_title()) is not tells


def test_parallel_efficiency_has_the_interval_of_both_times(made):
    figure = machine.parallel_efficiency(common.measured([made]))
    (drawn,) = {len(axes.collections) for axes in figure.axes}
    assert drawn >= 1
    table = {"median_s": 1.0, "ci_low_s": 0.9, "ci_high_s": 1.2, "threads": 2}
    one = {"median_s_one": 2.0, "ci_low_s_one": 1.8, "ci_high_s_one": 2.0}
    value, low, high = (each.iloc[0] for each in machine.efficiency(pd.DataFrame([table | one])))
    assert value == 1.0
    assert low == pytest.approx(np.exp(-np.hypot(np.log(1.2), np.log(1 / 0.9))))
    assert high == pytest.approx(np.exp(np.hypot(0.0, np.log(1 / 0.9))))


def test_a_logarithmic_axis_within_a_decade_or_two_has_several_numbers():
    figure, axes = plt.subplots()
    axes.set_ylim(0.15, 6)
    labels.logarithmic(axes, "y")
    figure.canvas.draw()
    assert {"0.2", "1", "5"} <= {label.get_text() for label in axes.yaxis.get_ticklabels()}


def test_a_figure_that_cannot_be_drawn_costs_no_other(made):
    def broken(data):
        raise ValueError("Axis limits cannot be NaN or Inf")

    def cannot_be_laid_out(data):
        figure, _ = plt.subplots(layout="constrained")
        figure.text(0, 0, r"$\frac$", parse_math=True)
        return figure

    data = common.measured([made])
    said = gallery.Picture(broken, "", "").of(data)
    assert said == "can't be drawn of these records: ValueError: Axis limits cannot be NaN or Inf"
    (late, _) = gallery.pictures(data, entries=[gallery.Picture(cannot_be_laid_out, "", ""), gallery.FIGURES[2]])
    assert late.missing.startswith("can't be drawn of these records: ValueError")


def test_long_names_are_folded_where_they_can_be():
    assert common.folded("numba", 30) == "numba"
    spec = "regularisation.numba-parallel[threads=2,outputs=float32]"
    assert common.folded(spec, 30) == "regularisation.numba-parallel\n[threads=2,outputs=float32]"
    assert common.folded("one two three", 8) == "one two\nthree"
    assert common.folded("a" * 50, 30) == "a" * 30 + "\n" + "a" * 20


@pytest.mark.parametrize(("limits", "texts"), [((0.5, 2e3), ["1", "10", "100", "1,000"]), ((2e3, 5e7), ["10⁴", "10⁵"])])
def test_every_tick_of_a_logarithmic_axis_has_its_number(limits, texts):
    figure, axes = plt.subplots()
    axes.set_xlim(*limits)
    labels.logarithmic(axes, "x")
    figure.canvas.draw()
    assert not len(axes.xaxis.get_minorticklocs())
    shown = [label.get_text() for label in axes.xaxis.get_ticklabels()]
    assert all(shown)
    assert set(texts) <= set(shown)


def test_axes_of_little_range_beyond_short_numbers_are_written_too():
    assert [labels._power(value) for value in (1e-12, 2e5, 5e-4, 1e0)] == ["10⁻¹²", "2·10⁵", "5·10⁻⁴", "10⁰"]


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "results").glob("*/run.json")), ids=str)
def test_solvers_of_a_committed_runs_panel_look_unlike(folder):
    for panel, rows in common.measured([Run.open(folder)]).table.groupby("panel"):
        names = [name for name in dict.fromkeys(rows.solver) if not name.startswith("processes[")]  # a dozen of one
        assert len({common.style_of(name) for name in names}) == len(names), panel


def test_another_method_is_ringed_and_named(tmp_path):
    other = {"accuracy": "other", "method": "plowman"}
    run = records.write_run(tmp_path / "run", LAWS, (200,), (34,), fast=other)
    axes = headline.speed_against_quality(common.measured([run])).axes[0]
    named = {line.get_label(): line for line in axes.lines}
    assert "fast\nmethod plowman" in [text.get_text() for text in axes.texts]
    assert "ringed: another method" in axes.get_title()
    rings = [line for line in axes.lines if line.get_markersize() > 12]
    assert [line.get_xdata()[0] for line in rings] == [named["fast"].get_xdata()[0]]


def test_solvers_whose_dems_look_the_same_are_drawn_once_under_all_their_names(made):
    data = common.measured([made])
    rows = data.largest[data.largest.panel == data.largest.panel.iloc[0]]
    drawn = [(row, data.of(row)) for row in rows.itertuples()]
    assert [names for *_, names in quality._distinct(drawn)] == [["baseline", "fast"]], "a variant adds no name"
    row, shown = drawn[1]
    other = {**shown, "pixels": [{**one, "edem": excerpt.pack([9.0] * 12)} for one in shown["pixels"]]}
    drawn[1] = (row, other)
    assert [names for *_, names in quality._distinct(drawn)][-1][0] == "baseline", "on top"
    assert len(quality._distinct(drawn)) == 2


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


def test_drawn_once_for_the_page_and_written_as_png_and_svg(made, tmp_path):
    shown = gallery.pictures(common.measured([made]), tmp_path)
    assert [picture.slug for picture in shown] == [entry.name for entry in gallery.FIGURES]
    for picture in shown:
        assert (tmp_path / f"{picture.slug}.png").stat().st_size > 5000
        assert (tmp_path / f"{picture.slug}.svg").read_text() == picture.svg
        assert picture.svg.count("<g id=") > 20
    assert not plt.get_fignums()
    texts = [picture.svg for picture in gallery.pictures(common.measured([made]))]
    assert texts == [picture.svg for picture in shown], "nothing in a picture is of its day"


def test_sizes_more_cost_markers_and_no_artists(tmp_path):
    """An artist for each mark was 28 ms of CPU time a row, over all figures."""
    full = {"speedup": 30.0, "speedup_low": 29.0, "speedup_high": 31.0, "truth_coverage": 0.4}
    drawn = {}
    for number in (4, 40):
        sizes = tuple(range(100, 100 + number))
        run = records.write_run(tmp_path / str(number), LAWS, sizes, (34,), baseline=full, fast=full)
        figures = [
            figure for entry in gallery.FIGURES if isinstance(figure := entry.of(common.measured([run])), Figure)
        ]
        assert len(figures) >= 6
        drawn[number] = [sum(len(axes.get_children()) for axes in figure.axes) for figure in figures]
        texts = [svg(figure) for figure in figures]
        rows = {int(n) for text in texts for n in re.findall(r'<use data-row="(\d+)"', text)}
        assert rows == set(range(2 * number)), "every mark has its row"
    assert drawn[4] == drawn[40]


def test_what_nobody_could_read_is_not_drawn_and_counted(tmp_path):
    run = records.write_run(tmp_path / "run", LAWS, (200,), tuple(range(30, 30 + common.MOST_PANELS + 2)))
    axes = machine.peak_memory(common.measured([run])).axes
    assert len(axes) == common.MOST_PANELS
    assert axes[-1].get_title().endswith("; 2 more aren't drawn")
    assert len(quality.truth(common.measured([run])).axes) == common.MOST_PANELS
