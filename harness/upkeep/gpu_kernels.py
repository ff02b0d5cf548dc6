"""What NVIDIA's run-time compiler makes of the CUDA kernels, without a device: registers and spills, as a table.

`python -m harness.upkeep.gpu_kernels` compiles every kernel for several sizes and architectures as CuPy would, and
writes results/gpu-kernels/kernels.csv. A spill is a number that fits no register and goes through memory.
"""

import ctypes
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.files import write_atomically
from harness.workloads.awkward import problem
from implementations import command_line as cli
from implementations.contract import Problem
from implementations.places import ROOT

PACKAGE = "nvidia-cuda-nvrtc"
AS_CUPY = ("-ftz=true", "--device-as-default-execution-space")
"""What CuPy 14 adds to the options that it is given, the architecture apart (cupy/cuda/compiler.py)."""
ARCHITECTURES = ("sm_80", "sm_90")
"""Of an A100; of an H100 and an H200."""
FUSED, BATCHED = "implementations.gpu.fused", "implementations.gpu.batched"
FOLDER, FILE = ROOT / "results" / "gpu-kernels", "kernels.csv"
USED = re.compile(
    r"Function properties for (?P<kernel>\w+)\s+.*?(?P<stack>\d+) bytes stack frame, (?P<spill_stores>\d+) bytes spill "
    r"stores, (?P<spill_loads>\d+) bytes spill loads\s+.*?Used (?P<registers>\d+) registers"
)


@dataclass(frozen=True)
class Case:
    """Kernels for a problem of some size."""

    module: str
    channels: int
    bins: int
    architecture: str
    arguments: tuple[str, ...] = ()
    """Of the module's `definitions`: the precision."""
    gloci: int = 0

    def problem(self) -> Problem:
        """A problem of that size."""
        return problem(1, self.bins, self.channels, gloci=self.gloci)


def cases() -> Iterator[Case]:
    """All that the table has."""
    for architecture in ARCHITECTURES:
        for channels, bins in ((6, 34), (6, 200), (6, 400), (6, 5), (9, 34), (12, 40)):
            for precision in ("float64", "float32"):
                yield Case(FUSED, channels, bins, architecture, (precision,))
        yield Case(FUSED, 6, 34, architecture, ("float64",), gloci=1)
        for channels, bins in ((6, 34), (6, 5), (9, 34), (12, 40)):
            yield Case(BATCHED, channels, bins, architecture)


class Compiler:
    """NVRTC, by its C library."""

    def __init__(self, library: Path):
        self.library = ctypes.CDLL(str(library))

    def log(self, code: str, options: Sequence[str]) -> str:
        """What it says of a text. ValueError, with that, where it refuses it."""
        program, size, lib = ctypes.c_void_p(), ctypes.c_size_t(), self.library
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        lib.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None)
        try:
            failed = lib.nvrtcCompileProgram(program, len(options), given)
            lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            text = ctypes.create_string_buffer(size.value)
            lib.nvrtcGetProgramLog(program, text)
        finally:
            lib.nvrtcDestroyProgram(ctypes.byref(program))
        if failed:
            raise ValueError(text.value.decode())
        return text.value.decode()


def library() -> Path | None:
    """NVRTC's library in its wheel, where that is installed."""
    spec = find_spec("nvidia")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [file for folder in folders for file in sorted(Path(folder).glob("*/lib/libnvrtc.so*"))]
    return found[-1] if found else None


def unavailable() -> str:
    """Why nothing can be compiled; "" where it can."""
    return "" if library() else f"{PACKAGE} is not installed: pip install 'demreg-bench[nvrtc]'"


def compiled(case: Case, compiler: Compiler) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each kernel, and the compiler's warnings."""
    module, device = (importlib.import_module(name) for name in (case.module, "implementations.gpu.device"))
    options = device.options(module.definitions(case.problem(), *case.arguments))
    said = compiler.log(
        device.source(module.SOURCES), [*options, *AS_CUPY, f"-arch={case.architecture}", "--ptxas-options=-v"]
    )
    size = {
        "architecture": case.architecture,
        "channels": case.channels,
        "bins": case.bins,
        "precision": case.arguments[0] if case.arguments else "float64",
        "gloci": case.gloci,
    }
    solver = f"gpu-{case.module.rpartition('.')[2]}"
    rows = [
        {"solver": solver, "kernel": m["kernel"], **size}
        | {k: int(v) for k, v in m.groupdict().items() if k != "kernel"}
        for m in USED.finditer(said)
    ]
    return rows, [line for line in said.splitlines() if "warning" in line.lower()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = cli.Parser("harness.upkeep.gpu_kernels", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder of the table")
    given = parser.parse(arguments)
    found = library()
    if found is None:
        parser.error(unavailable())
    parser.folder(given.out)
    compiler, rows = Compiler(found), []
    for case in cases():
        more, warnings = compiled(case, compiler)
        rows += more
        print(*warnings, sep="\n", end="", file=sys.stderr)
    table = pd.DataFrame(rows).assign(compiler=f"{PACKAGE} {version(PACKAGE)}")
    write_atomically(given.out / FILE, table.to_csv(index=False))
    print(table.drop(columns="compiler").to_string(index=False))
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
