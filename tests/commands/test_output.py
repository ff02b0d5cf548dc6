"""What all commands print, and how: text as it comes, their own names, widths, and a reader that leaves early."""

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness import cli, compare, sweep
from harness.advice import text
from harness.show import terminal
from implementations import command_line
from implementations.places import ROOT

HINT = "pip install 'thing[dask]' :warning:"
PLUGIN = f"""
from implementations.baseline import Baseline

class Absent(Baseline):
    name = "absent"

    @classmethod
    def available(cls):
        return False, "{HINT}"
"""
REFERENCE = str(ROOT / "results" / "reference")


def test_text_from_outside_is_no_markup(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    plugin = tmp_path / "absent.py"
    plugin.write_text(PLUGIN)
    assert sweep.main(["--plugin", str(plugin), "--list"]) == 0
    assert HINT in capsys.readouterr().out
    assert sweep.main(["--plugin", str(plugin), "--solvers", "absent", "--dry-run"]) == 0
    assert f"absent: skipped: {HINT}" in capsys.readouterr().out


def test_all_commands_print_through_one_console():
    files = [path for room in ("harness", "implementations") for path in (ROOT / room).rglob("*.py")]
    made = [path.name for path in files if "Console(" in path.read_text()]
    assert made == ["terminal.py"]


@pytest.mark.parametrize(
    ("columns", "width"), [("150", 150), *((text, terminal.PLAIN_WIDTH) for text in ("0", "wide", "²", "-5"))]
)
def test_columns_holds_in_a_pipe(columns, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal.console().width == width


@pytest.mark.parametrize(
    ("called", "named"),
    [
        (["/bin/demreg-bench", "compare", "--x"], "demreg-bench compare: "),
        (["C:/Scripts/demreg-bench.exe", "compare", "--x"], "demreg-bench compare: "),
        (["/checkout/harness/compare.py", "--x"], "python -m harness.compare: "),
        (["/bin/demreg-bench"], "python -m harness.compare: "),
    ],
)
def test_a_command_goes_by_the_name_it_was_called_by(called, named, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", called)
    with pytest.raises(SystemExit) as end:
        compare.main(["a", "b", "--x"])
    assert end.value.code == command_line.USAGE
    assert capsys.readouterr().err == f"{named}unknown option '--x'; nearest known: --pixels, --all\n"


def test_every_command_names_itself_as_the_console_script_knows_it():
    """Else usage would name a command that isn't there."""
    for module in cli.COMMANDS.values():
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
        assert f'cli.Parser("{module}"' in source, module
        assert "    cli.run(main)\n" in source, module


@pytest.mark.parametrize(
    "words",
    [
        ["harness.sweep", "--help"],
        ["harness.sweep", "--list", "--json"],
        ["harness.compare", REFERENCE, REFERENCE],
        ["harness.cli", "list"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_reader_that_leaves_early_ends_a_command_quietly(words):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", *words]
    with os.fdopen(writer, "w") as gone:
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (command_line.READER_GONE, "")


def test_a_reader_whose_encoding_lacks_a_sign_gets_its_number():
    """And not the exit code of a regression."""
    command = [sys.executable, "-m", "harness.compare", REFERENCE, REFERENCE, "--all"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "160"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (command_line.OK, b"")
    assert b"\\xb5s" in done.stdout


def test_a_disk_that_is_full_is_one_line():
    command = [sys.executable, "-m", "harness.compare", REFERENCE, REFERENCE, "--all"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    said = "standard output can't be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (command_line.USAGE, said)


@pytest.mark.parametrize("words", [["nowhere", "nowhere"], [REFERENCE, REFERENCE, "--all"]])
def test_where_nobody_can_be_told_the_exit_code_is_the_same(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "harness.compare", *words], stdout=full, stderr=full, check=False)
    assert done.returncode == command_line.USAGE


@pytest.mark.parametrize(("typed", "answer"), [("", False), ("\n", False), ("Yes\n", True)])
def test_the_end_of_what_is_typed_is_a_no(monkeypatch, typed, answer):
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert text.asks(Console(file=io.StringIO()), []) is answer


def test_a_sweep_whose_reader_leaves_ends_and_keeps_what_it_measured(tmp_path):
    words = [
        "--solvers",
        "baseline",
        "--pixels",
        "8",
        "--bins",
        "12,13,14,15",
        "--repeats",
        "3",
        "--out",
        tmp_path / "run",
    ]
    sweeping = subprocess.Popen(
        [sys.executable, "-m", "harness.sweep", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in sweeping.stdout:
        if "baseline: " in line:
            break
    sweeping.stdout.close()
    said = sweeping.stderr.read()
    assert (sweeping.wait(timeout=100), said) == (command_line.READER_GONE, "")
    sweeping.stderr.close()
    kept = [path.name for path in (tmp_path / "run" / "cells").rglob("*.json")]
    assert 1 <= len(kept) < 4, kept


def test_an_interrupted_command_says_so_by_its_exit_code():
    code = "from implementations import command_line as cli\ndef main(): raise KeyboardInterrupt\ncli.run(main)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (command_line.INTERRUPTED, "", "")


def test_a_fault_of_the_program_has_no_verdicts_exit_code():
    code = "from implementations import command_line as cli\ndef main(): raise KeyError('x')\ncli.run(main)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (command_line.OWN_ERROR, "")
    assert done.stderr.endswith("KeyError: 'x'\n")


@pytest.mark.parametrize("command", ["report", "selfcheck", "soak", "limits", "predict"])
def test_no_option_is_abbreviated(command, capsys):
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"harness.{command}").main(["--ou", "x"])
    assert end.value.code == command_line.USAGE
    assert "unknown option '--ou'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "selfcheck",
        *(f"upkeep.{name}" for name in ("coverage", "estimators", "full_disc", "full_frame", "gpu_check", "misfit")),
    ],
)
def test_an_output_that_can_be_no_folder_is_one_line_before_anything_runs(tmp_path, capsys, command):
    (tmp_path / "file").touch()
    main = importlib.import_module(f"harness.{command}").main
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path / "file" / "deeper" / "x")])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "can't be a folder for what is written: Not a directory" in said
