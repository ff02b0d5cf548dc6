"""Executes the notebooks and keeps their outputs in them, so that whoever looks at them sees what they show.

`python -m harness.upkeep.notebooks [BOOK ...]` rewrites them, or with `--out DIR` writes copies there. `--check`
executes nothing: it names those whose outputs are not of their code and of the records that their code names.
"""

import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.profiling.cold import RECORD
from harness.profiling.engines import PROFILE_FILE
from harness.records.run import RUN_FILE, TABLE_FILE
from implementations import command_line as cli
from implementations.places import ROOT, need_checkout

NAMED = re.compile(r"results/[\w.-]+")
READ = (RUN_FILE, TABLE_FILE, PROFILE_FILE, RECORD)
KEY, DIGITS = "demreg_bench", 12
LONGEST_S = 400


def books() -> list[Path]:
    """Those of the checkout, in their order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def made_from(book: Any) -> str:
    """A few digits that differ where a notebook's code does, or a record in a folder that its code names."""
    code = ["".join(cell.source).strip() for cell in book.cells if cell.cell_type == "code"]
    digest = hashlib.sha256("\n\n".join(code).encode())
    for folder in sorted(set(NAMED.findall("\n".join(code)))):
        for file in (ROOT / folder / name for name in READ):
            if file.exists():
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:DIGITS]


def stale(path: Path) -> bool:
    """Whether a notebook's outputs, or their absence, aren't of its code and records."""
    import nbformat

    book = nbformat.read(path, as_version=4)
    shown = any(cell.get("outputs") for cell in book.cells)
    return not shown or book.metadata.get(KEY, {}).get("made_from") != made_from(book)


def execute(path: Path, out: Path) -> None:
    """Write a notebook with its outputs. Sockets in a folder reach its kernel, not ports, which others might take."""
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        sockets = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"})
        where = {"metadata": {"path": str(ROOT / "notebooks")}}
        client = NotebookClient(
            book, config=sockets, timeout=LONGEST_S, startup_timeout=LONGEST_S, resources=where, record_timing=False
        )
        client.execute()
    book.metadata["language_info"] = {"name": "python"}  # not the version that happened to execute it
    book.metadata[KEY] = {"made_from": made_from(book)}
    nbformat.write(book, out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute, or check, and return the exit code."""
    parser = cli.Parser("harness.upkeep.notebooks", description=__doc__)
    parser.add_argument("books", nargs="*", type=Path, metavar="BOOK", help="notebooks (all)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write copies there, and leave these as they are")
    parser.add_argument("--check", action="store_true", help="only say which are stale; exit code 1 where one is")
    given = parser.parse(arguments)
    try:
        need_checkout()
    except ValueError as error:
        parser.error(str(error))
    paths = given.books or books()
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"{missing[0]} is no notebook")
    if given.check:
        old = [path.name for path in paths if stale(path)]
        print(*(f"{name} is stale: make notebooks" for name in old), sep="\n", end="\n" * bool(old))
        return cli.GATE_FAILED if old else cli.OK
    folder = parser.folder(given.out) if given.out else None
    for path in paths:
        print(path.name, flush=True)
        execute(path, folder / path.name if folder else path)
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
