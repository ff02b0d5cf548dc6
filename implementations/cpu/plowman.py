"""Positive DEMs at a target chi-squared, with error bars: the method of Plowman & Caspi in one compiled kernel.

Another method than DEMREG. The DEM is exp(s), linear in log T between bin centres, as smooth as the counts allow: the
integral of (ds / dlogT)^2, where `delta` e-folds per dex count as one. Damped Gauss-Newton steps from a start (flat, EM
loci for gloci, the user's dem_norm0) end where chi-squared is within a tenth of reg_tweak, or no step gains. So no bin
is negative and no target is raised; max_iter, rgt_fact and nmu have no effect. iterations: problems linearised.

What makes it fast: D + M^T M, tridiagonal plus rank F, is solved as an F x F system in the slopes of s, a vector of
pixels abreast, and no exponential is computed but a short series (`cpu.plowman_steps`). Error bars: the noise carried
through the last linearisation, the start, and the length of the last step, as their Monte Carlo asks for
(`cpu.plowman_errors`); elogt: half width of what a DEM of one bin adds, as DEMREG defines it.

Wins: over DEMREG wherever its positivity loop raises the target; docs/methods.md has the figures.
Cost per pixel: some T·F·(F + 20) flops a step, a third of that for an error bar, and at most 2·T^2·F for elogt.
Memory: some 3·F + 5 rows of T doubles for each of a vector's pixels and thread, beyond inputs and outputs.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: Plowman & Caspi (2020, ApJ 905, 17); errors and resolution are this project's.
"""

from typing import Any

from implementations.contract import Bounds, Problem
from implementations.cpu.dealt import Dealt


class Plowman(Dealt):
    """Tunables: `threads`, how many pixels at a time, None for Numba's number; `delta`, e-folds per dex, > 0."""

    name = "plowman"
    accuracy, method = "other", "plowman"
    # Some one and a half times what six workloads at 20 to 400 bins gave. Chi-squared over what can be reached: medians
    # 0.72 to 1.25, IQR 0.03 to 0.7, p95 1.01 to 3.8, where a flare's counts fit no smooth DEM; DEM error 0.51 to 2.2
    # times the baseline's, the highest with random responses. The error bars' ratios to the baseline's say little.
    bounds = Bounds((0.5, 1.6), (0.0, 1.1), (0.8, 6.0), 2.8, 0.0, edem=(0.15, 20.0), elogt=(0.02, 16.0))

    def __init__(self, threads: int | None = 1, delta: float = 8.0):
        super().__init__(threads)
        if not 0 < delta < float("inf"):
            raise ValueError(f"delta must be a finite number > 0, got {delta}")
        self.delta = delta

    def prepare(self, problem: Problem) -> Any:
        """Fold the response with the hats, set up working memory and threads."""
        from functools import partial

        import numpy as np

        from implementations.compiled import tiles
        from implementations.cpu import plowman_kernel as kernel

        setup, fused = kernel.layout(problem, self.delta)
        return tiles.deal(problem, setup, np.float64, self.threads, kernel.invert, partial(kernel.memory, fused))
