/* The CUDA kernels of a step that are not generated: diffusion, inputs, the clock. Follows couplings.cu; `real` is the
 * type of V. Arithmetic is in double, as on the CPU.
 *
 * A solver is one launch: its blocks, as many as the device runs at once, meet at barriers, so nothing waits for the
 * host. Sums are taken in an order that is fixed for a device and a size, and every block takes them alike: all leave
 * the iteration together, and two runs give the same bits. */
#define THREADS 256       /* of a solver's block, as in cuda_diffusion.py; three to a multiprocessor: four would spill */

typedef struct {
    long step;
    int halted, status;
    long solves, iterations, last_iterations, most_iterations, bounded_steps;
    double residual;      /* mV */
} loop_clock;             /* begins like upstroke_clock */

/* Nothing moves on after what broke, in its step either: the state stays as it broke. */
static __device__ __forceinline__ bool broken(const loop_clock *clock)
{
    return clock->halted || clock->status & 9;
}

/* ------------------------------------------------------------------------------------------- joint work */
/* All blocks meet. What they wrote before is seen by all after it. Together they add 2^31: the uppermost bit turns when
 * the last one comes, and what is below is 0 again. */
static __device__ void grid_barrier(unsigned *arrivals)
{
    const unsigned turn = 0x80000000u;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned mine = blockIdx.x == 0 ? turn - (gridDim.x - 1) : 1;
        const unsigned before = atomicAdd(arrivals, mine);
        unsigned now = before + mine;
        while (!((now ^ before) & turn)) {      /* the last one need not look */
            __nanosleep(20);
            now = *(volatile unsigned *)arrivals;
        }
        __threadfence();
    }
    __syncthreads();
}

/* The sum over the block, to every thread of it. */
static __device__ double block_sum(double x)
{
    __shared__ double warps[THREADS / 32];
    for (int apart = 16; apart > 0; apart /= 2) x += __shfl_xor_sync(0xffffffffu, x, apart);
    __syncthreads();                     /* all have read the last sum */
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
    __syncthreads();
    double sum = 0;
    for (int warp = 0; warp < THREADS / 32; warp++) sum += warps[warp];
    return sum;
}

/* The sum over all blocks, each of which has left its part before a barrier. */
static __device__ double grid_sum(const double *parts)
{
    double sum = 0;
    for (int block = threadIdx.x; block < (int)gridDim.x; block += THREADS) sum += parts[block];
    return block_sum(sum);
}

#define EACH_ROW(i, n) \
    for (long i = (long)blockIdx.x * THREADS + threadIdx.x; i < (n); i += (long)gridDim.x * THREADS)

/* -------------------------------------------------------------------------------------------- diffusion */
typedef struct {
    long n;
    rows pattern;
    const float *A, *K;               /* couplings of A = M + theta dt K and of the stiffness */
    const double *mass;               /* (n) row sums of A */
    const double *inverse_diagonal;   /* (n) 1 / diag(A); explicit: 1 / lumped mass */
    double trace;                     /* sum of diag(A) */
    double dt, tolerance;             /* ms, mV */
    long max_iterations;
    double low, high;                 /* bounds of the spectrum of A / diag(A), for Chebyshev */
    double *increments;               /* (turns, 4, n) of V: solve k of a turn leaves its own in row k % 4 */
    double *r, *z, *w, *p, *s;        /* (n) work */
    double *parts;                    /* (2, blocks) sums */
    unsigned *arrivals;               /* of blocks at barriers */
    long *solves, turns;              /* so far; in a step, each of which extrapolates from its own past */
    real *V;                          /* (n) mV */
} diffusion;

/* The guess, extrapolated from the increments of the last three solves; the new increment lies where it is returned. */
static __device__ double *guess(const diffusion &d)
{
    const long n = d.n, k = *d.solves / d.turns;
    double *own = d.increments + *d.solves % d.turns * 4 * n, *x = own + k % 4 * n;
    const double *a = own + (k + 3) % 4 * n, *b = own + (k + 2) % 4 * n, *c = own + (k + 1) % 4 * n;
    const double u = k < 3 ? k : 3, v = k < 2 ? 0 : k < 3 ? -1 : -3, t = k < 3 ? 0 : 1;
    EACH_ROW(i, n) x[i] = u * a[i] + v * b[i] + t * c[i];
    return x;
}

