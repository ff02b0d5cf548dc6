"""One pixel looked at closely: Monte Carlo errors beside the propagated ones, its DEM drawn with all that made it."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from implementations.api import NMU_DEFAULT, NMU_MAP, NMU_ONE_PIXEL, dn2dem
from implementations.calls import arguments, containers
from implementations.contract import Array, Status, whole_number
from implementations.maths import response

MOST_AT_ONCE = 65536
"""Pixels, draws counted, in one inversion."""


class Spread(NamedTuple):
    """What draws of the counts make of the DEM.

    Parameters
    ----------
    mean, std
        Mean and standard deviation of the draws' DEMs (..., T), cm-5 K-1; NaN where fewer than two could be inverted.
    draws
        How many could (...): a draw with a count of zero or below is none.
    """

    mean: Any
    std: Any
    draws: Any


def monte_carlo(
    dn_in: ArrayLike,
    edn_in: ArrayLike | None,
    tresp: ArrayLike,
    tresp_logt: ArrayLike,
    temps: ArrayLike,
    *,
    draws: int = 100,
    seed: int = 0,
    nmu: int = NMU_DEFAULT,
    **settings: Any,
) -> Spread:
    """Errors of the DEM from draws of the counts, each inverted as `dn2dem` does.

    Beside `edem`, which propagates the counts' errors with the weights and the regularisation held, this has what
    choosing them anew for other counts does. Neither has the bias that regularisation brings.

    Parameters
    ----------
    dn_in, edn_in, tresp, tresp_logt, temps, nmu
        As `dn2dem` has them; no dask or CuPy arrays.
    draws
        How often counts are drawn from normal distributions about dn_in with edn_in, 2 to 100,000.
    seed
        Of the draws.
    settings
        Other arguments of `dn2dem`: solver, gloci, systematic, ... Outputs and weights of each pixel are not among
        them. A systematic error is part of what is drawn.

    Returns
    -------
    Spread
        Mean and standard deviation of the DEM, and the number of draws.

    Raises
    ------
    ValueError, RuntimeError
        As `dn2dem` does.

    Examples
    --------
    >>> import numpy as np
    >>> from implementations import dn2dem, monte_carlo
    >>> tresp_logt = np.linspace(5.5, 7.5, 41)
    >>> peaks = np.array([5.8, 6.0, 6.2, 6.4, 6.8, 7.1])
    >>> tresp = 1e-24 * np.exp(-0.5 * ((tresp_logt[:, None] - peaks) / 0.2) ** 2)
    >>> dn = np.full(6, 100.0)
    >>> spread = monte_carlo(dn, 0.1 * dn, tresp, tresp_logt, np.logspace(5.7, 7.2, 31), draws=20)
    >>> spread.std.shape, int(spread.draws)
    ((30,), 20)
    """
    whole_number("draws", draws, 2, 100_000)
    _check_taken("monte_carlo", settings, {"full", "warn", "progress", "dem_norm0", "rscl"})
    dn_in, edn_in = containers.opened(dn_in, edn_in)
    dn, edn = arguments.counts(dn_in, edn_in)
    if arguments.is_lazy(dn, edn):
        raise ValueError("monte_carlo takes no dask arrays: compute the pixels' counts first")
    leading, channels = dn.shape[:-1], dn.shape[-1]
    if nmu <= NMU_DEFAULT:
        nmu = NMU_MAP if leading else NMU_ONE_PIXEL
    dn, edn = dn.reshape(-1, channels), edn.reshape(-1, channels)
    systematic = arguments.as_array(settings.get("systematic", 0.0), "systematic")
    sigma = np.where(edn > 0, np.hypot(edn, systematic * dn), np.nan)
    random, tally = np.random.default_rng(seed), _Tally(len(dn))
    most = max(1, MOST_AT_ONCE // max(1, len(dn)))
    for first in range(0, draws, most):
        drawn = dn + sigma * random.standard_normal((min(most, draws - first), *dn.shape))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"\d+ of \d+ pixels are no fit")  # said of the counts themselves
            errors = np.broadcast_to(edn, drawn.shape)
            found = dn2dem(drawn, errors, tresp, tresp_logt, temps, nmu=nmu, full=True, **settings)
        tally.add(found)
    mean, std, count = tally.spread(leading)
    mean, std = arguments.with_units((mean, std), dn_in, "cm-5" if settings.get("emd_ret") else "cm-5 K-1")
    return Spread(mean, std, count)


class _Tally:
    """Sums over draws, about the first draw's DEM, so that small spreads keep their digits."""

    def __init__(self, pixels: int):
        self.count: Any = np.zeros(pixels, np.int64)
        self.about: Any = None
        self.sums: Any = 0.0
        self.squares: Any = 0.0

    def add(self, found: Any) -> None:
        """Add draws (n, P)."""
        valid = found.status != Status.INVALID
        if self.about is None:
            self.about = np.where(
                valid.any(axis=0)[:, None], found.dem[valid.argmax(axis=0), np.arange(valid.shape[1])], 0
            )
        off = np.where(valid[..., None], found.dem - self.about, 0.0)
        self.count += valid.sum(axis=0)
        self.sums, self.squares = self.sums + off.sum(axis=0), self.squares + (off**2).sum(axis=0)

    def spread(self, leading: tuple[int, ...]) -> Spread:
        """Mean and standard deviation of all that was added."""
        n = self.count[:, None].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(n > 1, self.about + self.sums / n, np.nan)
            variance = (self.squares - self.sums**2 / n) / (n - 1)
            std = np.where(n > 1, np.sqrt(np.maximum(variance, 0)), np.nan)
        shape = (*leading, mean.shape[1])
        return Spread(mean.reshape(shape), std.reshape(shape), self.count.reshape(leading)[()])


