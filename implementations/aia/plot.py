"""DEM maps drawn as solar physicists look at them: one map per temperature range, then temperature, fit and status.

Axes in arcsec from the images' WCS, DEM on a logarithmic scale that all maps share.
"""

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure

from implementations.aia.maps import DemMaps, width_k
from implementations.contract import Status

PANELS, COLUMNS, ROWS = 9, 3, 3
"""Most maps of temperature ranges: bins are summed so that they are no more. The other three maps are beside them."""
DECADES = 3.0
"""How far below its brightest hundredth percent the colour scale of the DEM reaches."""
STYLE: dict[Any, Any] = {"font.size": 10, "axes.titlesize": 10, "savefig.dpi": 68, "image.origin": "lower"}


def ranges(maps: DemMaps) -> list[slice]:
    """Neighbouring bins in at most `PANELS` groups, as equal as can be."""
    groups = np.array_split(np.arange(len(maps.logt)), min(PANELS, len(maps.logt)))
    return [slice(int(g[0]), int(g[-1]) + 1) for g in groups]


def save(maps: DemMaps, path: Path) -> None:
    """Draw every time; a series has its number before the suffix."""
    for number in range(len(maps.times)):
        figure = draw(maps, number)
        name = path if len(maps.times) == 1 else path.with_stem(f"{path.stem}_{number:03d}")
        with mpl.rc_context(STYLE):
            figure.savefig(name)
        plt.close(figure)


def draw(maps: DemMaps, number: int = 0) -> Figure:
    """The maps of one time: DEM in ranges of temperature, mean temperature, chi-squared, status."""
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(maps.header).celestial
    groups = ranges(maps)
    ny, nx = maps.chisq.shape[1:]
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(3.1 * (COLUMNS + 1) + 1.6, 3.1 * ROWS * ny / nx + 1.2), layout="constrained")
        halves: Any = figure.subfigures(1, 2, width_ratios=(COLUMNS, 1.35))
        left, right = halves
        rows = -(-len(groups) // COLUMNS)
        axes = [left.add_subplot(rows, COLUMNS, i + 1, projection=wcs) for i in range(len(groups))]
        _dems(left, axes, maps, number, groups)
        for i, ax in enumerate(axes):
            _label(ax, left=i % COLUMNS == 0, below=i + COLUMNS >= len(axes))
        others = [right.add_subplot(ROWS, 1, i + 1, projection=wcs) for i in range(ROWS)]
        for i, draw_one in enumerate((_temperature, _chi_squared, _status)):
            draw_one(right, others[i], maps, number)
            _label(others[i], left=False, below=i == ROWS - 1)
        figure.suptitle(f"SDO/AIA {maps.times[number]} UTC, differential emission measure maps", fontsize=12)
    return figure


def _dems(figure: Figure, axes: list[Any], maps: DemMaps, number: int, groups: list[slice]) -> None:
    """The mean over each range, weighted by the bins' widths in K."""
    measure, width = maps.emission_measure()[number], width_k(maps.logt, maps.dlogt)
    sums = [measure[group].sum(axis=0) / width[group].sum() for group in groups]
    inverted = maps.status[number] != Status.INVALID
    bright = [s[inverted & (s > 0)] for s in sums]
    top = max((np.percentile(b, 99.9) for b in bright if b.size), default=1.0)
    low = top / 10**DECADES
    norm = LogNorm(low, top)
    colours = plt.get_cmap("inferno").with_extremes(bad="0.6", under=plt.get_cmap("inferno")(0.0))
    for ax, group, values in zip(axes, groups, sums, strict=True):
        shown = np.where(inverted, np.maximum(values, low), np.nan)
        image = ax.imshow(shown, norm=norm, cmap=colours)
        first = maps.logt[group.start] - maps.dlogt[group.start] / 2
        last = maps.logt[group.stop - 1] + maps.dlogt[group.stop - 1] / 2
        ax.set_title(f"log T {first:.2f} to {last:.2f}")
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=50, pad=0.01, extend="max")
    bar.set_label("DEM, cm$^{-5}$ K$^{-1}$; grey: not inverted")


def _temperature(figure: Figure, ax: Any, maps: DemMaps, number: int) -> None:
    temperature = np.log10(maps.weighted_temperature()[number])
    colours = plt.get_cmap("turbo").with_extremes(bad="0.6")
    low, high = _span(temperature)
    image = ax.imshow(temperature, cmap=colours, vmin=low, vmax=high)
    ax.set_title("EM-weighted log T")
    figure.colorbar(image, ax=ax, shrink=0.75, pad=0.02)


def _chi_squared(figure: Figure, ax: Any, maps: DemMaps, number: int) -> None:
    chisq = np.where(maps.status[number] == Status.INVALID, np.nan, maps.chisq[number])
    colours = plt.get_cmap("RdBu_r").with_extremes(bad="0.6")
    norm = LogNorm(0.1, 10.0)  # white is 1, a fit within the noise
    image = ax.imshow(chisq, cmap=colours, norm=norm)
    ax.set_title("χ² per channel")
    figure.colorbar(image, ax=ax, shrink=0.75, pad=0.02, extend="both")


def _status(figure: Figure, ax: Any, maps: DemMaps, number: int) -> None:
    names = {Status.OK: "ok", Status.HIT_MAX_ITER: "DEM < 0", Status.INVALID: "invalid"}
    image = ax.imshow(
        maps.status[number],
        cmap=ListedColormap(["#dfe7ef", "#d95f02", "0.6"]),
        norm=BoundaryNorm(np.arange(len(names) + 1) - 0.5, len(names)),
    )
    ax.set_title("status")
    bar = figure.colorbar(image, ax=ax, shrink=0.75, pad=0.02, ticks=range(len(names)))
    counts = np.bincount(maps.status[number].ravel(), minlength=len(names)) / maps.status[number].size
    bar.ax.set_yticklabels([f"{name}\n{share:.2%}" for name, share in zip(names.values(), counts, strict=True)])


def _span(values: Any) -> tuple[float, float]:
    """First and last percentile of the finite values."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1e-3)


def _label(ax: Any, left: bool, below: bool) -> None:
    """Label the axes in arcsec, along the left and lower edges of the figure only."""
    for axis, shown, name in zip(ax.coords, (below, left), ("Solar X, arcsec", "Solar Y, arcsec"), strict=True):
        axis.set_format_unit("arcsec")
        axis.set_major_formatter("s")
        axis.set_ticks(number=4)
        axis.set_ticks_visible(True)
        axis.set_axislabel(name if shown else " ", minpad=0.6)
        axis.set_ticklabel_visible(shown)
    ax.grid(False)
