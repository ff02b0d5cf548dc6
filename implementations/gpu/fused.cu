// The whole inversion of a group of pixels by one warp: CUDA C++, compiled for one problem's sizes.
//
// What goes along the bins is done by the warp's lanes together, pixel after pixel, a lane owning every 32nd temperature
// bin; what is small, the factorisation and the positivity loop, by a lane for each pixel (`factorise.cu`, which stands
// before this text). Defined by the host beside that file's: BINS (T); POINTS of the grid (nmu); SELF_NORMALISED and
// L_EMD (0 or 1); REAL, the type that the profiles of the temperature resolution are computed in; GROUP, the most pixels
// of a warp; and WORK_BYTES, what it takes in shared memory. Tables are as `gpu.fused.stage` makes them: response (F, T);
// loci (F, T), 1 / response, infinite for channels not chosen; uniform (F, R), R^T of the response under the uniform
// constraint; width (T), dlogt; scale (T), 1 / dlogt or 1; left, share (SAMPLES), the bin below each sample of a profile
// and how far past it; position (SAMPLES), half its logt. Steps and names are those of `implementations.maths`.

#define LANES 32
#define ALL 0xffffffffu
#define SAMPLES 51
#define OWN ((BINS + LANES - 1) / LANES)
#define TOGETHER (OWN < 4 ? OWN : 4)  // profiles that a lane computes at a time: more would not fit its registers
#define TRIANGLE (CHANNELS * (CHANNELS + 1) / 2)
#define PACKED (RANK * CHANNELS > TRIANGLE && RANK < CHANNELS ? RANK * CHANNELS : TRIANGLE)
#ifndef SHARED
#define SHARED(type) type
#endif

enum Status : signed char { OK = 0, HIT_MAX_ITER = 1, INVALID = 2 };

struct Tables {
    const double *response, *loci, *uniform, *width, *scale, *dlogt, *share, *position;
    const int *left;
};

struct alignas(16) Work {  // of one warp, in shared memory
    alignas(16) SHARED(REAL) rows[BINS][CHANNELS];  // K-dagger over the errors
    alignas(16) SHARED(REAL) samples[SAMPLES][CHANNELS];
    alignas(16) SHARED(double) packed[PACKED][GROUP];  // R^T of each pixel for unit errors, then (B B^T + mu)^-1
    SHARED(double) inverse_error[CHANNELS][GROUP], coefficient[CHANNELS][GROUP];
    SHARED(double) line[BINS];
};
static_assert(sizeof(SHARED(double)) != sizeof(double) || sizeof(Work) == WORK_BYTES, "the host takes other bytes");

// Where an element of a pixel's triangle, or of its symmetric matrix, stands.
__device__ __forceinline__ int place(int f, int k) { return f < k ? k * (k + 1) / 2 + f : f * (f + 1) / 2 + k; }

__device__ __forceinline__ double total(double x) {
    for (int far = LANES / 2; far; far /= 2) x += __shfl_xor_sync(ALL, x, far);
    return x;
}

__device__ __forceinline__ double greatest(double x) {
    for (int far = LANES / 2; far; far /= 2) x = fmax(x, __shfl_xor_sync(ALL, x, far));
    return x;
}

// --- constraint ---------------------------------------------------------------------------------------------------

// weight = L^-2 from a raw weight: peak 1, mean of five bins of which the first and last count as 0, at least 1e-8.
__device__ void smoothed(Work &w, const Tables &of, int lane, double *weight) {
    double peak = -INFINITY;
    for (int o = 0, t = lane; o < OWN; o++, t += LANES)
        if (t < BINS) peak = fmax(peak, weight[o]);
    const double fifth = 0.2 / greatest(peak);
    for (int o = 0, t = lane; o < OWN; o++, t += LANES)
        if (t < BINS) w.line[t] = t == 0 || t == BINS - 1 ? 0.0 : weight[o];
    __syncwarp();
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        double sum = 0.0;
        for (int near = t - 2; near <= t + 2; near++)
            if (near >= 0 && near < BINS) sum += w.line[near];
        const double mean = fmax(sum * fifth, 1e-8);
        weight[o] = t < BINS ? (L_EMD ? mean * mean : mean) * of.scale[t] : 0.0;
    }
    __syncwarp();
}

