"""Memory marks of a process are its own."""

import subprocess
import sys

MEGABYTES = 400


def test_the_memory_mark_is_not_the_parents():
    parent = (
        f"import subprocess, sys; ballast = b'x' * ({MEGABYTES} * 2**20);"
        "child = 'from harness.measure import clock; print(clock.peak_rss_mb())';"
        "sys.exit(subprocess.run([sys.executable, '-c', child]).returncode)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout) < MEGABYTES / 2
