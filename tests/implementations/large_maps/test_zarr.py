"""Maps out of core: one Zarr store to another, and what is left of it when something breaks."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import zarr
from folders import SUPPORT, TROUBLE

from harness.upkeep import mapfile
from implementations import command_line as cli
from implementations import dn2dem, registry
from implementations import invert as invert_command
from implementations.contract import OUTPUTS
from implementations.large_maps import inversion
from implementations.large_maps.store import block_shape
from implementations.places import ROOT

MARK = 123456.789
LOGT, BINS = (5.7, 7.1), 12


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A map of 24 x 50 pixels in chunks of 4 rows."""
    store = tmp_path_factory.mktemp("zarr") / "in.zarr"
    assert mapfile.main([str(store), "--shape", "24,50", "--bins", "20", "--chunk", "200"]) == 0
    return store


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """What comes of it in one go, in this process."""
    target = tmp_path_factory.mktemp("zarr") / "out.zarr"
    assert inversion.invert_store(source, target, "numba", 1, BINS, LOGT) == 0
    return arrays(target)


def arrays(store: Path) -> dict:
    group = zarr.open_group(store, mode="r")
    return {name: group[name][:] for name in (*OUTPUTS, "status")}


def assert_same(got: dict, expected: dict) -> None:
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def invert(source, target, solver="numba"):
    return inversion.invert_store(source, target, solver, 1, BINS, LOGT)


def started(source, target, solver, limit=0):
    """The same in a process group of its own, as a terminal would start it."""
    call = [sys.executable, SUPPORT / "zarr_driver.py", source, target, solver, limit, BINS, *LOGT]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # the code under test, whatever is installed
    return subprocess.Popen(map(str, call), stderr=subprocess.PIPE, text=True, process_group=0, env=environment)


def marks(target: Path) -> int:
    return int(zarr.open_group(target, mode="r")["done"][:].sum()) if (target / "done").is_dir() else 0


def test_the_outputs_are_those_of_dn2dem(source, undisturbed):
    given = zarr.open_group(source, mode="r")
    edges = np.logspace(*LOGT, BINS + 1)
    expected = dn2dem(given["dn"][:], given["edn"][:], given["tresp"][:], given["tresp_logt"][:], edges, full=True)
    for name in OUTPUTS:
        np.testing.assert_array_equal(undisturbed[name], getattr(expected, name), err_msg=name)
    unfit = (expected.target > 10) & (expected.status == 0)
    np.testing.assert_array_equal(undisturbed["status"], np.where(unfit, 5, expected.status))
    assert set(np.unique(undisturbed["status"])) == {0, 1, 2, 5}


def test_dask_writes_the_same_store_with_coordinates_and_how_it_was_made(source, undisturbed, tmp_path, capsys):
    target = tmp_path / "out.zarr"
    assert invert(source, target, "dask[inner=numba,threads=2]") == 0
    assert_same(arrays(target), undisturbed)
    group = zarr.open_group(target, mode="r")
    np.testing.assert_array_equal(group["y"][:], np.arange(24))
    assert group["dem"].metadata.dimension_names == ("y", "x", "temperature")
    assert group["dem"].attrs["units"] == "cm-5 K-1"
    assert group.attrs["inversion"]["solver"] == "numba"
    assert group.attrs["inversion"]["options"]["max_iter"] == 10
    said, unfit = capsys.readouterr().out, int((undisturbed["status"] == 5).sum())
    assert "1200 pixels" in said
    assert f"note: {unfit} of 1200 pixels are no fit" in said


