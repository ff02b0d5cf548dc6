"""`l2` on the device: every pixel's inverse looked up in one small table, no factorisation per pixel and no waiting.

The table (an inverse and a resolution for each point of the regularisation grid) is made once on the host. Per pixel
the device does what `l2` does, but leaves the pixels in their order and fetches a row of the table for each: sorting
them by grid point, which pays on a processor, would make the host wait for how many there are of each.

Approximate: what `l2` gives up and keeps, the error bars propagated from the errors included.

Wins: nowhere: on one H100 the exact `gpu-fused` is as fast or faster (docs/gpu.md). At 200 bins the transfer home of
24·T bytes a pixel takes as long as its kernels, at 34 the kernels twice as long.
Cost per pixel: a product of F x nmu for the misfit, F fetched rows of T. In launches: some 70 a chunk; the host never
waits in one. Memory: on the device two slots and about 8·(6·T + 4·nmu) bytes per pixel of a chunk; on the host, pinned,
two slots. A map larger than the device is streamed through it.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: `implementations.cpu.l2`, whose table and choice of mu these are.
"""

from typing import Any

from implementations.contract import Problem, Status
from implementations.cpu.l2 import L2, Table, choose, tabulate
from implementations.gpu.pipeline import Arrays, Job
from implementations.gpu.streamed import Streamed, inversion
from implementations.maths import uncertainty
from implementations.maths.namespace import array_namespace


class GpuL2(Streamed):
    """Shared-SVD discrepancy solver on one or several devices.

    Tunables: `devices`, `chunk` and `outputs` as `Streamed` has them.
    """

    name = "gpu-l2"
    accuracy = "approximate"
    bounds = L2.bounds

    def job(self, problem: Problem) -> Job:
        """One table for all chunks, made here; a chunk looks up its pixels' inverses."""
        table, (_, channels, bins) = tabulate(problem), problem.sizes

        def share(xp: Any) -> tuple[Table, Any, float]:
            return Table(*map(xp.asarray, table)), xp.asarray(problem.rmatrix), problem.options.reg_tweak

        work_bytes = 8 * (6 * bins + 4 * problem.options.nmu + 8 * channels)
        return inversion(problem, share, compute, work_bytes, weights=False)


def compute(shared: tuple[Table, Any, float], inputs: Arrays, outputs: Arrays, stream: Any) -> None:
    """Fill in the outputs of a chunk of valid pixels; see `gpu.pipeline.Job`."""
    (table, rmatrix, reg_tweak), dn, edn = shared, inputs["dn"], inputs["edn"]
    xp = array_namespace(dn)
    point = choose(dn, edn, table, reg_tweak)
    dem, variance = 0.0, 0.0
    for f in range(dn.shape[1]):  # channel by channel: no (P, F, T) array
        row = xp.take(table.k_dagger[:, f, :], point, axis=0)
        dem = dem + dn[:, f, None] * row
        variance = variance + (edn[:, f, None] * row) ** 2
    outputs["dem"][...] = dem = xp.where(dem > 0, dem, 0.0)
    outputs["edem"][...] = xp.sqrt(variance)
    outputs["elogt"][...] = xp.take(table.elogt, point, axis=0)
    outputs["dn_reg"][...] = dn_reg = uncertainty.counts(dem, rmatrix)
    outputs["chisq"][...] = uncertainty.chisq(dn, edn, dn_reg)
    outputs["iterations"][...] = 1
    outputs["status"][...] = int(Status.OK)
