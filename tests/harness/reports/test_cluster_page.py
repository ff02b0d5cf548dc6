"""The committed runs of clusters and of the full frame show what the pages say of them."""

import json
import re

import pandas as pd

from harness.reports import scaling
from harness.reports.pages import cluster_page
from harness.upkeep.full_frame import LIMIT_MB
from implementations.contract import OUTPUTS

CLUSTER = pd.read_csv(cluster_page.CLUSTER / scaling.FILE)


def test_the_full_frame_fits_and_is_equal():
    got = json.loads(cluster_page.FULL_FRAME.read_text())
    assert (got["shape"], got["bins"], got["cores"]) == ([4096, 4096], 34, 2)
    assert got["compared"] == list(OUTPUTS)
    assert got["differing"] == []
    assert got["peak_mb"] < LIMIT_MB == 2048
    assert f"in {got['seconds']:.0f} s on 2 cores" in cluster_page.full_frame()


def test_two_of_dasks_threads_are_nearly_as_fast_as_two_of_numbas():
    """The page has what is claimed: 0.9 of `numba` on as many threads, start and end included."""
    largest = CLUSTER[(CLUSTER.pixels == 600_000) & (CLUSTER.workers == 2)].iloc[0]
    assert largest.beside_solver == "numba[threads=2]"
    assert largest.n >= 15
    assert largest.beside >= 0.9
    assert largest.startup_s == largest.shutdown_s == largest.bytes_sent == 0
    row = next(line for line in cluster_page.table().splitlines() if line.startswith("| 600,000 | 34 | 2 |"))
    assert f"{largest.beside:.2f} [{largest.beside_low:.2f}, {largest.beside_high:.2f}]" in row


def test_scaling_is_what_the_records_say():
    from harness.records.run import Run

    again = scaling.of_run(Run.open(cluster_page.CLUSTER))
    pd.testing.assert_frame_equal(again, CLUSTER, check_dtype=False, rtol=1e-12)


def test_committed_runs_hold_no_paths_of_a_machine():
    for file in (*cluster_page.CLUSTER.rglob("*.json"), cluster_page.FULL_FRAME):
        assert not re.search(r"/(home|root|tmp|Users)/", file.read_text()), file