def test_only_what_has_no_mark_is_computed_again(source, undisturbed, tmp_path, capsys, monkeypatch):
    target = tmp_path / "out.zarr"
    monkeypatch.setitem(registry.IN_REPO, "slow", f"{TROUBLE}:Slow")  # so slow that it makes several blocks
    monkeypatch.setattr(registry, "_own", registry._own.__wrapped__)
    assert invert(source, target, "slow") == 0
    group = zarr.open_group(target, mode="r+")
    blocks = group["done"].size
    group["done"][0, 0] = 0
    group["dem"][0] = -7.0  # half-written
    group["dem"][-1] = -5.0  # marked, so left alone
    (target / "dem" / "c" / "left.partial").write_bytes(b"x")
    assert invert(source, target, "slow") == 0
    assert f"{blocks} blocks (1 of them now)" in capsys.readouterr().out
    got = arrays(target)
    assert (got["dem"][-1] == -5.0).all()
    np.testing.assert_array_equal(got["dem"][:-1], undisturbed["dem"][:-1])
    assert list(target.rglob("*.partial")) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_a_block_that_fails_is_one_line_and_those_before_it_are_whole(source, undisturbed, tmp_path, threads):
    store, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    shutil.copytree(source, store)
    dn = zarr.open_group(store, mode="r+")["dn"]
    dn[20, 3] = MARK
    process = started(store, target, f"dask[inner=fails,workers={threads}]")
    _, said = process.communicate(timeout=60)
    assert process.returncode == cli.CELL_FAILED, said
    assert re.search(
        r"block \d+ \(pixels \[\d+:\d+, \d+:\d+\]\): RuntimeError: not that again; \d+ of \d+ blocks", said
    )
    assert said.count("\n") == 1
    assert f"; {marks(target)} of " in said
    group = zarr.open_group(target, mode="r")
    whole = np.kron(group["done"][:], np.ones(group["chisq"].chunks, int))[:24, :50] == 1
    assert whole.sum() < whole.size
    assert_same({n: a[whole] for n, a in arrays(target).items()}, {n: a[whole] for n, a in undisturbed.items()})


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["dask[inner=slow]", "dask[inner=slow-in-threads]", "slow"])
def test_interrupted_from_the_keyboard_it_goes_on_where_it_was(source, undisturbed, tmp_path, solver):
    target = tmp_path / "out.zarr"
    process = started(source, target, solver)
    deadline = time.monotonic() + 60
    while marks(target) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED, said
    assert "interrupted" in said
    assert "goes on from there" in said
    assert "Traceback" not in said
    psutil.wait_procs(family, timeout=5)
    assert not any(p.is_running() for p in family)
    assert 2 <= marks(target) < zarr.open_group(target, mode="r")["done"].size
    process = started(source, target, solver)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert_same(arrays(target), undisturbed)


@pytest.mark.parametrize(
    "solver", ["numba", "dask[inner=numba]", pytest.param("dask[inner=slow]", marks=pytest.mark.slow)]
)
def test_a_full_disk_is_a_clear_error_and_no_block_is_taken_for_whole(source, undisturbed, tmp_path, solver):
    target = tmp_path / "out.zarr"
    process = started(source, target, solver, limit=4000)  # bytes a file: metadata fit, a chunk doesn't
    _, said = process.communicate(timeout=60)
    assert process.returncode == cli.CELL_FAILED, said
    assert "can't be written, File too large; make room; 0 of" in said
    assert said.count("\n") == 1
    assert marks(target) == 0
    process = started(source, target, solver)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert_same(arrays(target), undisturbed)


