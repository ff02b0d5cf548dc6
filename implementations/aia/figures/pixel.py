"""The figure of one pixel: its DEM with errors in both directions, EM loci above it, and the counts beside."""

from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from implementations.aia.products import constrained, width_k
from implementations.contract import Array

DECADES = 4.0
"""How far below the highest DEM the axis reaches at most."""
STYLE: dict[Any, Any] = {"font.size": 10, "axes.titlesize": 11, "savefig.dpi": 150}


class Pixel(NamedTuple):
    """What is known of a pixel beside its DEM; T bins, F channels."""

    logt: Array
    """(T,), log10 K."""
    dlogt: Array
    """(T,), dex."""
    response: Array
    """(T, F), DN cm5 s-1 px-1."""
    dn: Array
    edn: Array
    names: tuple[str, ...]
    used: NDArray[np.bool_]
    """Channels (F,) that the DEM is of."""


def draw(
    pixel: Pixel,
    outputs: tuple[Array, Array, Array, Array],
    title: str,
    chisq: float,
    target: float,
    spread: Any = None,
) -> Figure:
    """The figure of a pixel's outputs dem, edem, elogt (T,) and dn_reg (F,); `spread`: its `monte_carlo`, or None."""
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(9.6, 5.2), dpi=150, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2.1, 1))
        _dem(left, pixel, outputs, chisq, spread)
        _counts(right, pixel, outputs[3])
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", fontsize=8, ncols=-(-len(labels) // 2), frameon=False
        )
        aim = f", aimed at {target:.3g}" if np.isfinite(target) else ""
        figure.suptitle(f"{title}{'; ' if title else ''}χ² per channel {chisq:.3g}{aim}", fontsize=11)
    return figure


def _dem(ax: Any, pixel: Pixel, outputs: tuple[Array, Array, Array, Array], chisq: float, spread: Any) -> None:
    dem, edem, elogt, dn_reg = outputs
    logt, width = pixel.logt, width_k(pixel.logt, pixel.dlogt)
    top = max(np.max(dem), np.finfo(float).tiny)
    low = 10 ** max(np.log10(top) - DECADES, np.log10(max(np.min(dem[dem > 0], initial=top), top / 1e9)) - 0.5)
    _loci(ax, pixel, width)
    if spread is not None:
        ends = (np.maximum(spread.mean + sign * spread.std, low / 10) for sign in (-1, 1))
        ax.fill_between(logt, *ends, color="C0", alpha=0.2, linewidth=0, label=f"{int(spread.draws)} draws, mean ± 1 σ")
    sure = constrained(dem, edem, dn_reg, np.array(chisq), pixel.response, logt, pixel.dlogt)
    for which, face, label in ((sure, "k", "DEM"), (~sure & (dem > 0), "w", "not constrained")):
        if which.any():
            below = np.minimum(edem[which], dem[which] * (1 - 1e-3))  # a bar to zero goes on below the axis
            ax.errorbar(
                logt[which], dem[which], yerr=(below, edem[which]), xerr=elogt[which], fmt="o", color="k",
                markerfacecolor=face, markersize=4, linewidth=0.8, label=label,
            )  # fmt: skip
    if (dem <= 0).any():
        there = logt[dem <= 0]
        ax.plot(there, np.full(len(there), 1.3 * low), "v", color="#d95f02", label="DEM ≤ 0")
    ax.set(yscale="log", ylim=(low, 30 * top), xlabel="log$_{10}$ T, K", ylabel="DEM, cm$^{-5}$ K$^{-1}$")
    ax.set_xlim(logt[0] - pixel.dlogt[0], logt[-1] + pixel.dlogt[-1])
    above = ax.secondary_xaxis("top", functions=(_mk, _log_t))
    ticks = [mk for mk in (0.3, 0.5, 1, 2, 3, 5, 10, 20, 30) if logt[0] <= np.log10(mk) + 6 <= logt[-1]]
    above.set_ticks(ticks, labels=[f"{mk:g}" for mk in ticks])
    above.minorticks_off()
    above.set_xlabel("T, MK")


def _mk(logt: Any) -> Any:
    return 10.0 ** (np.asarray(logt) - 6)


def _log_t(mk: Any) -> Any:
    return np.log10(np.maximum(mk, np.finfo(float).tiny)) + 6


def _loci(ax: Any, pixel: Pixel, width: Array) -> None:
    """The DEM that a bin would have if it alone gave a channel's counts."""
    for channel in np.flatnonzero(pixel.used):
        with np.errstate(divide="ignore"):
            locus = pixel.dn[channel] / (pixel.response[:, channel] * width)
        ax.plot(pixel.logt, locus, linewidth=1, color=f"C{channel % 10}", label=f"EM locus {pixel.names[channel]}")


def _short(count: float) -> str:
    return f"{count:,.0f}" if 100 <= count < 1e6 else f"{count:.3g}"


def _counts(ax: Any, pixel: Pixel, dn_reg: Array) -> None:
    """Recovered counts over observed ones, with the observed ones' errors."""
    at = np.arange(len(pixel.dn))
    used = pixel.used
    ax.axhline(1, color="0.7", linewidth=1)
    ratio = dn_reg[used] / pixel.dn[used]
    ax.errorbar(at[used], np.ones(used.sum()), yerr=pixel.edn[used] / pixel.dn[used], fmt="none", ecolor="0.5",
                capsize=3, label="observed, ± 1 σ")  # fmt: skip
    for channel, height in zip(at[used], ratio, strict=True):
        ax.plot(channel, height, "o", color=f"C{channel % 10}")
    ax.plot([], [], "o", color="k", label="recovered")
    labels = [f"{name}\n{_short(dn)}" for name, dn in zip(pixel.names, pixel.dn, strict=True)]
    labels = [
        label if use else f"{label.partition(chr(10))[0]}\nleft out" for label, use in zip(labels, used, strict=True)
    ]
    ax.set_xticks(at, labels=labels, fontsize=8)
    spread = max(np.max(np.abs(ratio - 1)), np.max(pixel.edn[used] / pixel.dn[used]))
    ax.set(ylim=(1 - 1.3 * spread, 1 + 1.6 * spread), xlim=(-0.6, len(at) - 0.4))
    ax.set(xlabel="channel, observed DN s$^{-1}$ px$^{-1}$", title="recovered / observed counts")
    ax.legend(fontsize=8, loc="upper right")
