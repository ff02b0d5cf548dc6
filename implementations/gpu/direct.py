"""The published algorithm on the device, one pixel after another: its array operations renamed, its order kept.

Kept to show why porting alone loses. A pixel is far too little work for a device, and each of its steps is a launch, on
arrays of some T x T numbers, that the next one has to wait for; the positivity loop and the resolution of every
temperature bin moreover make the host wait for a number before it can go on.

Wins: nowhere: several times slower than the baseline on one core of an H100's host (docs/gpu.md), as a prior study's
port, another code on another machine, was 8 times slower than one processor.
Cost per pixel: the baseline's; in launches, some 60 for each generalised SVD with its search, one of which is needed on
every pass of the positivity loop, and some ten per temperature bin; the host waits once a pass and once a bin, and one
pixel's counts go up and its outputs come home by themselves. The factorisations, of single small matrices, wait too.
Memory: about ten T x T matrices on the device.

Shapes: dn, edn (P, F); rmatrix (T, F); logt, dlogt (T,). Units: dn, edn DN s-1 px-1; rmatrix 1e-15 DN cm5 K s-1 px-1;
dem, edem 1e15 cm-5 K-1; logt log10 K; elogt dex.
Source: Hannah & Kontar (2012, 2013); constraint and grid through `implementations.maths`.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from implementations.contract import Array, Problem
from implementations.executors import PerPixel, Pixel, PixelFunction
from implementations.gpu import device as gpu_device
from implementations.maths import constraint, discrepancy, uncertainty
from implementations.maths.namespace import array_namespace


class CupyDirect(PerPixel):
    """The published algorithm pixel by pixel on the device."""

    name = "cupy"
    device = "gpu"

    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def available(cls) -> tuple[bool, str]:
        """Whether CuPy, a driver and a device are here."""
        return gpu_device.available()

    @property
    def pixel(self) -> PixelFunction:
        """See `invert_pixel`."""
        return invert_pixel


class Shared(NamedTuple):
    """What all pixels share, on the device."""

    rmatrix: Any
    dlogt: Any
    sampling: uncertainty.Sampling


@lru_cache(maxsize=1)
def placed(problem: Problem) -> Shared:
    """Upload what all pixels share, once."""
    rmatrix, dlogt, logt = map(gpu_device.runtime().xp.asarray, (problem.rmatrix, problem.dlogt, problem.logt))
    return Shared(rmatrix, dlogt, uncertainty.sampling(logt))


def invert_pixel(dn: Array, edn: Array, norm: Array | None, problem: Problem) -> Pixel:
    """Regularised inversion of the counts `dn` (F,) with errors `edn` (F,), both valid; `norm` (T,): user weights."""
    options, shared = problem.options, placed(problem)
    xp = array_namespace(shared.rmatrix)
    counts, errors = xp.asarray(dn), xp.asarray(edn)
    kernel, data = xp.permute_dims(shared.rmatrix, (1, 0)) / errors[:, None], counts / errors
    weight = constraint_weight(counts, kernel, data, norm, problem)
    linv = constraint.inverse_diagonal(weight, shared.dlogt, options.l_emd)[0, :]
    target = options.reg_tweak
    for iterations in range(1, options.max_iter + 1):
        inverse = regularised_inverse(kernel, linv, data, target, options.nmu)
        dem = inverse @ data
        if iterations == options.max_iter or not bool(xp.any(dem < 0)):
            break
        target *= options.rgt_fact

    dn_reg = dem @ shared.rmatrix
    chisq = xp.mean(((counts - dn_reg) / errors) ** 2)
    edem = xp.sqrt(xp.sum(inverse**2, axis=1))
    elogt = temperature_resolution(inverse @ kernel, shared, problem.dlogt)
    dem, edem, dn_reg = map(gpu_device.to_host, (dem, edem, dn_reg))
    return Pixel(dem, edem, elogt, float(chisq), dn_reg, iterations)


def constraint_weight(counts: Any, kernel: Any, data: Any, norm: Array | None, problem: Problem) -> Any:
    """The weight (1, T) that shapes the constraint: given by the user, from the EM loci, or from a first solution."""
    options, shared = problem.options, placed(problem)
    xp = array_namespace(kernel)
    if norm is not None and constraint.is_given(norm[None])[0]:
        return xp.asarray(norm[None])
    mask = options.loci_mask(problem.sizes[1])
    if mask is not None:
        chosen = xp.asarray(mask.nonzero()[0])
        return constraint.loci_weight(xp.take(counts, chosen)[None, :], xp.take(shared.rmatrix, chosen, axis=1))
    uniform = constraint.uniform_inverse_diagonal(shared.dlogt)[0, :]
    first = regularised_inverse(kernel, uniform, data, options.reg_tweak, options.nmu)
    return constraint.solution_weight((first @ data)[None, :])


def regularised_inverse(kernel: Any, linv: Any, data: Any, target: float, nmu: int) -> Any:
    """K-dagger (T, F) at the chi-squared `target` per channel, from a generalised SVD computed for it alone."""
    xp = array_namespace(kernel)
    s, u, w = gsvd(kernel, linv)
    projection, outside = discrepancy.project(u[None, ...], data[None, :])
    mu = discrepancy.grid(s[None, :], nmu)
    misfit = discrepancy.misfit(mu, s[None, :], projection, outside)
    chosen = discrepancy.morozov(mu, misfit, xp.full_like(mu[:, 0], target * kernel.shape[0]))
    beta = 1 / xp.sqrt(1 + s * s)
    return (w * (s / beta / (s * s + chosen))[None, :]) @ xp.permute_dims(u, (1, 0))


def gsvd(kernel: Any, linv: Any) -> tuple[Any, Any, Any]:
    """Generalised SVD of kernel (F, T) and the constraint diag(1 / linv): s = alpha / beta (r,), U (F, r), W (T, r).

    r = min(F, T). By the SVD of the kernel times the constraint's inverse, zero-padded to a square, as published.
    """
    xp = array_namespace(kernel)
    channels, bins = kernel.shape
    rank, size = min(channels, bins), max(channels, bins)
    padded = xp.zeros((size, size), dtype=kernel.dtype)
    padded[:channels, :bins] = kernel * linv[None, :]
    u, s, vt = xp.linalg.svd(padded, full_matrices=True)
    root = xp.sqrt(1 + s[:bins] ** 2)  # 1 / beta
    w = xp.linalg.pinv(root[:, None] * vt[:bins, :bins] / linv[None, :], rtol=1e-15)
    return s[:rank], u[:channels, :rank], w[:, :rank]


def temperature_resolution(profiles: Any, shared: Shared, dlogt: Array) -> Array:
    """Half the full width at half maximum (T,) of each column of K-dagger K (T, T), on 51 samples of log T."""
    xp, (points, below, share) = array_namespace(profiles), shared.sampling
    elogt = dlogt.copy()
    for t in range(len(dlogt)):
        profile = profiles[:, t]
        left, right = xp.take(profile, below), xp.take(profile, below + 1)
        above = xp.nonzero(left + (right - left) * share >= xp.max(profile) / 2)[0]
        if above.shape[0]:
            elogt[t] = float(xp.take(points, above[-1:])[0] - xp.take(points, above[:1])[0]) / 2
    return elogt
