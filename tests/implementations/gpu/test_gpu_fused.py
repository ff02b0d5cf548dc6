"""The CUDA kernel's own source, run by a warp of fibers on the host, a group of pixels each."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from draws import draws
from emulated import COMPILER, CONTRACTED, FMA, Emulator, emulated
from folders import TESTS
from hypothesis import given, settings
from problems import assert_close, problem, with_invalid

from harness.judge import gates, quality
from harness.judge.contract_checks import expected_of
from harness.judge.replay import Tally, compare
from harness.judge.summary import summarise
from harness.workloads import problem as workload
from implementations.baseline import Baseline
from implementations.contract import OUTPUTS, Problem, Solution, Status
from implementations.cpu.batched import Batched
from implementations.gpu import fused
from implementations.gpu.batched import GpuBatched
from implementations.gpu.l2 import GpuL2

needs_compiler = pytest.mark.skipif(not COMPILER, reason="g++ is not installed")


def parity(draw, tally):
    given_problem = draw.problem()
    solution, facts = expected_of(draw)
    got = emulated(given_problem, xp=Emulator(("-O0",)))  # a kernel for each: compiling is what takes long
    np.testing.assert_array_equal(got.status == Status.INVALID, ~given_problem.valid())
    tally.add(compare(given_problem, got, solution, facts))


def over_draws(number: int) -> None:
    tally = Tally()

    @settings(max_examples=number, deadline=None, derandomize=True, database=None)
    @given(draws())
    def check(draw):
        parity(draw, tally)

    check()
    print(tally)
    assert tally.well_conditioned >= 0.1 * tally.pixels
    assert tally.tied_pixels <= max(1, 0.02 * tally.pixels)


@needs_compiler
def test_parity_with_the_baseline():
    over_draws(12)


@pytest.mark.slow
@needs_compiler
def test_parity_on_many_more():
    over_draws(400)


@needs_compiler
@pytest.mark.parametrize("name", ["random-response", "solar-mix"])
def test_parity_on_workloads(name):
    of = workload.generate(workload.load(name), 60, 34)[0]
    got, reference = emulated(of), Batched().run(of)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(reference, output))
    np.testing.assert_array_equal(got.iterations, reference.iterations)
    np.testing.assert_array_equal(got.status, reference.status)


@needs_compiler
@pytest.mark.parametrize(("bins", "channels", "gloci"), [(3, 12, 0), (5, 6, 1), (33, 1, 0), (500, 6, 1)])
def test_any_number_of_bins_and_channels(bins, channels, gloci):
    of = problem(2, bins, channels, gloci=gloci)
    got, reference = emulated(of), Baseline().run(of)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(reference, output))


@needs_compiler
@pytest.mark.parametrize("tunables", [{"chunk": 7}, {"chunk": 3, "devices": 2}, {"devices": 0}])
def test_chunks_and_devices_change_nothing(tunables):
    of, _ = with_invalid(problem(30))
    whole, pieces = emulated(of), emulated(of, **tunables)
    for name, array in vars(whole).items():
        np.testing.assert_array_equal(getattr(pieces, name), array)


@needs_compiler
def test_invalid_pixels_are_zero_and_leave_the_others_alone():
    of, bad = with_invalid(problem(20))
    got, clean = emulated(of), emulated(problem(20))
    assert (got.status[bad] == Status.INVALID).all()
    good = np.setdiff1d(np.arange(20), bad)
    for output in (*OUTPUTS, "iterations"):
        assert (getattr(got, output)[bad] == 0).all()
        np.testing.assert_array_equal(getattr(got, output)[good], getattr(clean, output)[good])


@needs_compiler
def test_single_precision_loses_only_resolution():
    of = workload.generate(workload.load("gaussian-response"), 300, 34)[0]
    double, single = emulated(of), emulated(of, "float32")
    for output in ("dem", "edem", "chisq", "dn_reg", "iterations", "status"):
        np.testing.assert_array_equal(getattr(single, output), getattr(double, output))
    moved = np.abs(single.elogt - double.elogt) / (of.logt[-1] - of.logt[0]) * 51 * 2
    assert np.count_nonzero(moved) <= 1e-3 * moved.size  # a sample that was within rounding of the half maximum
    assert moved.max() < 1.5
    assert fused.definitions(of, "float32")["REAL"] == "float"


@needs_compiler
def test_single_precision_is_held_to_a_gate_of_its_own():
    of, truth = workload.generate(workload.load("random-response"), 60, 34)
    solver, solved = fused.GpuFused("float32"), emulated(of, "float32")
    reference = summarise(of, vars(Baseline().run(of)))

    def gate(solution):
        got = summarise(of, vars(solution))
        figures = quality.judged_figures(got, of, truth) | quality.parity(got, reference, of)
        return gates.judge(solver.accuracy, solver.bounds, figures, quality.judged_figures(reference, of, truth))

    assert gate(solved).gate == "pass"
    assert "chisq_median" in str(gate(replace(solved, dem=solved.dem * 1.001)).reasons)
    assert "DEM error against the truth" in str(gate(replace(solved, dem=solved.dem * 3)).reasons)
    lost = np.where(of.valid()[:, None], np.nan, solved.elogt)
    assert "elogt: not finite" in str(gate(replace(solved, elogt=lost)).reasons)


@needs_compiler
def test_lanes_that_diverge_are_caught(tmp_path):
    """The emulator can fail: a lane that leaves before a collective operation ends the program."""
    source = tmp_path / "bad.cpp"
    source.write_text(
        '#include "warp.h"\n'
        "int main() {\n"
        "    emulator::run([] { if (threadIdx.x != 5) __syncwarp(); });\n"
        "    return 0;\n"
        "}\n"
    )
    header = TESTS / "emulator"
    subprocess.run([COMPILER, "-std=c++17", "-I", header, "-o", tmp_path / "bad", source], check=True)
    done = subprocess.run([tmp_path / "bad"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "lanes diverge" in done.stderr


def test_a_precision_that_is_none_is_refused():
    with pytest.raises(ValueError, match="precision must be float64 or float32, got half"):
        fused.GpuFused(precision="half")
    assert fused.GpuFused(precision="float32").accuracy == "approximate"
    assert fused.GpuFused().bounds is None


class Recorded:
    """Stands in for CuPy's kernel: keeps what it is launched with."""

    def __call__(self, grid, block, arguments, shared_mem, stream):
        self.launch = (grid, block, arguments, shared_mem, stream)


