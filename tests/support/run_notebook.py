"""`python run_notebook.py BOOK OUT`: executes a notebook and writes it with its outputs.

A process of its own: the event loops that Jupyter leaves open are no business of pytest's. The kernel is reached by
sockets in a folder, not by ports, which another test might take.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

if __name__ == "__main__":
    book, out = Path(sys.argv[1]), Path(sys.argv[2])
    found = nbformat.read(book, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        sockets = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"})
        where = {"metadata": {"path": str(book.parent)}}
        NotebookClient(found, config=sockets, timeout=200, startup_timeout=200, resources=where).execute()
    nbformat.write(found, out)