def test_the_command_with_a_separate_scheduler_and_two_workers(source, undisturbed, tmp_path, capsys, monkeypatch):
    """What `dask scheduler` and `dask worker` start, each worker on a host of its own as far as addresses go."""
    monkeypatch.setattr("implementations.cluster.workers.ANSWER_S", 60.0)  # of a machine that is busy with other tests
    target, file = tmp_path / "out.zarr", tmp_path / "cluster.json"
    dask = [sys.executable, "-m", "dask"]
    first, second = ("127.0.0.2", "127.0.0.3") if sys.platform == "linux" else ("127.0.0.1", "127.0.0.1")
    given = ["--scheduler-file", str(file), "--no-dashboard"]
    starts = [[*dask, "scheduler", *given, "--host", first, "--port", "0"]]
    starts += [[*dask, "worker", *given, "--host", h, "--nthreads", "1", "--no-nanny"] for h in (first, second)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [subprocess.Popen(start, **quiet) for start in starts]
    try:
        while not file.exists():
            assert processes[0].poll() is None
            time.sleep(0.05)
        command = [str(source), str(target), "--bins", str(BINS), "--logt", *map(str, LOGT)]
        assert invert_command.main([*command, "--solver", f"dask[inner=numba,workers=2,scheduler={file}]"]) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=20)
    assert_same(arrays(target), undisturbed)
    assert "1200 pixels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: shutil.rmtree(s), "is not a Zarr group"),
        (lambda s: shutil.rmtree(s / "tresp"), "has no array 'tresp', expected dn, edn, tresp, tresp_logt"),
        (lambda s: zarr.open_group(s).create_array("edn", data=np.ones((3, 6)), overwrite=True), "expected one shape"),
        (lambda s: zarr.open_group(s)["tresp"].set_basic_selection((3, 2), np.nan), "tresp must be finite, got nan"),
    ],
)
def test_an_input_that_is_none_is_one_line(source, tmp_path, spoil, message):
    store = tmp_path / "in.zarr"
    shutil.copytree(source, store)
    spoil(store)
    with pytest.raises(ValueError, match=message):
        invert(store, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


def test_an_output_of_another_inversion_is_left_alone(source, tmp_path):
    target = tmp_path / "out.zarr"
    assert invert(source, target) == 0
    with pytest.raises(ValueError, match="is of another inversion: its logt_edges"):
        inversion.invert_store(source, target, "numba", 1, BINS, (5.8, 7.1))
    with pytest.raises(ValueError, match="holds no inversion: remove it, or name another"):
        invert(source, source)


@pytest.mark.parametrize(
    ("shape", "chunk", "pixels", "expected"),
    [
        ((4096, 4096), (16, 4096), 250_000, (48, 4096)),
        ((4096, 4096), (128, 128), 250_000, (128, 1920)),
        ((24, 50), (4, 50), 10, (1, 10)),
        ((1000,), (100,), 450, (400,)),
        ((5, 100, 100), (1, 100, 100), 30_000, (3, 100, 100)),
        ((24, 50), (24, 50), 10**9, (24, 50)),
    ],
)
def test_blocks_are_whole_chunks_where_memory_allows(shape, chunk, pixels, expected):
    block = block_shape(shape, chunk, pixels)
    assert block == expected
    assert np.prod(block) <= pixels or block == shape


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_chunks_and_codecs_of_maps_hold_the_same_numbers(codec, undisturbed, tmp_path):
    source, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    assert mapfile.main([str(source), "--shape", "24,50", "--bins", "20", "--chunk", "100", "--codec", codec]) == 0
    asked = [str(source), str(target), "--bins", str(BINS), "--logt", *map(str, LOGT), "--chunk", "300"]
    assert invert_command.main([*asked, "--codec", codec]) == 0
    for name, value in undisturbed.items():  # of other chunks, whose last pixels an older compiler rounds otherwise
        np.testing.assert_allclose(arrays(target)[name], value, rtol=1e-11, atol=0, err_msg=name)
    for store, name, chunks in ((source, "dn", (2, 50, 6)), (target, "dem", (6, 50, BINS))):
        array = zarr.open_group(store, mode="r")[name]
        assert array.chunks == chunks
        assert [str(one.cname.value) for one in array.compressors] == ([] if codec == "none" else [codec])


def test_maps_in_single_precision_are_the_others_rounded(source, undisturbed, tmp_path):
    target = tmp_path / "out.zarr"
    asked = [str(source), str(target), "--bins", str(BINS), "--logt", *map(str, LOGT)]
    assert invert_command.main([*asked, "--dtype", "float32"]) == 0
    assert_same(arrays(target), {name: value.astype(arrays(target)[name].dtype) for name, value in undisturbed.items()})
    assert {value.dtype for name, value in arrays(target).items() if name != "status"} == {np.dtype(np.float32)}
    with pytest.raises(SystemExit) as end:
        invert_command.main(asked)  # goes on with another inversion's store
    assert end.value.code == cli.USAGE


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--codec", "gzip"], "--codec must be one of none, lz4, zstd, got 'gzip'"),
        (["--chunk", "0"], "--chunk must be at least 1 pixel, got 0"),
        (["--dtype", "int8"], "--dtype must be float64 or float32, got 'int8'"),
    ],
)
def test_a_layout_that_is_none_is_refused_in_one_line(source, tmp_path, capsys, asked, said):
    with pytest.raises(SystemExit) as end:
        invert_command.main([str(source), str(tmp_path / "out.zarr"), *asked])
    assert end.value.code == cli.USAGE
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.zarr").exists()


def test_images_have_one_layout(tmp_path, capsys):
    with pytest.raises(SystemExit):
        invert_command.main([str(tmp_path / "a.fits"), "-o", str(tmp_path / "out.fits"), "--codec", "zstd"])
    assert "--chunk, --codec and --dtype are for a Zarr store" in capsys.readouterr().err
