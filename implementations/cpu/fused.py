"""Each pixel from counts to error bars in one compiled kernel that keeps everything in the first-level cache.

What makes it fast, in the order of what it saves:
- nothing T x T is ever formed, nothing is allocated; the GSVD is a factorisation of the thin F x T matrix K L^-1: by
  Gram-Schmidt to a triangle, by reflections to a bidiagonal, a fixed number of steps. No SVD: for each mu that is tried
  a qd transform gives what the solution needs, F divisions (`compiled.factorise`, `compiled.discrepancy`);
- a vector holds a number of each of 8 pixels (4 without AVX-512), in every step: no lane waits for the last result of
  another, none is padding;
- the resolution needs the greatest value of each of T profiles of T bins, 2·T^2·F flops. They are done at the rate of
  the machine's multipliers, by holding 4 rows x 2 profiles in registers, and no row that can't reach half of a profile
  is looked at (`compiled.profiles`); from 64 bins on most rows are not: they are taken in falling order of what they
  can reach, until none can beat what was found (`compiled.sorted_profiles`, along the bins of a pixel);
- a positivity pass repeats neither the factorisation nor the search from scratch: only the T bins of the DEM are
  recomputed, and a secant leads from the last two grid points to the next.

`numba-float32` computes the profiles, the search for their half maxima and elogt in single precision, twice the lanes
where most of the flops are. The DEM, its error, chi-squared and the recovered counts stay double: the weights span
eight decades and the regularisation grid begins at 1e-4 of the smallest singular value squared, beyond float32's reach.
Lost: where a sample of a profile is within float32's rounding of the half maximum, elogt moves by half a sample, 1% of
the temperature range; elsewhere it agrees to some 1e-6.

Wins: over every exact solver here. One thread, times the baseline at 34, 200, 400 bins: 460 to 690, 3300 to 5200, 12600
to 19300 with self-normalised weights (results/reference); 310 to 440, 1380 to 1590, 3570 to 3790 with EM loci
(results/reference-loci). Two threads: 1.6 to 1.9 times one (results/reference-threads), on a virtual machine
whose two cores share what a host has: `python -m harness.profile numba --threads 1,2` tells that apart.
Cost per pixel: at most 2·T^2·F flops for the profiles, 4·T·F^2 for the triangle and the rows, 2·T·F per positivity
pass, some 3·F^3 per factorisation, 7·F operations and F divisions for each mu that is tried. From 200 bins on the
multipliers bound it; at 34 bins the profiles' products and the loads that feed them are the largest share, then the
factorisation's chains of square roots and divisions. A block of 8 pixels takes as many positivity passes as the pixel
that needs most. Memory: some 16·F + 100 rows of T doubles per thread beyond inputs and outputs.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: Hannah & Kontar (2012, A&A 539 A146; 2013, A&A 553 A10); the kernel: `implementations.compiled.kernel`.
"""

from typing import Any

from implementations.contract import Bounds, Problem
from implementations.cpu.dealt import Dealt


class NumbaFused(Dealt):
    """Fused double-precision kernel; `threads`: how many pixels at a time, None for as many as Numba is set to use."""

    name = "numba"
    accuracy = "exact"
    precision = "float64"
    """NumPy's name of the type that profiles are computed in."""

    def prepare(self, problem: Problem) -> Any:
        """Pad the constant arrays, set up working memory and threads."""
        import numpy as np

        from implementations.compiled import tiles

        return tiles.prepare(problem, getattr(np, self.precision), self.threads)


class NumbaFloat32(NumbaFused):
    """Fused kernel with the temperature resolution in single precision; tunables as `NumbaFused`."""

    name = "numba-float32"
    accuracy = "approximate"
    bounds = Bounds(
        chisq_median=(1 - 1e-9, 1 + 1e-9),
        chisq_iqr=(1 - 1e-9, 1 + 1e-9),
        chisq_p95=(1 - 1e-9, 1 + 1e-9),
        truth_dem_error=1 + 1e-9,
        negative_pixels=0.0,
        edem=(1 - 1e-9, 1 + 1e-9),
        elogt=(1 - 1e-4, 1 + 1e-4),
    )
    precision = "float32"
