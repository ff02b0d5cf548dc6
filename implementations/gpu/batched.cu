// The small steps of `gpu.batched`, a pixel a thread (`factorise.cu`, which stands before this text): in place of an SVD
// of each pixel. Defined by the host besides: STATE, the doubles of a factorised pixel.

static_assert(sizeof(Bidiagonal) == 8 * STATE, "the host takes other bytes");

__device__ __forceinline__ long long own_pixel() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

// From C (P, F, R), or (1, F, R) where all pixels share one, of B = C Q^T for unit errors; dn, edn (P, F).
extern "C" __global__ void factorised(
    long long pixels, int points, int shared, const double *reduced, const double *dn, const double *edn,
    Bidiagonal *factors) {
    const long long pixel = own_pixel();
    if (pixel >= pixels) return;
    Bidiagonal own;
    double d[CHANNELS];
    reduced += shared ? 0 : pixel * CHANNELS * RANK, dn += pixel * CHANNELS, edn += pixel * CHANNELS;
UNROLLED
    for (int f = 0; f < CHANNELS; f++) {
        d[f] = dn[f] / edn[f];
UNROLLED
        for (int k = 0; k < RANK; k++) own.basis[f][k] = reduced[f * RANK + k] / edn[f];
    }
    factorise(own, d, points);
    factors[pixel] = own;
}

// mu (P,) of a misfit, and (B B^T + mu)^-1 d (P, F).
extern "C" __global__ void chosen(
    long long pixels, int points, const Bidiagonal *factors, double target, double *mu, double *c) {
    const long long pixel = own_pixel();
    if (pixel >= pixels) return;
    const Bidiagonal own = factors[pixel];
    mu[pixel] = morozov(own, target, points);
    coefficient(own, mu[pixel], c + pixel * CHANNELS);
}

// (B B^T + mu)^-1 (P, F, F) on what B reaches.
extern "C" __global__ void inverted(long long pixels, const Bidiagonal *factors, const double *mu, double *inverse) {
    const long long pixel = own_pixel();
    if (pixel >= pixels) return;
    Bidiagonal own = factors[pixel];
    halved(own, mu[pixel]);
    inverse += pixel * CHANNELS * CHANNELS;
UNROLLED
    for (int f = 0; f < CHANNELS; f++)
UNROLLED
        for (int g = 0; g < CHANNELS; g++) inverse[f * CHANNELS + g] = middle(own, f, g);
}
