// The fused kernel with a launch that runs it block after block, one warp a block. KERNEL: its sources as one file.
#include "warp.h"

#include KERNEL

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
