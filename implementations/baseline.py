"""The published algorithm, one pixel after another, nothing improved: the oracle, and the cost that others are held to.

Hannah & Kontar (2012, A&A 539 A146; 2013, A&A 553 A10), restated. It has the cost structure of the published code on
purpose: diagonal matrices stored in full, explicit inverses, the generalised SVD by a full SVD padded to a square and a
pseudo-inverse, the regularisation grid walked point by point and channel by channel, both on every pass of the
positivity loop, the temperature resolution bin by bin. It shares no code with `implementations.maths`, so that
agreement means something.

Wins: never; it is the yardstick: 1.3, 27 and 183 ms per pixel at 34, 200 and 400 bins, 5000 pixels (results/reference).
Cost per pixel, F channels and T bins: one full SVD and one pseudo-inverse of max(F, T) square, O(T^3), twice where the
weights are self-normalised, and F·nmu Python steps; all of it again on each pass of the positivity loop.
Memory: about ten T x T matrices per worker. Rounding may turn the sign of bins below 5e-16 of the peak (emd_int).

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex, half-maximum width as the published map routine returns it (to be
divided by 2·sqrt(2 ln 2) for a standard deviation).
Source: the two papers; the published implementation is github.com/ianan/demreg (GPL), of which nothing is copied.
"""

from collections.abc import Callable

import numpy as np

from implementations.contract import Array, Problem
from implementations.executors import PerPixel, Pixel, PixelFunction


class Baseline(PerPixel):
    """The published algorithm with its process pool; tunables as `PerPixel`."""

    name = "baseline"

    @property
    def pixel(self) -> PixelFunction:
        """See `invert_pixel`."""
        return invert_pixel


def regularisation(alpha: Array, beta: Array, u: Array, data: Array, target: float, nmu: int) -> float:
    """Morozov's choice: the point of the grid at which the misfit is nearest to `target` per channel.

    Where channels outnumber bins the surplus components have alpha = 0, which no regularisation reaches.
    """
    channels, rank = len(data), np.count_nonzero(alpha)
    ratio = alpha[:rank] / beta[:rank]
    lowest, highest = np.min(ratio) ** 2 * 1e-4, np.max(ratio)
    grid = [lowest * np.exp(i * np.log(highest / lowest) / (nmu - 1)) for i in range(nmu)]
    misfit = np.zeros((channels, nmu))
    for k in range(channels):
        projection = data @ u[:, k]
        for i in range(nmu):
            left = grid[i] * beta[k] ** 2 / (alpha[k] ** 2 + grid[i] * beta[k] ** 2)
            misfit[k, i] = (left * projection) ** 2
    discrepancy = np.sum(misfit, axis=0) - channels * target
    return grid[int(np.argmin(np.abs(discrepancy)))]


Search = Callable[[Array, Array, Array, Array, float, int], float]
"""What `regularisation` is; a strategy that replaces this step alone hands its own to `invert_pixel`."""


def invert_pixel(dn: Array, edn: Array, norm: Array | None, problem: Problem, search: Search = regularisation) -> Pixel:
    """Regularised inversion of the counts `dn` (F,) with errors `edn` (F,), both valid; `norm` (T,): user weights."""
    options, rmatrix, logt, dlogt = problem.options, problem.rmatrix, problem.logt, problem.dlogt
    bins, channels = rmatrix.shape
    kernel = np.zeros((channels, bins))
    for f in range(channels):
        kernel[f, :] = rmatrix[:, f] / edn[f]
    data = dn / edn

    weight = constraint_weight(dn, kernel, data, norm, problem, search)
    constraint = np.diag(1 / np.abs(weight)) if options.l_emd else np.diag(np.sqrt(dlogt) / np.sqrt(np.abs(weight)))

    target = options.reg_tweak
    for iterations in range(1, options.max_iter + 1):
        alpha, beta, u, w = gsvd(kernel, constraint)  # the same on every pass, and yet the published code repeats it
        mu = search(alpha, beta, u, data, target, options.nmu)
        inverse = regularised_inverse(alpha, beta, u, w, mu)
        dem = inverse @ data
        if iterations == options.max_iter or not (dem < 0).any():
            break
        target = target * options.rgt_fact

    dn_reg = rmatrix.T @ dem
    chisq = np.sum(((dn - dn_reg) / edn) ** 2) / channels
    edem = np.sqrt(np.sum(inverse**2, axis=1))  # the whitened data have unit errors
    return Pixel(dem, edem, temperature_resolution(inverse @ kernel, logt, dlogt), chisq, dn_reg, iterations)


