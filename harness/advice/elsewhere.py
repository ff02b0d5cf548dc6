"""A guess for this machine from another's records: their times by the ratio of what both machines can do at most."""

from dataclasses import replace
from statistics import median
from typing import Any

from harness.advice.evidence import Evidence
from harness.machine import facts as machine_facts

TIMES = ("median_s", "ci_low_s", "ci_high_s", "oneoff_s")
RATES = {"multiply-adds": "flops_per_s", "divisions": "divisions_per_s"}


def ratios(there: dict[str, Any], here: dict[str, Any]) -> dict[str, float]:
    """What one core does there over what one does here, of each kind of work; memory by the largest block measured."""
    found = {name: there[key]["core"]["best"] / here[key]["core"]["best"] for name, key in RATES.items()}
    blocks = [each["copy_bytes_per_s"][-1]["core"]["best"] for each in (there, here)]
    return found | {"memory": blocks[0] / blocks[1]}


def guessed(known: Evidence, there: dict[str, Any], here: dict[str, Any], machine: dict[str, Any]) -> Evidence:
    """The records of solvers on the processor, their times multiplied by the middle one of the ratios.

    Parameters
    ----------
    known
        The other machine's records.
    there, here
        Both machines' limits, as runs keep them.
    machine
        This machine.

    Returns
    -------
    Evidence
        Whose `guess` says what was done. Limits say nothing of devices: what ran on one is left out.

    Raises
    ------
    ValueError
        Where the other machine's limits weren't kept.
    """
    if not there:
        raise ValueError("--from needs a run that kept its machine's limits, and this one has none")
    found = ratios(there, here)
    factor = median(found.values())
    table = known.table[known.table.device == "cpu"].copy()
    table[list(TIMES)] = table[list(TIMES)] * factor
    parts = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    guess = (
        f"a guess: times of {machine_facts.machine_label(known.machine)} x {factor:.2f}, the middle one of what a core "
        f"does there over here ({parts})"
    )
    return replace(known, table=table.reset_index(drop=True), machine=machine, guess=guess)
