"""What a solver is given and what it must return.

P pixels, F channels, T temperature bins; the pixel axis comes first; float64 unless a strategy's name says otherwise.
Units: dn, edn in DN s-1 px-1; rmatrix in 1e-15 DN cm5 K s-1 px-1 (response times the bin's width in K, times 1e15);
logt, dlogt in log10 K; dem, edem in 1e15 cm-5 K-1; elogt in dex (full half-maximum width, see `maths.uncertainty`).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Status(IntEnum):
    """How the inversion of one pixel ended."""

    OK = 0
    HIT_MAX_ITER = 1
    """Negative temperature bins remain after `max_iter` solves; the last attempt is kept."""
    INVALID = 2
    """Some channel is not finite or <= 0, or an error is not finite: all outputs of the pixel are 0."""


MOST_PASSES, MOST_POINTS = 1000, 100_000
"""The largest max_iter and nmu: nothing interrupts a pixel that is being inverted."""


def _number(value: Any) -> float:
    """The value, or NaN, which no range contains, where it is no number."""
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else np.nan


def whole_number(name: str, value: Any, lowest: int, highest: int) -> None:
    """Check that a setting is a whole number in its range.

    Parameters
    ----------
    name
        What the message calls it.
    value
        What was given.
    lowest, highest
        The range, both ends included.

    Raises
    ------
    ValueError
        Naming the setting, the range and what was given, when it isn't.
    """
    if not (lowest <= _number(value) <= highest and isinstance(value, int | np.integer)):
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}, got {value!r}")


@dataclass(frozen=True)
class Options:
    """The algorithm's settings, in the names of the published code.

    Parameters
    ----------
    reg_tweak
        Chi-squared per channel aimed at (Morozov's discrepancy), > 0.
    max_iter
        Most solves of one pixel's positivity loop, >= 1.
    rgt_fact
        Factor on the chi-squared target at each further pass of the positivity loop, > 0.
    nmu
        Points of the regularisation grid, >= 2.
    gloci
        Shape of the constraint: 0 self-normalised, 1 EM loci of all channels, or a 0/1 mask of length F.
    l_emd
        Constrain the emission measure distribution (L = 1 / abs(w)) instead of the DEM.

    Raises
    ------
    ValueError
        When a value is outside its range; the message names the setting.
    """

    reg_tweak: float = 1.0
    max_iter: int = 10
    rgt_fact: float = 1.5
    nmu: int = 42
    gloci: int | tuple[int, ...] = 0
    l_emd: bool = False

    def __post_init__(self) -> None:
        for name, lowest in (("reg_tweak", 0), ("rgt_fact", 1)):
            value = getattr(self, name)
            if not lowest < _number(value) < np.inf:
                raise ValueError(f"{name} must be a finite number > {lowest}, got {value!r}")
        whole_number("max_iter", self.max_iter, 1, MOST_PASSES)
        whole_number("nmu", self.nmu, 2, MOST_POINTS)
        mask = np.asarray(self.gloci)
        if mask.ndim > 1 or any(g not in (0, 1) for g in mask.ravel().tolist()):
            raise ValueError(f"gloci must be 0, 1 or a mask of zeros and ones, got {self.gloci}")
        object.__setattr__(self, "gloci", tuple(int(g) for g in mask) if mask.ndim else int(mask))

    def loci_mask(self, channels: int) -> NDArray[np.bool_] | None:
        """The channels whose EM loci shape the constraint.

        Parameters
        ----------
        channels
            F, how many there are.

        Returns
        -------
        NDArray of bool, or None
            (F,), or None for self-normalised weights.

        Raises
        ------
        ValueError
            When the mask in `gloci` is of another length.
        """
        gloci = (self.gloci,) * channels if isinstance(self.gloci, int) else self.gloci
        mask = np.array(gloci, dtype=bool)
        if mask.shape != (channels,):
            raise ValueError(f"gloci is a mask of {mask.size} channels, expected {channels}")
        return mask if mask.any() else None


def _frozen(name: str, value: Any, shape: tuple[int | None, ...], expected: str) -> Array:
    """`value` as a read-only C-ordered float64 array; ValueError unless its shape fits `shape` (None: any length)."""
    array = np.ascontiguousarray(value, dtype=np.float64)
    if np.ndim(value) != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} has shape {np.shape(value)}, expected {expected}")
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Problem:
    """P pixels to invert; arrays are read-only float64, C-ordered.

    A pixel whose counts are not finite and > 0 in every channel, or which has a NaN or infinite error, is *invalid*:
    that never raises, it is the pixel's status. An error that is <= 0 is no measurement but a mistake in the call and
    does raise; the drop-in calls in `implementations.api` take instrument files as they are and mark such errors NaN.

    Parameters
    ----------
    dn, edn
        Counts and their standard errors (P, F), DN s-1 px-1.
    rmatrix
        Response times bin width times 1e15 (T, F), 1e-15 DN cm5 K s-1 px-1.
    logt, dlogt
        Bin centres (T,), log10 K, and widths (T,), dex.
    options
        The algorithm's settings.
    dem_norm0
        User weights (P, T) or None. A pixel's row that is all ones or starts with 0 counts as not given.

    Raises
    ------
    ValueError
        Naming the argument, its shape and the expected one, on wrong shapes, errors <= 0, responses that are not finite
        or all zero in a channel (or in a bin, over the channels of gloci), user weights that are 0 or not finite, and
        temperature bins that are not finite, increasing and of positive width.
    """

    dn: Array
    edn: Array
    rmatrix: Array
    logt: Array
    dlogt: Array
    options: Options = field(default_factory=Options)
    dem_norm0: Array | None = None

    def __post_init__(self) -> None:
        if np.ndim(self.dn) != 2:
            raise ValueError(f"dn has shape {np.shape(self.dn)}, expected (pixels, channels)")
        if np.ndim(self.rmatrix) != 2:
            raise ValueError(f"rmatrix has shape {np.shape(self.rmatrix)}, expected (bins, channels)")
        p, f, t = np.shape(self.dn)[0], np.shape(self.dn)[1], np.shape(self.rmatrix)[0]
        shapes: dict[str, tuple[tuple[int, ...], str]] = {
            "dn": ((p, f), f"(pixels, channels) = ({p}, {f})"),
            "edn": ((p, f), f"the shape of dn, ({p}, {f})"),
            "rmatrix": ((t, f), f"(bins, channels) = ({t}, {f})"),
            "logt": ((t,), f"(bins,) = ({t},)"),
            "dlogt": ((t,), f"(bins,) = ({t},)"),
            "dem_norm0": ((p, t), f"(pixels, bins) = ({p}, {t})"),
        }
        for name, (shape, expected) in shapes.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _frozen(name, getattr(self, name), shape, expected))
        self.options.loci_mask(f)
        self._check_constants()
        self._check_pixels()

    def _check_constants(self) -> None:
        _, f, t = self.sizes
        if f < 1 or t < 3:
            raise ValueError(f"rmatrix has shape {self.rmatrix.shape}, expected at least 3 bins and 1 channel")
        if not np.isfinite(self.rmatrix).all():
            raise ValueError(f"rmatrix has values that are not finite, shape {self.rmatrix.shape}, expected all finite")
        if not (np.abs(self.rmatrix).max(axis=0) > 0).all():
            raise ValueError(f"rmatrix has a channel that is all zero, shape {self.rmatrix.shape}")
        if not (np.isfinite(self.logt).all() and (np.diff(self.logt) > 0).all()):
            raise ValueError(f"logt must be finite and increasing, shape {self.logt.shape}")
        if not (np.isfinite(self.dlogt).all() and (self.dlogt > 0).all()):
            raise ValueError(f"dlogt must be finite and > 0, shape {self.dlogt.shape}")
        mask = self.options.loci_mask(f)
        if mask is not None and (self.rmatrix[:, mask] == 0).all(axis=1).any():
            raise ValueError(f"rmatrix has a bin that no channel of gloci sees, shape {self.rmatrix.shape}")

    def _check_pixels(self) -> None:
        if self.dem_norm0 is not None:
            given = (self.dem_norm0[:, :1] != 0) & (self.dem_norm0 != 1).any(axis=1, keepdims=True)
            if (given & ((self.dem_norm0 == 0) | ~np.isfinite(self.dem_norm0))).any():
                raise ValueError(f"dem_norm0 has weights that are 0 or not finite, shape {self.dem_norm0.shape}")
        bad = self.edn <= 0
        if bad.any():
            pixel, channel = np.argwhere(bad)[0]
            raise ValueError(
                f"edn has {np.count_nonzero(bad)} errors <= 0 in shape {self.edn.shape} (first: pixel {pixel}, channel "
                f"{channel}), expected > 0; NaN marks a measurement that is missing"
            )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(P, F, T): pixels, channels, temperature bins."""
        return self.dn.shape[0], self.dn.shape[1], self.rmatrix.shape[0]

    def valid(self) -> NDArray[np.bool_]:
        """Which pixels (P,) can be inverted: every count finite and > 0, every error finite."""
        good = np.isfinite(self.dn) & (self.dn > 0) & np.isfinite(self.edn)
        return np.asarray(good.all(axis=1))

    def take(self, pixels: NDArray[np.intp] | slice) -> "Problem":
        """The same problem for some of its pixels.

        Parameters
        ----------
        pixels
            Their numbers, or a slice.

        Returns
        -------
        Problem
            With as many pixels, in that order.
        """
        norm = None if self.dem_norm0 is None else self.dem_norm0[pixels]
        return self.with_pixels(self.dn[pixels], self.edn[pixels], norm)

    def with_pixels(self, dn: Array, edn: Array, dem_norm0: Array | None = None) -> "Problem":
        """Other pixels to invert in the same way; all but they was checked when this problem was made.

        Parameters
        ----------
        dn, edn, dem_norm0
            As `Problem` has them.

        Returns
        -------
        Problem
            With the constant arrays of this one.

        Raises
        ------
        ValueError
            As `Problem` does.
        """
        channels, bins = self.rmatrix.shape[1], self.rmatrix.shape[0]
        other = object.__new__(Problem)
        for name in ("rmatrix", "logt", "dlogt", "options"):
            object.__setattr__(other, name, getattr(self, name))
        pixels = np.shape(dn)[0] if np.ndim(dn) else None
        shape, expected = (pixels, channels), f"(pixels, channels) = ({pixels}, {channels})"
        object.__setattr__(other, "dn", _frozen("dn", dn, shape, expected))
        object.__setattr__(other, "edn", _frozen("edn", edn, shape, f"the shape of dn, ({pixels}, {channels})"))
        if dem_norm0 is not None:
            expected = f"(pixels, bins) = ({pixels}, {bins})"
            dem_norm0 = _frozen("dem_norm0", dem_norm0, (pixels, bins), expected)
        object.__setattr__(other, "dem_norm0", dem_norm0)
        other._check_pixels()
        return other


OUTPUTS = ("dem", "edem", "elogt", "chisq", "dn_reg")
"""The five published outputs, the ones that parity is judged on."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver returns, as NumPy arrays that it no longer writes to. Invalid pixels are zero in every output.

    Parameters
    ----------
    dem, edem
        DEM (P, T), 1e15 cm-5 K-1, and its standard error, propagated through the inverse.
    elogt
        Temperature resolution (P, T), dex.
    chisq
        Squared normalised residuals per channel (P,).
    dn_reg
        Counts of the recovered dem (P, F), DN s-1 px-1.
    iterations
        Solves that the positivity loop took (P,), or linearised problems that another method solved; 0 where invalid.
    status
        A `Status` for each pixel (P,).
    """

    dem: Array
    edem: Array
    elogt: Array
    chisq: Array
    dn_reg: Array
    iterations: NDArray[np.int32]
    status: NDArray[np.int8]

    def check(self, problem: Problem) -> None:
        """Check that every type and shape is what a problem calls for.

        `Solution.check(given, problem)` does so too for what is no solution at all.

        Parameters
        ----------
        problem
            What was to be solved.

        Raises
        ------
        ValueError
            Naming the output, what it is and what is expected.
        """
        if not isinstance(self, Solution):
            what = "None" if self is None else f"a {type(self).__name__}"
            raise ValueError(f"collect returned {what}, expected implementations.contract.Solution(...)")
        p, f, t = problem.sizes
        expected = {"dem": (p, t), "edem": (p, t), "elogt": (p, t), "chisq": (p,), "dn_reg": (p, f)}
        for name, shape in {**expected, "iterations": (p,), "status": (p,)}.items():
            array, kind = getattr(self, name), np.integer if name in ("iterations", "status") else np.floating
            if not isinstance(array, np.ndarray):
                raise ValueError(f"solution's {name} is a {type(array).__name__}, expected a NumPy array")
            if array.shape != shape:
                raise ValueError(f"solution's {name} has shape {array.shape}, expected {shape}")
            if not np.issubdtype(array.dtype, kind):
                raise ValueError(f"solution's {name} is of type {array.dtype}, expected {kind.__name__} numbers")

    def rows(self, rows: slice) -> "Solution":
        """Some pixels' outputs, as views.

        Parameters
        ----------
        rows
            The pixels.

        Returns
        -------
        Solution
            What is written to it is written to this one.
        """
        return Solution(**{name: array[rows] for name, array in vars(self).items()})

    def put(self, rows: slice, part: "Solution") -> None:
        """Write a part's outputs to its rows here, but for those that lie there already.

        Parameters
        ----------
        rows
            The part's pixels.
        part
            Their outputs.
        """
        for name, target in vars(self.rows(rows)).items():
            value = getattr(part, name)
            if value.__array_interface__ != target.__array_interface__:
                target[...] = value

    @classmethod
    def empty(cls, problem: Problem) -> "Solution":
        """Zeros of the shapes that a problem calls for, every pixel invalid until it is filled in.

        Parameters
        ----------
        problem
            What is to be solved.

        Returns
        -------
        Solution
            Arrays of its own, to be written to.
        """
        p, f, t = problem.sizes
        return cls(
            np.zeros((p, t)),
            np.zeros((p, t)),
            np.zeros((p, t)),
            np.zeros(p),
            np.zeros((p, f)),
            np.zeros(p, np.int32),
            np.full(p, Status.INVALID, np.int8),
        )


OUTERMOST = {
    "chisq_median": (0.1, 10.0),
    "chisq_iqr": (0.0, 10.0),
    "chisq_p95": (0.0, 10.0),
    "edem": (0.02, 20.0),
    "elogt": (0.02, 20.0),
}
"""The widest ranges of ratios to the baseline that a solver may declare."""
WORST_TRUTH_DEM_ERROR, MOST_NEGATIVE = 3.0, 0.5
"""The highest ratio of DEM errors and the highest share of negative pixels that a solver may declare."""


@dataclass(frozen=True)
class Bounds:
    """What an approximate solver promises, relative to the baseline on the same pixels, or one of another method.

    Another method's chi-squared isn't compared with the baseline's, but with the target, or where no DEM without
    negative bins reaches that, with the least that such a DEM has; its negative pixels are counted all.

    Parameters
    ----------
    chisq_median, chisq_iqr, chisq_p95
        Lowest and highest ratio of median, interquartile range and 95th percentile of chi-squared.
    truth_dem_error
        Highest ratio of its DEM error against the truth to the baseline's.
    negative_pixels
        Highest share of valid pixels with a negative temperature bin in excess of the baseline's share.
    edem, elogt
        Lowest and highest ratio of the root of summed squares over a pixel's bins, in nine pixels of ten; None for an
        output that is left out.

    Raises
    ------
    ValueError
        Naming the bound, when one isn't finite or lies beyond what can sanely be promised.
    """

    chisq_median: tuple[float, float]
    chisq_iqr: tuple[float, float]
    chisq_p95: tuple[float, float]
    truth_dem_error: float
    negative_pixels: float
    edem: tuple[float, float] | None = None
    elogt: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, (lowest, highest) in OUTERMOST.items():
            given = getattr(self, name)
            if given is None and name in ("edem", "elogt"):
                continue
            pair = (
                tuple(map(_number, given)) if isinstance(given, tuple | list) and len(given) == 2 else (np.nan, np.nan)
            )
            if not lowest <= pair[0] <= pair[1] <= highest:
                expected = f"a pair (lowest, highest) within {lowest:g} to {highest:g}"
                raise ValueError(f"bounds: {name} is {given!r}, expected {expected}")
        for name, most in (("truth_dem_error", WORST_TRUTH_DEM_ERROR), ("negative_pixels", MOST_NEGATIVE)):
            if not 0 <= _number(getattr(self, name)) <= most:
                raise ValueError(f"bounds: {name} is {getattr(self, name)!r}, expected a number from 0 to {most:g}")


class Solver(ABC):
    """A strategy. Keyword tunables go to the constructor; state is passed on explicitly, never kept on the solver."""

    name: ClassVar[str]
    device: ClassVar[str]
    """"cpu", "gpu" or "cluster"."""
    accuracy: ClassVar[str]
    """"exact" (held to the baseline's outputs), "approximate" (held to its own `bounds`), or "other": of another method
    than DEMREG, held to the fit, the truth and its own `bounds`."""
    method: ClassVar[str] = "demreg"
    """What kind of DEM it computes: "demreg", or the other method's name."""
    bounds: ClassVar[Bounds | None] = None
    """What a solver that isn't exact promises; None for an exact one."""
    leaves_out: ClassVar[tuple[str, ...]] = ()
    """Outputs that a solver which isn't exact doesn't compute: NaN in every valid pixel, which the gate insists on; a
    number there would be an invented one. "iterations", which an exact one may leave out too, and nothing else: 0 in
    all."""
    releases_lock: ClassVar[bool] = False
    """Whether one process's threads can run it at a time, each on pixels of its own: all but a little of the work is
    done without the interpreter lock, and nothing that a problem's pixels decide is kept on the solver or beside it."""

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether this machine can run the solver. Never raises.

        Returns
        -------
        able : bool
            Whether it can.
        reason : str
            Why not; "" when it can.
        """
        return True, ""

    @abstractmethod
    def prepare(self, problem: Problem) -> Any:
        """Stage the problem: upload, chunk plan, pool of workers.

        Parameters
        ----------
        problem
            Pixels to invert; read-only.

        Returns
        -------
        Any
            The state that `solve` and `collect` take.
        """

    @abstractmethod
    def solve(self, state: Any) -> Any:
        """Invert every pixel; complete when this returns.

        Parameters
        ----------
        state
            What `prepare` returned.

        Returns
        -------
        Any
            The solution where it was computed, for `collect`.
        """

    @abstractmethod
    def collect(self, state: Any, solution: Any) -> Solution:
        """Bring the solution to the host and release what `prepare` acquired.

        Parameters
        ----------
        state, solution
            What `prepare` and `solve` returned.

        Returns
        -------
        Solution
            NumPy arrays of the contract's shapes and units.
        """

    def facts(self, state: Any) -> dict[str, float]:
        """What the solver itself measured of the run that `collect` ended, by name; nothing for most.

        A solver on a device gives `upload_s`, `kernel_s`, `download_s` by the device's clock, and `peak_device_mb`; one
        on a cluster `slots`, `blocks`, `startup_s`, `shutdown_s`, `wall_s`, `task_s`, `bytes_sent`.

        Parameters
        ----------
        state
            What `prepare` returned.

        Returns
        -------
        dict[str, float]
            Figures by name; seconds, megabytes and bytes by the name's ending.
        """
        return {}

    def promise_as(self, other: "type[Solver]") -> None:
        """Promise what another solver does, which computes inside of this one.

        Parameters
        ----------
        other
            Whose accuracy, method, bounds and outputs left out these are.
        """
        vars(self).update(
            accuracy=other.accuracy, method=other.method, bounds=other.bounds, leaves_out=other.leaves_out
        )

    def run(self, problem: Problem) -> Solution:
        """Prepare, solve and collect in one call, for callers that do not time them.

        Parameters
        ----------
        problem
            Pixels to invert.

        Returns
        -------
        Solution
            Of all of its pixels.
        """
        state = self.prepare(problem)
        return self.collect(state, self.solve(state))

    def run_into(self, problem: Problem, rows: slice, whole: Solution) -> None:
        """Invert a block of a map into its rows of the map's solution. Strategies that can write there do.

        Parameters
        ----------
        problem
            The map.
        rows
            The block's pixels.
        whole
            The map's solution.
        """
        whole.put(rows, self.run(problem.take(rows)))


def marked(edn: Array) -> Array:
    """Errors with NaN, as `Problem` wants it, where they are <= 0: instrument files have such where counts are missing.

    Parameters
    ----------
    edn
        Standard errors, of any shape.

    Returns
    -------
    NDArray
        The same array where none is.
    """
    missing = ~(edn > 0)
    return np.where(missing, np.nan, edn) if missing.any() else edn


def as_problem(
    dn: Array, edn: Array, rmatrix: ArrayLike, logt: ArrayLike, dlogt: ArrayLike, options: Options, norm: Array | None
) -> Problem:
    """The contract's problem; errors <= 0, which instrument files have where counts are missing, are marked NaN.

    Parameters
    ----------
    dn, edn, rmatrix, logt, dlogt, options
        As `Problem` has them, but for such errors.
    norm
        User weights (P, T) or None.

    Returns
    -------
    Problem
        For a solver.

    Raises
    ------
    ValueError
        As `Problem` does.
    """
    return Problem(dn, marked(edn), np.asarray(rmatrix), np.asarray(logt), np.asarray(dlogt), options, norm)