@pytest.mark.parametrize(("pixels", "group", "blocks"), [(3, 1, 1), (2048 * 5, 5, 512), (10**6, 32, 7813)])
def test_a_launch_covers_every_pixel_and_passes_what_the_kernel_takes(pixels, group, blocks):
    """Order and types: the kernel trusts them."""
    of: Problem = problem(3, 20)
    tables, function = fused.stage(of), Recorded()
    kernel = fused.Kernel(function, 32, 4, 1234, tables, (np.float64(1.0), np.float64(1.5), np.int32(10)))
    inputs = {"dn": np.broadcast_to(of.dn[:1], (pixels, 6)), "edn": of.edn}
    outputs = dict(vars(Solution.empty(of)))
    fused.compute(kernel, inputs, outputs, "stream")
    grid, block, arguments, shared, stream = function.launch
    assert (grid, block, shared, stream) == ((blocks,), (128,), 1234, "stream")
    assert blocks * 4 * group >= pixels
    text = fused.SOURCES[-1].read_text()
    taken = text[text.index("__global__ void invert") :].split(")")[0]
    names = [word.strip().split()[-1].lstrip("*") for word in taken.split(",")]
    assert len(names) == len(arguments)
    passed = dict(zip(names, arguments, strict=True))
    assert (passed["pixels"], passed["group"]) == (pixels, group)
    assert passed["norm"] == 0
    for name, array in {**outputs, **tables._asdict(), **inputs}.items():
        assert passed[name] is array
    assert (passed["reg_tweak"], passed["rgt_fact"], passed["max_iter"]) == (1.0, 1.5, 10)
    assert all(t.dtype == (np.int32 if n == "left" else np.float64) for n, t in tables._asdict().items())
    assert all(t.flags.c_contiguous for t in tables)


@needs_compiler
@pytest.mark.parametrize("group", [1, 2, 8])
def test_groups_of_any_size_give_the_same(monkeypatch, group):
    of, _ = with_invalid(problem(30))
    whole = emulated(of)
    monkeypatch.setattr(fused, "group_of", lambda *sizes: (group, fused.work_bytes(*sizes, group)))
    for name, array in vars(emulated(of)).items():
        np.testing.assert_array_equal(getattr(whole, name), array)


def test_many_channels_make_groups_smaller_and_never_none():
    assert fused.group_of(6, 34, "float64")[0] == 32
    assert fused.group_of(24, 40, "float64")[0] < 32
    assert fused.group_of(300, 40, "float64")[0] == 1
    for sizes in ((6, 34, "float64"), (12, 5, "float32"), (24, 40, "float64")):
        assert fused.group_of(*sizes)[1] <= fused.SHARED_BYTES


@needs_compiler
def test_the_host_and_the_kernel_agree_on_shared_memory(monkeypatch):
    """The kernel doesn't compile where the host takes other bytes for it."""
    monkeypatch.setattr(fused, "work_bytes", lambda *_: 12345)
    with pytest.raises(subprocess.CalledProcessError):
        emulated(problem(1, 15))


@needs_compiler
@pytest.mark.skipif(not FMA, reason="this processor has no fused multiply-add")
@pytest.mark.parametrize(("bins", "channels", "gloci"), [(34, 6, 0), (14, 6, 1), (20, 9, 0)])
def test_multiply_adds_that_round_once_change_nothing(bins, channels, gloci):
    """A device's compiler contracts products and sums."""
    of = problem(30, bins, channels, gloci=gloci)
    got, reference = emulated(of, xp=Emulator(CONTRACTED)), Baseline().run(of)
    for output in OUTPUTS:
        assert_close(getattr(got, output), getattr(reference, output))
    np.testing.assert_array_equal(got.iterations, reference.iterations)
    assert not np.array_equal(got.dem, emulated(of).dem)


@needs_compiler
@pytest.mark.parametrize("chunk", [None, 7])
def test_outputs_of_single_precision_are_the_others_rounded(chunk):
    of, _ = with_invalid(problem(30))
    double, single = emulated(of), emulated(of, outputs="float32", chunk=chunk)
    single.check(of)
    for name, array in vars(double).items():
        got = getattr(single, name)
        if array.dtype == np.float64:
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, array.astype(np.float32))
        else:
            np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("solver", [fused.GpuFused, GpuBatched, GpuL2])
def test_rounded_outputs_are_approximate_and_held_to_bounds_of_their_own(solver):
    exact, single = solver(), solver(outputs="float32")
    assert single.accuracy == "approximate"
    assert single.bounds.edem[1] > 1
    assert (exact.accuracy, exact.bounds) == (solver.accuracy, solver.bounds)
    with pytest.raises(ValueError, match="outputs must be float64 or float32, got half"):
        solver(outputs="half")
