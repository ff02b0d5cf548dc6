"""The committed answers of an independent implementation (see golden/remake.py) as Problems with expected outputs."""

import json
from typing import Any

import numpy as np
from folders import TESTS

from implementations.contract import Options, Problem
from implementations.maths import response

FILE = np.load(TESTS / "golden" / "demregpy-1.0.0.npz")
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in json.loads(str(FILE["cases"]))}
TO_SIGMA = 2 * np.sqrt(2 * np.log(2))


def problem(name: str) -> Problem:
    """The problem that `dn2dem` poses for a case, its leading axes flattened."""
    case, given = CASES[name], dict(CASES[name]["options"])
    dn, edn = FILE[f"{name} dn"], FILE[f"{name} edn"]
    logt, dlogt = response.bins_of(FILE[f"temps {case['temps']}"])
    tresp, emd_int = FILE["tresp"][:, : case["channels"]], given.pop("emd_int", False)
    rmatrix = response.response_matrix(tresp, FILE["tresp_logt"], logt, dlogt, emd_int)
    given.pop("emd_ret", None)
    if given.pop("non_pos", False):
        given["max_iter"] = 1
    if given.get("nmu", 40) <= 40:
        given["nmu"] = 500 if dn.ndim == 1 else 42
    given["l_emd"] = given.get("l_emd", False) or emd_int
    norm = FILE[f"{name} dem_norm0"].reshape(-1, len(logt)) if f"{name} dem_norm0" in FILE else None
    channels = dn.shape[-1]
    return Problem(dn.reshape(-1, channels), edn.reshape(-1, channels), rmatrix, logt, dlogt, Options(**given), norm)


def expected(name: str, output: str) -> np.ndarray:
    """An output of `dn2dem` in the units and shape of `Solution`."""
    value, case = FILE[f"{name} {output}"], CASES[name]
    if output in ("dem", "edem"):
        logt, dlogt = response.bins_of(FILE[f"temps {case['temps']}"])
        emd = case["options"].get("emd_int", False) and not case["options"].get("emd_ret", False)
        value = value * (10**logt * np.log(10**dlogt) if emd else 1.0) / response.SCALE
    if output == "elogt":
        value = value * TO_SIGMA
    return value.reshape(-1) if output == "chisq" else value.reshape(-1, value.shape[-1])
