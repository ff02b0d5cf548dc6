"""The CUDA kernels compiled for devices by NVIDIA's own compiler, and the committed table of what it makes of them."""

from importlib.metadata import version

import pandas as pd
import pytest

from harness.upkeep import gpu_kernels
from harness.upkeep.gpu_kernels import BATCHED, FUSED, Case

REASON = gpu_kernels.unavailable()
needs_compiler = pytest.mark.skipif(bool(REASON), reason=REASON)
FIGURES = ["registers", "stack", "spill_stores", "spill_loads"]


@pytest.fixture(scope="module")
def compiler():
    return gpu_kernels.Compiler(gpu_kernels.library())


@pytest.fixture(scope="module")
def committed():
    return pd.read_csv(gpu_kernels.FOLDER / gpu_kernels.FILE)


def held(case, compiler, committed):
    """No warning; no spill where six channels are seen; and what the table has, where the compiler is the table's."""
    rows, warnings = gpu_kernels.compiled(case, compiler)
    assert warnings == []
    assert {row["kernel"] for row in rows} == ({"invert"} if case.module == FUSED else set(BATCHED_KERNELS))
    for row in rows:
        if case.channels <= 6:
            assert row["spill_stores"] == row["spill_loads"] == 0
        known = committed[(committed[[*KEYS]] == [row[key] for key in KEYS]).all(axis=1)]
        assert len(known) == 1
        if known.compiler.item() == f"{gpu_kernels.PACKAGE} {version(gpu_kernels.PACKAGE)}":
            assert known[FIGURES].iloc[0].to_dict() == {name: row[name] for name in FIGURES}


BATCHED_KERNELS = ("factorised", "chosen", "inverted")
KEYS = ("solver", "kernel", "architecture", "channels", "bins", "precision", "gloci")


@needs_compiler
@pytest.mark.parametrize(
    "case",
    [
        Case(FUSED, 6, 34, "sm_90", ("float64",)),
        Case(FUSED, 6, 400, "sm_80", ("float64",)),
        Case(FUSED, 6, 5, "sm_80", ("float32",)),
        Case(BATCHED, 6, 34, "sm_90"),
    ],
    ids=str,
)
def test_kernels_compile_as_the_table_says(case, compiler, committed):
    held(case, compiler, committed)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("case", [*gpu_kernels.cases()], ids=str)
def test_the_whole_table(case, compiler, committed):
    held(case, compiler, committed)


def test_the_table_has_every_case_and_no_spill_at_six_channels(committed):
    cases = list(gpu_kernels.cases())
    fused = [case for case in cases if case.module == FUSED]
    assert len(committed) == len(fused) + len(BATCHED_KERNELS) * (len(cases) - len(fused))
    aia = committed[committed.channels == 6]
    assert {34, 200, 400} <= set(aia.bins)
    assert set(aia.architecture) == {"sm_80", "sm_90"}
    assert (aia[["spill_stores", "spill_loads"]] == 0).all(axis=None)


@needs_compiler
def test_what_does_not_compile_is_an_error_with_its_place(compiler):
    with pytest.raises(ValueError, match=r'fused.cu\(2\): error: identifier "nothing" is undefined'):
        compiler.log('#line 1 "fused.cu"\n\nint x = nothing;', ["-arch=sm_90"])


def test_without_the_compiler_it_is_one_line_with_the_reason(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu_kernels, "library", lambda: None)
    with pytest.raises(SystemExit):
        gpu_kernels.main(["--out", str(tmp_path)])
    assert "nvidia-cuda-nvrtc is not installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
