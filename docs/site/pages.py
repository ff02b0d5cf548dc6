"""What the site has beyond the checkout's pages: where each stands, every command's help, and diagrams as pictures."""

import hashlib
import importlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from harness.cli import COMMANDS
from implementations.places import ROOT

HOME, HELP = "README", "docs/site/commands"
SECTIONS = ("start", "site/solvers", "site/harness", "site/results", "site/reference", "site/project")
"""What the top of every page leads to; each page in docs/site says what stands below it."""
TOCTREE = "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(f"docs/{name}" for name in SECTIONS) + "\n```\n"
DIAGRAMS = Path(__file__).parent / "diagrams"
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PARSER = re.compile(r"cli\.Parser\(\s*\"([\w.]+)\"")
WIDTH = "92"


def drawn(source: str) -> Path:
    """Where the picture of a diagram is: GitHub draws it from its source, the site shows what `make diagrams` drew."""
    return DIAGRAMS / f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def commands() -> Iterator[tuple[str, str]]:
    """Names of modules, and the console script's word for each, "" for one of upkeep that has none."""
    yield from ((module, word) for word, module in COMMANDS.items())
    files = [file for folder in ("harness", "implementations") for file in sorted((ROOT / folder).rglob("*.py"))]
    found = (module for file in files for module in PARSER.findall(file.read_text(encoding="utf-8")))
    yield from ((module, "") for module in dict.fromkeys(found) if module not in COMMANDS.values())


def help_of(module: str) -> str:
    """What a command says for --help."""
    said = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": WIDTH}), redirect_stdout(said), suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    return said.getvalue().rstrip()


def every_help() -> str:
    """A section for each command, as Markdown; those of upkeep last."""
    parts = []
    for module, word in commands():
        called = f"`demreg-bench {word}`, or `python -m {module}`" if word else f"`python -m {module}`"
        parts.append(f"## {word or module}\n\n{called}\n\n```text\n{help_of(module)}\n```")
    return "\n\n".join(parts)


def _picture(path: str) -> str:
    """A diagram that leads to itself in full size."""
    return f"[![diagram; opens in full size]({path})]({path})"


def read(app: Any, name: str, source: list[str]) -> None:
    """Change a page's source before it is parsed."""
    if name == HOME:
        source[0] += TOCTREE
    elif name == HELP:
        source[0] += every_help()
    source[0] = MERMAID.sub(lambda found: _picture("/" + str(drawn(found[1]).relative_to(ROOT))), source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
