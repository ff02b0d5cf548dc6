"""What a worker's process is given before Python starts, and what is recorded of the machine and the libraries."""

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from harness.machine import devices

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


def cpu_model() -> str:
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """What the figures of a run depend on; `id` is equal on machines that are alike in all of it."""
    facts: dict[str, Any] = {
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
    }
    gpus = [device["name"] for device in devices.facts()]
    if gpus:
        facts["devices"] = gpus
    digest = hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()
    return {"id": digest[:10], **facts}


def machine_label(facts: dict[str, Any]) -> str:
    """One line that names a machine beside every absolute time."""
    gpus = "".join(f", {name}" for name in facts.get("devices", ()))
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB{gpus}, {facts['system']}"


def software() -> dict[str, str]:
    """Versions of the interpreter and of the packages that solvers stand on."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The checkout's commit, with "+" where tracked files differ from it; "" outside a checkout."""
    root = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if head and git("status", "--porcelain", "--untracked-files=no") else "")
    except OSError:
        return ""


def available_memory_mb() -> int:
    """Memory that processes can still take."""
    return int(psutil.virtual_memory().available / 2**20)
