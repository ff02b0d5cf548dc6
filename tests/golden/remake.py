"""Make demregpy-1.0.0.npz: what an independent implementation of DEMREG returns, to hold the baseline against.

demregpy 1.0.0 (MIT licence) needs Python 3.12 or newer, this package doesn't, so the file is made in an environment of
its own and committed:

    python3.12 -m venv oracle
    oracle/bin/pip install demregpy==1.0.0
    oracle/bin/python tests/golden/remake.py

It is called as a black box. The file holds, for every case, the arguments of `dn2dem` and the five arrays it returned;
`cases` is a JSON list of {name, temps, tresp, options}. The arguments are drawn with a fixed seed, so that another run
gives the same arguments bit for bit, and outputs that differ by rounding.
"""

import json
import warnings
from pathlib import Path

import numpy as np

OUTPUTS = ("dem", "edem", "elogt", "chisq", "dn_reg")
CENTRES = np.array([5.9, 6.1, 6.3, 6.5, 6.8, 7.0])
TEMPS = {
    "even": np.logspace(5.7, 7.1, 25),
    "fine": np.logspace(5.7, 7.2, 46),
    "wide": np.logspace(5.3, 7.6, 24),  # beyond both ends of the response table
    "uneven": 10 ** np.concatenate([np.linspace(5.7, 6.35, 14), np.linspace(6.4, 7.2, 9)]),
    "few": np.logspace(5.8, 7.0, 5),  # with three channels only
}
NORM = "a norm per pixel"
CASES = [
    ("self", "even", (5,), {}),
    ("loci", "even", (5,), {"gloci": 1}),
    ("mask", "even", (5,), {"gloci": [1, 0, 1, 1, 0, 1]}),
    ("self fine", "fine", (4,), {}),
    ("loci fine", "fine", (4,), {"gloci": 1}),
    ("self wide", "wide", (4,), {}),
    ("loci wide", "wide", (4,), {"gloci": 1}),
    ("self uneven", "uneven", (4,), {}),
    ("loci uneven", "uneven", (4,), {"gloci": 1}),
    ("norm", "even", (4,), {"dem_norm0": NORM}),
    ("norm fine", "fine", (3,), {"dem_norm0": NORM}),
    ("l_emd", "even", (4,), {"l_emd": True}),
    ("l_emd loci", "fine", (4,), {"l_emd": True, "gloci": 1}),
    ("norm l_emd", "even", (4,), {"l_emd": True, "dem_norm0": NORM}),
    ("emd_int", "even", (4,), {"emd_int": True}),
    ("emd_int emd_ret", "even", (4,), {"emd_int": True, "emd_ret": True, "gloci": 1}),
    ("emd_int norm", "even", (4,), {"emd_int": True, "emd_ret": True, "dem_norm0": NORM}),
    ("tweak", "even", (4,), {"reg_tweak": 0.5}),
    ("loose", "even", (4,), {"reg_tweak": 2.0, "rgt_fact": 1.1, "gloci": 1}),
    ("one pass", "even", (5,), {"max_iter": 1}),
    ("two passes", "fine", (5,), {"max_iter": 2, "gloci": 1}),
    ("many passes", "even", (5,), {"max_iter": 50, "rgt_fact": 1.2}),
    ("non_pos", "even", (4,), {"non_pos": True}),
    ("few mu", "even", (4,), {"nmu": 41}),
    ("many mu", "even", (4,), {"nmu": 300, "gloci": 1}),
    ("one pixel", "even", (), {}),
    ("one pixel loci", "fine", (), {"gloci": 1}),
    ("one pixel nmu", "even", (), {"nmu": 60}),
    ("map", "even", (3, 2), {}),
    ("map of one row", "even", (1, 4), {"gloci": 1}),
    ("map of one pixel", "even", (1, 1), {}),
    ("cube", "even", (2, 1, 3), {"gloci": 1}),
    ("cube norm", "even", (2, 2, 2), {"dem_norm0": NORM}),
    ("few", "few", (4,), {}),
    ("few loci", "few", (4,), {"gloci": 1}),
]


def response(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A response like AIA's (DN cm5 s-1 px-1) with zeros and negative values in its wings, and its log T."""
    logt = np.linspace(5.5, 7.5, 41)
    peak = 10 ** rng.uniform(-26, -24, 6)
    second = 0.05 * np.exp(-((logt[:, None] - np.roll(CENTRES, 3)) ** 2) / (2 * 0.15**2))
    tresp = peak * (np.exp(-((logt[:, None] - CENTRES) ** 2) / (2 * 0.12**2)) + second)
    tresp[tresp < 1e-6 * peak] = 0
    tresp[:2, 5] = -1e-30
    return tresp, logt


def counts(rng: np.random.Generator, shape: tuple, tresp: np.ndarray, logt: np.ndarray) -> tuple:
    """Counts of one- and two-component DEMs from quiet Sun to flare, with photon and read noise, and their errors."""
    dem = np.zeros((*shape, len(logt)))
    for _ in range(2):
        centre, width = rng.uniform(5.9, 6.8, (*shape, 1)), rng.uniform(0.08, 0.3, (*shape, 1))
        dem += 10 ** rng.uniform(20.5, 22.5, (*shape, 1)) * np.exp(-((logt - centre) ** 2) / (2 * width**2))
    dn = (dem * 10**logt * np.log(10) * (logt[1] - logt[0])) @ tresp
    edn = np.sqrt(dn * 0.6 + 0.4**2)
    return np.maximum(dn + edn * rng.standard_normal(dn.shape), 0.1 * edn), edn


def main() -> None:
    """Run every case and write the file beside this script."""
    import demregpy

    rng = np.random.default_rng(2013)
    tresp, tresp_logt = response(rng)
    arrays = {"tresp": tresp, "tresp_logt": tresp_logt, **{f"temps {k}": v for k, v in TEMPS.items()}}
    cases = []
    for name, temps, shape, options in CASES:
        channels = slice(0, 3) if temps == "few" else slice(0, 6)
        dn, edn = counts(rng, shape, tresp[:, channels], tresp_logt)
        given = dict(options)
        if given.get("dem_norm0") == NORM:
            bins = len(TEMPS[temps]) - 1
            given["dem_norm0"] = rng.uniform(0.2, 2.0, (*shape, bins))
            arrays[f"{name} dem_norm0"] = given["dem_norm0"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = demregpy.dn2dem(dn, edn, tresp[:, channels], tresp_logt, TEMPS[temps], **given)
        arrays |= {f"{name} dn": dn, f"{name} edn": edn}
        arrays |= {f"{name} {output}": np.asarray(value) for output, value in zip(OUTPUTS, result, strict=True)}
        settings = {k: v for k, v in options.items() if k != "dem_norm0"}
        cases.append({"name": name, "temps": temps, "channels": channels.stop, "options": settings})
    arrays["cases"] = np.array(json.dumps(cases))
    arrays["made_with"] = np.array(f"demregpy 1.0.0, numpy {np.__version__}")
    np.savez_compressed(Path(__file__).with_name("demregpy-1.0.0.npz"), **arrays)


if __name__ == "__main__":
    main()
