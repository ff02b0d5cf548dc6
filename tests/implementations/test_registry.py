"""Names, tunables and plugins."""

import subprocess
import sys

import pytest
from folders import BAD

from implementations import registry
from implementations.command_line import words
from implementations.registry import Registry
from implementations.solver_spec import parse


@pytest.mark.parametrize(
    ("spec", "name", "tunables"),
    [
        ("numba", "numba", {}),
        (" baseline[executor=loky, workers=2] ", "baseline", {"executor": "loky", "workers": 2}),
        ("gpu-batched[stream=true]", "gpu-batched", {"stream": True}),
        ("dask[scheduler=tcp://127.0.0.1:8786]", "dask", {"scheduler": "tcp://127.0.0.1:8786"}),
    ],
)
def test_a_spec_is_a_name_and_tunables(spec, name, tunables):
    assert parse(spec) == (name, tunables)


@pytest.mark.parametrize("spec", ["", "a b", "a[x", "a[x]", "a[=1]", "a[x=1,x=2]", "a]x["])
def test_a_malformed_spec_is_one_line(spec):
    with pytest.raises(ValueError, match="solver '") as error:
        parse(spec)
    assert "\n" not in str(error.value)


def test_commas_inside_brackets_do_not_split():
    assert words("a, b[x=1,y=2],c") == ("a", "b[x=1,y=2]", "c")


def test_unknown_names_and_tunables_name_the_nearest():
    table = Registry()
    with pytest.raises(ValueError, match="unknown solver 'basline'; nearest known: baseline"):
        table.create("basline")
    with pytest.raises(ValueError, match="unknown tunable of solver 'baseline' 'worker'; nearest known: workers"):
        table.create("baseline[worker=2]")
    with pytest.raises(ValueError, match="executor must be one of"):
        table.create("baseline[executor=fork]")


def test_every_registered_solver_describes_itself():
    for name in Registry().names():
        row = Registry().describe(name)
        assert Registry().fault(name) == ""
        assert row["device"] in ("cpu", "gpu", "cluster"), row
        assert row["accuracy"] in ("exact", "approximate", "other")
        assert (row["method"] == "demreg") == (row["accuracy"] != "other")
        assert row["available"] or row["reason"]
        cls = Registry().load(name)
        assert cls.name == name
        assert (cls.bounds is not None) == (cls.accuracy != "exact")


def test_listing_imports_no_heavy_package():
    code = (
        "import sys; from implementations.registry import Registry; t = Registry(); [t.describe(n) for n in t.names()];"
        "print(sorted({'cupy', 'dask', 'numba', 'distributed'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plugin_file_adds_its_solvers():
    table = Registry([BAD])
    assert {"hangs", "five-percent-off"} <= set(table.names())
    assert table.describe("hangs")["external"]
    assert table.describe("unavailable") | {"tunables": {}} == {
        "name": "unavailable",
        "device": "cpu",
        "accuracy": "exact",
        "method": "demreg",
        "external": True,
        "available": False,
        "reason": "no such device",
        "fault": "",
        "tunables": {},
    }


def test_a_missing_plugin_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        Registry([tmp_path / "none.py"])


def test_a_solver_that_cannot_be_imported_is_unavailable_with_the_reason(monkeypatch):
    monkeypatch.setitem(registry.IN_REPO, "broken", "implementations.no_such_file:Broken")
    monkeypatch.setattr(registry, "_own", registry._own.__wrapped__)
    row = Registry().describe("broken")
    assert not row["available"]
    assert row["reason"].startswith(
        "implementations.no_such_file:Broken: it can't be imported: ModuleNotFoundError: No module named"
    )
    assert Registry().fault("broken") == row["reason"]
