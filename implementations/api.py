"""The calls that people already use, `dn2dem` and `demmap`, with the solver chosen by name.

Arguments, outputs, shapes and units are those of the published `dn2dem_pos` and `demmap_pos`. What differs: pixels that
can't be inverted never raise, every count and error of a pixel must be finite and positive for it to be valid
(published codes look at the product of the counts), bins of unequal width have their true centres, and one core is used
unless the solver is told otherwise.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from implementations.calls import arguments, binned, containers
from implementations.calls.channels import handling
from implementations.calls.inversion import Inversion, named
from implementations.calls.result import Result
from implementations.contract import MOST_POINTS, Array, whole_number
from implementations.maths.uncertainty import HALF_WIDTH_TO_SIGMA

NMU_DEFAULT, NMU_ONE_PIXEL, NMU_MAP = 40, 500, 42
"""At most the first means: the second for a single pixel, the third for maps."""
Outputs = tuple[Array, Array, Array, Array, Array]


def dn2dem(
    dn_in: ArrayLike,
    edn_in: ArrayLike | None,
    tresp: ArrayLike,
    tresp_logt: ArrayLike,
    temps: ArrayLike,
    *,
    solver: str = "numba",
    reg_tweak: float = 1.0,
    max_iter: int = 10,
    gloci: int | ArrayLike = 0,
    rgt_fact: float = 1.5,
    dem_norm0: ArrayLike | None = None,
    nmu: int = 40,
    warn: bool = False,
    emd_int: bool = False,
    emd_ret: bool = False,
    l_emd: bool = False,
    non_pos: bool = False,
    rscl: bool = False,
    progress: bool = False,
    full: bool = False,
    systematic: ArrayLike = 0.0,
    saturated: ArrayLike | None = None,
    fewest_channels: int | None = None,
    dtype: DTypeLike = np.float64,
) -> Outputs | Result:
    """DEM of every pixel from its counts.

    Parameters
    ----------
    dn_in, edn_in
        Counts and their standard errors, DN s-1 px-1, channels last: (F,), (n, F), (nx, ny, F) or (n0, n1, n2, F). Any
        number type, byte order or memory layout; never changed. Or sunpy maps, one for each channel, in a list or a
        MapSequence, DN or DN/s; or an NDCube, whose axis that is neither of place nor of time has the channels. Errors
        of None are these containers' uncertainties.
    tresp, tresp_logt
        Temperature response (N, F), DN cm5 s-1 px-1, at N values of log10 T in any order. Values <= 0 become the
        channel's smallest positive one. Beyond its ends, which is warned of, the end values hold.
    temps
        Edges of the T >= 3 temperature bins, (T+1,), K.
    solver
        Name of a registered solver, or `name[key=value,...]`; dask arrays bring workers of their own, so none that
        starts any. "plowman" is another method, whose DEMs have no negative bins (docs/methods.md).
    reg_tweak, max_iter, rgt_fact
        Chi-squared per channel aimed at; most solves while some bin is negative, up to 1000; factor on the aim at each
        of them, > 1.
    gloci
        Shape of the constraint: 0 self-normalised, 1 EM loci of all channels, or a mask of zeros and ones (F,).
    dem_norm0
        Shape of the constraint given by the user, (T,) or one for every pixel; all ones, or 0 at first, means none.
    nmu
        Points of the regularisation grid; 40 and below mean 500 for a single pixel and 42 for maps.
    warn
        Warn of pixels that could not be inverted and of ones with negative bins left.
    emd_int, emd_ret, l_emd
        Invert, and return, the emission measure distribution (cm-5) instead of the DEM; constrain it (implied by
        emd_int).
    non_pos
        Take the first solution even if it has negative bins (max_iter = 1).
    rscl
        Rescale the DEM so that the counts it gives agree with the observed ones in the mean.
    progress
        Show a progress bar.
    full
        Return a `Result`, which has status, iterations, the chi-squared aimed at and the channels used besides.
    systematic
        Relative error of the calibration or the response, one or (F,), added to the errors in quadrature.
    saturated
        Counts, one or (F,), from which on they are lower limits, so no measurements; DN s-1 px-1.
    fewest_channels
        Invert pixels some of whose measurements are missing (NaN, masked or saturated) with the others, if there are so
        many: an ordinary inversion with these channels, and dn_reg has what the DEM would give in the missing ones.
        None means all F.
    dtype
        Type of the outputs: float64, or float32 for half the memory. The inversion itself is in double precision.

    Returns
    -------
    dem, edem
        (..., T), cm-5 K-1 (cm-5 with emd_ret), with standard errors.
    elogt
        (..., T), temperature resolution as a standard deviation, dex.
    chisq
        (...), squared normalised residuals per channel; a NumPy scalar for one pixel.
    dn_reg
        (..., F), counts of the recovered DEM, DN s-1 px-1.

    Raises
    ------
    ValueError
        Naming the argument, what was given and what is expected, on shapes that don't fit, settings out of range or an
        unknown solver.
    RuntimeError
        With the reason, when this machine can't run the solver.

    Notes
    -----
    Leading axes are those of dn_in: a 1 x N map comes back as (1, N, T). Pixels with a count or error that is not
    finite and positive, or masked (numpy.ma or astropy), are zeros. A warning says of how many pixels the target of
    chi-squared was raised more than tenfold, so that the DEM need not fit the counts. Dask arrays give dask arrays,
    computed when they are, a block of pixels a task; CuPy arrays give CuPy arrays, which a solver of the device
    computes there. astropy quantities are converted, and where the counts are some, so are the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from implementations import dn2dem
    >>> tresp_logt = np.linspace(5.5, 7.5, 41)
    >>> peaks = np.array([5.8, 6.0, 6.2, 6.4, 6.8, 7.1])
    >>> tresp = 1e-24 * np.exp(-0.5 * ((tresp_logt[:, None] - peaks) / 0.2) ** 2)
    >>> dn = np.full((4, 5, 6), 100.0)  # a map of 4 x 5 pixels, six channels
    >>> dem, edem, elogt, chisq, dn_reg = dn2dem(dn, 0.1 * dn, tresp, tresp_logt, np.logspace(5.7, 7.2, 31))
    >>> dem.shape, elogt.shape, chisq.shape, dn_reg.shape
    ((4, 5, 30), (4, 5, 30), (4, 5), (4, 5, 6))
    """
    warn, emd_int, emd_ret, l_emd, non_pos = arguments.flags(
        warn=warn, emd_int=emd_int, emd_ret=emd_ret, l_emd=l_emd, non_pos=non_pos
    )
    rscl, progress, full = arguments.flags(rscl=rscl, progress=progress, full=full)
    dn_in, edn_in = containers.opened(dn_in, edn_in)
    dn, edn = arguments.counts(dn_in, edn_in)
    leading, channels = dn.shape[:-1], dn.shape[-1]
    given = binned.binned(channels, emd_int, *arguments.contents(tresp, tresp_logt, temps))
    arguments.within_response(given.logt, given.tresp_logt)
    arguments.all_seen("temps", given.unseen)
    whole_number("nmu", nmu, 0, MOST_POINTS)
    if nmu <= NMU_DEFAULT:
        nmu = NMU_MAP if leading else NMU_ONE_PIXEL
    steps = 1 if non_pos else max_iter
    options = arguments.options(reg_tweak, steps, rgt_fact, nmu, arguments.as_array(gloci, "gloci"), l_emd or emd_int)
    constants = binned.constants(given, options, channels)
    norm = arguments.weights(dem_norm0, leading, len(given.logt), options.l_emd)
    unit, kind = given.unit(emd_int, emd_ret), arguments.floating("dtype", dtype)
    taken = handling(systematic, saturated, fewest_channels, channels)
    call = Inversion(constants, solver, taken, unit, HALF_WIDTH_TO_SIGMA, warn, rscl, full, kind)
    outputs = call.of(dn, edn, norm, progress)
    return named(arguments.with_units(outputs, dn_in, "cm-5" if emd_ret else "cm-5 K-1"))


def demmap(
    dd: ArrayLike,
    ed: ArrayLike,
    rmatrix: ArrayLike,
    logt: ArrayLike,
    dlogt: ArrayLike,
    glc: ArrayLike,
    *,
    solver: str = "numba",
    reg_tweak: float = 1.0,
    max_iter: int = 10,
    rgt_fact: float = 1.5,
    dem_norm0: ArrayLike | None = None,
    nmu: int = 42,
    warn: bool = False,
    l_emd: bool = False,
    rscl: bool = False,
    progress: bool = False,
    full: bool = False,
    systematic: ArrayLike = 0.0,
    saturated: ArrayLike | None = None,
    fewest_channels: int | None = None,
    dtype: DTypeLike = np.float64,
) -> Outputs | Result:
    """The inversion below `dn2dem`, for a list of pixels and a response matrix that is made already.

    Parameters
    ----------
    dd, ed
        Counts and their standard errors (P, F), DN s-1 px-1; or containers of them, as in `dn2dem`.
    rmatrix
        Response times bin width times 1e15 (T, F), 1e-15 DN cm5 K s-1 px-1.
    logt, dlogt
        Bin centres (T,), log10 K, and widths (T,), dex.
    glc
        Mask (F,) of the channels whose EM loci shape the constraint, all 0 for self-normalised.
    solver, reg_tweak, max_iter, rgt_fact, warn, l_emd, rscl, progress, full, systematic, saturated, fewest_channels,
    dtype
        As in `dn2dem`.
    dem_norm0
        Shape of the constraint given by the user, (T,) or (P, T); all ones, or 0 at first, means none.
    nmu
        Points of the regularisation grid.

    Returns
    -------
    dem, edem
        (P, T), 1e15 cm-5 K-1, with standard errors.
    elogt
        (P, T), temperature resolution as half of the full width at half maximum, dex.
    chisq
        (P,), squared normalised residuals per channel.
    dn_reg
        (P, F), counts of the recovered DEM, DN s-1 px-1.

    Raises
    ------
    ValueError, RuntimeError
        As `dn2dem` does.

    Notes
    -----
    Dask arrays give dask arrays, CuPy arrays CuPy arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from implementations import demmap
    >>> logt, dlogt = np.linspace(5.75, 7.15, 15), np.full(15, 0.1)
    >>> peaks = np.array([5.8, 6.0, 6.2, 6.4, 6.8, 7.1])
    >>> rmatrix = 1e-3 * np.exp(-0.5 * ((logt[:, None] - peaks) / 0.2) ** 2)
    >>> dn = np.full((7, 6), 100.0)  # seven pixels, six channels
    >>> dem, edem, elogt, chisq, dn_reg = demmap(dn, 0.1 * dn, rmatrix, logt, dlogt, np.zeros(6))
    >>> dem.shape, chisq.shape
    ((7, 15), (7,))
    """
    warn, rscl, progress, full = arguments.flags(warn=warn, rscl=rscl, progress=progress, full=full)
    (l_emd,) = arguments.flags(l_emd=l_emd)
    dd, ed = containers.opened(dd, ed, ("dd", "ed"))
    dn, edn = arguments.pixel_list(dd, ed)
    options = arguments.options(reg_tweak, max_iter, rgt_fact, nmu, arguments.as_array(glc, "glc"), l_emd)
    constants = arguments.constants(rmatrix, logt, dlogt, options, dn.shape[1])
    arguments.all_seen("rmatrix", arguments.unseen(constants.rmatrix, constants.logt))
    norm = arguments.weights(dem_norm0, dn.shape[:1], constants.sizes[2], l_emd)
    taken = handling(systematic, saturated, fewest_channels, dn.shape[1])
    kind = arguments.floating("dtype", dtype)
    outputs = Inversion(constants, solver, taken, 1.0, 1.0, warn, rscl, full, kind).of(dn, edn, norm, progress)
    return named(arguments.with_units(outputs, dd, "10**15 cm-5 K-1"))