def draw_pixel(
    dn_in: ArrayLike,
    edn_in: ArrayLike | None,
    tresp: ArrayLike,
    tresp_logt: ArrayLike,
    temps: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    title: str = "",
    draws: int = 0,
    **settings: Any,
) -> Any:
    """Draw one pixel's DEM: errors in both directions, EM loci, and observed against recovered counts.

    Parameters
    ----------
    dn_in, edn_in
        Counts and errors of the pixel (F,), DN s-1 px-1.
    tresp, tresp_logt, temps
        As `dn2dem` has them.
    names
        What the channels are called, F of them; numbers by default.
    title
        Above the figure.
    draws
        Of `monte_carlo`, whose standard deviation is drawn as a band; 0 for none.
    settings
        Other arguments of `dn2dem`: solver, gloci, ... A systematic error is part of the errors that are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Of two panels, for `savefig`, or for Jupyter to show.

    Raises
    ------
    ValueError, RuntimeError
        As `dn2dem` does; ValueError, too, when the pixel is invalid.
    """
    _check_taken("draw_pixel", settings, {"full", "emd_ret"} | ({"warn", "dem_norm0", "rscl"} if draws else set()))
    dn, edn = arguments.counts(*containers.opened(dn_in, edn_in))
    if dn.ndim != 1:
        raise ValueError(f"draw_pixel draws one pixel, got counts of shape {dn.shape}, expected ({dn.shape[-1]},)")
    from implementations.aia.figures import pixel as figures  # Matplotlib, which no inversion needs

    labels = [str(number) for number in range(len(dn))] if names is None else [str(name) for name in names]
    if len(labels) != len(dn):
        raise ValueError(f"names has {len(labels)} channels, expected {len(dn)}")
    found: Any = dn2dem(dn, edn, tresp, tresp_logt, temps, full=True, **settings)
    if found.status == Status.INVALID:
        raise ValueError(f"the pixel is invalid: counts {_listed(dn)} with errors {_listed(edn)}")
    table = arguments.response_table(tresp, tresp_logt, len(dn))
    logt, dlogt = response.bins_of(arguments.temperature_edges(temps))
    seen = response.response_matrix(*table, logt, dlogt, emd_int=True) / response.SCALE
    spread = monte_carlo(dn, edn, tresp, tresp_logt, temps, draws=draws, **settings) if draws else None
    systematic = arguments.as_array(settings.get("systematic", 0.0), "systematic")
    pixel = figures.Pixel(logt, dlogt, seen, dn, np.hypot(edn, systematic * dn), tuple(labels), found.channels)
    parts = (found.dem, found.edem, found.elogt, found.dn_reg)
    return figures.draw(pixel, parts, title, float(found.chisq), float(found.target), spread)


def _check_taken(call: str, settings: dict[str, Any], refused: set[str]) -> None:
    """ValueError naming an argument of `dn2dem` that this call has no use for."""
    if found := sorted(refused & set(settings)):
        raise ValueError(f"{call} takes no {found[0]}")


def _listed(values: Array) -> str:
    return " ".join(f"{value:.4g}" for value in values)
