"""What a worker's process is given before Python starts, and what is recorded of the machine and the libraries."""

import hashlib
import json
import os
import platform
import re
import subprocess
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import psutil

from harness.machine import devices
from harness.machine.confinement import confinement, cores
from implementations.places import INSTALLED, ROOT

NAME = "demreg-bench"
COMMIT_VARIABLE = "DEMREG_BENCH_COMMIT"
"""Environment variable that says which commit a copy without .git is of."""
SOURCES = ("implementations", "harness", "datasets")
RECORDED_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "joblib",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "dask",
    "demregpy",
    "utu",
    "EMToolKit",
    "astropy",
)


CPU_NUMBERS = ("vendor_id", "cpu family", "model", "stepping")
CONFINED = {"affinity": "cores", "cgroup": "limits of its control group"}
"""What a process may use of a machine, in words."""


def _cpu_info() -> dict[str, str]:
    """What the kernel says of the first core."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().partition("\n\n")[0].splitlines() if info.is_file() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def same(there: dict[str, Any], here: dict[str, Any]) -> bool:
    """Whether two records are of the same machine. Processors may have one name and differ in their numbers."""
    numbers = {machine["cpu_numbers"] for machine in (there, here) if machine.get("cpu_numbers")}
    return bool(there["id"] == here["id"]) and len(numbers) < 2


def unlike(there: dict[str, Any], here: dict[str, Any]) -> str:
    """How two machines' `confinement` differs, in words; "" where it doesn't, or where either record doesn't say."""
    differing = [
        f"{words} {there[name]}, not {here[name]}"
        for name, words in CONFINED.items()
        if there.get(name) and here.get(name) and there[name] != here[name]
    ]
    return "; ".join(differing)


def machine() -> dict[str, Any]:
    """What the figures of a run depend on; `id` is equal where machines are alike in all that `machine_label` names."""
    info = _cpu_info()
    facts: dict[str, Any] = {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
    }
    gpus = [device["name"] for device in devices.facts()]
    if gpus:
        facts["devices"] = gpus
    digest = hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()
    numbers = " ".join(info[key] for key in CPU_NUMBERS if key in info)
    return {"id": digest[:10], **facts, "cpu_numbers": numbers, "usable_cores": cores(), **confinement()}


def now() -> str:
    """This moment, as records have it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def origin() -> dict[str, Any]:
    """When, on what, and of which commit something is measured."""
    return {"created": now(), "machine": machine(), "commit": commit()}


def told(kept: dict[str, Any]) -> str:
    """An `origin` in a line; records from before the date was kept have none."""
    day = [kept["created"][:10]] if "created" in kept else []
    return "; ".join([machine_label(kept["machine"]), *day, f"commit {kept['commit']}"])


def machine_label(facts: dict[str, Any]) -> str:
    """One line that names a machine beside every absolute time; family, model and stepping where its name has none."""
    gpus = "".join(f", {name}" for name in facts.get("devices") or ())
    usable = facts.get("usable_cores") or facts["cores"]
    part = f"{usable:g} of " if usable < facts["cores"] else ""
    numbers = "/".join(str(facts.get("cpu_numbers") or "").split()[1:])
    cpu = facts["cpu"] + f" ({numbers})" * bool(numbers and not re.search(r"\d", facts["cpu"]))
    return f"{cpu}, {part}{facts['cores']} cores, {facts['memory_gb']} GB{gpus}, {facts['system']}"


def software() -> dict[str, str]:
    """Versions of the interpreter and of the packages that solvers stand on."""
    found = {"python": platform.python_version(), NAME: own_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def own_version() -> str:
    """This project's version, of the checkout or of the installed copy."""
    if INSTALLED:
        return version(NAME)
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def commit() -> str:
    """The checkout's commit, with "+" where its sources differ from it, or what an installed copy is of, or "".

    Without git: what `COMMIT_VARIABLE` says, or else "files-" and a digest of the sources, by which their commit can be
    found.
    """
    if INSTALLED:
        origin = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
        return str(origin.get("vcs_info", {}).get("commit_id", ""))[:12]

    def git(*words: str) -> str:
        # without locks: a status that is ended while it holds one would leave it to the user
        done = subprocess.run(
            ["git", "--no-optional-locks", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        if git("rev-parse", "--show-prefix") or not git("ls-files", "pyproject.toml"):
            return copied()  # sources that lie in no repository, or in one of something else
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
        return git("rev-parse", "--short=12", "HEAD") + "+" * bool(changed)
    except OSError:
        return copied()


def copied() -> str:
    """What is known of sources that were copied without their repository: `COMMIT_VARIABLE`, or their own digest."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*")):
        if path.suffix in (".py", ".cu", ".toml"):
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return os.environ.get(COMMIT_VARIABLE, "") or f"files-{digest.hexdigest()[:12]}"
