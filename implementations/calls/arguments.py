"""Checks what users hand to `dn2dem` and `demmap`: each error names the argument, what was given and what is expected.

What solvers can rely on is checked by the contract's `Options` and `Problem`, in the same manner; here stands what is
the calls' own: shapes of the counts, the user's weights, the response table and the temperature edges. Dask arrays
are known by their shapes; their values are checked when they are computed.
"""

import functools
import warnings
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from implementations.contract import Array, Options, Problem, as_problem

COLDEST, HOTTEST = 3.0, 10.0
"""What log10 K may be: nothing in a corona is colder or hotter, and kelvin are far above."""
MARGIN = 0.5
"""How far beyond the response's temperatures a bin's centre may lie, dex."""
ROUNDING = 1e-9
"""Below this, dex, a bin's centre beyond them is one at their end: it is worked out from edges."""
WEIGHTS = (1e-100, 1e22)
"""What user weights may be; the square root of the highest with l_emd, where they aren't rooted."""
SPAN = 1e12
"""The largest ratio of two weights of a pixel: beyond it rounding decides on the DEM."""


UNSEEN = 1e-9
"""Bins whose rmatrix is less than this share of the greatest are seen by no channel: their DEM is rounding."""


CAMERA = ("DN", "ct", "adu")
"""What a camera's counts are called; astropy takes them for different things."""
COUNTS, RESPONSE, MATRIX = (
    tuple(f"{scale}{count}{size} / {per}" for count in CAMERA for per in ("(s pix)", "s"))
    for scale, size in (("", ""), ("", " cm5"), ("10**-15 ", " cm5 K"))
)
LOG_T, WIDTHS, KELVIN, NO_UNIT = ("", "dex", "dex(K)"), ("", "dex"), ("K",), ("",)
"""Units that an argument may have, the one that is meant first."""
DOUBLE = np.dtype(np.float64)
REMEMBERED = 8
"""Settings, responses and problems that are kept for the next call: those who loop over pixels give the same again."""


def floating(name: str, given: Any) -> "np.dtype[Any]":
    """The type float64 or float32; ValueError for any other."""
    try:
        kind = np.dtype(given)
    except TypeError:
        kind = np.dtype(object)
    if kind not in (np.float64, np.float32):
        raise ValueError(f"{name} must be float64 or float32, got {given!r}")
    return kind


class Content(NamedTuple):
    """An array as a key: equal where shape and bytes are."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: Array) -> "Content":
        """Of an array of doubles; dask arrays are computed."""
        array = np.asarray(array, np.float64)
        return cls(array.shape, array.tobytes())

    @property
    def array(self) -> Array:
        """The array."""
        return np.frombuffer(self.data).reshape(self.shape)


LAST: dict[str, Content] = {}
"""What a response on bins was made from in the last call, by argument."""


def contents(tresp: Any, tresp_logt: Any, temps: Any) -> list[Content]:
    """What a response on bins is made from."""
    named = ((tresp, "tresp", RESPONSE), (tresp_logt, "tresp_logt", LOG_T), (temps, "temps", KELVIN))
    return [_as_before(name, Content.of(as_array(given, name, units))) for given, name, units in named]


def _as_before(name: str, made: Content) -> Content:
    """The last call's object where its content is this: a loop over pixels hashes its response once, then compares."""
    LAST[name] = LAST[name] if LAST.get(name) == made else made
    return LAST[name]


def flags(**given: Any) -> tuple[bool, ...]:
    """Settings that are yes or no, in their order. ValueError naming the one that is neither: "no" would be true."""
    for name, value in given.items():
        if value is not True and value is not False:
            if not (isinstance(value, int | np.bool_ | np.integer) and value in (0, 1)):
                raise ValueError(f"{name} must be True or False, got {value!r}")
            given[name] = bool(value)
    return tuple(given.values())


def options(reg_tweak: Any, max_iter: Any, rgt_fact: Any, nmu: Any, gloci: Any, l_emd: bool) -> Options:
    """Checked settings, as Python's numbers: for NumPy's, kernels would be compiled anew."""
    numbers, mask = (reg_tweak, max_iter, rgt_fact, nmu), Content.of(gloci)
    if not {*map(type, numbers)} <= {int, float}:
        Options(*numbers, gloci, l_emd)
        numbers = (float(reg_tweak), int(max_iter), float(rgt_fact), int(nmu))
    return _options(*numbers, mask, l_emd)


