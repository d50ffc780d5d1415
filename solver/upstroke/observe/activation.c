/* Activation and repolarisation of every node, one call per time step. REAL, the type of V, is defined before this text,
 * which is C and CUDA.
 *
 * A node waits (beat closed) until V crosses the threshold upwards, then is in a beat until V has come back by `fraction`
 * of the beat's own amplitude. Crossings are interpolated linearly between the last step and this one. */
typedef struct {
    const REAL *V;            /* mV, now */
    const long *node;         /* where in V each watched node is, NULL where all are watched; what follows is by those */
    REAL *before;             /* mV, one step ago */
    REAL *lowest;             /* mV, minimum since the maximum of the last beat, or since the start */
    REAL *highest;            /* mV, maximum of the running beat */
    REAL *rest;               /* mV, `lowest` when the running beat began */
    int *beats;               /* activations so far */
    unsigned char *active;    /* 1 while in a beat */
    unsigned char *again;     /* 1 where V crossed the threshold upwards once more inside a beat, after it
                                 had come three quarters of the way back: perhaps a beat that is not counted */
    double *const *activation;        /* ms, [row][node] */
    double *const *repolarisation;
    int *rows;                /* rows there are; most beats of a node; most of one that came when there was no row */
    double *range;            /* mV, lowest V and lowest -V of all nodes and steps; of each copy */
    const int *copy;          /* which of several equal meshes each node is of, NULL where there is one */
    double t, step_dt;        /* ms, the start of the step (on a device: of step 0), its length */
    double threshold, fraction;
} activation_args;

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#define BROKEN 9          /* bits of a clock's status: this step has just broken, and is not looked at */
#else
#define INLINE static inline
#endif

/* *place = max(*place, value), *place = min(*place, value) by several threads: the results do not depend on their order. */
INLINE void keep_most(int *place, int value)
{
#ifdef __CUDACC__
    atomicMax(place, value);
#else
    int seen = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (seen < value && !__atomic_compare_exchange_n(place, &seen, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
#endif
}

INLINE void keep_lowest(double *place, double value)
{
#ifdef __CUDACC__
    for (double old = *place; value < old;) {
        const unsigned long long seen = __double_as_longlong(old);
        const unsigned long long found = atomicCAS((unsigned long long *)place, seen, __double_as_longlong(value));
        if (found == seen)
            return;
        old = __longlong_as_double(found);
    }
#else
    double old;
    __atomic_load(place, &old, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange(place, &old, &value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
#endif
}

/* V of watched node i after a step that began at t_before. */
INLINE void see(const activation_args *a, long i, double t_before)
{
    const REAL threshold = (REAL)a->threshold, V = a->V[a->node ? a->node[i] : i], before = a->before[i];
    a->before[i] = V;

    if (before < threshold && V >= threshold) {
        if (a->active[i]) {
            const double top = a->highest[i];
            if (a->lowest[i] <= top - 0.75 * a->fraction * (top - a->rest[i]))
                a->again[i] = 1;
        } else {
            const int row = a->beats[i]++;
            if (row < a->rows[0])
                a->activation[row][i] = t_before + a->step_dt * ((double)threshold - before) / ((double)V - before);
            else
                keep_most(&a->rows[2], row + 1);
            keep_most(&a->rows[1], row + 1);
            a->active[i] = 1;
            a->highest[i] = V;
            a->rest[i] = a->lowest[i];
        }
    }
    if (a->active[i]) {
        if (V >= a->highest[i]) {
            a->highest[i] = V;
            a->lowest[i] = V;
        } else {
            const double top = a->highest[i], level = top - a->fraction * (top - a->rest[i]);
            if (V <= level) {
                const int row = a->beats[i] - 1;
                if (row < a->rows[0])
                    a->repolarisation[row][i] = t_before + a->step_dt * (before - level) / ((double)before - V);
                a->active[i] = 0;
            }
        }
    }
    if (V < a->lowest[i])
        a->lowest[i] = V;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_see_activation(activation_args a, long n, upstroke_clock *clock)
{
    __shared__ double lows[4], negative_highs[4];     /* of the warps */
    if (clock->halted || clock->status & BROKEN)
        return;
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    double low = 1e300, negative_high = 1e300;
    if (i < n) {
        see(&a, i, a.t + clock->step * a.step_dt);
        low = a.before[i];                            /* V now */
        negative_high = -low;
    }
    for (int apart = 16; apart > 0; apart /= 2) {
        low = fmin(low, __shfl_down_sync(0xffffffffu, low, apart));
        negative_high = fmin(negative_high, __shfl_down_sync(0xffffffffu, negative_high, apart));
    }
    if (a.copy) {                                     /* a block may be of several */
        if (i < n) {
            keep_lowest(&a.range[2 * a.copy[i]], a.before[i]);
            keep_lowest(&a.range[2 * a.copy[i] + 1], -a.before[i]);
        }
        return;
    }
    if (threadIdx.x % 32 == 0) {
        lows[threadIdx.x / 32] = low;
        negative_highs[threadIdx.x / 32] = negative_high;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < (int)blockDim.x / 32; warp++) {
            low = fmin(low, lows[warp]);
            negative_high = fmin(negative_high, negative_highs[warp]);
        }
        keep_lowest(&a.range[0], low);
        keep_lowest(&a.range[1], negative_high);
    }
}
#else
long upstroke_see_activation(long begin, long end, const activation_args *a)
{
    for (long i = begin; i < end;) {
        const int copy = a->copy ? a->copy[i] : 0;
        double low = 1e300, negative_high = 1e300;
        for (; i < end && (!a->copy || a->copy[i] == copy); i++) {
            see(a, i, a->t);
            const double V = a->before[i];            /* now */
            low = V < low ? V : low;
            negative_high = -V < negative_high ? -V : negative_high;
        }
        keep_lowest(&a->range[2 * copy], low);
        keep_lowest(&a->range[2 * copy + 1], negative_high);
    }
    return 0;
}
#endif
