// Kernels with launches that run them on the host. KERNEL: their sources as one file.
#include "warp.h"

#include KERNEL

#ifdef GROUP  // the fused one, block after block, one warp a block
template <typename... Arguments>
static void launch(long long pixels, int group, Arguments... rest) {
    for (long long block = 0; block * group < pixels; block++) {
        blockIdx.x = (unsigned)block;
        emulator::run([&] { invert(pixels, group, rest...); });
    }
}

extern "C" void invert_all(
    long long pixels, int group, const double *dn, const double *edn, const double *norm, double *dem, double *edem,
    double *elogt, double *chisq, double *dn_reg, int *iterations, signed char *status, const double *response,
    const double *loci, const double *uniform, const double *width, const double *scale, const double *dlogt,
    const double *share, const double *position, const int *left, double reg_tweak, double rgt_fact, int max_iter) {
    launch(
        pixels, group, dn, edn, norm, dem, edem, elogt, chisq, dn_reg, iterations, status, response, loci, uniform,
        width, scale, dlogt, share, position, left, reg_tweak, rgt_fact, max_iter);
}
#else  // those of a pixel a thread, one after the other
#define EACH(call) \
    for (threadIdx.x = 0; threadIdx.x < pixels; threadIdx.x++) call

extern "C" void factorised_all(
    long long pixels, int points, int shared, const double *reduced, const double *dn, const double *edn,
    Bidiagonal *factors) {
    EACH(factorised(pixels, points, shared, reduced, dn, edn, factors));
}

extern "C" void chosen_all(
    long long pixels, int points, const Bidiagonal *factors, double target, double *mu, double *c) {
    EACH(chosen(pixels, points, factors, target, mu, c));
}

extern "C" void inverted_all(long long pixels, const Bidiagonal *factors, const double *mu, double *inverse) {
    EACH(inverted(pixels, factors, mu, inverse));
}
#endif