/* r = -dt K V - A x and z = r / diag(A); this block's part of r.z */
static __device__ double residual(const diffusion &d, const double *x)
{
    double sum = 0;
    EACH_ROW(i, d.n) {
        const double r = -(d.mass[i] * x[i] + couple(d.pattern, d.A, i, x) + d.dt * couple(d.pattern, d.K, i, d.V));
        d.r[i] = r;
        d.z[i] = r * d.inverse_diagonal[i];
        sum += r * d.z[i];
    }
    return block_sum(sum);
}

/* V += x; what the solve took. */
static __device__ void finish(const diffusion &d, const double *x, long iterations, double rho, double stop,
                              loop_clock *clock)
{
    EACH_ROW(i, d.n) d.V[i] = (real)(d.V[i] + x[i]);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        ++*d.solves;
        clock->solves++;
        clock->iterations += iterations;
        clock->last_iterations = iterations;
        if (iterations > clock->most_iterations) clock->most_iterations = iterations;
        clock->residual = sqrt(rho / d.trace);
        if (!(rho <= stop)) atomicOr(&clock->status, 8);      /* nor is a residual that is no number */
    }
}

/* One step of A delta = -dt K V by conjugate gradients with Jacobi preconditioner, then V += delta. Stops when
 * sqrt(r.z / trace) <= tolerance. A z is carried along instead of A p (Chronopoulos and Gear 1989,
 * doi 10.1016/0377-0427(89)90045-9), so that blocks meet twice an iteration. */
extern "C" __global__ void __launch_bounds__(THREADS, 3) diffuse_cg(diffusion d, loop_clock *clock)
{
    if (broken(clock)) return;
    double *of_rz = d.parts, *of_wz = d.parts + gridDim.x, *x = guess(d);
    grid_barrier(d.arrivals);
    double part = residual(d, x);
    if (threadIdx.x == 0) of_rz[blockIdx.x] = part;
    grid_barrier(d.arrivals);
    double rho = grid_sum(of_rz), before = rho, alpha = 0;
    const double stop = d.tolerance * d.tolerance * d.trace;
    long iterations = 0;
    while (rho > stop && iterations < d.max_iterations) {
        part = 0;
        EACH_ROW(i, d.n) {
            d.w[i] = d.mass[i] * d.z[i] + couple(d.pattern, d.A, i, d.z);
            part += d.w[i] * d.z[i];
        }
        part = block_sum(part);
        if (threadIdx.x == 0) of_wz[blockIdx.x] = part;
        grid_barrier(d.arrivals);
        const bool first = iterations == 0;
        const double beta = first ? 0 : rho / before, wz = grid_sum(of_wz);
        alpha = rho / (first ? wz : wz - beta * rho / alpha);
        part = 0;
        EACH_ROW(i, d.n) {
            const double p = first ? d.z[i] : d.z[i] + beta * d.p[i];      /* A p = s */
            const double s = first ? d.w[i] : d.w[i] + beta * d.s[i];
            const double r = d.r[i] - alpha * s;
            d.p[i] = p;
            d.s[i] = s;
            x[i] += alpha * p;
            d.r[i] = r;
            d.z[i] = r * d.inverse_diagonal[i];
            part += r * d.z[i];
        }
        part = block_sum(part);
        if (threadIdx.x == 0) of_rz[blockIdx.x] = part;
        grid_barrier(d.arrivals);
        before = rho;
        rho = grid_sum(of_rz);
        iterations++;
    }
    finish(d, x, iterations, rho, stop, clock);
}

/* The same by Chebyshev's iteration: the bounds of the spectrum are known, so blocks meet once an iteration, and the
 * residual is summed only where it may have come down to the tolerance (runtime.c has the recurrence). */
