// The whole inversion of a pixel by one warp: CUDA C++, compiled for one problem's sizes.
//
// A lane owns every 32nd temperature bin; the small matrices of a pixel stand in shared memory. Defined by the host:
// CHANNELS (F), BINS (T), POINTS of the regularisation grid (nmu), SELF_NORMALISED and L_EMD (0 or 1), and REAL, the type
// that the profiles of the temperature resolution are computed in. Tables are as `gpu.fused.stage` makes them: response
// (F, T); loci (F, T), 1 / response, infinite for channels not chosen; uniform (F, R), R^T of the response under the
// uniform constraint; width (T), dlogt; scale (T), 1 / dlogt or 1; left, share (SAMPLES), the bin below each sample of
// a profile and how far past it; position (SAMPLES), half its logt. Steps and names are those of `implementations.maths`.

#ifndef INFINITY  // compiled at run time there is no math.h
#define INFINITY __longlong_as_double(0x7ff0000000000000LL)
#endif
#define LANES 32
#define ALL 0xffffffffu
#define RANK (CHANNELS < BINS ? CHANNELS : BINS)
#define SAMPLES 51
#define OWN ((BINS + LANES - 1) / LANES)
#define TOGETHER (OWN < 4 ? OWN : 4)  // profiles that a lane computes at a time: more would not fit its registers

enum Status : signed char { OK = 0, HIT_MAX_ITER = 1, INVALID = 2 };

struct Tables {
    const double *response, *loci, *uniform, *width, *scale, *dlogt, *share, *position;
    const int *left;
};

struct Work {  // of one warp, in shared memory
    double factor[RANK][CHANNELS];  // columns of R^T, later U
    double energy[RANK], projection[RANK], filtered[RANK];
    double inverse_error[CHANNELS], whitened[CHANNELS], coefficient[CHANNELS];
    double middle[CHANNELS][CHANNELS];
    double misfit[POINTS];
    double line[BINS];
    REAL rows[BINS][CHANNELS];  // K-dagger over the errors
    REAL samples[SAMPLES][CHANNELS];
};

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

// factor = R^T, of B^T = Q R, by modified Gram-Schmidt over the rows of B = K L^-1.
__device__ void triangle(Work &w, const Tables &of, int lane, const double *weight) {
    double b[CHANNELS][OWN];
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        const double root = sqrt(weight[o]);
#pragma unroll
        for (int f = 0; f < CHANNELS; f++) b[f][o] = t < BINS ? of.response[f * BINS + t] * root : 0.0;
    }
    if (RANK < CHANNELS) {  // B is the smaller matrix
        for (int o = 0, t = lane; o < OWN; o++, t += LANES)
            for (int f = 0; f < CHANNELS; f++)
                if (t < RANK) w.factor[t][f] = b[f][o] * w.inverse_error[f];
        __syncwarp();
        return;
    }
#pragma unroll
    for (int k = 0; k < RANK; k++) {
        double along[CHANNELS];
#pragma unroll
        for (int f = k; f < CHANNELS; f++) {
            double sum = 0.0;
            for (int o = 0; o < OWN; o++) sum += b[k][o] * b[f][o];
            along[f] = total(sum);
        }
        const double unit = along[k] > 0.0 ? 1.0 / sqrt(along[k]) : 0.0;
#pragma unroll
        for (int f = 0; f < CHANNELS; f++)
            if (lane == 0) w.factor[k][f] = f < k ? 0.0 : along[f] * unit * w.inverse_error[f];
#pragma unroll
        for (int f = k + 1; f < CHANNELS; f++)
            for (int o = 0; o < OWN; o++) b[f][o] -= along[f] * unit * unit * b[k][o];
    }
    __syncwarp();
}

// Make two columns orthogonal; whether others feel it at first order.
__device__ bool rotate(double *p, double *q) {
    double alpha = 0.0, beta = 0.0, gamma = 0.0;
    for (int f = 0; f < CHANNELS; f++) alpha += p[f] * p[f], beta += q[f] * q[f], gamma += p[f] * q[f];
    const double scale = alpha * beta, cosine2 = gamma * gamma;
    if (!(cosine2 > 1e-30 * scale)) return false;
    const double delta = beta - alpha, twice = 2.0 * gamma;
    const double t = (delta < 0.0 ? -twice : twice) / (fabs(delta) + sqrt(delta * delta + twice * twice));
    const double c = 1.0 / sqrt(1.0 + t * t), s = c * t;
    for (int f = 0; f < CHANNELS; f++) {
        const double x = p[f], y = q[f];
        p[f] = c * x - s * y;
        q[f] = s * x + c * y;
    }
    return cosine2 > 1e-14 * scale || t * t > 1e-14;
}