// The user's row, as it stands; false where it is all ones or starts with 0.
__device__ bool given_weight(const double *norm, const Tables &of, int lane, double *weight) {
    bool other = false;
    for (int t = lane; t < BINS; t += LANES) other |= norm[t] != 1.0;
    if (!__any_sync(ALL, other) || norm[0] == 0.0) return false;
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        const double size = t < BINS ? fabs(norm[t]) : 0.0;
        weight[o] = t < BINS ? (L_EMD ? size * size : size) * of.scale[t] : 0.0;
    }
    return true;
}

__device__ void loci_weight(const double *dn, const Tables &of, int lane, double *weight) {
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        weight[o] = INFINITY;
        for (int f = 0; f < CHANNELS; f++)
            if (t < BINS) weight[o] = fmin(weight[o], dn[f] * of.loci[f * BINS + t]);
    }
}

// A first solution where it is above 1e-4 of its peak, else 1.
__device__ void solution_weight(int lane, double *weight) {
    double peak = -INFINITY;
    for (int o = 0, t = lane; o < OWN; o++, t += LANES)
        if (t < BINS) peak = fmax(peak, weight[o]);
    const double threshold = 1e-4 * greatest(peak);
    for (int o = 0; o < OWN; o++) weight[o] = weight[o] > threshold ? weight[o] : 1.0;
}

// --- factorise ----------------------------------------------------------------------------------------------------

// R^T of B^T = Q R for unit errors, by modified Gram-Schmidt over the rows of B = K L^-1.
__device__ void triangle(Work &w, const Tables &of, int lane, int p, const double *weight) {
    double b[CHANNELS][OWN];
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        const double root = sqrt(weight[o]);
#pragma unroll
        for (int f = 0; f < CHANNELS; f++) b[f][o] = t < BINS ? of.response[f * BINS + t] * root : 0.0;
    }
    if constexpr (RANK < CHANNELS) {  // B is the smaller matrix
        for (int o = 0, t = lane; o < OWN; o++, t += LANES)
            for (int f = 0; f < CHANNELS; f++)
                if (t < RANK) w.packed[f * RANK + t][p] = b[f][o];
    } else {
#pragma unroll
        for (int k = 0; k < CHANNELS; k++) {
            double along[CHANNELS] = {};
#pragma unroll
            for (int f = k; f < CHANNELS; f++) {
                double sum = 0.0;
                for (int o = 0; o < OWN; o++) sum += b[k][o] * b[f][o];
                along[f] = total(sum);
            }
            const double unit = along[k] > 0.0 ? 1.0 / sqrt(along[k]) : 0.0;
#pragma unroll
            for (int f = k; f < CHANNELS; f++)
                if (lane == 0) w.packed[place(f, k)][p] = along[f] * unit;
#pragma unroll
            for (int f = k + 1; f < CHANNELS; f++)
                for (int o = 0; o < OWN; o++) b[f][o] -= along[f] * unit * unit * b[k][o];
        }
    }
}

// A pixel's own lane: from R^T for unit errors, which `element` gives.
template <typename Element>
__device__ __forceinline__ void factorised(const Work &w, int lane, const double *dn, Bidiagonal &own, Element element) {
    double d[CHANNELS];
UNROLLED
    for (int f = 0; f < CHANNELS; f++) {
        const double e = w.inverse_error[f][lane];
        d[f] = dn[f] * e;
UNROLLED
        for (int k = 0; k < RANK; k++) own.basis[f][k] = RANK < CHANNELS || k <= f ? element(f, k) * e : 0.0;
    }
    factorise(own, d, POINTS);
}

