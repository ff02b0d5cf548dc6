// The factorisation of a pixel, the search on its grid and its inverse, by one thread: CUDA C++, no SVD.
//
// B = K L^-1 = P Bu V^T with Bu upper bidiagonal, by Householder reflections from the left and the right in turn: a fixed
// number of steps, so that threads do not part. V is not needed: the rest is made of (B B^T + mu)^-1 = P N P^T, where
// N = (Bu Bu^T + mu)^-1 comes from the differential stationary qd transform with a positive shift: all terms are
// positive, nothing cancels, no element is divided by. Of singular values only the least and the greatest are found, the
// ends of the grid, by Laguerre's iteration. Defined by the host: CHANNELS (F) and RANK, min(F, T). `points`: of the
// grid, nmu. Steps and names are those of `implementations.maths`.
//
// Sources: Elden 1977, BIT 17, 134; Dhillon & Parlett 2004, Linear Algebra Appl. 387, 1.

#ifndef INFINITY  // compiled at run time there is no math.h
#define INFINITY __longlong_as_double(0x7ff0000000000000LL)
#endif
#if CHANNELS <= 8
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("unroll 1")  // more would not fit the registers, and takes long to compile
#endif

struct Bidiagonal {
    double basis[CHANNELS][RANK];  // P
    double diagonal[RANK], above[RANK], product[RANK];  // a_k^2, b_k^2 and b_k a_(k+1) of Bu
    double projection[RANK], unfitted;  // P^T d and the square of what of d is outside of P
    double first, step;  // mu of a point of the grid is first * exp(point * step)
};

// --- factorise ----------------------------------------------------------------------------------------------------

// A reflection 1 - scale v v^T that leaves of a vector only the first element. v is the vector itself but for `head`.
struct Reflection { double onto, head, scale; };

__device__ __forceinline__ Reflection reflection(double first, double length2) {
    const double onto = first < 0.0 ? sqrt(length2) : -sqrt(length2);
    return {onto, first - onto, length2 > 0.0 ? 1.0 / (length2 - first * onto) : 0.0};
}

// Leave of column k what is above its diagonal; the rest of the column keeps v.
__device__ __forceinline__ Reflection reflect_rows(double (*m)[RANK], double *d, int k) {
    double length2 = 0.0;
UNROLLED
    for (int i = k; i < CHANNELS; i++) length2 += m[i][k] * m[i][k];
    const Reflection h = reflection(m[k][k], length2);
    m[k][k] = h.head;
UNROLLED
    for (int j = k + 1; j < RANK; j++) {
        double along = 0.0;
UNROLLED
        for (int i = k; i < CHANNELS; i++) along += m[i][k] * m[i][j];
UNROLLED
        for (int i = k; i < CHANNELS; i++) m[i][j] -= along * h.scale * m[i][k];
    }
    double along = 0.0;
UNROLLED
    for (int i = k; i < CHANNELS; i++) along += m[i][k] * d[i];
UNROLLED
    for (int i = k; i < CHANNELS; i++) d[i] -= along * h.scale * m[i][k];
    return h;
}

// Leave of row k what is next to its diagonal, and return that.
__device__ __forceinline__ double reflect_columns(double (*m)[RANK], int k) {
    double length2 = 0.0;
UNROLLED
    for (int j = k + 1; j < RANK; j++) length2 += m[k][j] * m[k][j];
    const Reflection h = reflection(m[k][k + 1], length2);
    m[k][k + 1] = h.head;
UNROLLED
    for (int i = k + 1; i < CHANNELS; i++) {
        double along = 0.0;
UNROLLED
        for (int j = k + 1; j < RANK; j++) along += m[k][j] * m[i][j];
UNROLLED
        for (int j = k + 1; j < RANK; j++) m[i][j] -= along * h.scale * m[k][j];
    }
    return h.onto;
}

// Columns k and after of P, from those after it and the reflection whose v is column k.
__device__ __forceinline__ void extend(double (*m)[RANK], int k, double scale) {
    const double head = m[k][k];
UNROLLED
    for (int j = k + 1; j < RANK; j++) {
        double along = 0.0;
UNROLLED
        for (int i = k + 1; i < CHANNELS; i++) along += m[i][k] * m[i][j];
        m[k][j] = -along * scale * head;
UNROLLED
        for (int i = k + 1; i < CHANNELS; i++) m[i][j] -= along * scale * m[i][k];
    }
    m[k][k] = 1.0 - scale * head * head;
UNROLLED
    for (int i = k + 1; i < CHANNELS; i++) m[i][k] *= -scale * head;
}