extern "C" __global__ void __launch_bounds__(THREADS, 3) diffuse_chebyshev(diffusion d, loop_clock *clock)
{
    if (broken(clock)) return;
    const double c = 0.5 * (d.high + d.low), h = 0.5 * (d.high - d.low), sigma = c / h;
    const double stop = d.tolerance * d.tolerance * d.trace;
    double *x = guess(d), *p = d.p, *next_p = d.w, omega = 1.0 / sigma;
    grid_barrier(d.arrivals);
    double part = residual(d, x);
    EACH_ROW(i, d.n) p[i] = d.z[i] / c;
    if (threadIdx.x == 0) d.parts[blockIdx.x] = part;
    grid_barrier(d.arrivals);
    double rho = grid_sum(d.parts), due = fmax(1.0, ceil(acosh(sqrt(rho / stop)) / acosh(sigma)));
    long iterations = 0;
    while (rho > stop && iterations < d.max_iterations) {
        for (; iterations < due && iterations < d.max_iterations; iterations++) {
            const double next = 1.0 / (2.0 * sigma - omega), of_p = next * omega, of_z = 2.0 * next / h;
            part = 0;
            EACH_ROW(i, d.n) {
                const double own = p[i], r = d.r[i] - (d.mass[i] * own + couple(d.pattern, d.A, i, p));
                const double z = r * d.inverse_diagonal[i];
                d.r[i] = r;
                x[i] += own;
                next_p[i] = of_p * own + of_z * z;
                part += r * z;
            }
            double *swap = p;
            p = next_p;
            next_p = swap;
            omega = next;
            if (iterations + 1 < due && iterations + 1 < d.max_iterations) {
                grid_barrier(d.arrivals);
            } else {
                part = block_sum(part);
                if (threadIdx.x == 0) d.parts[(iterations + 1) % 2 * gridDim.x + blockIdx.x] = part;
                grid_barrier(d.arrivals);
                rho = grid_sum(d.parts + (iterations + 1) % 2 * gridDim.x);
            }
        }
        due = iterations + 1 + iterations / 8;
    }
    finish(d, x, iterations, rho, stop, clock);
}

/* V -= dt K V / m, the forward Euler step with lumped mass m. */
extern "C" __global__ void __launch_bounds__(THREADS, 3) diffuse_explicit(diffusion d, loop_clock *clock)
{
    if (broken(clock)) return;
    EACH_ROW(i, d.n) d.w[i] = d.dt * couple(d.pattern, d.K, i, d.V) * d.inverse_diagonal[i];
    grid_barrier(d.arrivals);
    EACH_ROW(i, d.n) d.V[i] = (real)(d.V[i] - d.w[i]);
    if (blockIdx.x == 0 && threadIdx.x == 0) clock->solves++;
}

/* --------------------------------------------------------------------------- what else a step consists of */
/* V = V_next, after kernels that read V of other nodes. */
extern "C" __global__ void __launch_bounds__(128) take_over(real *V, const real *V_next, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && i < n) V[i] = V_next[i];
}

typedef struct {
    real *out;
    const long *nodes, *offsets;      /* (m), (m + 1) */
    const int *trains;                /* of node i: trains[offsets[i]] to trains[offsets[i + 1]] */
    const double *scale;              /* what it receives of each is multiplied by */
    const long *steps;                /* (events) first step of each */
    const double *values;             /* (events, width) */
    long events, width;
} inputs;

/* Piecewise constant inputs: out[node] = sum of the values of its trains at the last event up to now. */
extern "C" __global__ void __launch_bounds__(128) apply_inputs(inputs a, long m, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (clock->halted || i >= m) return;
    long low = 0, high = a.events;    /* a.steps[low - 1] <= step < a.steps[high] */
    while (low < high) {
        const long middle = (low + high) / 2;
        if (a.steps[middle] <= clock->step) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return;
    double sum = 0;
    for (long k = a.offsets[i]; k < a.offsets[i + 1]; k++) sum += a.scale[k] * a.values[(low - 1) * a.width + a.trains[k]];
    a.out[a.nodes[i]] = (real)sum;
}

/* A solve by a library, which the host has watched. */
extern "C" __global__ void count_solve(loop_clock *clock, long iterations, double residual, int status)
{
    if (broken(clock)) return;
    clock->solves++;
    clock->iterations += iterations;
    clock->last_iterations = iterations;
    if (iterations > clock->most_iterations) clock->most_iterations = iterations;
    clock->residual = residual;
    clock->status |= status;
}

/* The end of a step: on to the next, unless this one broke. */
extern "C" __global__ void tick(loop_clock *clock)
{
    if (clock->halted) return;
    if (clock->status & 2) clock->bounded_steps++;
    if (clock->status & 9) {
        clock->halted = 1;
    } else {
        clock->step++;
        clock->status = 0;
    }
}
