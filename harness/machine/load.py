"""How busy the machine is with other work: what other programs use, what its host steals, and what may be used."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from harness.machine import confinement

STAT = Path("/proc/stat")
CPU = Path("/sys/devices/system/cpu")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Busy(NamedTuple):
    """Seconds of all cores, since the machine was started: at work, and stolen by its host."""

    work: float
    stolen: float


def busy() -> Busy:
    """Up to now, to a tick of the kernel's; zeros where it doesn't say."""
    try:
        with STAT.open("rb") as file:
            user, nice, system, _, _, irq, softirq, stolen = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return Busy(0.0, 0.0)
    return Busy((user + nice + system + irq + softirq) * TICK_S, stolen * TICK_S)


def now() -> dict[str, Any]:
    """What is visible at this moment: load, governor and frequency, and the cores and memory that may be used."""
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    governors = {path.read_text().strip() for path in CPU.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return {
        "load": [round(value, 2) for value in psutil.getloadavg()],
        "governor": ", ".join(sorted(governors)) or "not visible",
        "mhz": round(frequency.current) if frequency else None,
        "cores": confinement.cores(),
        "memory_mb": confinement.memory_mb(),
    }
