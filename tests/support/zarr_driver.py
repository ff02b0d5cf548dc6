"""Invert a store in a process of its own: SOURCE TARGET SOLVER LIMIT BINS LOW HIGH, LIMIT bytes a file (0: any)."""

import resource
import sys
from pathlib import Path

from folders import TROUBLE

from implementations import registry
from implementations.large_maps import inversion

registry.IN_REPO["slow"] = f"{TROUBLE}:Slow"  # in the workers too, which import this file
registry.IN_REPO |= {"slow-in-threads": f"{TROUBLE}:SlowInThreads", "fails": f"{TROUBLE}:Fails"}

if __name__ == "__main__":
    source, target, solver, limit, bins, low, high = sys.argv[1:]
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    layout = inversion.Layout(codec="none") if int(limit) else None  # a chunk of pixels nobody sees shrinks to nothing
    logt = float(low), float(high)
    sys.exit(inversion.invert_store(Path(source), Path(target), solver, 2, int(bins), logt, None, layout))
