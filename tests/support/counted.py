"""What a device would be asked to do, counted on the host: every operation of an array namespace in place of a launch.

`array_api_strict` stands in for CuPy. One of its operations is one launch here; CuPy may need several for it, and one
of a factorisation needs many. Reshaping, slicing and broadcasting are views and launch nothing.
"""

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import wraps
from unittest.mock import patch

import array_api_strict
import numpy as np
from fake_device import FakeDevices

from implementations.gpu import device

VIEWS = (
    "reshape permute_dims expand_dims squeeze broadcast_to broadcast_arrays moveaxis flip empty empty_like "
    "isdtype finfo iinfo can_cast result_type get_array_api_strict_flags set_array_api_strict_flags "
    "reset_array_api_strict_flags ArrayAPIStrictFlags Device asarray __array_namespace_info__ astype"
).split()
OPERATORS = (
    "add sub mul truediv floordiv mod pow matmul and or xor radd rsub rmul rtruediv rpow rmatmul iadd isub imul "
    "itruediv ipow neg abs invert lt le gt ge eq ne setitem"
).split()
WAITS = ("__bool__", "__float__", "__int__", "__index__")
LAUNCHES, FACTORISATIONS, UP, DOWN, SYNCHRONISATIONS = (
    "launches",
    "factorisations",
    "transfers up",
    "transfers down",
    "waits of the host",
)


class Counting:
    """Counts of the outermost operation only: what the library does within one is not the solver's."""

    def __init__(self):
        self.counts, self.inside = Counter(), threading.local()

    def hook(self, function, *kinds):
        @wraps(function)
        def counted(*arguments, **keywords):
            outermost = not getattr(self.inside, "is_set", False)
            if outermost:
                for kind in kinds:
                    chosen = kind(*arguments, **keywords) if callable(kind) else kind
                    self.counts.update([chosen] if chosen else [])
            self.inside.is_set = True
            try:
                return function(*arguments, **keywords)
            finally:
                self.inside.is_set = not outermost

        return counted


def _placed(value, *_, **__):
    """What comes from the host goes up; a constant is a launch that fills; a device's own array is left as it is."""
    return None if isinstance(value, array_api_strict._array_object.Array) else UP


def _taken(_, key):
    """Picking by an array is a launch, a slice is a view."""
    keys = key if isinstance(key, tuple) else (key,)
    return LAUNCHES if any(hasattr(each, "shape") for each in keys) else None


@contextmanager
def counting():
    """Counts what is asked of devices while the block runs."""
    counting, array = Counting(), array_api_strict._array_object.Array
    with ExitStack() as stack:

        def replace(owner, name, *kinds):
            if hasattr(owner, name):
                stack.enter_context(patch.object(owner, name, counting.hook(getattr(owner, name), *kinds)))

        for name in array_api_strict.__all__:
            function = getattr(array_api_strict, name)
            if callable(function) and not isinstance(function, type) and name not in VIEWS and name != "nonzero":
                replace(array_api_strict, name, LAUNCHES)
        replace(array_api_strict, "nonzero", LAUNCHES, SYNCHRONISATIONS)  # the host must know how many there are
        replace(array_api_strict, "asarray", _placed)
        for name in ("svd", "pinv", "inv", "solve", "eigh", "qr"):
            replace(array_api_strict.linalg, name, FACTORISATIONS, SYNCHRONISATIONS)
        for name in ("vector_norm", "diagonal", "matmul", "outer", "vecdot"):
            replace(array_api_strict.linalg, name, LAUNCHES)
        for name in OPERATORS:
            replace(array, f"__{name}__", LAUNCHES)
        for name in WAITS:
            replace(array, name, DOWN, SYNCHRONISATIONS)
        replace(array, "__getitem__", _taken)
        replace(device, "to_host", DOWN, SYNCHRONISATIONS)
        devices = FakeDevices(xp=array_api_strict)
        devices.finish = counting.hook(devices.finish, SYNCHRONISATIONS)
        stack.enter_context(patch.object(device, "runtime", lambda: devices))
        yield counting.counts


def per_pixel(solver, problem):
    """Counts of each pixel beyond the first: what only the first pays for is not among them."""
    few, all_pixels = problem.take(slice(0, 1)), problem.sizes[0]
    with counting() as once:
        solver.run(few)
    with counting() as counts:
        solver.run(problem)
    return {kind: (counts[kind] - once[kind]) / (all_pixels - 1) for kind in counts}


def same_pixels(problem, number):
    """The problem's first pixel, that many times."""
    return problem.take(np.zeros(number, dtype=int))
