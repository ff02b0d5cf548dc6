"""What the notebooks in notebooks/ call: the runs they are about, the gallery's figures, and sentences as Markdown."""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from harness.advice.evidence import Evidence, gather
from harness.advice.held_out import Trial, trials
from harness.figures import common, gallery
from harness.figures.cold import first_calls
from harness.figures.common import Measured
from harness.machine import facts
from harness.profiling.cold import RECORD, sentence
from harness.profiling.engines import PROFILE_FILE
from harness.records.run import Run
from harness.reports import run as reports_run
from harness.show import html
from harness.workloads.specification import FOLDER
from implementations import places

VARIABLE = "DEMREG_BENCH_RUN"
"""Environment variable that names the runs' folders instead, with colons between them."""
DEFAULT = ("results/reference",)
BASE = Path() if places.INSTALLED else places.ROOT
"""What their names are relative to: Jupyter stands in notebooks/, beside results/."""
COLD = BASE / "results" / "reference-cold" / RECORD
HELD_OUT = BASE / "results" / "reference-heldout"
PROFILES = "results/reference*"


def folders(given: Sequence[str] = ()) -> list[Path]:
    """The runs' folders: those given, else those that the environment names, else the committed reference."""
    names = given or [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name] or DEFAULT
    return [BASE / name for name in names]  # an absolute one stays as it is


def runs(given: Sequence[str] = ()) -> list[Run]:
    """Those runs, whose provenance is shown. ValueError, in one line, where one can't be read."""
    found = [Run.open(folder) for folder in folders(given)]
    say([reports_run.provenance(run) for run in found])
    return found


def workloads(data: Measured) -> None:
    """Show what the workloads' specifications say of them."""
    said = {}
    for name in dict.fromkeys(data.table.dataset):
        file = FOLDER / f"{str(name).partition('[')[0].partition('.')[0]}.toml"
        if file.exists():  # one's own images have none
            said[name] = " ".join(tomllib.loads(file.read_text(encoding="utf-8"))["description"].split())
    say([f"`{name}`: {text}" for name, text in said.items()])


def say(sentences: str | Sequence[str]) -> None:
    """Show a sentence as a paragraph, several as a list."""
    text = sentences if isinstance(sentences, str) else "\n".join(f"- {sentence}" for sentence in sentences)
    display(Markdown(text))


def figure(name: str, data: Measured) -> None:
    """Show a figure of the gallery with its caption, or why there is nothing to draw."""
    entry = next(entry for entry in gallery.FIGURES if entry.name == name)
    with mpl.rc_context(common.STYLE):
        picture(entry.of(data), f"*{entry.title}.* {entry.caption}")


def picture(drawn: Figure | str, caption: str) -> None:
    """Show a figure with its caption, or the sentence that says why there is none."""
    if isinstance(drawn, str):
        say(drawn)
        return
    svg = html.drawn("", "", "", drawn).svg
    display(HTML(svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)))
    say(" ".join(caption.split()))


def profiles() -> list[dict[str, Any]]:
    """The committed profiles; where there are none, one of the baseline on a small map that is made now."""
    found = [json.loads(path.read_text()) for path in sorted(BASE.glob(f"{PROFILES}/{PROFILE_FILE}"))]
    if found:
        say(f"Committed profiles, made on {facts.machine_label(found[0]['machine'])}.")
        return found
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "harness.profile", "baseline", "--pixels", "50", "--bins", "34"]
        subprocess.run([*command, "--out", folder], cwd=BASE, check=True, capture_output=True)
        found = [json.loads((Path(folder) / PROFILE_FILE).read_text())]
    say(f"No profile is committed; this one was made now, on {facts.machine_label(found[0]['machine'])}.")
    return found


def cold() -> None:
    """The committed first calls of a fresh process beside the next ten, drawn and told; or how to make them."""
    if not COLD.exists():
        say("No first calls are committed: `python -m harness.profile numba --cold` shows this machine's.")
        return
    record = json.loads(COLD.read_text())
    title = f"{record['solver']}, {record['cell']['pixels']} pixels x {record['cell']['bins']} bins"
    picture(first_calls(record["cold"], title), f"Made on {facts.machine_label(record['machine'])}.")
    say([f"**{name}**: {sentence(process)}" for name, process in record["cold"].items()])


def evidence(given: Sequence[Run]) -> Evidence:
    """The records that the recommendation stands on: of the machine that made the first of the runs."""
    return gather([run.folder for run in given], given[0].provenance["machine"])


def checked(given: Sequence[Run]) -> list[Trial]:
    """Predictions held against measured times: of the run held out, if the machine is its; else each size by others."""
    machine, known = given[0].provenance["machine"], [run.folder for run in given]
    if HELD_OUT.exists() and Run.open(HELD_OUT).provenance["machine"]["id"] == machine["id"]:
        say(f"Held out: {HELD_OUT.relative_to(BASE)}, whose sizes no prediction was made from.")
        return trials(known, machine, HELD_OUT)
    say("No run was held out on this machine: each size is predicted from the others.")
    return trials(known, machine, None)
