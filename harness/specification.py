"""Reads and checks `datasets/*.toml`, the specifications of workloads."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harness.registry import UnknownNameError
from implementations.contract import Options

FOLDER = Path(__file__).parent.parent / "datasets"
GAUSSIAN_KEYS = {"peak": 2, "width": 2, "log_emission_measure": 2}
TABLES: dict[str, dict[str, dict[str, int]]] = {
    "random-response": {
        "temperature": {"logt_range": 2},
        "response": {"channels": 0, "scale": 0},
        "dem": {"emission_measure": 0, "peak": 0, "width": 0, "pixel_scale": 2},
        "counts": {"dlogt": 0, "relative_error": 0},
    },
    "gaussian-response": {
        "temperature": {"logt_range": 2},
        "response": {"centres": -1, "peaks": -1, "width": 0},
        "noise": {"exposure": -1, "gain": -1, "wavelength": -1, "read_noise": -1},
        "defects": {"dead": 0, "negative": 0, "saturated": 0, "full_scale": 0},
    },
}
"""Generator -> table -> key -> how many numbers it holds: 0 for a single one, -1 for one per channel."""


@dataclass(frozen=True)
class Specification:
    """A workload but for its size: generator, seed, options of the inversion, and the tables the generator reads."""

    name: str
    generator: str
    seed: int
    options: Options
    tables: dict[str, Any]

    def __getitem__(self, table: str) -> Any:
        return self.tables[table]


def names() -> list[str]:
    """Every specification in datasets/."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Specification:
    """The specification of that name. ValueError, in one line, when it is unknown or not well formed."""
    if name not in names():
        raise UnknownNameError("dataset", name, names())
    return parse((FOLDER / f"{name}.toml").read_text(), f"datasets/{name}.toml")


def parse(text: str, file: str) -> Specification:
    """The specification that `text`, from `file`, holds. ValueError, in one line, when it is not well formed."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not TOML: {error}") from error
    for key, kind in (("name", str), ("generator", str), ("seed", int)):
        if not isinstance(content.get(key), kind):
            raise ValueError(f"{file}: {key} must be given, {kind.__name__}, got {content.get(key)!r}")
    if content["generator"] not in TABLES:
        raise UnknownNameError(f"generator in {file}", content["generator"], TABLES)
    _check_tables(content, file)
    known = {field.name for field in fields(Options)}
    for key in content.get("options", {}):
        if key not in known:
            raise UnknownNameError(f"option in {file}", key, known)
    return Specification(
        content["name"], content["generator"], content["seed"], Options(**content.get("options", {})), content
    )


def _check_tables(content: dict[str, Any], file: str) -> None:
    response = content.get("response", {})
    channels = len(response.get("centres", [])) if isinstance(response, dict) else 0
    for table, keys in TABLES[content["generator"]].items():
        _check_table(content.get(table), keys, f"{file}: [{table}]", channels)
    if content["generator"] != "gaussian-response":
        return
    components = content.get("component", [])
    if not components or abs(sum(c.get("share", 0.0) for c in components) - 1) > 1e-9:
        raise ValueError(f"{file}: [[component]] shares must add up to 1")
    for component in components:
        if not 1 <= len(component.get("gaussian", [])) <= 3:
            raise ValueError(f"{file}: component '{component.get('name')}' must have one to three gaussians")
        for gaussian in component["gaussian"]:
            _check_table(gaussian, GAUSSIAN_KEYS, f"{file}: component '{component.get('name')}'", channels)


def _check_table(table: Any, keys: dict[str, int], where: str, channels: int) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{where} is missing")
    for key, length in keys.items():
        value = table.get(key)
        numbers = value if isinstance(value, list) else [value]
        if not all(isinstance(number, int | float) for number in numbers):
            raise ValueError(f"{where} {key} must be given in numbers, got {value!r}")
        wanted = channels if length < 0 else length
        if wanted and (not isinstance(value, list) or len(value) != wanted):
            raise ValueError(f"{where} {key} must be {wanted} numbers, got {value!r}")
