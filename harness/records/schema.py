"""What a record holds: a cell, the columns of the tidy table, and the words in them."""

import re
from dataclasses import dataclass

SCHEMA = 1


COLUMNS = tuple(
    """run commit machine solver device accuracy external dataset seed pixels channels bins threads status reason
    oneoff_s prepare_s solve_s collect_s median_s ci_low_s ci_high_s n pixels_per_s speedup speedup_low speedup_high
    peak_rss_mb peak_device_mb chisq_median chisq_p25 chisq_p75 chisq_iqr chisq_p95 invalid_pixels hit_max_iter
    negative_pixels tied_pixels compared_pixels parity_dem parity_edem parity_elogt parity_chisq parity_dn_reg
    truth_dem_error truth_peak_logt_error truth_coverage gate gate_reasons limit_s of_limit algorithm_flops
    algorithm_bytes strategy_flops strategy_bytes leaves_out""".split()
)
"""limit_s to strategy_bytes: see `harness.limits` and `harness.machine.counted_work`; flops and bytes are of one pixel.
leaves_out: outputs that a solver doesn't compute, with blanks between them."""


WORDS = "run commit machine solver device accuracy dataset status reason gate gate_reasons leaves_out".split()


COUNTS = """seed pixels channels bins threads n invalid_pixels hit_max_iter negative_pixels tied_pixels
    compared_pixels""".split()


STATUSES = ("ok", "skipped", "failed", "timeout", "crashed", "out_of_memory")


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
        return f"{self.dataset}-p{self.pixels}-b{self.bins}-s{self.seed}"


def solver_slug(spec: str) -> str:
    """A solver's spec in file names: `dask[inner=numba,workers=2]` -> `dask@inner=numba+workers=2`."""
    return re.sub(r"[^\w.=+@-]", "_", spec.replace("[", "@").replace("]", "").replace(",", "+").replace(" ", ""))
