"""What NVIDIA's own tool says of the devices: which there are, and whether they run below their clock meanwhile.

Nothing here needs CuPy, and nothing fails where there is no device: then there is nothing to say.
"""

import shutil
import subprocess
import threading
import time
from typing import Any, Self

TOOL = "nvidia-smi"
FACTS = ("name", "driver_version", "memory.total", "clocks.max.sm", "clocks.sm", "clocks.mem")
WHY_FIELDS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""The present name of the bit mask, and the one that older drivers know."""
REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of the mask (nvml.h) that mean a clock below what was asked for. The others are choices: idle, clocks set so."""
EVERY_MS = 100
TIMEOUT_S = 20.0


def facts() -> list[dict[str, Any]]:
    """Each device's name, driver, memory (MiB) and clocks (MHz: the highest, and those of this moment)."""
    return parse_facts(_ask(FACTS))


def parse_facts(text: str) -> list[dict[str, Any]]:
    """The tool's lines, one a device, values by commas; "[N/A]" where a device doesn't say."""
    keys = ("name", "driver", "memory_mb", "clock_max_mhz", "clock_mhz", "clock_memory_mhz")
    lines = ([part.strip() for part in line.split(",")] for line in text.splitlines())
    return [
        {key: _number(value) if key.endswith(("_mb", "_mhz")) else value for key, value in zip(keys, line, strict=True)}
        for line in lines
        if len(line) == len(keys)
    ]


def parse_reasons(line: str) -> list[str]:
    """Why a device is slow, from a mask such as 0x0000000000000004; nothing from what is no mask."""
    try:
        mask = int(line.strip(), 16)
    except ValueError:
        return []
    return [words for bit, words in REASONS.items() if mask & bit]


class Watch:
    """Asks the devices ten times a second whether they throttle, as long as it is entered; in a process of its own."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str]] = []
        self._tool: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        field = next((name for name in WHY_FIELDS if _ask((name,))), None)
        if field is not None:
            self._tool = subprocess.Popen(
                [*_query((field,)), "-lms", str(EVERY_MS)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            self._reader = threading.Thread(target=self._read)
            self._reader.start()
        return self

    def _read(self) -> None:
        assert self._tool is not None
        assert self._tool.stdout is not None
        for line in self._tool.stdout:
            self.seen += [(time.monotonic(), reason) for reason in parse_reasons(line)]

    def reasons(self, start: float, end: float) -> list[str]:
        """Why some device ran below its clock between two times of the monotonic clock."""
        return sorted({reason for when, reason in self.seen if start <= when <= end})

    def __exit__(self, *_: object) -> None:
        if self._tool is not None:
            self._tool.kill()
            self._reader.join()
            self._tool.communicate()


def _query(fields: tuple[str, ...]) -> list[str]:
    return [TOOL, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]


def _ask(fields: tuple[str, ...]) -> str:
    """The tool's answer; "" where there is no tool, no driver, or no such field."""
    if shutil.which(TOOL) is None:
        return ""
    try:
        done = subprocess.run(_query(fields), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
