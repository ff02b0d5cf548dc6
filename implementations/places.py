"""Where this project's own files are: beside the packages in a checkout, among them in an installed copy."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout, or the folder that the packages are installed in."""
_PACKAGED = ROOT / "harness" / "workloads" / "datasets"
INSTALLED = _PACKAGED.is_dir()
"""Whether this is a copy without the rest of the checkout. pyproject.toml says where datasets/ is installed."""
DATASETS = _PACKAGED if INSTALLED else ROOT / "datasets"
"""The specifications of workloads."""


def cache() -> Path:
    """The folder for what can be measured or fetched again: the checkout's own, or the user's."""
    if not INSTALLED:
        return ROOT / ".cache"
    import platformdirs

    return platformdirs.user_cache_path("demreg-bench", appauthor=False)


def need_checkout() -> None:
    """ValueError, in one line, for an installed copy: it has no committed runs, no pages and no history."""
    if INSTALLED:
        raise ValueError(f"this needs a checkout of demreg-bench (git clone), not the installed copy in {ROOT}")


def command(name: str) -> str:
    """What to type for a command that is a target of make, too."""
    return f"demreg-bench {name}" if INSTALLED else f"make {name}"
