"""DEM maps drawn as solar physicists look at them: one map per temperature range, then temperature, fit and status.

Axes in arcsec from the images' WCS, the limb drawn in, DEM on a logarithmic scale that all maps share. Hatched where
less than half of what is shown comes from bins that the counts constrain (`products`).
"""

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from implementations.aia.maps import DemMaps, MapStatus
from implementations.aia.products import constrained, in_bands, width_k
from implementations.contract import Status

PANELS, COLUMNS, ROWS = 9, 3, 3
"""Most maps of temperature ranges: bins are summed so that they are no more. The other three maps are beside them."""
DECADES = 3.0
"""How far below its brightest hundredth percent the colour scale of the DEM reaches."""
HALF = 0.5
"""Share of constrained emission below which a pixel is hatched."""
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "savefig.dpi": 150,
    "image.origin": "lower",
    "hatch.linewidth": 0.4,
}
STATUSES = (
    ("ok", "#dfe7ef"),
    ("DEM < 0", "#d95f02"),
    ("invalid", "0.6"),
    ("saturated", "#c51b8a"),
    ("channels lacking", "#1b9e77"),
    ("no fit", "#1f78b4"),
)
"""Name and colour of each `MapStatus`."""
INVALID, SATURATED = "0.6", STATUSES[MapStatus.SATURATED][1]


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
    wcs = _wcs(maps)
    groups = ranges(maps)
    ny, nx = maps.chisq.shape[1:]
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(3.1 * (COLUMNS + 1) + 1.6, 3.1 * ROWS * ny / nx + 1.6), layout="constrained")
        halves: Any = figure.subfigures(1, 2, width_ratios=(COLUMNS, 1.35))
        left, right = halves
        rows = -(-len(groups) // COLUMNS)
        axes = [left.add_subplot(rows, COLUMNS, i + 1, projection=wcs) for i in range(len(groups))]
        _dems(left, axes, maps, number, groups)
        others = [right.add_subplot(ROWS, 1, i + 1, projection=wcs) for i in range(ROWS)]
        for i, draw_one in enumerate((_temperature, _chi_squared, _status)):
            draw_one(right, others[i], maps, number)
        for i, ax in enumerate(axes):
            _finish(ax, maps, number, left=i % COLUMNS == 0, below=i + COLUMNS >= len(axes))
        for i, ax in enumerate(others):
            _finish(ax, maps, number, left=False, below=i == ROWS - 1)
        figure.suptitle(
            f"SDO/AIA {maps.times[number]} UTC, differential emission measure maps\n{made(maps)}", fontsize=11
        )
    return figure


def draw_bands(maps: DemMaps, number: int = 0) -> Figure:
    """The emission measure of one time in each of the maps' bands, of constrained bins alone, on one scale."""
    ny, nx = maps.chisq.shape[1:]
    wcs, count = _wcs(maps), len(maps.bands)
    every = in_bands(np.maximum(maps.dem[number], 0), maps.bands, maps.logt, maps.dlogt)
    bright = maps.em_bands[number][maps.em_bands[number] > 0]
    top = np.percentile(bright, 99.9) if bright.size else 1.0
    low = top / 10**DECADES
    colours = plt.get_cmap("inferno").with_extremes(bad=INVALID)
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(3.9 * count + 0.6, 3.9 * ny / nx + 1.7), dpi=150, layout="constrained")
        axes = [figure.add_subplot(1, count, i + 1, projection=wcs) for i in range(count)]
        for i, (ax, (first, last)) in enumerate(zip(axes, maps.bands, strict=True)):
            measure = maps.em_bands[number, i]
            image = ax.imshow(np.maximum(measure, low), norm=LogNorm(low, top), cmap=colours)
            _hatch(ax, _shown(maps, number) & (measure < HALF * every[i]))
            ax.set_title(f"{10 ** (first - 6):.2g} to {10 ** (last - 6):.2g} MK (log T {first:.2f} to {last:.2f})")
            _finish(ax, maps, number, left=i == 0, below=True)
        bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.5, aspect=50, extend="both")
        bar.set_label("emission measure, cm$^{-5}$")
        _legend(figure, maps, number)
        figure.suptitle(f"SDO/AIA {maps.times[number]} UTC, emission measure\n{made(maps)}", fontsize=11)
    return figure