// --- inverse ------------------------------------------------------------------------------------------------------

// The coefficients of the responses in the solution at mu, the weight apart; whether they make some bin negative.
__device__ bool solution(const Work &w, const Tables &of, int lane, const Bidiagonal &own, double mu, double *c) {
    coefficient(own, mu, c);
UNROLLED
    for (int f = 0; f < CHANNELS; f++) c[f] *= w.inverse_error[f][lane];
    bool negative = false;
    for (int t = 0; t < BINS && !negative; t++) {
        double sum = 0.0;
UNROLLED
        for (int f = 0; f < CHANNELS; f++) sum += of.response[f * BINS + t] * c[f];
        negative = sum < 0.0;
    }
    return negative;
}

// dem = W K^T c of a pixel, for a weight that may be no lane's own.
__device__ void dem_of(const Work &w, const Tables &of, int lane, int p, const double *weight, double *dem) {
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        double sum = 0.0;
        for (int f = 0; f < CHANNELS; f++)
            if (t < BINS) sum += of.response[f * BINS + t] * w.coefficient[f][p];
        dem[o] = sum * weight[o];
    }
}

// --- uncertainty --------------------------------------------------------------------------------------------------

// edem, and the rows of K-dagger over the errors.
__device__ void edem_and_rows(Work &w, const Tables &of, int lane, int p, const double *weight, double *edem) {
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        double variance = 0.0;
        for (int f = 0; f < CHANNELS; f++) {
            double sum = 0.0;
            for (int g = 0; g < CHANNELS; g++)
                if (t < BINS) sum += of.response[g * BINS + t] * w.inverse_error[g][p] * w.packed[place(g, f)][p];
            sum *= weight[o];
            variance += sum * sum;
            if (t < BINS) w.rows[t][f] = sum * w.inverse_error[f][p];
        }
        edem[o] = sqrt(variance);
    }
    __syncwarp();
}

__device__ __forceinline__ REAL profile(const SHARED(REAL) *row, const REAL *response) {
    REAL sum = 0;
#pragma unroll
    for (int f = 0; f < CHANNELS; f++) sum += row[f] * response[f];
    return sum;
}

// Half the distance of the outermost samples of a bin's profile that reach half its maximum; dlogt where none does.
__device__ void elogt_of(Work &w, const Tables &of, int lane, double *elogt) {
    for (int j = lane; j < SAMPLES; j += LANES)
        for (int f = 0; f < CHANNELS; f++) {
            const REAL left = w.rows[of.left[j]][f], right = w.rows[of.left[j] + 1][f];
            w.samples[j][f] = left + (REAL)of.share[j] * (right - left);
        }
    __syncwarp();
#pragma unroll
    for (int first = 0; first < OWN; first += TOGETHER) {
        REAL response[TOGETHER][CHANNELS], peak[TOGETHER];
#pragma unroll
        for (int o = 0; o < TOGETHER; o++) {
            const int t = lane + (first + o) * LANES;
            peak[o] = -INFINITY;
#pragma unroll
            for (int f = 0; f < CHANNELS; f++) response[o][f] = t < BINS ? of.response[f * BINS + t] : 0.0;
        }
        for (int i = 0; i < BINS; i++)
#pragma unroll
            for (int o = 0; o < TOGETHER; o++) {
                const REAL here = profile(w.rows[i], response[o]);
                peak[o] = here > peak[o] ? here : peak[o];
            }
        int lowest[TOGETHER], highest[TOGETHER];
#pragma unroll
        for (int o = 0; o < TOGETHER; o++) lowest[o] = SAMPLES, highest[o] = -1, peak[o] /= 2;
        for (int j = 0; j < SAMPLES; j++)
#pragma unroll
            for (int o = 0; o < TOGETHER; o++)
                if (profile(w.samples[j], response[o]) >= peak[o]) lowest[o] = min(lowest[o], j), highest[o] = j;
#pragma unroll
        for (int o = 0; o < TOGETHER; o++) {
            const int t = lane + (first + o) * LANES;
            if (first + o < OWN && t < BINS)
                elogt[first + o] = highest[o] < 0 ? of.dlogt[t] : of.position[highest[o]] - of.position[lowest[o]];
        }
    }
    __syncwarp();
}

