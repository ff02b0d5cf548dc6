"""Pixels that are on a device already, inverted there: nothing of them goes up or comes home.

For a caller who computes with CuPy before and after. What is computed of a chunk is the strategy's own `Job`; chunks
are as large as the free memory bears, one after the other on the current stream.

Shapes: dn, edn (P, F); norm (P, T) or None; outputs as `Solution`. Memory on the device: inputs, outputs, and
`work_bytes` for each pixel of a chunk.
"""

from typing import Any

from implementations.contract import Status
from implementations.gpu import device as gpu_device
from implementations.gpu.pipeline import MEMORY_SHARE, Arrays, Job


def inverted(job: Job, dn: Any, edn: Any, norm: Any | None) -> Arrays:
    """All outputs by name, on the device of `dn`; `job`: of a problem with the same constants and any pixels."""
    runtime = gpu_device.runtime()
    xp, pixels = runtime.xp, dn.shape[0]
    inputs = {name: a for name, a in (("dn", dn), ("edn", edn), ("norm", norm)) if a is not None}
    with runtime.on(getattr(dn.device, "id", 0)):
        outputs = {n: xp.zeros((pixels, *a.shape[1:]), dtype=a.dtype) for n, a in job.outputs.items()}
        outputs["status"][...] = int(Status.INVALID)
        shared = job.share(xp)
        chunk = _chunk(job, runtime.free_bytes() - job.fixed_bytes, pixels)
        for first in range(0, pixels, chunk):
            part = slice(first, min(first + chunk, pixels))
            given, out = ({n: a[part, ...] for n, a in arrays.items()} for arrays in (inputs, outputs))
            if job.rows is None:
                job.compute(shared, given, out, None)
            else:
                _of_valid(xp, job, shared, given, out)
    return outputs


def _chunk(job: Job, free_bytes: int, pixels: int) -> int:
    """Pixels of a chunk. MemoryError when there is no room for one."""
    needed = job.work_bytes + (0 if job.rows is None else job.slot_bytes())
    fits = int(free_bytes * MEMORY_SHARE) // max(needed, 1)
    if fits < 1 and pixels:
        raise MemoryError(f"a pixel needs {needed} bytes on the device, of which {max(free_bytes, 0)} are free")
    return max(1, min(fits, pixels))


def _of_valid(xp: Any, job: Job, shared: Any, given: Arrays, out: Arrays) -> None:
    """Compute a chunk's valid pixels, for a strategy that asks to be given no others."""
    good = (given["dn"] > 0) & xp.isfinite(given["dn"]) & (given["edn"] > 0) & xp.isfinite(given["edn"])
    rows = xp.nonzero(xp.all(good, axis=1))[0]
    if not rows.shape[0]:
        return
    taken = {name: xp.take(array, rows, axis=0) for name, array in given.items()}
    found = {name: xp.empty((rows.shape[0], *a.shape[1:]), dtype=a.dtype) for name, a in out.items()}
    job.compute(shared, taken, found, None)
    for name, array in found.items():
        out[name][rows] = array