// of.basis, which holds B Q, becomes P; with it the bidiagonal's squares, P^T d and what P leaves of d (overwritten).
__device__ void bidiagonal(Bidiagonal &of, double *d) {
    double scale[RANK], a[RANK], b[RANK];
UNROLLED
    for (int k = 0; k < RANK; k++) {
        a[k] = of.basis[k][k], b[k] = 0.0, scale[k] = 0.0;
        if (k < CHANNELS - 1) {
            const Reflection h = reflect_rows(of.basis, d, k);
            a[k] = h.onto, scale[k] = h.scale;
        }
        if (k < RANK - 2) b[k] = reflect_columns(of.basis, k);
        if (k == RANK - 2) b[k] = of.basis[k][RANK - 1];
    }
UNROLLED
    for (int k = RANK - 1; k >= 0; k--) extend(of.basis, k, scale[k]);
    of.unfitted = 0.0;
UNROLLED
    for (int k = 0; k < CHANNELS; k++) {
        if (k < RANK) of.projection[k] = d[k];
        else of.unfitted += d[k] * d[k];
    }
UNROLLED
    for (int k = 0; k < RANK; k++) {
        of.diagonal[k] = a[k] * a[k], of.above[k] = b[k] * b[k];
        of.product[k] = k < RANK - 1 ? b[k] * a[k + 1] : 0.0;
    }
}

// A step of Laguerre's from `at`, on one side of all eigenvalues of Bu Bu^T, towards the nearest; never beyond it.
__device__ double towards(const Bidiagonal &of, double at) {
    double s = -at, slope = 1.0, bend = 0.0;  // of the qd transform; minus its first and second derivative
    double sum = 0.0, sum2 = 0.0;  // of 1 / (eigenvalue - at) and of its square
UNROLLED
    for (int k = RANK - 1; k >= 0; k--) {
        const double inverse = 1.0 / (s + of.diagonal[k]), q = slope * inverse, p = bend * inverse + 2.0 * q * q;
        sum += q, sum2 += p - q * q;
        if (k) {
            const double damped = of.above[k - 1] * of.diagonal[k] * inverse;
            s = of.above[k - 1] * s * inverse - at, slope = damped * q + 1.0, bend = damped * p;
        }
    }
    const double spread = fmax((RANK - 1) * (RANK * sum2 - sum * sum), 0.0);
    return fmax(RANK / (fabs(sum) + sqrt(spread)), 0.0);
}

// The grid from 1e-4 of the least s^2 to the greatest s.
__device__ void grid(Bidiagonal &of, int points) {
    double low = 0.0, high = 0.0;
UNROLLED
    for (int k = 0; k < RANK; k++) high += of.diagonal[k] + of.above[k];
    for (int n = 0; n < 60; n++) {
        const double step = towards(of, high);
        high -= step;
        if (!(step > 1e-12 * high)) break;
    }
    for (int n = 0; n < 60; n++) {
        const double step = towards(of, low);
        low += step;
        if (!(step > 1e-12 * low)) break;
    }
    of.first = fmax(low, 1e-33 * high) * 1e-4;  // less is rounding: channels are linearly dependent
    of.step = log(sqrt(high) / of.first) / (points - 1);
}

__device__ void factorise(Bidiagonal &of, double *d, int points) {
    bidiagonal(of, d);
    grid(of, points);
}

// --- discrepancy --------------------------------------------------------------------------------------------------

// Bu Bu^T + mu = U D U^T: 1 / D, and what stands above the diagonal of U.
__device__ __forceinline__ void shifted(const Bidiagonal &of, double mu, double *inverse, double *beside) {
    double s = mu;
UNROLLED
    for (int k = RANK - 1; k >= 0; k--) {
        inverse[k] = 1.0 / (s + of.diagonal[k]);
        beside[k] = k ? of.product[k - 1] * inverse[k] : 0.0;
        s = k ? of.above[k - 1] * s * inverse[k] + mu : 0.0;
    }
}