// One-sided Jacobi: pairs of a round share no column, so that each has a lane of its own.
__device__ void orthogonalise(Work &w, int lane) {
    const int seats = RANK + RANK % 2;
    for (int sweep = 0; sweep < 30; sweep++) {
        bool unsettled = false;
        for (int round = 0; round < seats - 1; round++) {
            if (lane < seats / 2) {
                const int a = lane ? (round + lane) % (seats - 1) : seats - 1;
                const int b = lane ? (round + seats - 1 - lane) % (seats - 1) : round;
                if (a < RANK && b < RANK) unsettled |= rotate(w.factor[min(a, b)], w.factor[max(a, b)]);
            }
            __syncwarp();
        }
        if (!__any_sync(ALL, unsettled)) break;
    }
}

// factor = R^T becomes U; energy = s^2, projection = U^T d. Returns |d - U U^T d|^2.
__device__ double thin_svd(Work &w, int lane) {
    orthogonalise(w, lane);
    for (int k = lane; k < RANK; k += LANES) {
        double length2 = 0.0, along = 0.0;
        for (int f = 0; f < CHANNELS; f++) length2 += w.factor[k][f] * w.factor[k][f];
        const double unit = length2 > 0.0 ? 1.0 / sqrt(length2) : 0.0;
        for (int f = 0; f < CHANNELS; f++) along += (w.factor[k][f] *= unit) * w.whitened[f];
        w.energy[k] = length2;
        w.projection[k] = along;
    }
    __syncwarp();
    double rest2 = 0.0;
    for (int f = lane; f < CHANNELS; f += LANES) {
        double rest = w.whitened[f];
        for (int k = 0; k < RANK; k++) rest -= w.factor[k][f] * w.projection[k];
        rest2 += rest * rest;
    }
    return total(rest2);
}

// --- discrepancy --------------------------------------------------------------------------------------------------

struct Grid {
    double first, step;
    __device__ double mu(int point) const { return first * exp(point * step); }
};

// The grid from 1e-4 of the least s^2 to the greatest s, and the misfit on it in w.misfit.
__device__ Grid grid(Work &w, int lane, double unfitted) {
    double low = INFINITY, high = 0.0;
    for (int k = 0; k < RANK; k++)
        if (w.energy[k] > 0.0) low = fmin(low, w.energy[k]), high = fmax(high, w.energy[k]);
    const Grid g = {low * 1e-4, log(sqrt(high) / (low * 1e-4)) / (POINTS - 1)};
    for (int point = lane; point < POINTS; point += LANES) {
        const double mu = g.mu(point);
        double misfit = unfitted;
        for (int k = 0; k < RANK; k++) {
            const double left = mu / (w.energy[k] + mu) * w.projection[k];
            misfit += left * left;
        }
        w.misfit[point] = misfit;
    }
    __syncwarp();
    return g;
}

// The point whose misfit is nearest to the target, the first of equals.
__device__ int morozov(const Work &w, int lane, double target) {
    double best = INFINITY;
    int at = POINTS;
    for (int point = lane; point < POINTS; point += LANES) {
        const double distance = fabs(w.misfit[point] - target);
        if (distance < best) best = distance, at = point;
    }
    for (int far = LANES / 2; far; far /= 2) {
        const double other = __shfl_xor_sync(ALL, best, far);
        const int there = __shfl_xor_sync(ALL, at, far);
        if (other < best || (other == best && there < at)) best = other, at = there;
    }
    return at;
}

// --- inverse ------------------------------------------------------------------------------------------------------

// dem = W K^T U diag(1 / (s^2 + mu)) U^T d; whether some bin is negative.
__device__ bool solution(Work &w, const Tables &of, int lane, double mu, const double *weight, double *dem) {
    for (int k = lane; k < RANK; k += LANES) w.filtered[k] = w.projection[k] / (w.energy[k] + mu);
    __syncwarp();
    for (int f = lane; f < CHANNELS; f += LANES) {
        double sum = 0.0;
        for (int k = 0; k < RANK; k++) sum += w.factor[k][f] * w.filtered[k];
        w.coefficient[f] = sum * w.inverse_error[f];
    }
    __syncwarp();
    bool negative = false;
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        double sum = 0.0;
        for (int f = 0; f < CHANNELS; f++)
            if (t < BINS) sum += of.response[f * BINS + t] * w.coefficient[f];
        dem[o] = sum * weight[o];
        negative |= dem[o] < 0.0;
    }
    return __any_sync(ALL, negative);
}

// --- uncertainty --------------------------------------------------------------------------------------------------

// edem, and the rows of K-dagger over the errors.
__device__ void edem_and_rows(Work &w, const Tables &of, int lane, double mu, const double *weight, double *edem) {
    for (int k = lane; k < RANK; k += LANES) w.filtered[k] = 1.0 / (w.energy[k] + mu);
    __syncwarp();
    for (int n = lane; n < CHANNELS * CHANNELS; n += LANES) {
        const int g = n / CHANNELS, f = n % CHANNELS;
        double sum = 0.0;
        for (int k = 0; k < RANK; k++) sum += w.factor[k][g] * w.factor[k][f] * w.filtered[k];
        w.middle[g][f] = sum * w.inverse_error[g];
    }
    __syncwarp();
    for (int o = 0, t = lane; o < OWN; o++, t += LANES) {
        double variance = 0.0;
        for (int f = 0; f < CHANNELS; f++) {
            double sum = 0.0;
            for (int g = 0; g < CHANNELS; g++)
                if (t < BINS) sum += of.response[g * BINS + t] * w.middle[g][f];
            sum *= weight[o];
            variance += sum * sum;
            if (t < BINS) w.rows[t][f] = sum * w.inverse_error[f];
        }
        edem[o] = sqrt(variance);
    }
    __syncwarp();
}

