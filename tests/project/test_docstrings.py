"""The public docstrings: numpydoc's sections say of each parameter and result what it is, and the examples run."""

import doctest
import inspect
import re

import pytest

from implementations import api, contract, invert, pixel, registry
from implementations.calls import result

MODULES = (api, contract, invert, pixel, registry, result)


def public():
    """What users call: functions and classes of the modules, and the classes' methods, by name."""
    for module in MODULES:
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(value) or (inspect.isclass(value) and value is not contract.Status):
                yield f"{module.__name__}.{name}", value
            for method in vars(value) if inspect.isclass(value) else ():
                plain = getattr(value, method)
                if not method.startswith("_") and inspect.isroutine(plain):
                    yield f"{module.__name__}.{name}.{method}", plain


DOCUMENTED = dict(public())


def faults(value, text):
    """What the sections of a docstring leave out or make up."""
    sections = dict(re.findall(r"^(\w+)\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL))
    described = re.findall(r"\w+", " ".join(re.findall(r"^\w[\w, ]*$", sections.get("Parameters", ""), re.MULTILINE)))
    signature = inspect.signature(value)
    taken = [name for name in signature.parameters if name not in ("self", "args", "kwargs")]
    if sorted(described) != sorted(taken):
        yield f"Parameters describes {described}, expected {taken}"
    returned = None if inspect.isclass(value) else signature.return_annotation
    if returned is None and "Returns" in sections:
        yield "returns nothing, but has Returns"
    if returned is not None and taken and "Returns" not in sections:  # without parameters the first line says it
        yield f"returns {returned}, and Returns is missing"
    if "Raises" not in sections and re.search(r"[Rr]aises? \w*Error|^\w+Error when", text):
        yield "says that it raises outside of Raises"


def test_the_public_names_are_found():
    assert {"implementations.api.dn2dem", "implementations.contract.Solver.collect"} <= set(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_parameter_and_result_is_described(name):
    value = DOCUMENTED[name]
    assert list(faults(value, inspect.getdoc(value) or "")) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Sum.\n\nReturns\n-------\nint\n    Sum.\n", "Parameters describes"),
        ("Sum.\n\nParameters\n----------\na, b\n    Terms.\n", "Returns is missing"),
        (
            "Sum. Raises ValueError.\n\nParameters\n----------\na, b\n    Terms.\n\nReturns\n-------\nint\n",
            "outside of",
        ),
    ],
)
def test_what_is_left_out_is_seen(text, fault):
    def total(a: int, b: int) -> int:
        return a + b

    assert any(fault in found for found in faults(total, text))


@pytest.mark.parametrize("module", [api, registry], ids=lambda m: m.__name__)
def test_the_examples_run(module):
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0
