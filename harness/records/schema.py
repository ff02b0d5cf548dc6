"""What a record holds: a cell, the columns of the tidy table, and the words in them."""

import math
import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

SCHEMA = 1


COLUMNS = tuple(
    """run commit machine solver device accuracy external dataset seed pixels channels bins threads status reason
    oneoff_s prepare_s solve_s collect_s median_s ci_low_s ci_high_s n pixels_per_s speedup speedup_low speedup_high
    peak_rss_mb peak_device_mb chisq_median chisq_p25 chisq_p75 chisq_iqr chisq_p95 invalid_pixels hit_max_iter
    negative_pixels tied_pixels compared_pixels parity_dem parity_edem parity_elogt parity_chisq parity_dn_reg
    truth_dem_error truth_peak_logt_error truth_coverage gate gate_reasons limit_s of_limit algorithm_flops
    algorithm_bytes strategy_flops strategy_bytes leaves_out source workload method
    cpu_s cpu_low_s cpu_high_s clock others_cores doubts""".split()
)
"""limit_s to strategy_bytes: see `harness.limits` and `harness.machine.counted_work`; flops and bytes are of one pixel.
leaves_out: outputs that a solver doesn't compute, with blanks between them. source, workload: see
`harness.records.fingerprint` and `harness.workloads.specification`; "" in records from before they were kept, as method
is, which the table has as "demreg". cpu_s: of the middle run, where a solver has one thread and doesn't wait; clock:
what the speedup stands on; others_cores: cores that other work had during its turns; doubts: see
`harness.judge.clocks`."""


WORDS = """run commit machine solver device accuracy dataset status reason gate gate_reasons leaves_out source
    workload method clock doubts""".split()


COUNTS = """seed pixels channels bins threads n invalid_pixels hit_max_iter negative_pixels tied_pixels
    compared_pixels""".split()


STATUSES = ("ok", "skipped", "failed", "timeout", "crashed", "out_of_memory")
GATES = ("pass", "fail", "none")

ALWAYS = "run commit machine solver device accuracy external dataset seed pixels bins threads status gate".split()
MEASURED = "median_s oneoff_s prepare_s solve_s collect_s n pixels_per_s".split()
"""Columns that every row has; those that a row with a result has beside them, as numbers from zero on."""
TIMES = "ci_low_s ci_high_s cpu_s cpu_low_s cpu_high_s".split()
"""Columns that are above zero and finite where they are known."""
DETAILS = "facts hello shown throttled used spent machine process warming".split()
"""What stands beside a row by name, where it stands there."""


@dataclass(frozen=True, order=True)
class Cell:
    """One problem that all solvers of a run are measured on, in the same rounds."""

    dataset: str
    pixels: int
    bins: int
    seed: int

    @property
    def slug(self) -> str:
        """The cell's name in file names."""
        return f"{solver_slug(self.dataset)}-p{self.pixels}-b{self.bins}-s{self.seed}"


def solver_slug(spec: str) -> str:
    """A solver's spec in file names: `dask[inner=numba,workers=2]` -> `dask@inner=numba+workers=2`."""
    return re.sub(r"[^\w.=+@-]", "_", spec.replace("[", "@").replace("]", "").replace(",", "+").replace(" ", ""))


def file_name(cell: Cell, spec: str) -> str:
    """The name of a record's file."""
    return f"{cell.slug}--{solver_slug(spec)}.json"


def check_record(record: dict[str, Any], name: str) -> None:
    """ValueError, in a few words, when that isn't the record that belongs in a file of that name."""
    if record.get("schema") != SCHEMA:
        raise ValueError(f"has schema {record.get('schema')!r:.20}, expected {SCHEMA}")
    row, cell = record.get("row"), record.get("cell")
    if not isinstance(row, dict) or not isinstance(cell, dict):
        raise ValueError(f"lacks its {'cell' if isinstance(row, dict) else 'row'}")
    _check_row(row)
    if row["status"] == "ok" and not _are_turns(record.get("turns")):
        raise ValueError("lacks the times of its turns")
    for key in DETAILS:
        if not isinstance(record.get(key, {}), dict):
            raise ValueError(f"has {record[key]!r:.40} for {key}")
    if cell != {key: row[key] for key in ("dataset", "pixels", "bins", "seed")}:
        raise ValueError("has a row of another cell")
    if name != file_name(Cell(**cell), row["solver"]):
        raise ValueError(f"holds the record of {file_name(Cell(**cell), row['solver'])}")


def _check_row(row: dict[str, Any]) -> None:
    for key in ALWAYS:
        if row.get(key) is None:
            raise ValueError(f"lacks {key}")
    for key in [key for key in COLUMNS if row.get(key) is not None]:
        fits = is_text if key in WORDS else _is_whole if key in COUNTS else _is_number
        if not fits(row[key]):
            raise ValueError(f"has {row[key]!r:.40} for {key}")
    if row["status"] not in STATUSES or row["gate"] not in GATES:
        raise ValueError(f"has status {row['status']!r:.20} and gate {row['gate']!r:.20}")
    for key in MEASURED if row["status"] == "ok" else ():
        value = row.get(key)
        if not (isinstance(value, int | float) and 0 <= value < math.inf) or not row["median_s"]:
            raise ValueError(f"has {value!r:.40} for {key}")
    for key in TIMES:
        value = row.get(key)
        if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
            raise ValueError(f"has {value!r:.40} for {key}")


def is_text(value: Any) -> bool:
    """Half a character of two can't be shown or written."""
    return isinstance(value, str) and value == value.encode(errors="replace").decode()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_number(value: Any) -> bool:
    return value in ("inf", "-inf") or (isinstance(value, int | float) and abs(value) <= sys.float_info.max)


def _are_turns(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(runs, list) for runs in value.values()):
        return False
    runs = [run for runs in value.values() for run in runs]
    try:
        numbers = np.array(runs)
        if numbers.dtype.kind in "fi" and numbers.shape == (len(runs), 3) and np.isfinite(numbers).all():
            return True
    except (ValueError, TypeError, OverflowError):  # some are of another shape or kind: which, is looked at below
        pass
    return all(isinstance(run, list) and len(run) == 3 and all(map(_is_number, run)) for run in runs)