def made(maps: DemMaps) -> str:
    """With which solver and response the maps were made, and their bins, in a line."""
    said = ", ".join(maps.history)
    solver = said.partition("solver ")[2].partition(",")[0] or "unknown"
    response = said.partition("response ")[2].partition(";")[0].partition(",")[0] or "unknown"
    low, high = maps.logt[0] - maps.dlogt[0] / 2, maps.logt[-1] + maps.dlogt[-1] / 2
    return f"solver {solver}, {len(maps.logt)} bins of log T {low:.2f} to {high:.2f}, response {response}"


def _wcs(maps: DemMaps) -> Any:
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(maps.header).celestial


def _dems(figure: Figure, axes: list[Any], maps: DemMaps, number: int, groups: list[slice]) -> None:
    """The mean over each range, weighted by the bins' widths in K."""
    dem, width = maps.dem[number], width_k(maps.logt, maps.dlogt)
    measure = dem * width[:, None, None]
    fit = maps.dn_reg[number], maps.chisq[number]
    kept = constrained(dem, maps.edem[number], *fit, maps.response, maps.logt, maps.dlogt)
    sums = [measure[group].sum(axis=0) / width[group].sum() for group in groups]
    inverted = maps.status[number] != Status.INVALID
    bright = [s[inverted & (s > 0)] for s in sums]
    top = max((np.percentile(b, 99.9) for b in bright if b.size), default=1.0)
    low = top / 10**DECADES
    norm = LogNorm(low, top)
    colours = plt.get_cmap("inferno").with_extremes(bad=INVALID, under=plt.get_cmap("inferno")(0.0))
    for ax, group, values in zip(axes, groups, sums, strict=True):
        image = ax.imshow(np.where(inverted, np.maximum(values, low), np.nan), norm=norm, cmap=colours)
        total, sure = (np.maximum(m[group], 0).sum(axis=0) for m in (measure, np.where(kept, measure, 0)))
        _hatch(ax, _shown(maps, number) & (sure < HALF * total))
        first = maps.logt[group.start] - maps.dlogt[group.start] / 2
        last = maps.logt[group.stop - 1] + maps.dlogt[group.stop - 1] / 2
        ax.set_title(f"log T {first:.2f} to {last:.2f} ({10 ** (first - 6):.2g} to {10 ** (last - 6):.2g} MK)")
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=50, pad=0.01, extend="both")
    bar.set_label("DEM, cm$^{-5}$ K$^{-1}$")
    _legend(figure, maps, number)


def _legend(figure: Figure, maps: DemMaps, number: int) -> None:
    """What isn't on the colour scale: only what there is."""
    marks = [Patch(facecolor="0.2", edgecolor="w", hatch="////", label="less than half from constrained bins")]
    for status, name in ((MapStatus.INVALID, "not inverted"), (MapStatus.SATURATED, "saturated")):
        if (maps.status[number] == status).any():
            marks.append(Patch(facecolor=STATUSES[status][1], label=name))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=9, frameon=False)


def _shown(maps: DemMaps, number: int) -> Any:
    """Pixels that have a colour of the scale."""
    return ~np.isin(maps.status[number], (MapStatus.INVALID, MapStatus.SATURATED))


def _hatch(ax: Any, where: Any) -> None:
    """Thin white lines over the pixels, where there are some."""
    if where.any():
        shape = ax.contourf(where.astype(float), levels=[0.5, 1.5], colors="none", hatches=["////"])
        shape.set_edgecolor("w")
        shape.set_linewidth(0)


