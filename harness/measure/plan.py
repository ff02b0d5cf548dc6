"""What a sweep is asked to do: the grid, the limits, the presets; checked before anything starts."""

import argparse
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from harness.machine import confinement
from harness.measure.handover import published
from harness.records.run import Run
from harness.records.schema import Cell, solver_slug
from harness.workloads import images, variation
from harness.workloads import problem as workload
from harness.workloads.specification import Specification
from implementations.registry import Registry
from implementations.solver_spec import parse

OWN_MAP = "map"
REFERENCE = "baseline"
GRID_OPTIONS = "datasets pixels bins solvers threads seed repeats max_seconds rel_ci plugins maps step".split()


NUMBER, COUNT = int | float, int | None
PLAIN = {"threads": int, "seed": COUNT, "repeats": COUNT, "max_seconds": NUMBER, "rel_ci": NUMBER, "step": str}
"""What a plan has of which kind; the rest are lists."""


def threads_of(spec: str, threads: int) -> int:
    """Threads of a solver: its own tunable where it names one, else those of the sweep; at least one a worker."""
    given = {"threads": threads, "workers": 1} | {k: v for k, v in parse(spec)[1].items() if v is not None}
    try:
        numbers = int(given["threads"]), int(given["workers"])
    except (TypeError, ValueError):
        numbers = 0, 0
    if min(numbers) < 1:
        raise ValueError(f"solver '{spec}': threads and workers must be whole numbers from 1 on")
    return max(numbers)


def uses_devices(specs: list[str], table: Registry) -> bool:
    """Whether some solver computes elsewhere than on this machine's processor."""
    names = {parse(spec)[0] for spec in specs} & table.entries.keys()
    return any(table.describe(name)["device"] != "cpu" for name in names)


@dataclass(frozen=True)
class Plan:
    """A grid of cells and how long each may be measured. Raises ValueError, in one line, when it can't be run."""

    datasets: tuple[str, ...] = ("random-response",)
    pixels: tuple[int, ...] = (50, 200)
    bins: tuple[int, ...] = (34, 100)
    solvers: tuple[str, ...] = ()
    """Solver specs; none means all that are registered."""
    threads: int = 1
    seed: int | None = None
    """None means each dataset's own."""
    repeats: int | None = None
    """Rounds of every cell; None means as many as `rel_ci` asks for."""
    max_seconds: float = 60.0
    """Time budget of one cell's rounds: what is waited for a core on a busy machine is not of it (`rounds.LONGER`)."""
    rel_ci: float = 0.015
    """Rounds end when every interval's half width, relative to its ratio, is below this: 5% are seen then."""
    plugins: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    """AIA FITS files of the user's own, six for each time; they are the dataset."""
    step: str = ""
    """A step of the algorithm, whose forms are measured instead of whole solvers; "" for the whole."""

    def __post_init__(self) -> None:
        for name in ("datasets", "pixels", "bins", "solvers"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names something twice: {', '.join(map(str, values))}")
        for name, low, high in (("threads", 1, 4096), ("repeats", 1, 10000), ("seed", 0, 2**63 - 1)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"--{name} must be from {low} to {high}, got {value}")
        if not 0 < self.max_seconds <= 1e6:
            raise ValueError(f"--max-seconds must be > 0 and at most 1e6, got {self.max_seconds:g}")
        if not 0 < self.rel_ci < 1:
            raise ValueError(f"--rel-ci must be between 0 and 1, got {self.rel_ci:g}")

    @property
    def reference(self) -> str:
        """What ratios are to: the baseline, or a step as published."""
        return published(self.step) if self.step else REFERENCE

    def table(self) -> Registry:
        """The solvers, or the forms of the step."""
        return Registry(self.plugins, self.step)

    def resolved(self, registry: Registry) -> "Plan":
        """The same plan with every solver and dataset looked up and every size checked."""
        solvers = self.solvers or tuple(registry.names())
        for spec in solvers:
            if registry.describe(parse(spec)[0])["available"]:  # one that can't be imported will be a row that says so
                registry.check(spec)
        slugs = [solver_slug(spec) for spec in solvers]
        if len(set(slugs)) != len(slugs):
            raise ValueError(f"--solvers names something twice: {', '.join(solvers)}")
        for name in self.datasets:
            workload.check_source(self.specification(name))
            for pixels in self.pixels:
                for bins in self.bins:
                    workload.check_sizes(pixels, bins)
        return replace(self, solvers=solvers)

    def specification(self, name: str) -> Specification:
        """The dataset of that name, `map` being the user's own files. ValueError when it is unknown."""
        base, given = variation.split(name)
        own = self.maps and base == OWN_MAP
        return workload.under(workload.of_files(base, self.maps), given) if own else workload.load(name)

    def cells(self) -> list[Cell]:
        """The grid, the cheapest cells first."""
        grid = [
            Cell(name, pixels, bins, self.specification(name).seed if self.seed is None else self.seed)
            for name in self.datasets
            for bins in self.bins
            for pixels in self.pixels
        ]
        return sorted(grid, key=lambda cell: (cell.pixels * cell.bins, cell))

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Plan":
        """The plan that `to_json` wrote. ValueError, in one line, when these values are none."""
        names = {f.name for f in fields(cls)} & values.keys()
        given: dict[str, Any] = {k: tuple(values[k]) if isinstance(values[k], list) else values[k] for k in names}
        try:
            if odd := [name for name in sorted(names) if not isinstance(values[name], PLAIN.get(name, list | tuple))]:
                raise TypeError(f"{odd[0]} {values[odd[0]]!r:.40}")
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"the grid of a run holds something else than a sweep writes: {error}") from error