// z = (Bu Bu^T + mu)^-1 P^T d; returns its square.
__device__ __forceinline__ double residual(const Bidiagonal &of, double mu, double *z) {
    double inverse[RANK], beside[RANK], y = 0.0, length2 = 0.0;
    shifted(of, mu, inverse, beside);
UNROLLED
    for (int k = RANK - 1; k >= 0; k--) {
        y = of.projection[k] - (k < RANK - 1 ? beside[k < RANK - 1 ? k + 1 : k] * y : 0.0);
        z[k] = y * inverse[k];
    }
UNROLLED
    for (int k = 0; k < RANK; k++) {
        if (k) z[k] -= beside[k] * z[k - 1];
        length2 += z[k] * z[k];
    }
    return length2;
}

__device__ __forceinline__ double mu_of(const Bidiagonal &of, int point) { return of.first * exp(point * of.step); }

// The first point that rounding doesn't tell from the last, whose misfit falls short of the target by `below`: where the
// target dwarfs misfits, and where they are within rounding of |d|^2, of which a large mu leaves 2 |B^T d|^2 / mu unfitted.
__device__ int plateau(const Bidiagonal &of, double target, double below, int points) {
    double total = of.unfitted, slope = 0.0, z[RANK];
UNROLLED
    for (int k = 0; k < RANK; k++) {
        const double d = of.projection[k], next = k < RANK - 1 ? of.projection[k < RANK - 1 ? k + 1 : k] : 0.0;
        total += d * d, slope += (of.diagonal[k] + of.above[k]) * d * d + 2.0 * of.product[k] * d * next;
    }
    const double rounding = 5.5e-17 * fmax(total, target);  // 2^-54
    int low = -1, high = points - 1;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        const double mu = mu_of(of, middle), misfit = of.unfitted + mu * mu * residual(of, mu, z);
        if (misfit - target == -below || 2.0 * slope <= rounding * mu) high = middle;
        else low = middle;
    }
    return high;
}

// The mu of the grid whose misfit is nearest to the target, the first of equals. The misfit rises with mu.
__device__ double morozov(const Bidiagonal &of, double target, int points) {
    const bool falls = of.step < 0.0;  // along the grid
    int low = -1, high = points;
    double below = INFINITY, beyond = INFINITY, z[RANK];
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        const double mu = mu_of(of, falls ? points - 1 - middle : middle);
        const double excess = of.unfitted + mu * mu * residual(of, mu, z) - target;
        if (excess < 0.0) low = middle, below = -excess;
        else high = middle, beyond = excess;
    }
    const bool lower = falls ? below < beyond : below <= beyond;
    int nearest = high == points || (low >= 0 && lower) ? low : high;
    if (high == points && !falls) nearest = plateau(of, target, below, points);
    return mu_of(of, falls ? points - 1 - nearest : nearest);
}

// --- inverse ------------------------------------------------------------------------------------------------------

// (B B^T + mu)^-1 d = P z.
__device__ void coefficient(const Bidiagonal &of, double mu, double *c) {
    double z[RANK];
    residual(of, mu, z);
UNROLLED
    for (int f = 0; f < CHANNELS; f++) {
        double sum = 0.0;
UNROLLED
        for (int k = 0; k < RANK; k++) sum += of.basis[f][k] * z[k];
        c[f] = sum;
    }
}

// of.basis = P becomes H with (B B^T + mu)^-1 = H H^T, on what B reaches.
__device__ void halved(Bidiagonal &of, double mu) {
    double inverse[RANK], beside[RANK];
    shifted(of, mu, inverse, beside);
UNROLLED
    for (int k = 0; k < RANK; k++) inverse[k] = sqrt(inverse[k]);
UNROLLED
    for (int f = 0; f < CHANNELS; f++) {
        double y = 0.0;
UNROLLED
        for (int k = RANK - 1; k >= 0; k--) {
            y = of.basis[f][k] - (k < RANK - 1 ? beside[k < RANK - 1 ? k + 1 : k] * y : 0.0);
            of.basis[f][k] = y * inverse[k];
        }
    }
}

// An element of H H^T.
__device__ __forceinline__ double middle(const Bidiagonal &of, int g, int f) {
    double sum = 0.0;
UNROLLED
    for (int k = 0; k < RANK; k++) sum += of.basis[g][k] * of.basis[f][k];
    return sum;
}
