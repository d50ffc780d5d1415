/* Diffusion where rows are shared out among processes, each with a device: no kernel can wait for another process, so an
 * iteration is a few launches, and the host adds over processes between them. Follows kernels.cu.
 *
 * Vectors have n values of the process's own rows, then those of its ghosts, which the host brings while rows are worked
 * on that need none. Processes agree on the status before a solve begins, so that no kernel need look at it. */
typedef struct {
    long n;
    rows pattern;
    const float *A, *K;               /* couplings of A = M + theta dt K and of the stiffness */
    const double *mass;               /* (n) row sums of A */
    const double *inverse_diagonal;   /* (n) 1 / diag(A); explicit: 1 / lumped mass */
    double dt;                        /* ms */
    double *increments;               /* (turns, 4, n) of V: solve k of a turn leaves its own in row k % 4 */
    const long *solves;               /* so far */
    long turns;                       /* in a step, each of which extrapolates from its own past */
    double *x, *r, *z, *w, *p, *s;    /* (n and ghosts) the increment; work */
    double *parts;                    /* (2, blocks) sums */
    long blocks;
    real *V;                          /* (n and ghosts) mV */
} rank_diffusion;

/* Rows in slices of a warp: all that need ghosts, or all that do not. */
typedef struct {
    const int *slice;
    long count;
    long first;                       /* place of the launch's first block among the parts of a sum */
} some_rows;

#define EACH_ROW_OF(i, some, n) \
    for (long k_ = (long)blockIdx.x * THREADS + threadIdx.x, i; k_ < (some).count * 32; k_ += (long)gridDim.x * THREADS) \
        if ((i = (some).slice[k_ / 32] * 32L + k_ % 32) < (n))

/* Leaves this block's part of a sum. */
static __device__ void leave(double *parts, long place, double part)
{
    part = block_sum(part);
    if (threadIdx.x == 0) parts[place] = part;
}

/* Values that go out to other processes, in their order. */
extern "C" __global__ void __launch_bounds__(THREADS) rank_pack(const double *vector, const int *place, long count, double *out)
{
    EACH_ROW(k, count) out[k] = vector[place[k]];
}

extern "C" __global__ void __launch_bounds__(THREADS) rank_pack_V(const real *V, const int *place, long count, real *out)
{
    EACH_ROW(k, count) out[k] = V[place[k]];
}

/* Block j adds up the j-th sum of all blocks of the launches before. */
extern "C" __global__ void __launch_bounds__(THREADS) rank_total(const double *parts, long blocks, double *sums)
{
    double sum = 0;
    for (long k = threadIdx.x; k < blocks; k += THREADS) sum += parts[blockIdx.x * blocks + k];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

/* x, extrapolated from the increments of the last three solves. */
extern "C" __global__ void __launch_bounds__(THREADS) rank_guess(rank_diffusion d)
{
    const long n = d.n, k = *d.solves / d.turns;
    const double *own = d.increments + *d.solves % d.turns * 4 * n;
    const double *a = own + (k + 3) % 4 * n, *b = own + (k + 2) % 4 * n, *c = own + (k + 1) % 4 * n;
    const double u = k < 3 ? k : 3, v = k < 2 ? 0 : k < 3 ? -1 : -3, t = k < 3 ? 0 : 1;
    EACH_ROW(i, n) d.x[i] = u * a[i] + v * b[i] + t * c[i];
}

/* r = -dt K V - A x and z = scale r / diag(A); parts of sum 0, r^2 / diag(A). */
extern "C" __global__ void __launch_bounds__(THREADS) rank_residual(rank_diffusion d, some_rows some, double scale)
{
    double sum = 0;
    EACH_ROW_OF(i, some, d.n) {
        const double r = -(d.mass[i] * d.x[i] + couple(d.pattern, d.A, i, d.x) + d.dt * couple(d.pattern, d.K, i, d.V));
        const double z = r * d.inverse_diagonal[i];
        d.r[i] = r;
        d.z[i] = scale * z;
        sum += r * z;
    }
    leave(d.parts, some.first + blockIdx.x, sum);
}

/* Conjugate gradients: w = A z; parts of sum 1, w.z */
extern "C" __global__ void __launch_bounds__(THREADS) rank_product(rank_diffusion d, some_rows some)
{
    double sum = 0;
    EACH_ROW_OF(i, some, d.n) {
        d.w[i] = d.mass[i] * d.z[i] + couple(d.pattern, d.A, i, d.z);
        sum += d.w[i] * d.z[i];
    }
    leave(d.parts, d.blocks + some.first + blockIdx.x, sum);
}

/* Conjugate gradients: p and s = A p go on, x += alpha p, r -= alpha s, z = r / diag(A); parts of sum 0, r.z */
extern "C" __global__ void __launch_bounds__(THREADS) rank_update(rank_diffusion d, double alpha, double beta, int first)
{
    double sum = 0;
    EACH_ROW(i, d.n) {
        const double p = first ? d.z[i] : d.z[i] + beta * d.p[i];
        const double s = first ? d.w[i] : d.w[i] + beta * d.s[i];
        const double r = d.r[i] - alpha * s;
        d.p[i] = p;
        d.s[i] = s;
        d.x[i] += alpha * p;
        d.r[i] = r;
        d.z[i] = r * d.inverse_diagonal[i];
        sum += r * d.z[i];
    }
    leave(d.parts, blockIdx.x, sum);
}

/* Chebyshev's iteration (runtime.c has the recurrence): x += p, r -= A p, next_p = of_p p + of_z r / diag(A); parts of
 * sum 0, r^2 / diag(A). */
extern "C" __global__ void __launch_bounds__(THREADS) rank_chebyshev(rank_diffusion d, some_rows some, const double *p,
                                                                     double *next_p, double of_p, double of_z)
{
    double sum = 0;
    EACH_ROW_OF(i, some, d.n) {
        const double own = p[i], r = d.r[i] - (d.mass[i] * own + couple(d.pattern, d.A, i, p));
        const double z = r * d.inverse_diagonal[i];
        d.r[i] = r;
        d.x[i] += own;
        next_p[i] = of_p * own + of_z * z;
        sum += r * z;
    }
    leave(d.parts, some.first + blockIdx.x, sum);
}

/* V += x, which is kept for guesses to come. */
extern "C" __global__ void __launch_bounds__(THREADS) rank_finish(rank_diffusion d)
{
    double *own = d.increments + (*d.solves % d.turns * 4 + *d.solves / d.turns % 4) * d.n;
    EACH_ROW(i, d.n) {
        own[i] = d.x[i];
        d.V[i] = (real)(d.V[i] + d.x[i]);
    }
}

extern "C" __global__ void rank_solved(long *solves)
{
    ++*solves;
}

/* w = dt K V / m, of forward Euler with lumped mass m. */
extern "C" __global__ void __launch_bounds__(THREADS) rank_flow(rank_diffusion d, some_rows some)
{
    EACH_ROW_OF(i, some, d.n) d.w[i] = d.dt * couple(d.pattern, d.K, i, d.V) * d.inverse_diagonal[i];
}

/* V -= w */
extern "C" __global__ void __launch_bounds__(THREADS) rank_subtract(rank_diffusion d)
{
    EACH_ROW(i, d.n) d.V[i] = (real)(d.V[i] - d.w[i]);
}

/* What other processes have met in this step counts here, too. */
extern "C" __global__ void rank_status(loop_clock *clock, int status)
{
    clock->status |= status;
}