@functools.lru_cache(maxsize=REMEMBERED, typed=True)  # for 10.0 is no max_iter, though it equals 10
def _options(reg_tweak: float, max_iter: int, rgt_fact: float, nmu: int, gloci: Content, l_emd: bool) -> Options:
    mask: Any = gloci.array
    return Options(reg_tweak, max_iter, rgt_fact, nmu, mask, l_emd)


def is_lazy(*arrays: Any) -> bool:
    """Whether one is a dask array; Dask is not imported to find out."""
    return any(type(array).__module__.startswith("dask.array") for array in arrays)


def on_device(*arrays: Any) -> bool:
    """Whether one is a CuPy array; CuPy is not imported to find out."""
    return any(type(array).__module__.partition(".")[0] == "cupy" for array in arrays)


def placed(array: Any) -> Any:
    """The array on the device, as float64."""
    return import_module("cupy").asarray(array, dtype=np.float64)


def at_home(array: Any) -> Any:
    """What is on a device as an array of the host; other things as they are."""
    return array.get() if on_device(array) else array


def as_array(values: Any, name: str, units: tuple[str, ...] = NO_UNIT) -> Any:
    """Dask arrays as they are, all else as float64: quantities in the first of `units` that fits, NaN where masked."""
    if type(values) is np.ndarray and values.dtype is DOUBLE:  # what most calls give
        return values
    if type(values) in (int, float):
        return np.array(values, np.float64)
    if is_lazy(values):
        return values
    values = at_home(values)
    if isinstance(values, list | tuple) and any(has_unit(v) or hasattr(v, "mask") for v in values):
        if len({has_unit(v) for v in values}) > 1:
            raise ValueError(f"{name} is a {type(values).__name__}, some of it with units, expected all or none")
        return np.stack([as_array(v, name, units) for v in values])
    if has_unit(values):
        values = _converted(values, name, units)
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(_numbers(values, name, units), np.nan)
    if hasattr(values, "unmasked"):  # astropy's Masked
        return np.where(values.mask, np.nan, _numbers(values.unmasked, name, units))
    return _numbers(values, name, units)


def _numbers(values: Any, name: str, units: tuple[str, ...]) -> Any:
    """An array, masked or not, as float64; ValueError when it is none of real numbers, or of flags where units are."""
    try:
        given = np.asanyarray(values)
        if given.dtype.kind in "OUS":
            given = given.astype(np.float64)
    except (TypeError, ValueError):
        given = None
    if given is None or given.dtype.kind not in ("uif" if units != NO_UNIT else "uifb"):
        of = f" of {given.dtype}" if given is not None else ""
        raise ValueError(f"{name} is a {type(values).__name__}{of}, expected an array of real numbers")
    if isinstance(given, np.ma.MaskedArray):
        return given.astype(np.float64)
    return np.asarray(given, dtype=np.float64)


def has_unit(values: Any) -> bool:
    """Whether it is an astropy quantity or a list of them, or of another package that gives arrays units."""
    if type(values) is np.ndarray:
        return False
    if isinstance(values, list | tuple):
        return bool(values) and has_unit(values[0])
    return getattr(values, "unit", None) is not None or hasattr(values, "units")


def _unit(values: Any) -> Any:
    """The unit of a quantity, or of the first in a list of them."""
    return _unit(values[0]) if isinstance(values, list | tuple) else values.unit


def _converted(values: Any, name: str, units: tuple[str, ...]) -> Any:
    """A quantity's values in the first of the units that fits; ValueError when none does."""
    for unit in units if hasattr(values, "to_value") else ():
        try:
            return values.to_value(unit)
        except (TypeError, ValueError):  # what astropy's UnitsError and UnitTypeError are
            continue
    given = getattr(values, "unit", None) or getattr(values, "units", None) or "no unit"
    expected = units[0] or "no unit"
    raise ValueError(f"{name} is a {type(values).__name__} in {given}, expected {expected} as an astropy Quantity")


