/* Upward crossings of a threshold by V at some sites, one call per time step. C and CUDA. REAL, the type of V, is defined
 * before it. V at a site is the sum of its terms: weight times V[node]. */
typedef struct {
    const REAL *V;                /* mV, by nodes */
    const long *node;             /* (terms) */
    const double *weight;         /* (terms) */
    const long *first;            /* (sites + 1) the first term of each site */
    double *before;               /* (sites) mV, one step ago */
    unsigned long long *count;    /* spikes of all sites so far; spike j is in row j % rows, those of a step in any order */
    int *site;                    /* [row] whose it is */
    double *time;                 /* [row] ms */
    long rows;
    double threshold;             /* mV */
    double t, step_dt;            /* ms, the start of the step (on a device: of step 0), its length */
} spike_args;

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#define BROKEN 9          /* bits of a clock's status: this step has just broken, and is not looked at */
#else
#define INLINE static inline
#endif

INLINE unsigned long long next(unsigned long long *count)
{
#ifdef __CUDACC__
    return atomicAdd(count, 1ull);
#else
    return __atomic_fetch_add(count, 1ull, __ATOMIC_RELAXED);
#endif
}

INLINE void look(const spike_args *a, long site, double t_before)
{
    double V = 0;
    for (long k = a->first[site]; k < a->first[site + 1]; k++) V += a->weight[k] * a->V[a->node[k]];
    const double before = a->before[site];
    if (before < a->threshold && V >= a->threshold) {
        const long row = (long)(next(a->count) % (unsigned long long)a->rows);
        a->site[row] = (int)site;
        a->time[row] = t_before + a->step_dt * (a->threshold - before) / (V - before);
    }
    a->before[site] = V;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_see_spikes(spike_args a, long n, upstroke_clock *clock)
{
    const long site = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && !(clock->status & BROKEN) && site < n)
        look(&a, site, a.t + clock->step * a.step_dt);
}
#else
long upstroke_see_spikes(long begin, long end, const spike_args *a)
{
    for (long site = begin; site < end; site++)
        look(a, site, a->t);
    return 0;
}
#endif
