"""What a process may use of a machine: its affinity's cores, its control groups' limits on cores and memory."""

import math
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CORES, PERIOD_V1 = ("cpu.max", "cpu.cfs_quota_us"), "cpu.cfs_period_us"
MEMORY = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}
"""Limits on a control group, in version 2 and in version 1; and what it holds."""
NONE = 2**60
"""A limit beyond this is none: it is more than all memory."""


def confinement() -> dict[str, str]:
    """What this process may use, as it is recorded: its cores' numbers, and the limits in its control groups' words."""
    said = {f"{file.name} {file.read_text().strip()}" for file in _files(*CORES, *MEMORY) if _limit(file)}
    return {"affinity": ",".join(map(str, _affinity())), "cgroup": ", ".join(sorted(said)) or "none"}


def cores() -> float:
    """How many cores this process may use at a time: a fraction where a control group's quota is one."""
    allowed = float(len(_affinity()) or psutil.cpu_count() or 1)
    for file in _files(*CORES):
        if quota := _limit(file):
            words = file.read_text().split()
            period = int(words[1]) if len(words) > 1 else _limit(file.with_name(PERIOD_V1))
            allowed = min(allowed, quota / period if period else math.inf)
    return allowed


def memory_mb() -> int:
    """Memory that processes can still take, within the control groups' limits."""
    free = float(psutil.virtual_memory().available)
    for file in _files(*MEMORY):
        if limit := _limit(file):
            held = file.with_name(MEMORY[file.name])
            free = min(free, limit - (int(held.read_text()) if held.is_file() else 0))
    return int(max(free, 0) / 2**20)


def _affinity() -> list[int]:
    process = psutil.Process()
    return sorted(process.cpu_affinity() or ()) if hasattr(process, "cpu_affinity") else []


def _files(*names: str) -> Iterator[Path]:
    """Files of those names, of this process's control groups and of those around them."""
    seen = set()
    for line in OWN_GROUP.read_text().splitlines() if OWN_GROUP.is_file() else ():
        _, controllers, path = line.split(":", 2)
        own = CGROUPS / controllers / path.strip("/")
        for folder in (own, *own.parents):
            for file in (folder / name for name in names if CGROUPS in (folder, *folder.parents)):
                if file not in seen and file.is_file():
                    seen.add(file)
                    yield file


def _limit(file: Path) -> int:
    """A limit's number; 0 where there is none: "max", -1, and more than all memory."""
    word = (file.read_text().split() or [""])[0] if file.is_file() else ""
    return int(word) if word.isdecimal() and int(word) < NONE else 0
