"""What the notebooks in notebooks/ call: the runs they are about, the gallery's figures, and sentences as Markdown.

Figures are shown as PNG, which GitHub shows too, and written as PNG and SVG beside the run's records.
"""

import io
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
import matplotlib.pyplot as plt
import PIL.Image
from IPython.display import Image, Markdown, display
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
from harness.workloads.specification import FOLDER
from implementations import places

VARIABLE = "DEMREG_BENCH_RUN"
"""Environment variable that names the runs' folders instead, with colons between them."""
BASE = Path() if places.INSTALLED else places.ROOT
"""What their names are relative to: Jupyter stands in notebooks/, beside results/."""
FIGURES = "figures"
"""The folder in a run's own that figures are written to, for a paper or a talk; git ignores it."""
DOTS, COLOURS, NEARLY_WHITE = 100, 255, 248
"""Of the pictures that a notebook keeps: an inch's, a picture's, and what of white is taken for it."""


def folders(given: Sequence[str]) -> list[Path]:
    """The runs' folders: those that the environment names, else those given."""
    names = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name] or given
    return [BASE / name for name in names]  # an absolute one stays as it is


def runs(given: Sequence[str]) -> list[Run]:
    """Those runs, whose provenance is shown. ValueError, in one line, where one can't be read."""
    found = [Run.open(folder) for folder in folders(given)]
    say([reports_run.provenance(run) for run in found])
    return found


def place(given: Sequence[Run]) -> Path:
    """The folder for figures of those runs: in the first one's."""
    return given[0].folder / FIGURES


def workloads(data: Measured) -> None:
    """Show what the workloads' specifications say of them."""
    files: dict[Path, list[str]] = {}
    for name in dict.fromkeys(map(str, data.table.dataset)):
        files.setdefault(FOLDER / f"{name.partition('[')[0].partition('.')[0]}.toml", []).append(f"`{name}`")
    said = []
    for file, names in files.items():
        if file.exists():  # one's own images have none
            text = " ".join(tomllib.loads(file.read_text(encoding="utf-8"))["description"].split())
            said.append(f"{', '.join(names)}: {text}")
    say(said)


def say(sentences: str | Sequence[str]) -> None:
    """Show a sentence as a paragraph, several as a list."""
    text = sentences if isinstance(sentences, str) else "\n".join(f"- {sentence}" for sentence in sentences)
    display(Markdown(text))


def figure(name: str, data: Measured, folder: Path) -> None:
    """Show a figure of the gallery with its caption, and write it to a folder; or say why there is nothing to draw."""
    entry = next(entry for entry in gallery.FIGURES if entry.name == name)
    with mpl.rc_context(common.STYLE):
        picture(entry.of(data), f"*{entry.title}.* {entry.caption}", folder / name)


def picture(drawn: Figure | str, caption: str, file: Path) -> None:
    """Show a figure with its caption, and write it to `file`, as PNG and SVG; or say why there is nothing to draw."""
    if isinstance(drawn, str):
        say(drawn)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(file.with_suffix(".png"))
    drawn.savefig(file.with_suffix(".svg"), metadata={"Date": None})
    display(Image(_small(drawn)))
    say(" ".join(caption.split()))
    plt.close(drawn)


def _small(drawn: Figure) -> bytes:
    """A PNG to be kept: of few colours, dithered, so that a map's scale has no steps."""
    whole, small = io.BytesIO(), io.BytesIO()
    drawn.savefig(whole, format="png", dpi=DOTS)
    pixels = PIL.Image.open(whole).convert("RGB")
    found = pixels.quantize(COLOURS, method=PIL.Image.Quantize.MAXCOVERAGE).getpalette() or []
    inks = [found[i : i + 3] for i in range(0, len(found), 3)]
    palette = PIL.Image.new("P", (1, 1))  # white paper, which it averages with what is nearly white
    palette.putpalette([255, 255, 255, *(value for ink in inks if min(ink) < NEARLY_WHITE for value in ink)])
    pixels.quantize(palette=palette, dither=PIL.Image.Dither.FLOYDSTEINBERG).save(small, format="png", optimize=True)
    return small.getvalue()


def profiles(given: Sequence[str]) -> list[dict[str, Any]]:
    """Profiles in those folders; where there are none, one of the baseline on a small map that is made now."""
    found = [json.loads(path.read_text()) for path in (BASE / name / PROFILE_FILE for name in given) if path.exists()]
    if found:
        say(f"Committed profiles, made on {facts.machine_label(found[0]['machine'])}.")
        return found
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "harness.profile", "baseline", "--pixels", "50", "--bins", "34"]
        subprocess.run([*command, "--out", folder], cwd=BASE, check=True, capture_output=True)
        found = [json.loads((Path(folder) / PROFILE_FILE).read_text())]
    say(f"No profile is committed; this one was made now, on {facts.machine_label(found[0]['machine'])}.")
    return found


def cold(given: str, folder: Path) -> None:
    """The first calls of a fresh process beside the next ten, drawn and told; or how to make them."""
    path = BASE / given / RECORD
    if not path.exists():
        say("No first calls are committed: `python -m harness.profile numba --cold` shows this machine's.")
        return
    record = json.loads(path.read_text())
    made = f"Made on {facts.machine_label(record['machine'])}."
    picture(first_calls(record), made, folder / "first_calls")
    say([f"**{name}**: {sentence(process)}" for name, process in record["cold"].items()])


def evidence(given: Sequence[Run]) -> Evidence:
    """The records that the recommendation stands on: of the machine that made the first of the runs."""
    return gather([run.folder for run in given], given[0].provenance["machine"])


def checked(given: Sequence[Run], held_out: str) -> list[Trial]:
    """Predictions held against measured times: of the run held out, if the machine is its; else each size by others."""
    machine, known, apart = given[0].provenance["machine"], [run.folder for run in given], BASE / held_out
    if apart.exists() and Run.open(apart).provenance["machine"]["id"] == machine["id"]:
        say(f"Held out: {held_out}, whose sizes no prediction was made from.")
        return trials(known, machine, apart)
    say("No run was held out on this machine: each size is predicted from the others.")
    return trials(known, machine, None)