def with_units(outputs: tuple[Any, ...], dn: Any, dem: str) -> tuple[Any, ...]:
    """The outputs as quantities, dem and edem in the unit `dem`, dn_reg in that of dn, if dn is a quantity.

    Two outputs are dem and edem alone.
    """
    if not has_unit(dn):
        return outputs
    from astropy.units import Quantity

    named = tuple(Quantity(values, of, copy=False) for values, of in zip(outputs, (dem, dem, "dex"), strict=False))
    if len(outputs) == len(named):
        return named
    unit = _unit(dn)
    given = next(known for known in COUNTS if unit.is_equivalent(known))
    return (*named, outputs[3], Quantity(outputs[4], given, copy=False).to(unit), *outputs[5:])


def counts(dn_in: Any, edn_in: Any, names: tuple[str, str] = ("dn_in", "edn_in")) -> tuple[Any, Any]:
    """Counts and errors of one shape, one to four axes."""
    if has_unit(dn_in) != has_unit(edn_in):
        name, other = names if has_unit(dn_in) else names[::-1]
        raise ValueError(f"{name} has a unit and {other} has none, expected both or neither with one")
    if on_device(dn_in, edn_in):
        dn, edn = placed(dn_in), placed(edn_in)
    else:
        dn, edn = as_array(dn_in, names[0], COUNTS), as_array(edn_in, names[1], COUNTS)
    if not 1 <= dn.ndim <= 4:
        raise ValueError(f"the counts have shape {dn.shape}, expected one to four axes, channels last")
    if not dn.shape[-1]:
        raise ValueError(f"the counts have shape {dn.shape}, expected at least one channel on the last axis")
    if edn.shape != dn.shape:
        raise ValueError(f"the errors have shape {edn.shape}, expected that of the counts, {dn.shape}")
    return dn, edn


def pixel_list(dd: ArrayLike, ed: ArrayLike) -> tuple[Any, Any]:
    """Counts and errors (P, F)."""
    dn, edn = counts(dd, ed, ("dd", "ed"))
    if dn.ndim != 2:
        raise ValueError(f"dd has shape {dn.shape}, expected (pixels, channels)")
    return dn, edn


def weights(dem_norm0: ArrayLike | None, leading: tuple[int, ...], bins: int, l_emd: bool) -> Any:
    """User weights, (T,) or one row for every pixel, or None."""
    if dem_norm0 is None:
        return None
    norm = as_array(dem_norm0, "dem_norm0")
    if norm.shape not in ((bins,), (*leading, bins)):
        raise ValueError(f"dem_norm0 has shape {norm.shape}, expected {(bins,)} or {(*leading, bins)}")
    if not is_lazy(norm) and not np.isfinite(norm).all():
        raise ValueError(f"dem_norm0 has values that are not finite, shape {norm.shape}")
    if not is_lazy(norm):
        _weights_within(np.abs(norm[norm[..., 0] != 0]), WEIGHTS[1] ** (0.5 if l_emd else 1))
    return norm


def _weights_within(given: Array, highest: float) -> None:
    """ValueError unless weights (n, T) are of sizes at which solvers agree; ones that are 0 are the contract's."""
    if not given.size or not given.all():
        return
    low, high = given.min(axis=-1), given.max(axis=-1)
    if (low < WEIGHTS[0]).any() or (high > highest).any():
        sizes = f"{given.min():.3g} to {given.max():.3g}"
        raise ValueError(f"dem_norm0 is {sizes} in size, expected {WEIGHTS[0]:g} to {highest:g}; it is a shape")
    if (high > SPAN * low).any():
        span = f"a factor {(high / low).max():.3g}"
        raise ValueError(f"dem_norm0 spans {span}, expected at most {SPAN:g} from lowest to highest; give it a floor")


