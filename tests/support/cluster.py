"""A Dask cluster of two threads, in a process of its own until its standard input ends; says its address.

Apart from the tests' process, since the scheduler draws random numbers while Hypothesis watches that nobody does.
"""

import sys

from distributed import LocalCluster

if __name__ == "__main__":
    kind = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, threads_per_worker=1, **kind) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