def constraint_weight(
    dn: Array, kernel: Array, data: Array, norm: Array | None, problem: Problem, search: Search
) -> Array:
    """The weight (T,) that shapes the constraint: given by the user, from the EM loci, or from a first solution."""
    if norm is not None and norm[0] != 0 and not np.all(norm == 1):
        return norm
    mask = problem.options.loci_mask(len(dn))
    if mask is not None:
        with np.errstate(divide="ignore"):  # a channel blind to a bin sets no limit there
            loci = [dn[f] / problem.rmatrix[:, f] for f in range(len(dn)) if mask[f]]
        return smoothed(np.min(np.array(loci), axis=0))
    alpha, beta, u, w = gsvd(kernel, np.diag(1 / np.sqrt(problem.dlogt)))
    mu = search(alpha, beta, u, data, problem.options.reg_tweak, problem.options.nmu)
    first = regularised_inverse(alpha, beta, u, w, mu) @ data
    weight = np.ones(len(first))
    large = first > 1e-4 * np.max(first)
    weight[large] = first[large]
    return smoothed(weight)


def smoothed(weight: Array) -> Array:
    """Five-point mean of the weight scaled to a peak of 1, with zeros for its end bins and beyond; at least 1e-8."""
    inner = (weight / np.max(weight))[1:-1]
    return np.maximum(np.convolve(inner, np.ones(5) / 5)[1:-1], 1e-8)


def gsvd(kernel: Array, constraint: Array) -> tuple[Array, Array, Array, Array]:
    """Generalised SVD of kernel (F, T) and constraint (T, T): alpha (F,), beta (F,), U (F, F), W (T, min(F, T)).

    kernel = U diag(alpha) W^-1 and constraint = V diag(beta) W^-1, by the SVD of kernel·constraint^-1, zero-padded.
    """
    channels, bins = kernel.shape
    rank, size = min(channels, bins), max(channels, bins)
    padded = np.zeros((size, size))
    padded[:channels, :bins] = kernel @ np.linalg.inv(constraint)
    u, s, vt = np.linalg.svd(padded, full_matrices=True)
    s[rank:] = 0  # what the padding adds, apart from rounding
    beta = 1 / np.sqrt(1 + s**2)
    alpha = s * beta
    w = np.linalg.pinv(np.linalg.inv(np.diag(beta[:bins])) @ vt[:bins, :bins] @ constraint)
    return alpha[:channels], beta[:channels], u[:channels, :channels], w[:, :rank]


def regularised_inverse(alpha: Array, beta: Array, u: Array, w: Array, mu: float) -> Array:
    """K-dagger (T, F) at the regularisation `mu`: W diag(alpha / (alpha^2 + mu beta^2)) U^T."""
    rank = w.shape[1]
    filters = np.zeros((rank, rank))
    for k in range(rank):
        filters[k, k] = alpha[k] / (alpha[k] ** 2 + mu * beta[k] ** 2)
    return w @ (filters @ u[:, :rank].T)


def temperature_resolution(profiles: Array, logt: Array, dlogt: Array) -> Array:
    """Half the full width at half maximum (T,) of each column of K-dagger K (T, T), on 51 samples of log T."""
    span = logt.max() - logt.min()
    samples = logt.min() + 1e-8 + span * np.arange(51) / 51
    elogt = np.array(dlogt)
    for t in range(len(logt)):
        profile = profiles[:, t]
        above = np.interp(samples, logt, profile) >= np.max(profile) / 2
        if above.any():
            inside = samples[above]
            elogt[t] = (inside[-1] - inside[0]) / 2
    return elogt