def response_table(tresp: ArrayLike, tresp_logt: ArrayLike, channels: int) -> tuple[Array, Array]:
    """The temperature response (N, F) and its log10 T (N,), in rising order of temperature."""
    table, logt = as_array(tresp, "tresp", RESPONSE), as_array(tresp_logt, "tresp_logt", LOG_T)
    if table.ndim != 2 or table.shape[1] != channels or logt.shape != table.shape[:1]:
        transposed = ": tresp is transposed" if table.shape == (channels, *logt.shape) else ""
        raise ValueError(
            f"tresp and tresp_logt have shapes {table.shape} and {logt.shape}, expected (N, {channels}) and (N,)"
            f"{transposed}"
        )
    if not np.isfinite(table).all():
        point, channel = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(
            f"tresp must be finite, got {table[point, channel]} at point {point} of channel {channel} (from 0)"
        )
    if not (len(logt) and logt.min() >= COLDEST and logt.max() <= HOTTEST):  # nor is NaN
        given = f"{logt.min():g} to {logt.max():g}" if len(logt) else "no point"
        raise ValueError(f"tresp_logt must be log10 K, {COLDEST:g} to {HOTTEST:g}, got {given}; give log10 of kelvin")
    if not (np.diff(logt) > 0).all():
        order = np.argsort(logt)
        table, logt = table[order], logt[order]
        if not (np.diff(logt) > 0).all():
            raise ValueError(f"tresp_logt has {logt[:-1][np.diff(logt) == 0][0]:g} twice, expected each point once")
    return table, logt


def within_response(logt: Array, tresp_logt: Array) -> None:
    """Warn of bins outside of the response's temperatures, where its end values are taken; refuse ones far outside."""
    if tresp_logt[0] - logt[0] <= ROUNDING and logt[-1] - tresp_logt[-1] <= ROUNDING:  # both are in rising order
        return
    beyond = np.maximum(tresp_logt[0] - logt, logt - tresp_logt[-1])
    bins = ", ".join(f"{t:.3g}" for t in logt[beyond > ROUNDING])
    what = f"temps has bins outside of the response, which is known at log T {tresp_logt[0]:g} to {tresp_logt[-1]:g}"
    if beyond.max() > MARGIN:
        raise ValueError(f"{what}: {bins}; expected at most {MARGIN:g} dex beyond it")
    warnings.warn(f"{what}: {bins}; its end values are taken there", stacklevel=3)


def unseen(rmatrix: Array, logt: Array) -> Array:
    """log T of the bins that no channel sees."""
    strength = np.abs(rmatrix).max(axis=1)
    return logt[strength < UNSEEN * strength.max()]


def all_seen(name: str, unseen_logt: Array) -> None:
    """Warn of bins that no channel sees, of the argument of that name."""
    if len(unseen_logt):
        bins = ", ".join(f"{t:.3g}" for t in unseen_logt)
        warnings.warn(
            f"{name} has bins that no channel sees, at log T {bins}: their DEM is rounding, whose sign decides how "
            "often a pixel is solved, so that solvers need not agree; leave these bins out",
            stacklevel=3,
        )


def temperature_edges(temps: ArrayLike) -> Array:
    """Edges (T+1,) of at least three bins, K."""
    edges: Array = as_array(temps, "temps", KELVIN)
    if edges.ndim != 1 or len(edges) < 4:
        raise ValueError(f"temps has shape {edges.shape}, expected (T+1,), the edges of T >= 3 bins")
    if not (np.isfinite(edges).all() and edges[0] > 0 and (np.diff(edges) > 0).all()):
        raise ValueError(f"temps must be finite, > 0 and increasing, K; got {edges[0]:g} to {edges[-1]:g}")
    if edges[0] < 10**COLDEST or edges[-1] > 10**HOTTEST:
        looks = "; log10 K or MK? give 10**temps or 1e6*temps" if edges[-1] < 10**COLDEST else ""
        raise ValueError(
            f"temps must be K, {10**COLDEST:g} to {10**HOTTEST:g}, got {edges[0]:g} to {edges[-1]:g}{looks}"
        )
    return edges


def constants(rmatrix: ArrayLike, logt: ArrayLike, dlogt: ArrayLike, options: Options, channels: int) -> Problem:
    """What all pixels share, as a problem without pixels."""
    nothing = np.empty((0, channels))
    matrix, centres = as_array(rmatrix, "rmatrix", MATRIX), as_array(logt, "logt", LOG_T)
    widths = as_array(dlogt, "dlogt", WIDTHS)
    for name, values, low, high in (("logt", centres, COLDEST, HOTTEST), ("dlogt", widths, 0, HOTTEST - COLDEST)):
        if values.size and (values.min() < low or values.max() > high):
            unit = "log10 K" if name == "logt" else "dex"
            raise ValueError(
                f"{name} must be {unit}, {low:g} to {high:g}, got {values.min():g} to {values.max():g}; no kelvin"
            )
    return as_problem(nothing, nothing, matrix, centres, widths, options, None)
