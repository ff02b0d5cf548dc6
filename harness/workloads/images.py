"""Pixels of real AIA images as a workload: crops by name, or the user's own files, in tiles shuffled by the seed.

A tile is `TILE` x `TILE` pixels, so that a small number of pixels is still a sample of the whole crop, and pixels that
follow one another are still neighbours on the Sun, as in an image. All pixels of a crop together are the crop.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.workloads.specification import Specification
from implementations.aia import files, images, instrument
from implementations.contract import Array

TILE = 8


def response_of(logt: Array, dlogt: Array) -> Array:
    """AIA's response (T, 6). ValueError when its table isn't here."""
    return instrument.response_at(instrument.read_response(files.response_file()), logt, dlogt)


def check(spec: Specification) -> None:
    """ValueError, in one line, when what the workload is made from isn't here."""
    if lacks(spec):
        raise ValueError(f"dataset '{spec.name}': {lacks(spec)}")


def lacks(spec: Specification) -> str:
    """What the workload is made from and isn't here, and how to get it; "" when it can be solved."""
    if not spec.generator.startswith("aia"):
        return ""
    try:
        files.response_file()
        if spec.generator == "aia-image":
            if images.unavailable():
                return images.unavailable()
            _sets(spec)
    except ValueError as error:
        return str(error)
    return ""


def pixels_of(spec: Specification, rng: np.random.Generator) -> tuple[Array, Array]:
    """Counts and errors (N, 6) of every pixel of the crops, tile by tile."""
    parts = []
    for paths, box in _sets(spec):
        image = images.read_set(paths)
        dn, edn = image.dn[box], image.edn[box]
        if not dn.size:
            raise ValueError(f"dataset '{spec.name}': its crop lies outside the image, which is {image.dn.shape[:2]}")
        parts += list(zip(*(_tiles(values) for values in (dn, edn)), strict=True))
    order = rng.permutation(len(parts))
    return np.concatenate([parts[i][0] for i in order]), np.concatenate([parts[i][1] for i in order])


def size_of_files(paths: Sequence[str]) -> int:
    """How many pixels the user's own images have, all sets together."""
    if images.unavailable():
        raise ValueError(images.unavailable())
    return sum(images.read_set(six).dn[..., 0].size for six in images.sets_of([Path(p) for p in paths]))


def _sets(spec: Specification) -> list[tuple[list[Path], tuple[slice, slice]]]:
    """The files of each set, and which of their pixels (y, x)."""
    whole = (slice(None), slice(None))
    if "files" in spec.tables:
        return [(paths, whole) for paths in images.sets_of([Path(p) for p in spec["files"]])]
    return [
        (files.image_set(crop["images"]), (slice(*map(int, crop["y"])), slice(*map(int, crop["x"]))))
        for crop in spec["crop"]
    ]


def _tiles(values: Array) -> list[Array]:
    """The tiles (n, 6) of an image (ny, nx, 6), smaller at its upper edges."""
    ny, nx, channels = values.shape
    corners = [(y, x) for y in range(0, ny, TILE) for x in range(0, nx, TILE)]
    return [values[y : y + TILE, x : x + TILE].reshape(-1, channels) for y, x in corners]