CLUSTER_PIXELS = 2_000_000
ANSWER_S = 10.0
"""How long a scheduler and a first worker are waited for."""


def cluster(workers: int, scheduler: str = "") -> Plan:
    """Dask on 1, 2, 4, ... and all of `workers`, each with a map of its share of pixels up to all of them.

    Here these are its threads, and a solver with as many of its own stands beside it.
    """
    counts = sorted({2**i for i in range(workers.bit_length()) if 2**i <= workers} | {workers})
    where = f",scheduler={scheduler}" if scheduler else ""
    solvers = [f"dask[inner=numba,workers={count}{where}]" for count in counts]
    threads = [] if scheduler else [f"numba[threads={count}]" for count in counts]
    sizes = tuple(CLUSTER_PIXELS * count // workers for count in counts)
    return Plan(
        ("solar-mix",), sizes, bins=(34,), solvers=(*solvers, *threads), threads=1, repeats=5, max_seconds=600.0
    )


def cluster_at(scheduler: str) -> Plan:
    """`cluster` on the workers of a running scheduler. ValueError when none answers at that address or file."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("dask.distributed is not installed: pip install distributed") from None
    file = Path(scheduler).resolve()
    where: dict[str, Any] = {"scheduler_file": str(file)} if file.suffix == ".json" else {"address": scheduler}
    if file.suffix == ".json" and not file.is_file():
        raise ValueError(f"scheduler file {scheduler} is not there: start `dask scheduler --scheduler-file` with it")
    try:
        with Client(**where, timeout=ANSWER_S, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=ANSWER_S)
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
    except (OSError, ValueError) as error:
        raise ValueError(f"no scheduler with workers answers at {scheduler}") from error
    return cluster(workers, str(file) if file.suffix == ".json" else scheduler)


CONTENDING = (1, 2, 4, 8)
"""Processes on one device, and on the cores."""
GPU_SOLVERS = ("gpu-batched", "gpu-fused", "gpu-fused[precision=float32]", "gpu-l2", "cupy-regmap", "cupy")


def contention() -> Plan:
    """As many processes with a map's pixels dealt out to them, on the cores and on one device."""
    inner = ("numba", "gpu-batched", "gpu-fused")
    solvers = tuple(f"processes[inner={name},workers={count}]" for name in inner for count in CONTENDING)
    return Plan(("solar-mix",), (1 << 18,), bins=(34,), solvers=solvers, repeats=5, max_seconds=120.0)


PRESETS = {
    "quick": Plan(),
    "report": Plan(pixels=(200, 1000, 2000, 5000), bins=(200, 400), repeats=5, max_seconds=180.0),
    "scaling": Plan(pixels=(1, 10, 100, 1000, 10000), bins=(20, 34, 100, 200), max_seconds=60.0),
    "cluster": cluster(max(int(confinement.cores()), 1)),
    "contention": contention(),
    "gpu": Plan(pixels=(200,), bins=(34, 200), solvers=("baseline", "numba", "numba-float32", *GPU_SOLVERS)),
}
"""`quick` is the main job; `report` is the prior study's grid; `scaling` shows where overheads end and work begins;
`cluster` is how Dask scales on this machine's cores; `contention` what processes cost each other; `gpu` is parity,
gates and speed of the solvers on a device; `harness.upkeep.gpu_check` has it with larger maps."""


def preset(name: str, scheduler: str | None) -> Plan:
    """The preset of that name; `cluster` on the workers of a running scheduler, where one is given."""
    if scheduler is None:
        return PRESETS[name]
    if name != "cluster":
        raise ValueError("--scheduler goes with --preset cluster; elsewhere a solver names it: dask[scheduler=...]")
    return cluster_at(scheduler)


def asked(given: argparse.Namespace) -> tuple[Plan, Run | None]:
    """The plan, and the run that it continues. ValueError when a resumed run is of another grid or machine."""
    changes = {name: getattr(given, name) for name in GRID_OPTIONS if getattr(given, name) is not None}
    for name in ("plugins", "maps"):
        if name in changes:
            changes[name] = tuple(changes[name])
    if given.step and given.solvers:
        forms = (spec if spec.startswith(f"{given.step}.") else f"{given.step}.{spec}" for spec in given.solvers)
        changes["solvers"] = tuple(forms)
    if given.resume is None:
        if "maps" in changes:
            changes["datasets"] = (OWN_MAP,)
            if given.pixels is None:
                changes["pixels"] = (images.size_of_files(given.maps),)
        return _under_options(replace(preset(given.preset or "quick", given.scheduler), **changes), given), None
    if given.out is not None or given.preset is not None:
        raise ValueError("--resume continues a run as it was planned; --out and --preset don't go with it")
    run = Run.open(given.resume)
    plan = Plan.from_json(run.provenance["grid"])
    if given.datasets or _options(given):
        bases = tuple(dict.fromkeys(variation.split(name)[0] for name in plan.datasets))
        changes["datasets"] = _under_options(replace(plan, datasets=given.datasets or bases), given).datasets
    for name, value in changes.items():
        if value != getattr(plan, name):
            raise ValueError(f"{given.resume} is of another grid: its {name} are {getattr(plan, name)}, not {value}")
    return plan, run


def _under_options(plan: Plan, given: argparse.Namespace) -> Plan:
    """The plan's workloads under every combination of the algorithm's options that are asked for."""
    names = variation.grid(plan.datasets, _options(given))
    return replace(plan, datasets=tuple(plan.specification(name).name for name in names))


def _options(given: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    return {name: values for name in variation.NAMES if (values := getattr(given, name))}
