"""Reads and checks `datasets/*.toml`, the specifications of workloads."""

import hashlib
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.workloads import variation
from implementations.contract import Options
from implementations.places import DATASETS as FOLDER
from implementations.solver_spec import UnknownNameError


class Rule(NamedTuple):
    """What a key must hold: how many numbers (0: a single one, -1: one per channel), and of what kind."""

    length: int
    words: str
    holds: Callable[[float], bool]

    def of(self, length: int) -> "Rule":
        """The same kind of number, `length` of them."""
        return self._replace(length=length)


FINITE = Rule(0, "finite", lambda x: True)
POSITIVE = Rule(0, "> 0", lambda x: x > 0)
SHARE = Rule(0, "from 0 to 1", lambda x: 0 <= x <= 1)
WHOLE = Rule(0, "whole and from 1 to 1000", lambda x: x == int(x) and 1 <= x <= 1000)
RANGE, POSITIVE_RANGE, CHANNELS, POSITIVE_CHANNELS = FINITE.of(2), POSITIVE.of(2), FINITE.of(-1), POSITIVE.of(-1)

HEAD = {"name": str, "description": str, "provenance": str, "generator": str, "seed": int}
NOISE = {
    "exposure": POSITIVE_CHANNELS,
    "gain": POSITIVE_CHANNELS,
    "wavelength": POSITIVE_CHANNELS,
    "read_noise": POSITIVE_CHANNELS,
}
MIXTURE = {
    "noise": NOISE,
    "defects": {"dead": SHARE, "negative": SHARE, "full_scale": POSITIVE},
    "expected": {"not_positive": SHARE, "saturated": SHARE},
}
TABLES: dict[str, dict[str, dict[str, Rule]]] = {
    "random-response": {
        "temperature": {"logt_range": RANGE},
        "response": {"channels": WHOLE, "scale": POSITIVE},
        "dem": {"emission_measure": POSITIVE, "peak": FINITE, "width": POSITIVE, "pixel_scale": POSITIVE_RANGE},
        "counts": {"dlogt": POSITIVE, "relative_error": POSITIVE},
    },
    "gaussian-response": {
        "temperature": {"logt_range": RANGE},
        "response": {"centres": CHANNELS, "peaks": POSITIVE_CHANNELS, "width": POSITIVE},
        **MIXTURE,
    },
    "aia-response": {"temperature": {"logt_range": RANGE}, **MIXTURE},
    "aia-image": {"temperature": {"logt_range": RANGE}},
}
"""Generator -> table -> key -> what it holds."""
COMPONENT = {"share": SHARE, "median_counts": POSITIVE_CHANNELS}
CROP = {"x": RANGE, "y": RANGE}
AIA_CHANNELS = 6
GAUSSIAN = {"peak": RANGE, "width": POSITIVE_RANGE, "log_emission_measure": RANGE}


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

    @property
    def fingerprint(self) -> str:
        """A few digits that differ where the workload does: by all that its file says but prose, or by image files."""
        said = {key: value for key, value in self.tables.items() if key not in ("name", "description", "provenance")}
        if "files" in said:
            said["files"] = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in said["files"]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def names() -> list[str]:
    """Every specification in datasets/."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Specification:
    """The specification `name`, `name.crop` or `name[nmu=500]`. ValueError, in one line, when there is none such."""
    return under(_load(variation.split(name)[0]), variation.split(name)[1])


def under(spec: Specification, given: dict[str, Any]) -> Specification:
    """The workload with other options of the algorithm, under the name that says which."""
    name, changed = variation.named(spec.name, spec.options, given)
    tables = {"options": spec.tables.get("options", {}) | changed} if changed else {}
    return replace(spec, name=name, options=replace(spec.options, **changed), tables=spec.tables | tables)


def _load(name: str) -> Specification:
    stem, _, crop = name.partition(".")
    if stem not in names():
        raise UnknownNameError("dataset", name, names())
    spec = parse((FOLDER / f"{stem}.toml").read_text(encoding="utf-8"), f"datasets/{stem}.toml")
    if spec.name != stem:
        raise ValueError(f"datasets/{stem}.toml: name must be that of the file, got {spec.name!r}, expected {stem!r}")
    crops = {c["name"]: c for c in spec.tables.get("crop", [])}
    if not crop and not crops:
        return spec
    crop = crop or next(iter(crops))  # the first is what the name alone stands for
    if crop not in crops:
        raise UnknownNameError(f"crop of dataset '{stem}'", crop, crops or ["(it has none)"])
    return replace(spec, name=name, tables=spec.tables | {"crop": [crops[crop]]})


def of_files(name: str, files: Sequence[str]) -> Specification:
    """Real images of the user's own, inverted as the `aia-image` workload is."""
    spec = load("aia-image")
    return replace(spec, name=name, tables=spec.tables | {"crop": [], "files": list(files)})


