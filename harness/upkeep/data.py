"""Fetches real AIA images and response tables: the wheel of demregpy 1.0.0, as data, on any Python.

`python -m harness.upkeep.data` downloads the wheel by name and version with pip, checks its hash, unpacks FITS files,
tables and licence into a folder that git ignores, and says what it did. What is there already isn't fetched again.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from implementations import command_line as cli
from implementations.aia import files
from implementations.aia import images as aia_images

WHEEL = f"{files.PACKAGE}-{files.VERSION}-py3-none-any.whl"
SHA256 = "f3e7f8884a7e69768aa5a60bc30418027475adca6b3291063df53b9772acfb0f"
WANTED = (".fits", ".dat", "LICENSE.rst")
DONE = "COMPLETE"
"""A file that is written last: the folder is whole."""


def download(folder: Path) -> Path:
    """The wheel, fetched into `folder`. ValueError, in one line, when no package index has it or is within reach."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary=:all:", "--python-version", "3.12", "--dest", str(folder)),
        f"{files.PACKAGE}=={files.VERSION}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / WHEEL).is_file():
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ValueError(f"{files.PACKAGE} {files.VERSION} can't be fetched (network?): {last}")
    return folder / WHEEL


def unpack(wheel: Path, folder: Path) -> list[str]:
    """Unpack what is wanted of the wheel. ValueError when its hash isn't the expected one. Returns the files' names."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{wheel.name} has SHA-256 {found}, expected {SHA256}: not unpacked")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(WANTED)]
        archive.extractall(folder, names)
    (folder / DONE).write_text(f"{WHEEL} {SHA256}\n")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is missing and return the exit code."""
    parser = cli.Parser("harness.upkeep.data", description=__doc__)
    parser.parse(arguments)
    folder = files.cache()
    if (folder / DONE).exists():
        print(f"{files.PACKAGE} {files.VERSION}'s images and tables are in {folder} already")
        return cli.OK
    try:
        with tempfile.TemporaryDirectory() as scratch:
            names = unpack(download(Path(scratch)), folder)
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    images = sum(name.endswith(".fits") for name in names)
    (licence,) = (name for name in names if name.endswith("LICENSE.rst"))
    print(f"unpacked {images} AIA images and {len(names) - images - 1} response tables of {WHEEL} into {folder}")
    print(f"licence (MIT): {folder / licence}")
    if aia_images.unavailable():
        print(f"reading the images {aia_images.unavailable()}")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