__device__ __forceinline__ REAL profile(const REAL *row, const REAL *response) {
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
}

// --- a pixel ------------------------------------------------------------------------------------------------------

__device__ void put(double *row, int lane, const double *own) {
    for (int o = 0, t = lane; o < OWN; o++, t += LANES)
        if (t < BINS) row[t] = own[o];
}

// dn, edn (P, F); norm (P, T), null without user weights; outputs as `Solution`; tables as `Tables`.
extern "C" __global__ void invert(
    long long pixels, const double *dn, const double *edn, const double *norm, double *dem, double *edem, double *elogt,
    double *chisq, double *dn_reg, int *iterations, signed char *status, const double *response, const double *loci,
    const double *uniform, const double *width, const double *scale, const double *dlogt, const double *share,
    const double *position, const int *left, double reg_tweak, double rgt_fact, int max_iter) {
    extern __shared__ double memory[];
    const Tables of = {response, loci, uniform, width, scale, dlogt, share, position, left};
    const int lane = threadIdx.x % LANES;
    const long long pixel = (long long)blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES;
    if (pixel >= pixels) return;
    Work &w = reinterpret_cast<Work *>(memory)[threadIdx.x / LANES];
    dn += pixel * CHANNELS, edn += pixel * CHANNELS, dn_reg += pixel * CHANNELS;
    dem += pixel * BINS, edem += pixel * BINS, elogt += pixel * BINS;

    double weight[OWN], row[OWN];
    bool valid = true;
    for (int f = 0; f < CHANNELS; f++) valid &= dn[f] > 0.0 && dn[f] < INFINITY && edn[f] > 0.0 && edn[f] < INFINITY;
    if (!valid) {
        for (int o = 0; o < OWN; o++) row[o] = 0.0;
        put(dem, lane, row), put(edem, lane, row), put(elogt, lane, row);
        for (int f = lane; f < CHANNELS; f += LANES) dn_reg[f] = 0.0;
        if (lane == 0) chisq[pixel] = 0.0, iterations[pixel] = 0, status[pixel] = INVALID;
        return;
    }
    for (int f = lane; f < CHANNELS; f += LANES) {
        w.inverse_error[f] = 1.0 / edn[f];
        w.whitened[f] = dn[f] / edn[f];
    }
    __syncwarp();

    if (!norm || !given_weight(norm + pixel * BINS, of, lane, weight)) {
        if (SELF_NORMALISED) {
            for (int n = lane; n < RANK * CHANNELS; n += LANES)
                w.factor[n % RANK][n / RANK] = of.uniform[n] * w.inverse_error[n / RANK];
            __syncwarp();
            const Grid g = grid(w, lane, thin_svd(w, lane));
            for (int o = 0, t = lane; o < OWN; o++, t += LANES) row[o] = t < BINS ? of.width[t] : 0.0;
            solution(w, of, lane, g.mu(morozov(w, lane, CHANNELS * reg_tweak)), row, weight);
            solution_weight(lane, weight);
        } else {
            loci_weight(dn, of, lane, weight);
        }
        smoothed(w, of, lane, weight);
    }
    triangle(w, of, lane, weight);
    const Grid g = grid(w, lane, thin_svd(w, lane));

    double target = CHANNELS * reg_tweak, mu = 0.0;
    bool negative = true;
    int solves = 0;
    while (negative && solves < max_iter) {
        mu = g.mu(morozov(w, lane, target));
        negative = solution(w, of, lane, mu, weight, row);
        target *= rgt_fact;
        solves++;
    }
    put(dem, lane, row);

    double residual = 0.0;
    for (int f = 0; f < CHANNELS; f++) {
        double counts = 0.0;
        for (int o = 0, t = lane; o < OWN; o++, t += LANES)
            if (t < BINS) counts += of.response[f * BINS + t] * row[o];
        counts = total(counts);
        const double off = (dn[f] - counts) * w.inverse_error[f];
        residual += off * off;
        if (lane == 0) dn_reg[f] = counts;
    }
    if (lane == 0) {
        chisq[pixel] = residual / CHANNELS;
        iterations[pixel] = solves;
        status[pixel] = negative ? HIT_MAX_ITER : OK;
    }
    edem_and_rows(w, of, lane, mu, weight, row);
    put(edem, lane, row);
    elogt_of(w, of, lane, row);
    put(elogt, lane, row);
}

// How much shared memory a warp takes, for the host to read: only the compiler knows the padding.
extern "C" {
__constant__ int work_bytes = sizeof(Work);
}