def _temperature(figure: Figure, ax: Any, maps: DemMaps, number: int) -> None:
    temperature = maps.temperature[number] / 1e6
    colours = plt.get_cmap("viridis").with_extremes(bad=INVALID)
    low, high = _span(temperature)
    image = ax.imshow(temperature, cmap=colours, norm=LogNorm(low, high))
    _hatch(ax, _shown(maps, number) & (maps.constrained[number] < HALF))
    ax.set_title("EM-weighted T of constrained bins")
    bar = figure.colorbar(image, ax=ax, shrink=0.75, pad=0.02, extend="both")
    ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20) if low <= tick <= high]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()
    bar.set_label("T, MK")


def _chi_squared(figure: Figure, ax: Any, maps: DemMaps, number: int) -> None:
    chisq = np.where(maps.status[number] == Status.INVALID, np.nan, maps.chisq[number])
    colours = plt.get_cmap("RdBu_r").with_extremes(bad=INVALID)
    norm = LogNorm(0.1, 10.0)  # white is 1, a fit within the noise
    image = ax.imshow(chisq, cmap=colours, norm=norm)
    ax.set_title("χ² per channel")
    figure.colorbar(image, ax=ax, shrink=0.75, pad=0.02, extend="both")


def _status(figure: Figure, ax: Any, maps: DemMaps, number: int) -> None:
    counts = np.bincount(maps.status[number].ravel(), minlength=3) / maps.status[number].size
    names = STATUSES[: len(counts)]
    norm = BoundaryNorm(np.arange(len(names) + 1) - 0.5, len(names))
    image = ax.imshow(maps.status[number], cmap=ListedColormap([colour for _, colour in names]), norm=norm)
    ax.set_title("status")
    bar = figure.colorbar(image, ax=ax, shrink=0.75, pad=0.02, ticks=range(len(names)))
    bar.ax.set_yticklabels([f"{name}\n{share:.2%}" for (name, _), share in zip(names, counts, strict=True)])


def _span(values: Any) -> tuple[float, float]:
    """First and last percentile of the finite values."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.1, 10.0)
    return float(low), float(high if high > low else 1.001 * low)


def _finish(ax: Any, maps: DemMaps, number: int, left: bool, below: bool) -> None:
    """Saturated pixels in their colour, the limb, and axes in arcsec along the figure's left and lower edges only."""
    saturated = maps.status[number] == MapStatus.SATURATED
    if saturated.any():
        ax.imshow(np.ma.array(saturated, mask=~saturated), cmap=ListedColormap([SATURATED]), interpolation="nearest")
    limb = _limb(maps)
    if limb is not None:
        size = ax.get_xlim(), ax.get_ylim()
        ax.plot(*limb, color="w", linewidth=0.7)
        ax.plot(*limb, color="k", linewidth=0.7, linestyle=(0, (4, 4)))
        ax.set_xlim(size[0])
        ax.set_ylim(size[1])
    for axis, shown, name in zip(ax.coords, (below, left), ("Solar X, arcsec", "Solar Y, arcsec"), strict=True):
        axis.set_format_unit("arcsec")
        axis.set_major_formatter("s")
        axis.set_ticks(number=4)
        axis.set_ticks_visible(True)
        axis.set_axislabel(name if shown else " ", minpad=0.6)
        axis.set_ticklabel_visible(shown)
    ax.grid(False)


def _limb(maps: DemMaps) -> Any:
    """The limb in pixels (2, n), where the header says how large the Sun is and it crosses the image; else None."""
    radius = maps.header.get("RSUN_OBS")
    if not isinstance(radius, int | float):
        return None
    angle = np.linspace(0, 2 * np.pi, 721)
    x, y = _wcs(maps).world_to_pixel_values(radius * np.cos(angle) / 3600, radius * np.sin(angle) / 3600)
    ny, nx = maps.chisq.shape[1:]
    return (x, y) if ((x > 0) & (x < nx - 1) & (y > 0) & (y < ny - 1)).any() else None