// --- a group of pixels --------------------------------------------------------------------------------------------

__device__ void put(double *row, int lane, const double *own) {
    for (int o = 0, t = lane; o < OWN; o++, t += LANES)
        if (t < BINS) row[t] = own[o];
}

struct Pixels {  // of one warp
    const double *dn, *edn, *norm;
    double *dem, *edem, *elogt, *chisq, *dn_reg;
    int *iterations;
    signed char *status;
};

struct Options {
    double reg_tweak, rgt_fact;
    int max_iter;
};

// Whether the lane's own pixel can be inverted; its errors.
__device__ bool opened(Work &w, const Pixels &all, int lane, int count) {
    bool valid = lane < count;
    for (int f = 0; f < CHANNELS && lane < count; f++) {
        const double dn = all.dn[lane * CHANNELS + f], edn = all.edn[lane * CHANNELS + f];
        valid &= dn > 0.0 && dn < INFINITY && edn > 0.0 && edn < INFINITY;
        w.inverse_error[f][lane] = 1.0 / edn;
    }
    return valid;
}

// Coefficients of the first solution, under the uniform constraint, for self-normalised weights.
__device__ void first_solution(Work &w, const Tables &of, const Pixels &all, int lane, double target) {
    Bidiagonal own;
    double c[CHANNELS];
    factorised(w, lane, all.dn + lane * CHANNELS, own, [&](int f, int k) { return of.uniform[f * RANK + k]; });
    coefficient(own, morozov(own, target, POINTS), c);
UNROLLED
    for (int f = 0; f < CHANNELS; f++) w.coefficient[f][lane] = c[f] * w.inverse_error[f][lane];
}

// The weight of a pixel, L^-2, in each lane that of its bins.
__device__ void weighted(Work &w, const Tables &of, const Pixels &all, int lane, int p, double *weight) {
    if (all.norm && given_weight(all.norm + p * BINS, of, lane, weight)) return;
    if constexpr (SELF_NORMALISED) {
        double width[OWN];
        for (int o = 0, t = lane; o < OWN; o++, t += LANES) width[o] = t < BINS ? of.width[t] : 0.0;
        dem_of(w, of, lane, p, width, weight);
        solution_weight(lane, weight);
    } else {
        loci_weight(all.dn + p * CHANNELS, of, lane, weight);
    }
    smoothed(w, of, lane, weight);
}

// The positivity loop of the lane's own pixel: its coefficients, and (B B^T + mu)^-1 in place of its triangle.
__device__ void solved(Work &w, const Tables &of, const Pixels &all, int lane, const Options &options) {
    Bidiagonal own;
    double c[CHANNELS], target = CHANNELS * options.reg_tweak, mu = 0.0;
    bool negative = true;
    int solves = 0;
    factorised(w, lane, all.dn + lane * CHANNELS, own, [&](int f, int k) {
        return (double)w.packed[RANK < CHANNELS ? f * RANK + k : place(f, k)][lane];
    });
    while (negative && solves < options.max_iter) {
        mu = morozov(own, target, POINTS);
        negative = solution(w, of, lane, own, mu, c);
        target *= options.rgt_fact;
        solves++;
    }
    all.iterations[lane] = solves;
    all.status[lane] = negative ? HIT_MAX_ITER : OK;
    halved(own, mu);
UNROLLED
    for (int f = 0; f < CHANNELS; f++) {
        w.coefficient[f][lane] = c[f];
UNROLLED
        for (int g = 0; g <= f; g++) w.packed[place(f, g)][lane] = middle(own, f, g);
    }
}

