"""What a worker says of a failure."""

import traceback

import numpy as np

from harness.measure import worker


def test_a_traceback_names_files_from_their_package_on():
    try:
        np.linalg.svd(np.full((2, 2), "a"))
    except TypeError:
        told = worker.portable(traceback.format_exc())
    assert 'File "site-packages/numpy/linalg/' in told
    line = 'File "/home/me/bench/harness/measure/worker.py", line 3'
    assert worker.portable(line) == 'File "harness/measure/worker.py", line 3'
    assert worker.portable('File "/usr/lib/python3.12/json/decoder.py"') == 'File "lib/python3.12/json/decoder.py"'
    assert worker.portable('File "/home/me/mine.py"') == 'File "/home/me/mine.py"'