def parse(text: str, file: str) -> Specification:
    """The specification that `text`, from `file`, holds. ValueError, in one line, when it is not well formed."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not TOML: {error}") from error
    for key, kind in HEAD.items():
        value = content.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{file}: {key} must be given, {kind.__name__}, got {value!r}")
    if content["seed"] < 0:
        raise ValueError(f"{file}: seed must be >= 0, got {content['seed']}")
    if content["generator"] not in TABLES:
        raise UnknownNameError(f"generator in {file}", content["generator"], TABLES)
    _check_tables(content, file)
    return Specification(
        content["name"], content["generator"], content["seed"], _options(content.get("options", {}), file), content
    )


def _options(given: Any, file: str) -> Options:
    """The inversion's options, ValueError naming the file when one is unknown or of another kind than its default."""
    _check_known(given, [field.name for field in fields(Options)], f"option in {file}")
    for key, value in given.items():
        default = getattr(Options, key)
        kinds: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
        of_kind = isinstance(value, kinds) and isinstance(value, bool) == isinstance(default, bool)
        mask = key == "gloci" and isinstance(value, list) and all(type(g) is int for g in value)
        if not (of_kind or mask):
            raise ValueError(f"{file}: [options] {key} must be {type(default).__name__}, got {value!r}")
    try:
        return Options(**given)
    except ValueError as error:
        raise ValueError(f"{file}: [options] {error}") from error


def _check_tables(content: dict[str, Any], file: str) -> None:
    tables = TABLES[content["generator"]]
    lists = {"aia-image": ["crop"], "random-response": []}.get(content["generator"], ["component"])
    _check_known(content, [*HEAD, "options", *tables, *lists], f"key in {file}")
    response = content.get("response")
    centres = response.get("centres") if isinstance(response, dict) else None
    channels = len(centres) if isinstance(centres, list) and centres else AIA_CHANNELS
    for table, rules in tables.items():
        _check_table(content.get(table), rules, f"{file}: [{table}]", channels)
    if "crop" in lists:
        _check_crops(content.get("crop"), file)
    if "component" in lists:
        _check_mixture(content, file, channels)


def _check_crops(crops: Any, file: str) -> None:
    if not isinstance(crops, list) or not crops:
        raise ValueError(f"{file}: [[crop]] is missing, expected at least one")
    for number, crop in enumerate(crops, start=1):
        where = f"{file}: [[crop]] {number}"
        for key in ("name", "images"):
            if not isinstance(crop, dict) or not isinstance(crop.get(key), str):
                raise ValueError(f"{where} {key} must be given, str, got {crop!r:.60}")
        _check_table({k: v for k, v in crop.items() if k not in ("name", "images")}, CROP, where, AIA_CHANNELS)


def _check_mixture(content: dict[str, Any], file: str, channels: int) -> None:
    components = content.get("component")
    if not isinstance(components, list) or not components:
        raise ValueError(f"{file}: [[component]] is missing, expected at least one")
    for number, component in enumerate(components, start=1):
        _check_component(component, f"{file}: [[component]] {number}", channels)
    shares = sum(component["share"] for component in components)
    if abs(shares - 1) > 1e-9:
        raise ValueError(f"{file}: [[component]] shares must add up to 1, got {shares:g}")
    lost = content["defects"]["dead"] + content["defects"]["negative"]
    if lost > 1:
        raise ValueError(f"{file}: [defects] dead and negative must add up to at most 1, got {lost:g}")


def _check_component(component: Any, where: str, channels: int) -> None:
    if not isinstance(component, dict) or not isinstance(component.get("name"), str):
        raise ValueError(f"{where} name must be given, str, got {component!r:.60}")
    rest = {key: value for key, value in component.items() if key not in ("name", "gaussian")}
    _check_table(rest, COMPONENT, f"{where} ({component['name']})", channels)
    gaussians = component.get("gaussian")
    if not isinstance(gaussians, list) or not 1 <= len(gaussians) <= 3:
        raise ValueError(
            f"{where} ({component['name']}) gaussian must be given one to three times, got {gaussians!r:.60}"
        )
    for gaussian in gaussians:
        _check_table(gaussian, GAUSSIAN, f"{where} ({component['name']}) gaussian", channels)


def _check_table(table: Any, rules: dict[str, Rule], where: str, channels: int) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{where} is missing")
    _check_known(table, rules, f"key in {where}")
    for key, rule in rules.items():
        _check_value(table.get(key), rule, f"{where} {key}", channels)


def _check_value(value: Any, rule: Rule, where: str, channels: int) -> None:
    count = channels if rule.length < 0 else rule.length
    expected = f"{count} numbers, each {rule.words}" if count else f"a number {rule.words}"
    numbers = value if isinstance(value, list) else [value]
    fits = isinstance(value, list) == bool(rule.length) and len(numbers) == max(count, 1)
    if not fits or not all(_is_number(number) and rule.holds(number) for number in numbers):
        raise ValueError(f"{where} must be {expected}, got {value!r}")
    if rule.length == 2 and not value[0] < value[1]:
        raise ValueError(f"{where} must be a range from low to high, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_known(given: Any, known: Iterable[str], kind: str) -> None:
    if not isinstance(given, dict):
        raise ValueError(f"{kind}: must be a table, got {given!r}")
    for key in given:
        if key not in known:
            raise UnknownNameError(kind, key, known)