// All outputs of a pixel but its status, from its weight, which stands in `dem`.
__device__ void finished(Work &w, const Tables &of, const Pixels &all, int lane, int p) {
    double weight[OWN], row[OWN], residual2 = 0.0;
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) weight[o] = t < BINS ? all.dem[p * BINS + t] : 0.0;
    dem_of(w, of, lane, p, weight, row);
    put(all.dem + p * BINS, lane, row);
    for (int f = 0; f < CHANNELS; f++) {
        double counts = 0.0;
        for (int o = 0, t = lane; o < OWN; o++, t += LANES)
            if (t < BINS) counts += of.response[f * BINS + t] * row[o];
        counts = total(counts);
        const double off = (all.dn[p * CHANNELS + f] - counts) * w.inverse_error[f][p];
        residual2 += off * off;
        if (lane == 0) all.dn_reg[p * CHANNELS + f] = counts;
    }
    if (lane == 0) all.chisq[p] = residual2 / CHANNELS;
    edem_and_rows(w, of, lane, p, weight, row);
    put(all.edem + p * BINS, lane, row);
    elogt_of(w, of, lane, row);
    put(all.elogt + p * BINS, lane, row);
}

__device__ void refused(const Pixels &all, int lane, int p) {
    double nothing[OWN];
    for (int o = 0; o < OWN; o++) nothing[o] = 0.0;
    put(all.dem + p * BINS, lane, nothing), put(all.edem + p * BINS, lane, nothing);
    put(all.elogt + p * BINS, lane, nothing);
    for (int f = lane; f < CHANNELS; f += LANES) all.dn_reg[p * CHANNELS + f] = 0.0;
    if (lane == 0) all.chisq[p] = 0.0, all.iterations[p] = 0, all.status[p] = INVALID;
}

// dn, edn (P, F); norm (P, T), null without user weights; outputs as `Solution`; tables as `Tables`. A warp takes `group`
// pixels, at most GROUP.
extern "C" __global__ void invert(
    long long pixels, int group, const double *dn, const double *edn, const double *norm, double *dem, double *edem,
    double *elogt, double *chisq, double *dn_reg, int *iterations, signed char *status, const double *response,
    const double *loci, const double *uniform, const double *width, const double *scale, const double *dlogt,
    const double *share, const double *position, const int *left, double reg_tweak, double rgt_fact, int max_iter) {
    extern __shared__ double memory[];
    const Tables of = {response, loci, uniform, width, scale, dlogt, share, position, left};
    const Options options = {reg_tweak, rgt_fact, max_iter};
    const int lane = threadIdx.x % LANES;
    const long long at = ((long long)blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES) * group;
    if (at >= pixels) return;
    const int count = pixels - at < group ? (int)(pixels - at) : group;
    Work &w = reinterpret_cast<Work *>(memory)[threadIdx.x / LANES];
    const Pixels all = {
        dn + at * CHANNELS, edn + at * CHANNELS, norm ? norm + at * BINS : norm, dem + at * BINS, edem + at * BINS,
        elogt + at * BINS, chisq + at, dn_reg + at * CHANNELS, iterations + at, status + at};

    const bool valid = opened(w, all, lane, count);
    const unsigned good = __ballot_sync(ALL, valid);
    if (SELF_NORMALISED && valid) first_solution(w, of, all, lane, CHANNELS * reg_tweak);
    __syncwarp();
    for (int p = 0; p < count; p++) {
        if (!(good >> p & 1)) continue;
        double weight[OWN];
        weighted(w, of, all, lane, p, weight);
        put(all.dem + p * BINS, lane, weight);  // until `finished`; a lane reads what it wrote
        triangle(w, of, lane, p, weight);
    }
    __syncwarp();
    if (valid) solved(w, of, all, lane, options);
    __syncwarp();
    for (int p = 0; p < count; p++) {
        if (good >> p & 1) finished(w, of, all, lane, p);
        else refused(all, lane, p);
    }
}
